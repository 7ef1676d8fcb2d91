"""Mixtures that are queried for all of their sounds: a row, a reference and a name for each."""

import numpy as np
import pytest
import soundfile
import torch
import yaml
from torchmetrics.functional.audio import permutation_invariant_training
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as si_sdr

from tsx_espnet.bin import report
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.evaluation.answers import ask, read_experiment
from tsx_espnet.evaluation.compare import compare
from tsx_espnet.evaluation.score import Scores
from tsx_espnet.evaluation.scores import FILE, read_scores
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.tables import mark_done, read_table, write_table

FS = 8000
NUMBER = 8
CONDITIONS = ("class", "text")


@pytest.fixture
def mixtures(corpus, tmp_path):
    """Eight mixtures of three sources, each of which is a target."""
    config = MixingConfig(duration=0.5, num_sources=3, num_targets="all")
    write_mixtures(Sampler(corpus, config), NUMBER, 0, tmp_path / "dump" / "test")
    return MixtureSet(tmp_path / "dump" / "test")


def sources_of(mixtures, mixture):
    """(C, T), read without the package's help."""
    samples, _ = soundfile.read(read_table(mixtures.directory / "sources.scp")[mixture])
    return samples.T


def write(directory, condition, tables):
    """Table by table, name -> samples."""
    for number, table in enumerate(tables, start=1):
        paths = {}
        for name, samples in table.items():
            paths[name] = str(directory / condition / f"{name}_{number}.wav")
            (directory / condition).mkdir(parents=True, exist_ok=True)
            soundfile.write(paths[name], samples, FS, subtype="FLOAT")
        write_table(directory / condition / f"spk{number}.scp", paths)


@pytest.fixture
def queried(mixtures, tmp_path):
    """``(experiment, leak)``: estimates of every target, by its class and by its text."""

    def make(name, leak, seed=0):
        out = tmp_path / "exp" / name / "infer" / "test"
        rng = np.random.default_rng(seed)
        for condition in CONDITIONS:
            tables = {}, {}
            for target in mixtures.applicable(condition):
                mixture, component = mixtures.targets[target]
                sources = sources_of(mixtures, mixture)
                wanted, rest = sources[component], sources.sum(axis=0) - sources[component]
                share = leak * rng.uniform(0.5, 1)
                tables[0][target] = wanted + share * rest
                tables[1][target] = (1 - share) * rest
            write(out, condition, tables)
        mark_done(out, mixtures="these", model=name)
        (out.parents[1] / "config.yaml").write_text(yaml.safe_dump({"objective": "oct"}))
        Scores(mixtures, out, skip_bss=True).write()
        return out

    return make


def test_a_row_is_a_query_and_is_what_a_second_library_measures(mixtures, queried):
    out = queried("oct", 0.2)
    rows = [row for row in read_scores(out / FILE) if row.condition != "oracle"]
    expected = {(name, c) for c in CONDITIONS for name in mixtures.applicable(c)}
    assert {(row.mixture, row.condition) for row in rows} == expected
    assert len(rows) == len(expected) > NUMBER * len(CONDITIONS)
    several = 0
    for row in rows:
        mixture, component = mixtures.targets[row.mixture]
        assert row.mixture_id == mixture
        own = mixtures.plans[mixture].target == component
        assert (row.mixture == mixture) == own and row.in_mixture == ("" if own else mixture)
        source = mixtures.plans[mixture].sources[component]
        assert (row.clip, row.label) == (source.clip, source.labels[0])
        assert row.value == mixtures.applicable(row.condition)[row.mixture]
        reference = torch.from_numpy(sources_of(mixtures, mixture)[component])
        for name, table in (
            ("si_sdr", read_table(out / row.condition / "spk1.scp")[row.mixture]),
            ("si_sdr_mixture", read_table(mixtures.directory / "wav.scp")[mixture]),
        ):
            measured = si_sdr(torch.from_numpy(soundfile.read(table)[0]), reference, zero_mean=True)
            assert getattr(row, name) == pytest.approx(measured.item(), abs=2e-4)
        several += not own
    assert several > NUMBER


def test_tables_of_one_target_a_mixture_have_the_columns_they_had(corpus, tmp_path, queried):
    header = (queried("oct", 0.2) / FILE).read_text().splitlines()[0].split(",")
    assert header[0] == "mixture" and header[-3:] == ["clip", "in_mixture", "rest_si_sdr"]
    write_mixtures(Sampler(corpus, MixingConfig(duration=0.5)), 2, 0, tmp_path / "one")
    one, out = MixtureSet(tmp_path / "one"), tmp_path / "estimates"
    paths = read_table(one.directory / "wav.scp")
    samples = {name: soundfile.read(path)[0] for name, path in paths.items()}
    write(out, UNCONDITIONAL, [samples, samples])
    Scores(one, out, skip_bss=True).write()
    assert (out / FILE).read_text().splitlines()[0].split(",") == header[:-2]


@pytest.mark.parametrize("num_outputs", [3, 5])
def test_outputs_without_a_query_are_assigned_to_all_sources(mixtures, tmp_path, num_outputs):
    """The permutation of a second library, whose references are the sources and silence."""
    out = tmp_path / "exp" / "pit" / "infer" / "test"
    rng = np.random.default_rng(1)
    tables = [{} for _ in range(num_outputs)]
    for mixture in mixtures.ids:
        sources = sources_of(mixtures, mixture)
        more = 0.01 * rng.standard_normal((num_outputs - 3, sources.shape[1]))
        outputs = np.concatenate([sources + 0.1 * sources.sum(axis=0), more])
        for table, samples in zip(tables, rng.permutation(outputs)):
            table[mixture] = samples
    write(out, UNCONDITIONAL, tables)
    Scores(mixtures, out, skip_bss=True).write()
    rows = read_scores(out / FILE)
    assert {row.mixture for row in rows} == set(mixtures.targets) and len(rows) == 3 * NUMBER
    for row in rows:
        mixture, component = mixtures.targets[row.mixture]
        outputs = torch.from_numpy(np.stack([table[mixture] for table in tables]))
        sources = torch.from_numpy(sources_of(mixtures, mixture))
        pairs = [[si_sdr(o, s, zero_mean=True).item() for o in outputs] for s in sources]
        if num_outputs == 3:
            _, order = permutation_invariant_training(
                outputs[None], sources[None], si_sdr, zero_mean=True
            )
            assert row.value == f"spk{order[0, component].item() + 1}"
        assert row.value == f"spk{np.argmax(pairs[component]) + 1}"  # nearly the source itself
        assert row.si_sdr == pytest.approx(max(pairs[component]), abs=2e-4)


def test_fewer_outputs_than_sources_are_target_and_all_the_rest(mixtures, tmp_path):
    out = tmp_path / "exp" / "pit" / "infer" / "test"
    tables = {}, {}
    for mixture in mixtures.ids:
        first, *others = sources_of(mixtures, mixture)
        tables[0][mixture], tables[1][mixture] = sum(others), first
    write(out, UNCONDITIONAL, tables)
    Scores(mixtures, out, skip_bss=True).write()
    rows = read_scores(out / FILE)
    assert len(rows) == 3 * NUMBER
    for row in rows:
        if mixtures.targets[row.mixture][1] == 0:
            assert row.value == "spk2" and row.si_sdr > 60


def test_a_mixture_of_one_source_has_nothing_to_be_separated(corpus, tmp_path):
    config = MixingConfig(duration=0.5, num_sources=[1, 2], write_sources=True)
    write_mixtures(Sampler(corpus, config), NUMBER, 0, tmp_path / "mix")
    mixtures, out = MixtureSet(tmp_path / "mix"), tmp_path / "infer"
    tables = {}, {}
    for name in mixtures.ids:
        tables[0][name] = sum(sources_of(mixtures, name).reshape(mixtures.count(name), -1))
        tables[1][name] = 0.5 * tables[0][name]
    write(out, UNCONDITIONAL, tables)
    Scores(mixtures, out).write()
    silent = {row.mixture: row.silent for row in read_scores(out / FILE)}
    assert silent == {n: "other" if mixtures.count(n) == 1 else "" for n in mixtures.ids}
    assert len(set(silent.values())) == 2


def test_reports_and_comparisons_count_targets_and_draw_mixtures(mixtures, queried, capsys):
    first, second = (queried(*one) for one in (("good", 0.1, 1), ("bad", 0.3, 2)))
    exp = first.parents[1]
    report.main(["--exp", str(exp), "--mixtures", str(mixtures.directory), "--examples", "7"])
    text = (exp / "RESULTS.md").read_text()
    number = len(mixtures.applicable("text"))
    assert "| condition | targets | silent |" in text and f"over {number} targets;" in text
    assert "for each target" in text and "share of targets" in text
    examples = [path.name for path in (exp / "examples").iterdir()]
    assert len(examples) == 7 and set(examples) <= set(mixtures.targets)
    assert any(name not in mixtures.ids for name in examples)
    for name in examples:
        mixture, component = mixtures.targets[name]
        found = soundfile.read(exp / "examples" / name / "target.wav")[0]
        wanted = sources_of(mixtures, mixture)[component]
        assert np.corrcoef(found, wanted)[0, 1] > 0.99
    printed = compare([str(first.parents[1]), str(second.parents[1])])
    assert f"{number} targets of test" in printed and "target by target" in printed
    answers = ask(read_experiment(exp, "test"), "text", "ours")
    assert answers.mean.count == number
    assert answers.mean.num_mixtures == len({mixtures.mixture_of(n) for n in answers.values})

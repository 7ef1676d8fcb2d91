"""Mixtures of one to four sources, one of them zeros, and a model of four outputs: all the way."""

from types import SimpleNamespace

import numpy as np
import pytest
import small_parts
import soundfile

from tsx_espnet.bin import infer, report, score
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.evaluation.answers import METRICS, ask, read_experiment
from tsx_espnet.evaluation.compare import compare
from tsx_espnet.evaluation.score import Scores
from tsx_espnet.evaluation.scores import read_scores
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.plan import Placement, Plan, write_plans
from tsx_espnet.mixing.set_writer import rebuild
from tsx_espnet.tables import read_table, write_table

FS = 8000
LENGTH = 4000
COUNTS = {"one": 1, "zeros": 2, "two": 2, "three": 3, "four": 4}  # of sources


@pytest.fixture
def mixtures(make_clips, tmp_path):
    """The foreground of ``zeros`` is nothing but zeros, as FUSS has some."""
    rng = np.random.default_rng(0)
    clips, plans = {}, []
    for name, count in COUNTS.items():
        ids = [f"{name}_{number}" for number in range(count)]
        for number, clip in enumerate(ids):
            level = 0 if (name, number) == ("zeros", 1) else 1000
            clips[clip] = (level * rng.standard_normal(LENGTH), ("sound",))
        sources = tuple(Placement(clip, "sound", ("sound",), 0, LENGTH, 0, 1.0) for clip in ids)
        plans.append(Plan(name, FS, LENGTH, sources, 0, {}, None, None, 0, 0, 0))
    (tmp_path / "plans").mkdir()
    write_plans(tmp_path / "plans" / "mixtures.jsonl", plans)
    (tmp_path / "plans" / "sources.scp").write_text("")  # as a set with all sources has it
    rebuild(tmp_path / "plans", make_clips(clips), tmp_path / "mix" / "test")
    return MixtureSet(tmp_path / "mix" / "test")


@pytest.fixture
def scored(mixtures, make_experiment, tmp_path, monkeypatch):
    """Through the commands: estimates, scores and the report of an untrained model."""
    small_parts.register(monkeypatch)
    options = {"extractor": "threeoutputs", "extractor_conf": {"num_outputs": 4}}
    options.update(conditions={UNCONDITIONAL: {}}, objective="pit", objective_conf={})
    options.update(consistency="none")
    exp = make_experiment(tmp_path / "exp" / "four", **options)
    where, out = str(mixtures.directory), exp / "infer" / "test"
    infer.main(["--exp", str(exp), "--mixtures", where, "--out", str(out)])
    score.main(["--mixtures", where, "--estimates", str(out), "--skip_bss"])
    report.main(["--exp", str(exp), "--mixtures", where, "--examples", "2"])
    return SimpleNamespace(exp=exp, out=out, text=(exp / "RESULTS.md").read_text())


def sources_of(mixtures, name):
    return soundfile.read(read_table(mixtures.directory / "sources.scp")[name], always_2d=True)[0].T


def test_every_source_has_a_row_and_no_two_an_output(mixtures, scored):
    rows = read_scores(scored.out / "scores.csv")
    for name, count in COUNTS.items():
        own = [row for row in rows if row.mixture_id == name]
        assert [row.clip for row in own] == [f"{name}_{number}" for number in range(count)]
        assert [row.mixture for row in own] == [name, *(f"{name}-{n}" for n in range(2, count + 1))]
        assert len({row.value for row in own}) == count
        heard = 1 if name in ("one", "zeros") else count
        assert {row.count for row in own} == {heard}
        for row in own:
            silent = {"one": "other", "zeros": "other", "zeros-2": "target"}.get(row.mixture, "")
            assert row.silent == silent and (row.si_sdri is None) == bool(silent)
            assert (row.si_snr is None) == (row.mixture == "zeros-2")
            assert (row.si_snr_mixture is None) == (heard == 1)


def ratio(source, estimate):
    """Of the part of an estimate that is the source to the rest of it, in dB."""
    part = (estimate @ source) / (source @ source) * source
    return 10 * np.log10(np.sum(part**2) / np.sum((estimate - part) ** 2))


def test_the_numbers_are_those_of_the_signals(mixtures, scored):
    """The estimates are read and measured by hand, with their means and without."""
    for row in read_scores(scored.out / "scores.csv"):
        if row.si_snr is None:
            continue
        number = mixtures.components[row.mixture][1]
        source = sources_of(mixtures, row.mixture_id)[number]
        table = read_table(scored.out / UNCONDITIONAL / f"{row.value}.scp")
        estimate = soundfile.read(table[row.mixture_id])[0]
        assert row.si_snr == pytest.approx(ratio(source, estimate), abs=2e-3)
        if row.si_sdr is not None:
            expected = ratio(source - source.mean(), estimate - estimate.mean())
            assert row.si_sdr == pytest.approx(expected, abs=2e-3)


def test_the_report_tells_the_numbers_of_sources_apart(scored):
    assert "## By number of sources" in scored.text
    rows = [line.split("|")[1:3] for line in scored.text.splitlines() if line.startswith("| ")]
    table = {name.strip(): count.strip() for name, count in rows}
    expected = {"1": "2", "2": "1", "3": "1", "4": "1", "2 to 4": "3", "1 to 4": "5"}
    assert {name: table[name] for name in expected} == expected
    assert "(95 % interval –" in scored.text and "over 9 targets" in scored.text
    examples = [path.name for path in (scored.exp / "examples").iterdir()]
    assert len(examples) == 2 and not {"one", "zeros"} & set(examples)


def test_means_of_studies_are_over_the_sources_that_a_mixture_can_be_compared_by(scored):
    experiment = read_experiment(scored.exp, "test")
    found = {
        name: ask(experiment, UNCONDITIONAL, "four", METRICS[name])
        for name in ("SI-SDRi", "SI-SNRi", "SI-SNR")
    }
    several = ["four", "four-2", "four-3", "four-4", "three", "three-2", "three-3", "two", "two-2"]
    assert [sorted(one.values) for one in found.values()] == [
        several, several, sorted([*several, "one", "zeros"])
    ]  # fmt: skip
    assert found["SI-SNRi"].mean.num_mixtures == 3


def test_it_is_compared_with_the_sources_themselves(mixtures, scored, tmp_path):
    """Which is no worse anywhere; what is left over is silence."""
    out = tmp_path / "exp" / "perfect" / "infer" / "test"
    tables = [{} for _ in range(4)]
    for name in COUNTS:
        sources = np.zeros((4, LENGTH))
        found = sources_of(mixtures, name)
        sources[: len(found)] = found
        for number, (table, samples) in enumerate(zip(tables, sources[::-1])):
            path = table[name] = str(out / UNCONDITIONAL / f"{name}_{number}.wav")
            (out / UNCONDITIONAL).mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, FS, subtype="FLOAT")
    for number, table in enumerate(tables, start=1):
        write_table(out / UNCONDITIONAL / f"spk{number}.scp", table)
    Scores(mixtures, out, skip_bss=True).write()
    rows = read_scores(out / "scores.csv")
    assert {row.active_outputs - row.count for row in rows} == {0}
    assert all(row.si_sdr > 99 for row in rows if not row.silent)
    assert all(row.si_snr == pytest.approx(80, abs=1e-3) for row in rows if row.si_snr is not None)
    assert "9 targets of test" in compare([str(scored.exp), str(out.parents[1])])

"""Stage 6: which estimates are written, that nothing changes them on the way, jobs, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet.audio import write_float_wav
from tsx_espnet.cli import ALL, Jobs
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import CONDITIONS
from tsx_espnet.errors import TSXError
from tsx_espnet.estimates import Estimates, batches_of_equal_length, write_lossless
from tsx_espnet.experiment import load_experiment
from tsx_espnet.few_shot.classes import add_classes, average_embedding
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import MIXTURE
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.tables import read_table, write_table

FS = 8000
NAMES = tuple(CONDITIONS)


@pytest.fixture(scope="module")
def experiment(tiny_experiment):
    return load_experiment(tiny_experiment)


def estimate(experiment, mixture_set, out, jobs=ALL, conditions=NAMES, **options):
    mixtures = MixtureSet(mixture_set.directory)
    Estimates(experiment, mixtures, conditions, out, **options).write(jobs)
    return out


def files_of(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def rename(files, old, new):
    """The same with other paths in the tables."""
    old, new = (str(directory).encode() for directory in (old, new))
    return {
        name: data.replace(old, new) if name.endswith(".scp") else data
        for name, data in files.items()
    }


def embed(experiment, condition, value):
    """The embedding of a value; of a list of recordings the mean of their embeddings."""
    conditioner = experiment.model.conditioners[condition]
    if condition != "enrollment":
        array = torch.from_numpy(experiment.vocabulary.encode(condition, value))[None]
        return conditioner(array, torch.tensor([1]))
    vectors = []
    for path in json.loads(value) if value.startswith("[") else [value]:
        samples = torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None]
        vectors.append(conditioner(samples, torch.tensor([samples.shape[1]])).vector())
    return ConditionEmbedding(torch.stack(vectors).mean(dim=0)[None], torch.ones(1, 1).bool())


def test_every_estimate_is_what_the_model_says(experiment, mixture_set, tmp_path):
    out = estimate(experiment, mixture_set, tmp_path / "infer", batch_size=3)
    assert sorted(path.name for path in out.iterdir()) == sorted([".done", *NAMES])
    for condition in NAMES:
        values = mixture_set.values[condition]
        applicable = [name for name in mixture_set.names if values[name] != "n/a"]
        target, other = (read_table(out / condition / f"spk{n}.scp") for n in (1, 2))
        assert list(target) == list(other) == applicable
        wavs = sorted(path.name for path in (out / condition / "wav").iterdir())
        both = [f"{name}_{side}.wav" for name in applicable for side in ("target", "other")]
        assert wavs == sorted(both)
        for name in applicable:
            mixture, _ = soundfile.read(mixture_set.wavs[name], dtype="float32")
            with torch.no_grad():
                embedding = embed(experiment, condition, values[name])
                expected = experiment.model.extract(torch.from_numpy(mixture)[None], embedding)
            for path, samples in zip((target[name], other[name]), expected[0]):
                assert soundfile.info(path).subtype == "FLOAT"
                found, fs = soundfile.read(path, dtype="float32")
                assert fs == FS and found.shape == mixture.shape
                np.testing.assert_allclose(found, samples.numpy(), atol=1e-6)


def lists_of(mixture_set, *lists):
    """Give the mixtures these lists of enrollments by turns."""
    values = {name: json.dumps(lists[n % len(lists)]) for n, name in enumerate(mixture_set.names)}
    write_table(mixture_set.directory / "utt2enrollment", values)


def examples_of(mixture_set):
    return sorted(str(path) for path in mixture_set.directory.glob("example*.wav"))


def test_the_first_k_enrollments_are_those_of_a_class_made_of_them(
    experiment, mixture_set, tmp_path
):
    """Eq. 8: a class of the average of K recordings is queried as the K recordings are."""
    examples = examples_of(mixture_set)
    lists_of(mixture_set, examples[:5])
    row = average_embedding(experiment, examples[:3])
    grown = add_classes(experiment, {"Dog": row})
    write_table(mixture_set.directory / "utt2class", dict.fromkeys(mixture_set.names, "Dog"))
    directory, asked = mixture_set.directory, ("enrollment", "class")
    mixtures = MixtureSet(directory)
    Estimates(grown, mixtures, asked, tmp_path / "three", num_enrollments=3).write()
    Estimates(grown, mixtures, asked, tmp_path / "five").write()
    tables = [
        read_table(tmp_path / out / condition / "spk1.scp")
        for out, condition in (("three", "enrollment"), ("three", "class"), ("five", "enrollment"))
    ]
    for name in mixture_set.names:
        three, by_class, five = (soundfile.read(table[name])[0] for table in tables)
        np.testing.assert_allclose(three, by_class, atol=1e-6)
        assert np.abs(three - five).max() > 1e-6


def test_equal_lists_of_enrollments_are_embedded_once(
    experiment, mixture_set, tmp_path, monkeypatch
):
    examples = examples_of(mixture_set)
    lists_of(mixture_set, examples[:2], examples[1:3])
    conditioner = experiment.model.conditioners["enrollment"]
    calls, forward = [], conditioner.forward

    def counted(*arguments):
        calls.append(1)
        return forward(*arguments)

    monkeypatch.setattr(conditioner, "forward", counted)
    estimate(experiment, mixture_set, tmp_path / "infer", batch_size=2)
    assert len(calls) == 2 + 2


def test_a_model_that_is_asked_for_nothing_separates_every_mixture(
    make_experiment, mixture_set, tmp_path
):
    options = {"conditions": {"unconditional": {}}, "objective": "pit", "objective_conf": {}}
    exp = make_experiment(tmp_path / "pit", **options)
    none = ("unconditional",)
    estimate(load_experiment(exp), mixture_set, tmp_path / "infer", conditions=none)
    first, second = (
        read_table(tmp_path / "infer" / "unconditional" / f"spk{n}.scp") for n in (1, 2)
    )
    assert list(first) == list(second) == mixture_set.names  # the last has no condition at all
    for name, path in mixture_set.wavs.items():
        outputs = sum(soundfile.read(table[name])[0] for table in (first, second))
        np.testing.assert_allclose(outputs, soundfile.read(path)[0], atol=1e-5)


@pytest.fixture
def several(corpus, tmp_path):
    """Mixtures of three sources, each of which is a target."""
    config = MixingConfig(duration=0.4, num_sources=3, num_targets="all")
    write_mixtures(Sampler(corpus, config), 4, 0, tmp_path / "several")
    return MixtureSet(tmp_path / "several")


def test_a_mixture_is_encoded_once_for_all_of_its_targets(
    experiment, several, tmp_path, monkeypatch
):
    encode, sizes = experiment.model.encode, []
    monkeypatch.setattr(
        experiment.model, "encode", lambda x, *rest: sizes.append(len(x)) or encode(x, *rest)
    )
    asked = ("energy", "harmonicity", "order")
    out = tmp_path / "infer"
    Estimates(experiment, several, asked, out, batch_size=3).write()
    assert sizes == [3, 1]
    names = set()
    for condition in asked:
        tables = [read_table(out / condition / f"spk{n}.scp") for n in (1, 2)]
        assert list(tables[0]) == list(tables[1]) == list(several.applicable(condition))
        for name, value in several.applicable(condition).items():
            mixture = several.read(MIXTURE, several.mixture_of(name))
            embedding = embed(experiment, condition, value)
            with torch.no_grad():
                expected = experiment.model.extract(torch.from_numpy(mixture)[None], embedding)[0]
            for table, samples in zip(tables, expected):
                found = soundfile.read(table[name], dtype="float32")[0]
                np.testing.assert_allclose(found, samples.numpy(), atol=1e-6)
            names.add(name)
    assert names - set(several.ids), "targets that are not the plan's"


def sudormrf(tiny_config, num_outputs):
    return {"extractor_conf": {**tiny_config["extractor_conf"], "num_outputs": num_outputs}}


def test_all_outputs_without_a_query_are_written(make_experiment, tiny_config, several, tmp_path):
    options = {"conditions": {"unconditional": {}}, "objective": "pit", "objective_conf": {}}
    three, two = (
        load_experiment(make_experiment(tmp_path / f"{k}", **options, **sudormrf(tiny_config, k)))
        for k in (3, 2)
    )
    out = tmp_path / "infer"
    Estimates(three, several, ("unconditional",), out).write()
    tables = [read_table(out / "unconditional" / f"spk{k}.scp") for k in (1, 2, 3)]
    for mixture in several.ids:
        outputs = np.stack([soundfile.read(table[mixture])[0] for table in tables])
        with torch.no_grad():
            audio = torch.from_numpy(several.read(MIXTURE, mixture))[None]
            nothing = ConditionEmbedding.null(audio, tiny_config["embedding_dim"])
            expected = three.model.extract(audio, nothing)[0]
        np.testing.assert_allclose(outputs, expected, atol=1e-6)
    assert all(list(table) == several.ids for table in tables)
    # of a model with fewer outputs none is left that score would take for one of its own
    Estimates(two, several, ("unconditional",), out).write()
    assert sorted(path.name for path in out.glob("*/*.scp")) == ["spk1.scp", "spk2.scp"]


def test_of_many_outputs_the_rest_is_all_but_the_first(
    make_experiment, tiny_config, mixture_set, tmp_path
):
    made = make_experiment(tmp_path / "exp", **sudormrf(tiny_config, 4))
    out = estimate(load_experiment(made), mixture_set, tmp_path / "infer")
    assert {path.name for path in out.glob("*/*.scp")} == {"spk1.scp", "spk2.scp"}
    target, rest = (read_table(out / "class" / f"spk{k}.scp") for k in (1, 2))
    for name in target:
        total = sum(soundfile.read(table[name])[0] for table in (target, rest))
        np.testing.assert_allclose(total, soundfile.read(mixture_set.wavs[name])[0], atol=1e-5)


def test_jobs_give_the_same_files_byte_for_byte(experiment, mixture_set, tmp_path):
    one = estimate(experiment, mixture_set, tmp_path / "one", batch_size=1)
    for job in (3, 1, 2):
        three = estimate(
            experiment, mixture_set, tmp_path / "three", Jobs(3, job), batch_size=1
        )
        assert not (three / ".done").exists() and not (three / "text" / "spk1.scp").exists()
    estimate(experiment, mixture_set, three, Jobs(3, merge=True), batch_size=1)
    assert files_of(three) == rename(files_of(one), one, three)
    looped = estimate(experiment, mixture_set, tmp_path / "loop", Jobs(3), batch_size=1)
    assert files_of(looped) == rename(files_of(one), one, looped)


def test_the_size_of_the_batches_is_a_matter_of_rounding(experiment, mixture_set, tmp_path):
    one = estimate(experiment, mixture_set, tmp_path / "one", batch_size=1)
    many = estimate(experiment, mixture_set, tmp_path / "many", batch_size=8)
    for path in one.rglob("*.wav"):
        other = many / path.relative_to(one)
        np.testing.assert_allclose(soundfile.read(other)[0], soundfile.read(path)[0], atol=1e-6)


def test_a_merge_names_the_part_that_is_not_there(experiment, mixture_set, tmp_path):
    out = tmp_path / "infer"
    estimate(experiment, mixture_set, out, Jobs(3, 1))
    with pytest.raises(TSXError, match="parts.3/2: this part is not finished; run --num_jobs 3"):
        estimate(experiment, mixture_set, out, Jobs(3, merge=True))
    assert not (out / ".done").exists()


def written(monkeypatch):
    """The names of what is written from now on."""
    paths = []

    def write(path, samples, fs):
        paths.append(path.name)
        write_lossless(path, samples, fs)

    monkeypatch.setattr("tsx_espnet.estimates.write_lossless", write)
    return paths


def test_finished_work_is_left_alone(experiment, mixture_set, tmp_path, monkeypatch, capsys):
    out = estimate(experiment, mixture_set, tmp_path / "infer")
    paths = written(monkeypatch)
    estimate(experiment, mixture_set, out)
    assert paths == [] and "already done" in capsys.readouterr().out


def test_after_a_crash_the_finished_parts_are_kept(experiment, mixture_set, tmp_path, monkeypatch):
    out = tmp_path / "infer"
    estimate(experiment, mixture_set, out, Jobs(3, 1))
    estimate(experiment, mixture_set, out, Jobs(3, 3))
    paths = written(monkeypatch)
    estimate(experiment, mixture_set, out, Jobs(3))
    assert {path.split("_")[0] for path in paths} == {"mix00002", "mix00005"}
    assert (out / ".done").exists()


def test_other_weights_or_mixtures_are_worked_on_again(
    make_experiment, mixture_set, tmp_path, monkeypatch
):
    directory = make_experiment(tmp_path / "exp")
    out = estimate(load_experiment(directory), mixture_set, tmp_path / "infer")
    state = torch.load(directory / "valid.loss.ave.pth")
    state["decoder.convtrans1d.weight"].zero_()
    torch.save(state, directory / "latest.pth")
    paths = written(monkeypatch)
    estimate(load_experiment(directory, "latest.pth"), mixture_set, out)
    assert len(paths) == len(list(out.rglob("*.wav")))
    (mixture_set.directory / ".done").write_text('{"seed": 2}')
    del paths[:]
    estimate(load_experiment(directory, "latest.pth"), mixture_set, out)
    assert len(paths) == len(list(out.rglob("*.wav")))
    texts = TextTable.read(directory / "text_embeddings.safetensors")
    other = TextTable(list(texts), 2 * texts.embeddings, "another", "mean")
    other.write(directory / "text_embeddings.safetensors")
    del paths[:]
    estimate(load_experiment(directory, "latest.pth"), mixture_set, out)
    assert len(paths) == len(list(out.rglob("*.wav")))


def test_estimates_of_an_earlier_model_are_never_left_among_the_new(
    make_experiment, mixture_set, tmp_path, monkeypatch
):
    """The earlier model could be queried by more, and the later run is killed at first."""
    out = estimate(load_experiment(make_experiment(tmp_path / "more")), mixture_set, tmp_path / "o")
    fewer = make_experiment(tmp_path / "fewer", conditions={"energy": {}, "class": {}})
    conditions = ("energy", "class")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tsx_espnet.estimates.write_lossless", killed)
        with pytest.raises(KeyboardInterrupt):
            estimate(load_experiment(fewer), mixture_set, out, conditions=conditions)
    assert not list(out.glob("*/spk?.scp")) and not (out / ".done").exists()
    estimate(load_experiment(fewer), mixture_set, out, conditions=conditions)
    assert sorted(path.name for path in out.iterdir()) == [".done", "class", "energy"]


@pytest.fixture
def loud(experiment, monkeypatch):
    """A model whose targets are 3 beyond the mixture."""
    separate = experiment.model.separate

    def louder(*arguments):
        return separate(*arguments) + torch.tensor([3.0, -3.0]).unsqueeze(-1)

    monkeypatch.setattr(experiment.model, "separate", louder)
    return experiment


def test_wav_neither_clips_nor_rescales(loud, mixture_set, tmp_path):
    out = estimate(loud, mixture_set, tmp_path / "infer")
    target, other = (read_table(out / "class" / f"spk{n}.scp") for n in (1, 2))
    for name in target:
        samples = [soundfile.read(table[name], dtype="float32")[0] for table in (target, other)]
        assert samples[0].mean() > 2.5 and samples[1].mean() < -2.5
        mixture, _ = soundfile.read(mixture_set.wavs[name])
        np.testing.assert_allclose(samples[0] + samples[1], mixture, atol=1e-5)


def test_flac_refuses_what_it_would_clip(loud, mixture_set, tmp_path):
    with pytest.raises(
        TSXError, match=r"_target.flac: peak .* beyond full scale, .* write wav instead"
    ):
        estimate(loud, mixture_set, tmp_path / "infer", audio_format="flac")
    assert not list((tmp_path / "infer").rglob("*.flac"))
    assert not list((tmp_path / "infer").rglob(".done"))


def test_flac(experiment, mixture_set, tmp_path):
    wav = estimate(experiment, mixture_set, tmp_path / "wav")
    flac = estimate(experiment, mixture_set, tmp_path / "flac", audio_format="flac")
    for condition in NAMES:
        tables = [read_table(out / condition / "spk1.scp") for out in (wav, flac)]
        for name in tables[0]:
            assert soundfile.info(tables[1][name]).format == "FLAC"
            samples = [soundfile.read(table[name])[0] for table in tables]
            np.testing.assert_allclose(samples[1], samples[0], atol=2**-22)


@pytest.mark.parametrize(
    "fs, channels, found",
    [(16000, 1, "8000 Hz, found 16000 Hz"), (FS, 2, "1 channel, found 2")],
)
def test_another_rate_or_stereo_is_refused(experiment, mixture_set, tmp_path, fs, channels, found):
    path = mixture_set.wavs["mix00003"]
    soundfile.write(path, np.zeros((400, channels)), fs)
    with pytest.raises(TSXError) as error:
        estimate(experiment, mixture_set, tmp_path / "infer")
    assert str(error.value).startswith(f"{path}: expected {found}; run mix again")
    assert not list((tmp_path / "infer").rglob("*.wav"))


def damage(path, kind):
    if kind == "missing":
        path.unlink()
    elif kind == "empty file":
        path.write_bytes(b"")
    elif kind == "not audio":
        path.write_text("not audio at all")
    elif kind == "not a number":
        samples = np.zeros(400, dtype=np.float32)
        samples[7] = np.nan
        write_float_wav(path, samples, FS)
    elif kind == "no samples":
        write_float_wav(path, np.zeros(0), FS)


@pytest.mark.parametrize(
    "kind", ["missing", "empty file", "not audio", "not a number", "no samples"]
)
def test_a_bad_mixture_is_named(experiment, mixture_set, tmp_path, kind):
    path = Path(mixture_set.wavs["mix00003"])
    damage(path, kind)
    with pytest.raises(TSXError) as error:
        estimate(experiment, mixture_set, tmp_path / "infer")
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    assert not (tmp_path / "infer" / ".done").exists()


def test_an_incomplete_mixture_set_is_refused(mixture_set, tmp_path):
    (mixture_set.directory / ".done").unlink()
    with pytest.raises(TSXError, match=r"mix: not a complete mixture set; run mix"):
        MixtureSet(mixture_set.directory)
    with pytest.raises(TSXError, match="run mix"):
        MixtureSet(tmp_path / "none")


def test_a_table_that_lacks_a_mixture_is_refused(mixture_set):
    table = read_table(mixture_set.directory / "utt2order")
    del table["mix00004"]
    write_table(mixture_set.directory / "utt2order", table)
    with pytest.raises(TSXError, match="utt2order: not the .* 1 of 7 ids missing .*'mix00004'"):
        MixtureSet(mixture_set.directory).queries(NAMES)
    (mixture_set.directory / "utt2order").unlink()
    with pytest.raises(TSXError, match="utt2order: no such file"):
        MixtureSet(mixture_set.directory).queries(NAMES)
    queries = MixtureSet(mixture_set.directory).queries(("energy",))
    assert next(iter(queries["energy"])) == "mix00001"


@pytest.mark.parametrize("condition, value", [("class", "Barkk"), ("text", "barkk")])
def test_a_value_the_model_does_not_know_is_named(
    experiment, mixture_set, tmp_path, condition, value
):
    table = {**mixture_set.values[condition], "mix00004": value}
    write_table(mixture_set.directory / f"utt2{condition}", table)
    with pytest.raises(TSXError, match=f"'{value}'.* {value[:-1]}|'{value}'.*'{value[:-1]}'"):
        estimate(experiment, mixture_set, tmp_path / "infer")


def test_batches_hold_one_length_each_and_every_mixture_once():
    lengths = {f"m{n}": 100 if n % 3 else 200 for n in range(20)}
    batches = list(batches_of_equal_length(lengths, 4))
    assert sorted(name for batch in batches for name in batch) == sorted(lengths)
    for batch in batches:
        assert 1 <= len(batch) <= 4 and len({lengths[name] for name in batch}) == 1
    assert len(batches) == 4 + 2  # 13 and 7 mixtures


def test_a_full_disk_leaves_no_half_file(experiment, mixture_set, tmp_path, monkeypatch):
    import os

    replace, count = os.replace, []

    def full(source, target):
        count.append(target)
        if len(count) == 5:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("tsx_espnet.tables.os.replace", full)
    with pytest.raises(TSXError, match="No space left on device"):
        estimate(experiment, mixture_set, tmp_path / "infer")
    wavs = list((tmp_path / "infer").rglob("*.wav"))
    assert len(wavs) == 4
    for path in wavs:
        assert path.stat().st_size == 58 + 4 * soundfile.info(path).frames
    assert not list((tmp_path / "infer").rglob(".done"))
    monkeypatch.undo()
    estimate(experiment, mixture_set, tmp_path / "infer")
    assert (tmp_path / "infer" / ".done").exists()

"""Mixtures as shipped: checked, pointed at, and mixed by their plans without a changed bit."""

import contextlib
import dataclasses
import io
from types import SimpleNamespace

import numpy as np
import pytest
from fuss_as_shipped import FS, LENGTH, SILENT, read_wav, write_fuss, write_wav

from tsx_espnet.bin import format as format_command
from tsx_espnet.bin import mix as mix_command
from tsx_espnet.cli import Jobs
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.corpora.fuss import prepare
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import MIXTURE, SOURCES
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.plan import read_plans, write_plans
from tsx_espnet.mixing.planned import PlannedMixtures
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import rebuild
from tsx_espnet.mixing.shipped import format_shipped, is_mixed
from tsx_espnet.tables import read_table, write_table


@pytest.fixture(scope="module")
def fuss(tmp_path_factory):
    """A FUSS: the 16-bit sources of its examples, its data directories and its formatted sets."""
    directory = tmp_path_factory.mktemp("shipped")
    shipped = write_fuss(directory / "fuss")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        prepare(directory / "fuss", directory / "data")
        for name in ("train", "valid"):
            format_shipped(directory / "data" / name, directory / "dump" / name, FS)
    return SimpleNamespace(directory=directory, shipped=shipped)


@pytest.fixture
def data(fuss, tmp_path):
    """A data directory that a test may change."""
    for file in ("wav.scp", "utt2labels", "mixtures.jsonl"):
        (tmp_path / "data").mkdir(exist_ok=True)
        content = (fuss.directory / "data" / "valid" / file).read_text()
        (tmp_path / "data" / file).write_text(content)
    return tmp_path / "data"


def expected_of(fuss, name="train"):
    """Mixture -> its sources (S, T), exact in float32."""
    examples = fuss.shipped[name].items()
    return {f"{name}_{one}": np.stack(sources) / np.float32(2**15) for one, sources in examples}


def test_sources_stay_where_they_are(fuss):
    out = fuss.directory / "dump" / "train"
    wavs = read_table(out / "wav.scp")
    assert wavs == read_table(fuss.directory / "data" / "train" / "wav.scp")
    assert set(read_table(out / "utt2num_samples").values()) == {str(LENGTH)}
    files = {path.name for path in out.iterdir()}
    assert files == {
        *("wav.scp", "utt2num_samples", "utt2labels", "classes.txt", "skipped"),
        *("mixtures.jsonl", ".done"),
    }


def test_a_plan_sounds_as_the_sum_of_the_shipped_sources_to_the_bit(fuss):
    directory = fuss.directory / "dump" / "train"
    planned = PlannedMixtures(read_plans(directory / "mixtures.jsonl"), ClipSet(directory))
    expected = expected_of(fuss)
    for index in range(len(planned)):
        rendered = planned.render(planned.draw(3, 1, index))
        sources = expected.pop(rendered.plan.id)
        np.testing.assert_array_equal(rendered.components, sources)
        np.testing.assert_array_equal(rendered.mixture, sources.astype(np.float64).sum(axis=0))
    assert not expected


def test_the_set_of_mixtures_has_all_sources(fuss, tmp_path, capsys):
    clips = str(fuss.directory / "dump" / "train")
    args = ["--rebuild", clips, "--clips", clips, "--out", str(tmp_path / "mix")]
    mix_command.main(args)
    mixtures = MixtureSet(tmp_path / "mix")
    expected = expected_of(fuss)
    assert mixtures.ids == list(expected)
    silent = 0
    for name, sources in expected.items():
        np.testing.assert_array_equal(mixtures.read(SOURCES, name).reshape(LENGTH, -1), sources.T)
        mixture = sources.astype(np.float64).sum(axis=0)
        np.testing.assert_array_equal(mixtures.read(MIXTURE, name), mixture)
        silent += sum(not source.any() for source in sources)
    assert silent == sum(n % 4 == SILENT for n in range(len(expected))) == 1
    assert list(mixtures.applicable("unconditional")) == mixtures.ids
    assert not mixtures.applicable("class") and not mixtures.applicable("energy")
    mix_command.main(args)
    assert "already done (6 mixtures)" in capsys.readouterr().out
    # and from there again
    rebuild(tmp_path / "mix", ClipSet(clips), tmp_path / "again")
    again = tmp_path / "again" / "wav" / "sources"
    for path in (tmp_path / "mix" / "wav" / "sources").iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_jobs_and_a_second_run(fuss, tmp_path, capsys):
    data, out = fuss.directory / "data" / "train", tmp_path / "out"
    args = ["--data", str(data), "--out", str(out), "--fs", str(FS)]
    for words in (["--job", "1"], ["--job", "2"], ["--merge"]):
        format_command.main([*args, "--num_jobs", "2", *words])
    for path in (fuss.directory / "dump" / "train").iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    capsys.readouterr()
    format_command.main(args)
    assert "already done (6 mixtures as shipped, 13 sources)" in capsys.readouterr().out
    (out / "mixtures.jsonl").write_text("")
    format_command.main(args)
    assert "is made again" in capsys.readouterr().out
    assert len(read_plans(out / "mixtures.jsonl")) == 6


def test_a_changed_plan_is_other_work(data, tmp_path):
    format_shipped(data, tmp_path / "out", FS)
    plans = read_plans(data / "mixtures.jsonl")
    write_plans(data / "mixtures.jsonl", plans[:2])
    format_shipped(data, tmp_path / "out", FS, Jobs(2, None, False))
    assert read_plans(tmp_path / "out" / "mixtures.jsonl") == plans[:2]


def test_nothing_else_is_drawn_from_them(fuss):
    clips = ClipSet(fuss.directory / "dump" / "train")
    message = "dump/train: clips as shipped, to be mixed by their plans alone"
    with pytest.raises(TSXError, match=f"nothing can be mixed: .*{message}"):
        Sampler(clips, MixingConfig(strategy="clips", duration=0.1, min_sounding=0.05))
    with pytest.raises(TSXError, match=message):
        clips.energies(clips.ids[0])


def test_they_are_not_resampled(data, tmp_path):
    message = r"wav.scp: valid_example0000_background0: .*: expected 8000 Hz \(--fs\), found 16000"
    with pytest.raises(TSXError, match=rf"{message} Hz; mixtures as shipped are not resampled"):
        format_shipped(data, tmp_path / "out", 8000)
    assert not (tmp_path / "out" / ".done").exists()
    with pytest.raises(TSXError, match="output and data directory are the same"):
        format_shipped(data, data, FS)


def test_a_source_is_checked_again(data, tmp_path):
    """Between two stages, files can change."""
    samples = read_wav(read_table(data / "wav.scp")["valid_example0001_foreground0"])
    damaged = tmp_path / "damaged.wav"
    table = {**read_table(data / "wav.scp"), "valid_example0001_foreground0": damaged}
    write_table(data / "wav.scp", table)
    where = f"{data / 'wav.scp'}: valid_example0001_foreground0: {damaged}"

    def refused(message):
        with pytest.raises(TSXError, match=message):
            format_shipped(data, tmp_path / "out", FS)

    refused(f"{where}: no such file")
    write_wav(damaged, samples, channels=2)
    refused(f"{where}: expected 1 channel, found 2")
    write_wav(damaged, samples)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    refused(f"{where}: truncated")
    write_wav(damaged, samples[:-1])
    refused(r"jsonl: valid_example0001: expected 4000 samples or more of '.*ound0', found 3999")


def test_plans_must_fit(data, tmp_path):
    plans = read_plans(data / "mixtures.jsonl")

    def refused(message, *changed):
        write_plans(data / "mixtures.jsonl", changed)
        with pytest.raises(TSXError, match=rf"{data / 'mixtures.jsonl'}: {message}"):
            format_shipped(data, tmp_path / "out", FS)

    other = dataclasses.replace(plans[1].sources[0], clip="another")
    refused("holds no mixture")
    slow = dataclasses.replace(plans[0], fs=8000)
    refused("valid_example0000: expected 16000 Hz, found 8000", slow)
    refused(
        "valid_example0001: its source 'another' is not in wav.scp",
        *(plans[0], dataclasses.replace(plans[1], sources=(other,))),
    )
    (data / "mixtures.jsonl").unlink()
    assert not is_mixed(data)

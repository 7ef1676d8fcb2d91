"""The corpus on disk."""

import numpy as np
import pytest

from tsx_espnet.bin.prepare_mini import main
from tsx_espnet.corpora.mini import prepare
from tsx_espnet.corpora.mini.catalogue import CATALOGUE, generate
from tsx_espnet.corpora.mini.prepare import prepare_mini, split_clips
from tsx_espnet.error import TSXError
from tsx_espnet.files import read_table

SPLITS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def few_classes():
    """Four cheap classes: the files are what is tested here."""
    patch = pytest.MonkeyPatch()
    names = ("chirp", "drip", "siren", "engine")
    patch.setattr(prepare, "CATALOGUE", {name: CATALOGUE[name] for name in names})
    yield names
    patch.undo()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, few_classes):
    root = tmp_path_factory.mktemp("mini")
    prepare_mini(root / "out", root / "data", clips_per_class=10)
    return root


def test_files(corpus, few_classes):
    import soundfile

    seen = []
    for split in SPLITS:
        wavs = read_table(corpus / "data" / split / "wav.scp")
        labels = read_table(corpus / "data" / split / "utt2labels")
        assert list(wavs) == sorted(wavs) == list(labels)
        assert {name.rpartition("_")[0] for name in wavs} == set(few_classes)
        for name, path in wavs.items():
            assert path == str(corpus / "out" / "audio" / f"{name}.wav")
            assert labels[name].split(",") == list(CATALOGUE[name.rpartition("_")[0]].labels)
        seen += wavs
    assert len(seen) == len(set(seen)) == 4 * 10
    files = sorted(path.name for path in (corpus / "out" / "audio").iterdir())
    assert files == sorted(f"{name}.wav" for name in seen)  # and nothing half written
    info = soundfile.info(str(corpus / "out" / "audio" / "drip_0003.wav"))
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    read, _ = soundfile.read(str(corpus / "out" / "audio" / "drip_0003.wav"))
    assert np.max(np.abs(read - generate("drip", 3))) <= 1 / 32768


def test_two_processes_write_the_same_bytes(corpus, tmp_path):
    # worker processes know the whole catalogue: the clips they are given decide
    prepare_mini(tmp_path / "out", tmp_path / "data", clips_per_class=10, num_jobs=2)
    for path in (corpus / "out" / "audio").iterdir():
        assert (tmp_path / "out" / "audio" / path.name).read_bytes() == path.read_bytes()


def test_complete_corpus_is_left_alone(corpus, capsys):
    path = corpus / "out" / "audio" / "drip_0000.wav"
    before = path.stat().st_mtime_ns
    prepare_mini(corpus / "out", corpus / "elsewhere", clips_per_class=10)
    assert path.stat().st_mtime_ns == before and "left alone" in capsys.readouterr().out
    assert (corpus / "elsewhere" / "train" / "wav.scp").is_file()


def test_missing_file_or_other_seed_makes_it_again(few_classes, tmp_path):
    args = dict(out=tmp_path / "out", data=tmp_path / "data", clips_per_class=10)
    prepare_mini(**args)
    path = tmp_path / "out" / "audio" / "drip_0000.wav"
    first = path.read_bytes()
    path.unlink()
    prepare_mini(**args)
    assert path.read_bytes() == first
    prepare_mini(**args, seed=1)
    assert path.read_bytes() != first


@pytest.mark.parametrize("count, sizes", [(10, (6, 2, 2)), (40, (28, 6, 6)), (100, (70, 15, 15))])
def test_split(count, sizes, few_classes):
    splits = split_clips(count)
    assert tuple(len(splits[name]) for name in SPLITS) == tuple(
        len(few_classes) * size for size in sizes
    )
    assert len({clip for split in splits.values() for clip in split}) == len(few_classes) * count


@pytest.mark.parametrize("option, value", [("clips_per_class", 9), ("seed", -1), ("num_jobs", 0)])
def test_option_out_of_range(option, value, tmp_path):
    with pytest.raises(TSXError, match=rf"--{option} must be at least \d+, found {value}"):
        main(["--out", str(tmp_path / "o"), "--data", str(tmp_path / "d"), f"--{option}={value}"])
    assert not list(tmp_path.iterdir())

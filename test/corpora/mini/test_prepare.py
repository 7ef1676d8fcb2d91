"""The corpus on disk."""

import numpy as np
import pytest

from tsx_espnet.bin.prepare import main
from tsx_espnet.corpora.mini import prepare
from tsx_espnet.corpora.mini.catalogue import CATALOGUE, generate
from tsx_espnet.corpora.mini.prepare import prepare_mini, split_clips
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import read_table

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


def tables(directory):
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


class TestNewClasses:
    def test_held_out_of_all_three_sets(self, corpus, tmp_path, capsys):
        out, data = corpus / "out", tmp_path / "data"
        command = ["mini", "--out", str(out), "--data", str(data), "--clips_per_class", "10"]
        main([*command, "--new_classes", "Siren,Drip"])
        printed = capsys.readouterr().out.splitlines()
        assert printed == [
            f"{out}: complete, left alone",  # the sounds are the same
            f"{data}/train: 12 clips of 2 classes",
            f"{data}/valid: 4 clips of 2 classes",
            f"{data}/test: 4 clips of 2 classes",
            f"{data}/new_train: 16 clips of 2 classes",
            f"{data}/new_test: 4 clips of 2 classes",
            f"{data}/new_enroll_1: 2 clips of 2 classes",
            f"{data}/new_enroll_5: 10 clips of 2 classes",
        ]
        clips = {}
        for split in SPLITS:
            whole, held = (tables(root / split) for root in (corpus / "data", data))
            for table, text in whole.items():
                lines = [
                    line for line in text.splitlines() if not line.startswith(("siren", "dri"))
                ]
                assert held[table].splitlines() == lines
        for name in ("new_train", "new_test", "new_enroll_1", "new_enroll_5"):
            clips[name] = read_table(data / name / "wav.scp")
            labels = read_table(data / name / "utt2labels")
            assert list(labels) == list(clips[name])
            for clip, path in clips[name].items():
                kind = path.rpartition("/")[2].rpartition("_")[0]
                assert labels[clip] == {"siren": "Siren", "drip": "Drip"}[kind]
        assert set(clips["new_test"]) == {f"{x}_000{n}" for x in ("drip", "siren") for n in (8, 9)}
        train = set(clips["new_train"].values())
        five = list(clips["new_enroll_5"].items())
        assert set(dict(five[:2])) == set(clips["new_enroll_1"])  # 01_drip_..., 01_siren_...
        assert {path for _, path in five} <= train and len({path for _, path in five}) == 10

    def test_chosen_anew(self, corpus, tmp_path):
        """Without new classes nothing differs from a corpus that never had any."""
        options = dict(out=corpus / "out", data=tmp_path, clips_per_class=10)
        prepare_mini(**options, new_classes=["Siren"], examples=[1, 2])
        prepare_mini(**options, new_classes=["Siren"], examples=[2])
        assert (tmp_path / "new_enroll_2" / "wav.scp").is_file()
        assert not (tmp_path / "new_enroll_1" / "wav.scp").exists()
        prepare_mini(**options)
        assert tables(tmp_path) == tables(corpus / "data")

    @pytest.mark.parametrize(
        "words, message",
        [
            (["siren"], "new class 'siren': not one of the sounds; did you mean Siren.$"),
            (["Siren,Car"], "new class 'Car': not one of the sounds"),
            (["Siren,Drip,Engine,Chirp_and_tweet"], "no class is left that is not new"),
            (
                ["Siren", "--examples=5,9"],
                r"9 of each new class .* clips in new_train of Siren .8.$",
            ),
            (["Siren", "--examples=1,x"], "examples: expected numbers from 1 to 99, found 'x'"),
        ],
    )
    def test_refusals(self, words, message, few_classes, tmp_path):
        options = [
            "mini",
            "--out",
            str(tmp_path / "o"),
            "--data",
            str(tmp_path / "d"),
            "--new_classes",
        ]
        with pytest.raises(TSXError, match=message):
            main([*options, *words, "--clips_per_class=10"])
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count, sizes", [(10, (6, 2, 2)), (40, (28, 6, 6)), (100, (70, 15, 15))])
def test_split(count, sizes, few_classes):
    splits = split_clips(count)
    assert tuple(len(splits[name]) for name in SPLITS) == tuple(
        len(few_classes) * size for size in sizes
    )
    assert len({clip for split in splits.values() for clip in split}) == len(few_classes) * count


@pytest.mark.parametrize("option, value", [("clips_per_class", 9), ("seed", -1), ("num_jobs", 0)])
def test_option_out_of_range(option, value, tmp_path):
    with pytest.raises(TSXError, match=rf"{option}: expected at least \d+, found {value}"):
        options = ["--out", str(tmp_path / "o"), "--data", str(tmp_path / "d")]
        main(["mini", *options, f"--{option}={value}"])
    assert not list(tmp_path.iterdir())

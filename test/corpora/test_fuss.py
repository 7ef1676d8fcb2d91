"""FUSS as it ships: lists, sources and mixtures, read as its README says and refused by line."""

import shutil

import numpy as np
import pytest
from fuss_as_shipped import FS, LENGTH, read_wav, write_fuss, write_wav

from tsx_espnet.bin import prepare as command
from tsx_espnet.corpora.fuss import prepare, prepare_clips
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.tables import read_table

OURS = {"train": "train", "validation": "valid", "eval": "test"}


@pytest.fixture(scope="module")
def fuss(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuss - as shipped")
    return root, write_fuss(root)


@pytest.fixture
def copy(fuss, tmp_path):
    """A FUSS that a test may damage, and its validation list."""
    shutil.copytree(fuss[0] / "ssdata", tmp_path / "fuss" / "ssdata")
    return tmp_path / "fuss", tmp_path / "fuss" / "ssdata" / "validation_example_list.txt"


def test_every_source_is_a_clip_and_every_example_a_plan(fuss, tmp_path):
    root, shipped = fuss
    prepare(root, tmp_path)
    for name, ours in OURS.items():
        wavs = read_table(tmp_path / ours / "wav.scp")
        plans = {plan.id: plan for plan in read_plans(tmp_path / ours / "mixtures.jsonl")}
        assert list(plans) == [f"{ours}_{example}" for example in shipped[name]]
        assert set(read_table(tmp_path / ours / "utt2labels").values()) == {"sound"}
        assert len(wavs) == sum(len(sources) for sources in shipped[name].values())
        for example, sources in shipped[name].items():
            plan = plans[f"{ours}_{example}"]
            roles = ["background0", *(f"foreground{n}" for n in range(len(sources) - 1))]
            assert [one.clip for one in plan.sources] == [f"{plan.id}_{role}" for role in roles]
            assert (plan.fs, plan.num_samples, plan.target) == (FS, LENGTH, 0)
            for placed, samples in zip(plan.sources, sources):
                where = (placed.start, placed.length, placed.offset, placed.gain)
                assert where == (0, LENGTH, 0, 1.0)
                np.testing.assert_array_equal(read_wav(wavs[placed.clip]), samples)


def test_the_summary_says_what_the_files_are(fuss, tmp_path):
    root, shipped = fuss
    summaries = prepare(root, tmp_path)
    for name, ours in OURS.items():
        found = summaries[ours]
        counts = [len(sources) for sources in shipped[name].values()]
        assert found.counts == {count: counts.count(count) for count in sorted(set(counts))}
        gaps = {}
        for example, sources in shipped[name].items():
            mixture = read_wav(root / "ssdata" / name / f"{example}.wav")
            gaps[example] = np.abs(mixture - np.sum(sources, axis=0, dtype=np.int64)).max()
        assert found.difference == max(gaps.values()) / 2**15
        assert found.clipped == sum(gap > 100 for gap in gaps.values()) > 0


def test_the_reverberant_version_is_another(fuss, tmp_path):
    root = tmp_path / "fuss"
    write_fuss(root, reverb=True)
    with pytest.raises(TSXError, match=r"no ssdata in it, found ssdata_reverb; expected the FUSS"):
        prepare(root, tmp_path / "data")
    assert prepare(root, tmp_path / "data", reverb=True).keys() == set(OURS.values())
    wav = next(iter(read_table(tmp_path / "data" / "train" / "wav.scp").values()))
    assert "/ssdata_reverb/train/" in wav


def test_the_number_of_threads_changes_nothing(fuss, tmp_path):
    results = [prepare(fuss[0], tmp_path / str(number), num_jobs=number) for number in (1, 3)]
    assert results[0] == results[1]
    for path in sorted((tmp_path / "1").rglob("*.*")):
        other = tmp_path / "3" / path.relative_to(tmp_path / "1")
        assert path.read_bytes() == other.read_bytes()


def test_labels_and_a_rate_of_ones_own(tmp_path):
    """The same layout with other sounds: a source is labelled in its name."""
    shipped = write_fuss(tmp_path / "fuss", fs=8000)
    for path in (tmp_path / "fuss" / "ssdata").rglob("foreground0_sound.wav"):
        path.rename(path.with_name("foreground0_Bark.wav"))
    for path in (tmp_path / "fuss" / "ssdata").glob("*.txt"):
        path.write_text(path.read_text().replace("foreground0_sound", "foreground0_Bark"))
    prepare(tmp_path / "fuss", tmp_path / "data")
    labels = read_table(tmp_path / "data" / "valid" / "utt2labels")
    number = sum(len(sources) > 1 for sources in shipped["validation"].values())
    assert sorted(labels.values())[:number] == ["Bark"] * number
    plans = read_plans(tmp_path / "data" / "valid" / "mixtures.jsonl")
    assert {plan.fs for plan in plans} == {8000}


def line_of(path, number, change):
    lines = path.read_text().splitlines()
    lines[number - 1] = change(lines[number - 1])
    path.write_text("\n".join(lines) + "\n")


def rewrite(path, **options):
    samples = read_wav(path)
    write_wav(path, samples, **options)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-2000])


def shift(path):
    write_wav(path, np.rint(1.05 * read_wav(path).astype(float)).clip(-(2**15), 2**15 - 1))


SOURCE = "validation/example0002_sources/foreground0_sound.wav"
FILES = {  # of an example -> what is done to one of its files, and what is said
    "44.1 kHz": (SOURCE, lambda path: rewrite(path, fs=44100), "expected 16000 Hz, found 44100 Hz"),
    "stereo": (SOURCE, lambda path: rewrite(path, channels=2), "expected 1 channel, found 2"),
    "truncated": (SOURCE, truncate, "truncated, it has 6044 of 8044 bytes"),
    "short": (
        SOURCE,
        lambda path: write_wav(path, read_wav(path)[:-1]),
        "expected 4000 samples, found 3999",
    ),
    "no audio": (SOURCE, lambda path: path.write_text("no audio"), "cannot be read"),
    "missing": (SOURCE, lambda path: path.unlink(), "no such file"),
    "missing mixture": ("validation/example0002.wav", lambda path: path.unlink(), "no such file"),
    "another mixture": (
        "validation/example0002.wav",
        shift,
        r"differs from the sum of its sources by 5\.0 % of its RMS, expected 1 % or less",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_bad_file_is_named_with_its_line(copy, tmp_path, kind):
    root, listed = copy
    file, damage, message = FILES[kind]
    path = root / "ssdata" / file
    damage(path)
    with pytest.raises(TSXError, match=rf"{listed}:3: {path}: .*{message}") as one:
        prepare(root, tmp_path / "data")
    assert "\n" not in str(one.value)
    assert not (tmp_path / "data").exists()


LINES = {  # what a line of the list becomes, and what is said
    "space": (lambda line: line.replace("e0002_s", "e0002 s"), "expected paths without spaces"),
    "absolute": (lambda line: f"/etc/{line}", "expected files below .*ssdata, found /etc/"),
    "outside": (lambda line: f"train/../../{line}", "expected files below .*ssdata, found train/"),
    "empty field": (lambda line: line.replace("\t", "\t\t", 1), "expected paths without spaces"),
    "no source": (lambda line: line.split("\t")[0], "expected a mixture and its sources"),
    "one twice": (lambda line: f"{line}\t{line.split()[-1]}", "foreground1 occurs twice"),
    "no role": (
        lambda line: f"{line}\t{line.split()[0]}",
        r"expected a source background0_LABEL.wav, .*, found validation/example0002.wav",
    ),
    "example twice": (lambda line: line.replace("0002", "0001"), "occurs twice, first at .*txt:2"),
    "17 sources": (lambda line: line + seventeen(line), "sources: expected a list of 1 to 16"),
}


def seventeen(line):
    last = line.split("\t")[-1]
    names = (last.replace("foreground1", f"foreground{n}") for n in range(2, 16))
    return "".join(f"\t{name}" for name in names)


@pytest.mark.parametrize("kind", LINES)
def test_a_bad_line_is_named(copy, tmp_path, kind):
    root, listed = copy
    change, message = LINES[kind]
    if kind == "17 sources":
        folder = root / "ssdata" / "validation" / "example0002_sources"
        for number in range(2, 16):
            write_wav(folder / f"foreground{number}_sound.wav", np.zeros(LENGTH))
    if kind == "example twice":
        line_of(listed, 3, lambda _: listed.read_text().splitlines()[1])
    else:
        line_of(listed, 3, change)
    with pytest.raises(TSXError, match=rf"{listed}:3: .*{message}") as one:
        prepare(root, tmp_path / "data")
    assert "\n" not in str(one.value)
    assert not (tmp_path / "data").exists()


def test_a_missing_or_bad_list_is_named(copy, tmp_path):
    root, listed = copy
    listed.write_text("\n \n")
    with pytest.raises(TSXError, match=rf"{listed}: not one example"):
        prepare(root, tmp_path / "data")
    listed.write_bytes(b"\xff\xfe")
    with pytest.raises(TSXError, match=rf"{listed}: not UTF-8"):
        prepare(root, tmp_path / "data")
    listed.unlink()
    with pytest.raises(TSXError, match=rf"{listed}: no such file; expected the FUSS corpus"):
        prepare(root, tmp_path / "data")
    with pytest.raises(TSXError, match=r"nowhere: no such directory; expected the FUSS corpus"):
        prepare(tmp_path / "nowhere", tmp_path / "data")


def test_its_clips_are_prepared_if_they_are_there(fuss, tmp_path, capsys):
    assert prepare_clips(fuss[0], tmp_path / "data") == {}
    command.main(["fuss", "--fuss", str(fuss[0]), "--data", str(tmp_path / "data")])
    assert "no fsd_data in" in capsys.readouterr().out
    root = tmp_path / "fuss"
    shutil.copytree(fuss[0] / "ssdata", root / "ssdata")
    for number, name in enumerate(OURS):
        for clip in range(number + 2):
            path = root / "fsd_data" / name / "sound" / f"{name[0]}{clip}.wav"
            write_wav(path, np.ones(400))
    command.main(["fuss", "--fuss", str(root), "--data", str(tmp_path / "data")])
    said = capsys.readouterr().out
    assert "train: 6 mixtures (number of sources: 2 of 1, 2 of 2, 1 of 3, 1 of 4)" in said
    for number, ours in enumerate(OURS.values()):
        assert f"clips_{ours}: {number + 2} clips" in said
        clips = read_table(tmp_path / "data" / f"clips_{ours}" / "utt2labels")
        assert list(clips.values()) == ["sound"] * (number + 2)
        assert read_table(tmp_path / "data" / f"clips_{ours}" / "wav.scp").keys() == clips.keys()
    shutil.rmtree(root / "fsd_data" / "eval")
    with pytest.raises(TSXError, match=r"fsd_data/eval: expected clips <label>/<name>.wav"):
        prepare_clips(root, tmp_path / "data")

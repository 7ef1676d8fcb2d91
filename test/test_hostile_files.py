"""Every file we read, with whatever in it: what it says, or one TSXError; no other crash, no hang.

Each text is a good one with pieces put in its way. Memory follows from what a file holds, not from
the numbers that it states.
"""

import json
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tsx_espnet.audio import audio_length, read_audio, read_recording
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.clips.clip_tables import read_clip_tables
from tsx_espnet.clips.datadir import DataDir
from tsx_espnet.clips.energies import read_energies
from tsx_espnet.clips.format import UnusableClip, format_set, read_clip
from tsx_espnet.conditions.enrollment import enrollment_paths
from tsx_espnet.conditions.words import parse_captions
from tsx_espnet.corpora import fsd50k, fsdkaggle2018
from tsx_espnet.corpora.tables import prepare_noise
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import Score, read_scores, write_scores
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import Placement, Plan, read_plans
from tsx_espnet.mixing.render import render
from tsx_espnet.mixing.superclasses import load_superclasses
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.tables import check_id, is_done, read_facts, read_table, read_yaml

PIECES = [
    *(b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\n", b"\r", b" ", b"\t", b"\xe2\x80\xa8"),
    *(b'"', b"'", b"[", b"{", b"]", b",", b":", b"*", b"&a ", b"!!int ''", b"!!python/name:os "),
    *(b"../", b"/etc/", b"-", b"|", b"$(id)", b"-1", b"0", b"9" * 20, b"9" * 5000),
    *(b"0x" + b"f" * 5000, b"1e999", b"nan", b"null", b"true", b"2020-13-13"),
    *(b"[" * 3000, b"a" * 140000),
]  # fmt: skip
ROOM = 2**25  # bytes that reading a few kB may take


def spoilt(good):
    """Bytes that are ``good`` but for one to four pieces."""
    size = len(good)
    edit = st.tuples(st.integers(0, size), st.integers(0, 12), st.sampled_from(PIECES))

    def apply(edits):
        data = good
        for place, length, piece in edits:
            data = data[:place] + piece + data[place + length :]
        return data

    return st.lists(edit, min_size=1, max_size=4).map(apply)


def attempt(read, *args):
    """What ``read`` returns, or None for a TSXError of a message that can be shown."""
    try:
        return read(*args)
    except TSXError as error:
        assert str(error)
        str(error).encode("utf-8", "surrogateescape")
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


PLAN = Plan(
    "mix1", 8000, 800, tuple(Placement(c, "Bark", ("Bark",), 0, 400, 0, 1.0) for c in "ab"),
    0, {"class": "Bark"}, 0.0, 1.0, 1, 0, 0,
)  # fmt: skip
TABLE = b"clip1 /data/clip1.wav\nclip2 /data/clip2.wav\n"
YAML = b"duration: 2.0\nsnr: [0, 2.5]\nstrategy: random\nbackground:\n  snr: [10, 20]\n"
JSONL = f"{PLAN.to_json()}\n".encode()
WAV = (
    b"RIFF\x24\x04\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0"
    b"data\0\4\0\0" + bytes(range(256)) * 4
)
SUPER = b'{"Animal": ["Dog", "Cat"], "Water": ["Rain"]}'


@given(spoilt(TABLE))
def test_tables(folder, data):
    (folder / "wav.scp").write_bytes(data)
    for name, value in (attempt(read_table, folder / "wav.scp") or {}).items():
        assert check_id(name, "") == name and "/" not in name and ".." not in name
        assert value and "\n" not in value and "\0" not in value


@given(spoilt(TABLE), spoilt(b"clip1 Bark,Dog\nclip2 Rain\n"), spoilt(b'clip1 ["a dog", "b"]\n'))
@settings(max_examples=50)
def test_data_directories(folder, scp, labels, captions):
    for name, data in (("wav.scp", scp), ("utt2labels", labels), ("text", captions)):
        (folder / name).write_bytes(data)
    attempt(DataDir.read, folder)


@given(st.data())
@settings(max_examples=80)
def test_tables_of_formatted_clips(folder, data):
    good = {
        "wav.scp": TABLE,
        "utt2labels": b"clip1 Bark\nclip2 Rain\n",
        "utt2num_samples": b"clip1 800\nclip2 900\n",
        "text": b'clip1 ["a dog"]\n',
        "utt2phrases": b'clip1 ["a dog", "rain"]\n',
    }
    name = data.draw(st.sampled_from(sorted(good)))
    (folder / "formatted").mkdir(exist_ok=True)
    for file, text in good.items():
        spoil = data.draw(spoilt(text)) if file == name else text
        (folder / "formatted" / file).write_bytes(spoil)
    (folder / "formatted/.done").write_text("{}")
    rows = attempt(read_clip_tables, folder / "formatted") or {}
    assert all(0 < row.num_samples < 2**63 for row in rows.values())


@given(spoilt(YAML))
@example(b"duration: !!int ''\n")  # IndexError in PyYAML
@example(b"duration: !!bool x\n")  # KeyError
@example(b"duration: !!timestamp x\n")  # AttributeError
@example(b"duration: 2020-13-13\n")  # ValueError
@example(b"duration: " + b"9" * 400 + b"\n")  # OverflowError in math.isfinite
@example(b"duration: 0x" + b"f" * 5000 + b"\n")  # ValueError when it is written in a message
@example(b"duration: " + b"9" * 5000 + b"\n")  # ValueError when it is read
@example(b"duration: " + b"[" * 3000)  # RecursionError
@settings(max_examples=100)
def test_mixing_configurations(folder, data):
    (folder / "mix.yaml").write_bytes(data)
    config = attempt(MixingConfig.from_yaml, folder / "mix.yaml")
    if config:
        assert 0 < config.num_frames(8000) <= 60000


@given(spoilt(JSONL))
@settings(max_examples=150)
def test_plans(folder, data):
    (folder / "mixtures.jsonl").write_bytes(data)
    for plan in attempt(read_plans, folder / "mixtures.jsonl") or ():
        assert plan.num_samples <= 601 * plan.fs and len(plan.sources) <= 16


@given(spoilt(SUPER))
def test_superclasses(folder, data):
    (folder / "super.json").write_bytes(data)
    attempt(load_superclasses, folder / "super.json")


@given(spoilt(b'["a dog", "a cat"]').map(lambda data: data.decode("utf-8", "replace")))
def test_lists_in_tables(text):
    attempt(parse_captions, text, "utt2captions: c1")
    attempt(enrollment_paths, text)


@given(spoilt(b'{"fs": 8000, "skipped": {}}'))
def test_markers(folder, data):
    (folder / "marked").mkdir(exist_ok=True)
    (folder / "marked/.done").write_bytes(data)
    assert isinstance(read_facts(folder / "marked"), (dict, type(None)))
    assert is_done(folder / "marked", fs=8000) in (True, False)


@given(st.data())
@settings(max_examples=80)
def test_scores(folder, data):
    path = folder / "scores.csv"
    write_scores(path, [Score(f"m{n}", "text", "a, b", "Bell", si_sdr=7.0) for n in range(3)])
    path.write_bytes(data.draw(spoilt(path.read_bytes())))
    for score in attempt(read_scores, path) or ():
        assert score.si_sdr is None or np.isfinite(score.si_sdr)


@given(st.data())
@settings(max_examples=80)
def test_text_tables(folder, data):
    path = folder / "table.safetensors"
    TextTable(["bark", "meow"], np.ones((2, 3)), "model", "mean").write(path)
    path.write_bytes(data.draw(spoilt(path.read_bytes())))
    attempt(TextTable.read, path)


@pytest.fixture(scope="module")
def corpora(folder):
    """FSD50K and FSDKaggle2018 of a few clips: name -> (its CSV files, read)."""
    fsd, kaggle = folder / "fsd", folder / "kaggle"
    truth, meta = fsd / "FSD50K.ground_truth", kaggle / "FSDKaggle2018.meta"
    csvs = {
        truth / "dev.csv": b"fname,labels,mids,split\n1,Bark,/m/1,train\n2,Bark,/m/1,val\n",
        truth / "eval.csv": b"fname,labels,mids\n3,Bark,/m/1\n",
        truth / "vocabulary.csv": b"0,Bark,/m/1\n1,Rain,/m/2\n",
        meta / fsdkaggle2018_csv("train"): b"fname,label,manually_verified,freesound_id,license\n"
        b"a.wav,Bark,1,10,CC\nb.wav,Bark,0,11,CC\nc.wav,Bark,0,12,CC\nd.wav,Bark,1,13,CC\n",
        meta / fsdkaggle2018_csv("test"): b"fname,label,usage,freesound_id,license\n"
        b"e.wav,Bark,Public,20,CC\n",
    }
    for root, names in ((fsd, fsd_folders()), (kaggle, kaggle_folders())):
        for name, clips in names.items():
            (root / name).mkdir(parents=True)
            for clip in clips:
                (root / name / f"{clip}.wav").touch()
    return csvs, {"fsd": fsd, "kaggle": kaggle}


def fsdkaggle2018_csv(name):
    from tsx_espnet.corpora.fsdkaggle2018 import CSVS

    return CSVS[name]


def fsd_folders():
    return {"FSD50K.dev_audio": "12", "FSD50K.eval_audio": "3", "FSD50K.ground_truth": ""}


def kaggle_folders():
    names = ("audio_train", "audio_test", "meta")
    return {f"FSDKaggle2018.{name}": clips for name, clips in zip(names, ("abcd", "e", ""))}


@given(st.data())
@settings(max_examples=80)
def test_csv_files_of_corpora(folder, corpora, data):
    """Whatever they hold, nothing is written but below the data directory."""
    csvs, roots = corpora
    victim = data.draw(st.sampled_from(sorted(csvs)))
    for path, text in csvs.items():
        path.write_bytes(data.draw(spoilt(text)) if path == victim else text)
    if roots["fsd"] in victim.parents:
        attempt(fsd50k.prepare, roots["fsd"], folder / "data")
    else:
        attempt(fsdkaggle2018.prepare, roots["kaggle"], folder / "data")
    for table in (folder / "data").rglob("*"):
        assert table.is_dir() or table.name in ("wav.scp", "utt2labels", "utt2recording")


@given(st.binary(max_size=60), st.integers(0, 9), st.integers(0, 2**40))
def test_energies(folder, data, first, number):
    (folder / "energies.f32").write_bytes(data)
    try:
        assert read_energies(folder / "energies.f32", first, number).nbytes <= len(data)
    except (ValueError, OSError):  # for the caller to name the clip
        pass


@given(spoilt(WAV))
@settings(max_examples=60)
def test_recordings(folder, data):
    (folder / "x.wav").write_bytes(data)
    attempt(read_recording, folder / "x.wav", 8000)
    attempt(audio_length, folder / "x.wav", 8000)
    attempt(read_audio, folder / "x.wav")
    attempt(read_audio, folder / "x.wav", 8000, 512, "float64")
    try:
        read_clip(folder / "x.wav", 8000)
    except UnusableClip as reason:
        assert str(reason)


def test_a_name_that_soundfile_takes_for_raw_samples(folder):
    """It raised TypeError for whatever ends in .raw, which none of the readers caught."""
    path = folder / "x.raw"
    path.write_bytes(bytes(800))
    for read in (read_recording, read_audio, lambda path: audio_length(path, 8000)):
        with pytest.raises(TSXError, match="x.raw: "):
            read(path)


class TestMemory:
    """Numbers in headers that would need terabytes."""

    @pytest.fixture(autouse=True)
    def bounded(self):
        tracemalloc.start()
        yield
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < ROOM

    def test_of_energies(self, folder):
        (folder / "energies.f32").write_bytes(bytes(36))
        with pytest.raises((ValueError, OSError)):
            read_energies(folder / "energies.f32", 0, 2**40)

    @pytest.mark.parametrize(
        "change", [{"num_samples": 2**40}, {"fs": 10**7, "num_samples": 10**9}]
    )
    def test_of_a_plan(self, change, make_clips_of_noise):
        line = json.dumps({**json.loads(PLAN.to_json()), **change})
        with pytest.raises(TSXError):
            render(Plan.from_json(line), make_clips_of_noise)

    def test_of_a_configuration_that_repeats_itself(self, folder):
        """Nine lists of nine of the one before: 3 GB of text if anyone were to print it."""
        lines = ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
        (folder / "bomb.yaml").write_text("\n".join([*lines, "duration: *a8\n"]))
        with pytest.raises(TSXError, match="no option 'a'"):
            MixingConfig.from_yaml(folder / "bomb.yaml")
        options = {"duration": read_yaml(folder / "bomb.yaml")["duration"]}
        with pytest.raises(TSXError, match="duration: expected a number"):
            MixingConfig.from_dict(options)

    def test_of_a_flac(self, folder):
        """2^36 - 1 samples by its header, 2000 by what comes."""
        path = folder / "x.flac"
        rng = np.random.default_rng(0)
        soundfile.write(path, 0.1 * rng.standard_normal(2000), 8000)
        data = bytearray(path.read_bytes())
        data[21] |= 0x0F
        data[22:26] = b"\xff" * 4
        path.write_bytes(data)
        assert soundfile.info(path).frames > 2**35
        try:
            assert len(read_clip(path, 8000)) == 2000
        except UnusableClip as reason:
            assert "unreadable" in str(reason)


@pytest.fixture(scope="module")
def make_clips_of_noise(folder):
    rng = np.random.default_rng(0)
    (folder / "raw").mkdir()
    for name in "ab":
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(2000), 8000)
    lines = [f"{name} {folder / name}.wav\n" for name in "ab"]
    (folder / "raw/wav.scp").write_text("".join(lines))
    (folder / "raw/utt2labels").write_text("a Bark\nb Rain\n")
    format_set(folder / "raw", folder / "clips", 8000)
    return ClipSet(folder / "clips")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_energies_that_cannot_be(make_clips_of_noise, folder, bad):
    """NaN came through to a plan that could not be written, after hours of drawing."""
    path = folder / "clips" / "energies.f32"
    good = path.read_bytes()
    try:
        path.write_bytes(good[:-4] + struct.pack("<f", bad))
        with pytest.raises(TSXError, match=r"'b': expected finite .* run format again"):
            make_clips_of_noise.energies("b")
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("name", ["..", "../x", "/x", "a/../../x", "a\\..\\x", ".x", "-x", "~x"])
def test_no_id_leaves_its_directory(folder, name):
    """Wherever an id comes from that becomes a file name."""
    (folder / "wav.scp").write_text(f"{name} x.wav\n")
    with pytest.raises(TSXError):
        read_table(folder / "wav.scp")
    plan = json.loads(PLAN.to_json())
    for change in (
        {"id": name},
        {"sources": [{**plan["sources"][0], "clip": name}, plan["sources"][1]]},
        {"enrollments": [{"clip": name, "start": 0, "length": 9}]},
        {"background": {"clip": name, "start": 0, "gain": 1.0}},
    ):
        with pytest.raises(TSXError):
            Plan.from_json(json.dumps({**plan, **change}))


def test_names_of_files_make_ids_that_stay(folder):
    root = folder / "noise"
    for name in ("a b.wav", "..hidden.wav", "$(id).wav", "-x.wav"):
        (root / "deep" / "..." / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "deep" / "..." / name).touch()
    prepare_noise(root, folder / "noise_data")
    assert len(read_table(folder / "noise_data" / "wav.scp")) == 4


@pytest.mark.parametrize("path", ["-", "/dev/zero", "pipe", "."])
def test_what_is_no_file_is_never_waited_for(folder, monkeypatch, path):
    """libsndfile takes "-" for the standard input, and a pipe is read when somebody writes."""
    import os

    monkeypatch.chdir(folder)
    if not (folder / "pipe").exists():
        os.mkfifo(folder / "pipe")
    for read in (read_recording, read_audio, lambda path: audio_length(path, 8000)):
        with pytest.raises(TSXError, match="no such file"):
            read(path)
    with pytest.raises(UnusableClip):
        read_clip(path, 8000)
    with pytest.raises(FileNotFoundError):
        read_energies(path, 0, 1)

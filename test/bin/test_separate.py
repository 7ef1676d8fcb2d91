"""``tsx-separate``: a recording in, a directory of outputs, and one line for every mistake."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from exact_separator import FS, Bands, Exact, noise

from tsx_espnet import SoundSeparator
from tsx_espnet.audio import write_float_wav
from tsx_espnet.bin import extract, separate
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.parts import OURS

PIT = {"conditions": {UNCONDITIONAL: {}}, "objective": "pit", "objective_conf": {}}
GATES = {"Hum": lambda t: t % 4 < 2, "Hiss": lambda t: t % 4 >= 2}


@pytest.fixture(scope="module")
def directory(make_experiment, tmp_path_factory):
    """A model of two outputs that is not queried."""
    return make_experiment(tmp_path_factory.mktemp("exp") / "pit", **PIT)


@pytest.fixture
def mixture(tmp_path):
    """Hum for a second, then hiss."""
    samples = noise("Hum", 2, sounding=lambda t: t < 1) + noise("Hiss", 2, sounding=lambda t: t > 1)
    write_float_wav(tmp_path / "mixture.wav", samples, FS)
    return tmp_path / "mixture.wav"


@pytest.fixture
def run(directory, mixture, tmp_path, monkeypatch):
    """The console script with ``options`` after the mixture, in an empty directory."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)

    def run(*options, model=directory, source=mixture):
        argv = ["tsx-separate", source, "--model", model, *options]
        monkeypatch.setattr(sys, "argv", [str(part) for part in argv])
        separate.entry()

    return run


@pytest.fixture
def exact(monkeypatch):
    """The commands run with a model and a classifier that make no mistake."""
    load = SoundSeparator.load

    def load_exact(*options):
        separator = load(*options)
        separator.classifier = Bands(floor=0.05)
        separator.model.extract = Exact(3)
        separator.model.extractor.num_outputs = 3
        return separator

    monkeypatch.setattr(SoundSeparator, "load", load_exact)


@pytest.fixture
def fails(run, capsys):
    """Runs into a mistake of the user; returns the one line said about it."""

    def fails(*options, **more):
        before = snapshot()
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            run(*options, **more)
        assert isinstance(exit.value.code, str), "exit status 1, and the line on standard error"
        assert exit.value.code.startswith("error: ") and "\n" not in exit.value.code
        assert capsys.readouterr().out == ""
        assert snapshot() == before, "a failed separation left something"
        return exit.value.code[len("error: ") :]

    return fails


def snapshot():
    everything = sorted(Path(".").rglob("*"))
    return {path: path.read_bytes() if path.is_file() else None for path in everything}


def table(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def names(path="out"):
    return sorted(os.listdir(path))


def test_files_are_what_the_separator_says(run, directory, mixture, capsys):
    run("-o", "out")
    samples, fs = soundfile.read(mixture, dtype="float32")
    outputs, sounds = SoundSeparator.load(directory)(samples, fs)
    lines = []
    for number, (expected, sound) in enumerate(zip(outputs, sounds), start=1):
        found, found_fs = soundfile.read(f"out/output{number}.wav", dtype="float32")
        assert found_fs == fs and soundfile.info(f"out/output{number}.wav").subtype == "FLOAT"
        np.testing.assert_array_equal(found, expected)
        held = "active" if sound.active else "not active"
        lines.append(f"out/output{number}.wav: {sound.level:.1f} dB re the mixture, {held}")
    assert names() == ["output1.wav", "output2.wav", "outputs.csv"], "no labels, no table of them"
    output = capsys.readouterr()
    assert output.out.splitlines() == lines
    assert "separating" in output.err and "100%" in output.err
    rows = table("out/outputs.csv")
    assert [row["file"] for row in rows] == ["output1.wav", "output2.wav"]
    assert [row["active"] for row in rows] == [str(int(sound.active)) for sound in sounds]
    assert [float(row["level"]) for row in rows] == [round(sound.level, 1) for sound in sounds]


def test_labels_times_and_activity(run, exact, capsys):
    run("-o", "out")
    rows = {row["labels"]: row for row in table("out/outputs.csv")}
    assert {labels: row["active"] for labels, row in rows.items()} == {
        "Hum": "1",
        "Hiss": "1",
        "": "0",
    }
    heard = {row["label"]: row for row in table("out/labels.csv")}
    assert heard.keys() == {"Hum", "Hiss"}
    for label, start, end in (("Hum", 0, 1), ("Hiss", 1, 2)):
        assert heard[label]["file"] == rows[label]["file"]
        assert float(heard[label]["start"]) == pytest.approx(start, abs=0.11)
        assert float(heard[label]["end"]) == pytest.approx(end, abs=0.11)
        assert heard[label]["probability"] == "0.982"
    printed = capsys.readouterr().out
    assert f"out/{rows['Hum']['file']}: " in printed and "dB re the mixture, Hum\n" in printed
    assert f"out/{rows['']['file']}: -inf dB re the mixture, not active\n" in printed


def test_only_what_is_kept(run, exact):
    run("-o", "all")
    for label in ("Hum", "Hiss"):
        run("-o", label, "--keep", label)
        (row,) = table(f"{label}/outputs.csv")
        assert names(label) == ["labels.csv", row["file"], "outputs.csv"]
        assert row["labels"] == label
    run("-o", "both", "--keep", "Hum", "--keep", "Hiss")
    assert len(names("both")) == 4 and len(table("both/labels.csv")) == 2
    assert len(names("all")) == 5


def test_a_sound_that_is_not_there(fails, exact, mixture):
    said = fails("-o", "out", "--keep", "Hush")
    assert said == f"{mixture}: expected Hush in an output, heard Hiss, Hum"


def test_labels_that_nobody_knows(fails, exact):
    said = fails("-o", "out", "--keep", "Hmu")
    assert said == "unknown label 'Hmu'; nearest known: 'Hum', 'Hush'"


def test_labels_without_a_classifier(fails, directory):
    said = fails("-o", "out", "--keep", "Hum")
    assert said == f"{directory}: has no classifier, which label 'Hum' asks for"


def test_the_classifier_of_a_directory(run, fails, tiny_ast, tiny_clap, directory):
    run("-o", "out", "--classifier", tiny_ast, "--threshold", "0")
    assert {row["label"] for row in table("out/labels.csv")} == {"Bark", "Rain", "Meow"}
    run("-o", "one", "--classifier", tiny_ast, "--threshold", "0", "--keep", "Bark")
    assert {row["file"] for row in table("one/outputs.csv")} <= {"output1.wav", "output2.wav"}
    said = fails("-o", "new", "--classifier", tiny_clap)
    assert said.startswith(f"{tiny_clap}: expected a classifier of sounds, found a ")


def test_stereo_of_another_rate_longer_than_a_segment(run, exact, tmp_path):
    sounds = [noise(name, 30, 11025, gate) for name, gate in GATES.items()]
    images = np.array([s[:, None] * g for s, g in zip(sounds, ((1.0, 0.2), (0.1, 0.9)))])
    soundfile.write(tmp_path / "stereo.wav", images.sum(axis=0), 11025, "FLOAT")
    run("-o", "out", source=tmp_path / "stereo.wav")
    outputs = [soundfile.read(f"out/output{k}.wav")[0] for k in (1, 2, 3)]
    samples = soundfile.read(tmp_path / "stereo.wav")[0]
    np.testing.assert_allclose(np.sum(outputs, axis=0), samples, atol=1e-6)
    labels = {row["labels"]: row["file"] for row in table("out/outputs.csv")}
    for name, image in zip(GATES, images):
        found = outputs[int(labels[name][6]) - 1]
        assert np.sum(found * image) > 0.99 * np.sqrt(np.sum(found**2) * np.sum(image**2))


def test_beyond_four_gigabytes_it_is_rf64(run, monkeypatch):
    monkeypatch.setattr(extract, "LARGEST_WAV", 7999)
    run("-o", "out")
    assert Path("out/output2.wav").read_bytes()[:4] == b"RF64"


def test_nothing_is_overwritten_without_force(run, fails, exact):
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    run("-o", "out")
    outputs = [f"output{k}.wav" for k in (1, 2, 3)]
    assert names() == ["labels.csv", "mine.txt", *outputs, "outputs.csv"]
    said = fails("-o", "out")
    assert said == "out/labels.csv exists; use --force to replace the outputs in out"
    run("-o", "out", "--force", "--keep", "Hum")
    assert len(names()) == 4 and "mine.txt" in names(), "none of the earlier outputs is left"


def test_the_directory_of_the_mixture(run, mixture):
    run("-o", ".", source=mixture)
    assert names(".") == ["output1.wav", "output2.wav", "outputs.csv"]


def test_the_mixture_is_never_overwritten(fails, mixture):
    os.rename(mixture, "output1.wav")
    said = fails("-o", ".", "--force", source="output1.wav")
    assert said == "output1.wav: would be overwritten; choose another directory than ."
    said = fails("-o", "out", source="gone.wav")
    assert said == "gone.wav: no such file"


def test_places_that_cannot_be(fails, tmp_path):
    Path("file").write_text("mine")
    assert fails("-o", "file") == "file: expected a directory, found a file"
    assert fails("-o", "none/out") == "none: no such directory"


def test_an_oracle_or_a_queried_model(fails, make_experiment, tiny_experiment, monkeypatch):
    said = fails("-o", "out", model=tiny_experiment)
    assert said.startswith(f"{tiny_experiment}: expected a model that separates without a query")
    monkeypatch.setitem(OURS["conditioner"], "envelopes", "small_parts:Envelopes")
    heard = {"conditioner": "envelopes", "hears": ["sources"], "number": 2}
    monkeypatch.setitem(OURS["extractor"], "threeoutputs", "small_parts:ThreeOutputs")
    options = {"extractor": "threeoutputs", "extractor_conf": {"fusion": "concat"}}
    oracle = make_experiment("oracle", **{**PIT, "conditions": {UNCONDITIONAL: heard}}, **options)
    assert fails("-o", "out", model=oracle).startswith("oracle: an oracle: it hears the sources")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "has 0 bytes"),
        (b"not audio at all\n" * 100, "cannot be read: "),
        (None, "1 samples are NaN or infinite (first at 1)"),
    ],
)
def test_a_bad_recording_is_named(fails, tmp_path, data, message):
    path = tmp_path / "bad.wav"
    if data is None:
        write_float_wav(path, np.array([0.0, np.nan]), FS)
    else:
        path.write_bytes(data)
    assert fails("-o", "out", source=path).startswith(f"{path}: {message}")


def test_a_recording_that_ends_early(fails, tmp_path):
    cut = tmp_path / "cut.wav"
    soundfile.write(cut, 0.1 * np.ones(30000), FS)
    cut.write_bytes(cut.read_bytes()[:30000])
    assert fails("-o", "out", source=cut).startswith(f"{cut}: truncated, it has 30000 of ")


@pytest.mark.parametrize(
    "options, message",
    [
        (["--threshold", "2"], "threshold: expected a probability, found 2.0"),
        (["--threshold", "much"], "argument --threshold: invalid float value: 'much'"),
        (["--classifier", "none"], "none: no such directory; expected a pretrained network"),
        (["--device", "tpu9"], "device tpu9: "),
        (["--kepe", "Hum"], "no option --kepe; did you mean --keep?"),
    ],
)
def test_bad_options_are_named(fails, options, message):
    assert fails("-o", "out", *options).startswith(message)


def test_a_full_disk_leaves_nothing(fails, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    Path("there").mkdir()
    monkeypatch.setattr("tsx_espnet.tables.os.replace", full)
    for out in ("out", "there"):
        said = fails("-o", out)
        assert said.startswith(f"{out}/output") or said.startswith(f"{out}:")
        assert said.endswith("cannot be written: No space left on device") and ".tmp" not in said


def test_what_is_interrupted_leaves_nothing(directory, tmp_path):
    """Ctrl-C in the middle of a recording of three segments."""
    source = tmp_path / "long.wav"
    soundfile.write(source, 0.1 * np.random.default_rng(0).standard_normal(45 * FS), FS)
    (tmp_path / "there").mkdir()
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background of a shell
from tsx_espnet.bin import separate
from tsx_espnet import separation
before, count = separation.shares, []
def shares(*given):
    count.append(len(os.listdir(".")) + len(os.listdir("there")))
    if len(count) == 2:
        print(max(count), flush=True)
        os.kill(os.getpid(), signal.SIGINT)
    return before(*given)
separation.shares = shares
sys.argv = ["tsx-separate", "long.wav", "--model", {str(directory)!r}, "-o", sys.argv[1]]
separate.entry()
"""
    for out in ("out", "there"):
        command = [sys.executable, "-c", program, out]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 130, done.stderr
        assert done.stdout == "3\n", "the outputs are being written"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["long.wav", "there"]
        assert not any((tmp_path / "there").iterdir())

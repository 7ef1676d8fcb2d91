"""``tsx-extract``: files in, files out, and one line for every mistake."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.audio import write_float_wav
from tsx_espnet.bin import extract


@pytest.fixture
def mixture(tmp_path):
    samples = 0.1 * np.random.default_rng(0).standard_normal(2000)
    write_float_wav(tmp_path / "mixture.wav", samples, 16000)
    return tmp_path / "mixture.wav"


@pytest.fixture
def run(tiny_experiment, mixture, tmp_path, monkeypatch):
    """The console script with ``options`` after the mixture, in an empty directory."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)

    def run(*options, model=tiny_experiment, source=mixture):
        argv = ["tsx-extract", source, "--model", model, *options]
        monkeypatch.setattr(sys, "argv", [str(part) for part in argv])
        extract.entry()

    return run


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
        assert snapshot() == before, "a failed extraction left something"
        return exit.value.code[len("error: ") :]

    return fails


def snapshot():
    return {path: path.read_bytes() for path in Path(".").rglob("*") if path.is_file()}


def test_files_are_what_the_extractor_says(run, tiny_experiment, mixture, capsys):
    run("--class_label", "Bark", "-o", "dog.wav", "--rest", "rest.WAV")
    samples, fs = soundfile.read(mixture, dtype="float32")
    expected = TargetSoundExtractor.load(tiny_experiment)(samples, fs, class_label="Bark")
    for name, part in zip(("dog.wav", "rest.WAV"), expected):
        found, found_fs = soundfile.read(name, dtype="float32")
        assert found_fs == fs == 16000 and soundfile.info(name).subtype == "FLOAT"
        np.testing.assert_array_equal(found, part)
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        "dog.wav: the target, 0.1 s at 16000 Hz",
        "rest.WAV: the rest",
    ]
    assert "extracting" in output.err and "100%" in output.err
    assert sorted(path.name for path in Path(".").iterdir()) == ["dog.wav", "rest.WAV"]


@pytest.mark.parametrize(
    "kind, value",
    [
        ("--energy", "low"),
        ("--harmonicity", "harmonic"),
        ("--order", "second"),
        ("--text", "a dog barking"),
    ],
)
def test_every_condition(run, kind, value):
    run(kind, value, "-o", "out.wav")
    assert soundfile.info("out.wav").frames == 2000


def test_enrollments(run, fails, tiny_experiment, mixture, capsys):
    examples = ["cat one.wav", "cat two.wav"]
    for number, name in enumerate(examples):
        samples = 0.1 * np.random.default_rng(number).standard_normal(3000)
        write_float_wav(name, samples, 11025)
    samples, fs = soundfile.read(mixture, dtype="float32")
    tsx = TargetSoundExtractor.load(tiny_experiment)
    for given in (examples, examples[:1]):
        run("--enrollment", *given, "-o", "out.wav", "--force")
        expected, _ = tsx(samples, fs, enrollment=given)
        np.testing.assert_array_equal(soundfile.read("out.wav", dtype="float32")[0], expected)
    said = fails("--enrollment", *examples, "gone.wav", "-o", "new.wav")
    assert said == "gone.wav: no such file"
    said = fails("--enrollment", *examples, "-o", "cat two.wav", "--force")
    assert said == "cat two.wav: would overwrite an enrollment"
    said = fails("--enrollment", *examples, "--energy", "low", "-o", "new.wav")
    assert "not allowed with argument --enrollment" in said


def test_several_sounds_in_any_order_of_options(run, tiny_experiment, mixture):
    """Only the order among ``--also`` and that among ``--but`` counts."""
    write_float_wav("cat.wav", 0.1 * np.random.default_rng(1).standard_normal(900), 11025)
    options = [
        ["--class_label", "Bark"],
        ["--also", "text=a dog barking", "--also", "enrollment=cat.wav"],
        ["--but", "energy=low"],
        ["-o", "out.wav", "--rest", "rest.wav", "--force"],
    ]
    samples, fs = soundfile.read(mixture, dtype="float32")
    also = [{"text": "a dog barking"}, {"enrollment": "cat.wav"}]
    tsx = TargetSoundExtractor.load(tiny_experiment)
    expected = tsx(samples, fs, class_label="Bark", also=also, but=[{"energy": "low"}])
    for order in itertools.islice(itertools.permutations(options), 0, None, 5):
        run(*itertools.chain.from_iterable(order))
        for name, part in zip(("out.wav", "rest.wav"), expected):
            np.testing.assert_array_equal(soundfile.read(name, dtype="float32")[0], part)


def test_everything_but_a_sound(run):
    run("--class_label", "Rain", "-o", "rain.wav", "--rest", "others.wav")
    run("--but", "class_label=Rain", "-o", "no rain.wav", "--rest", "all rain.wav")
    for one, same in (("no rain.wav", "others.wav"), ("all rain.wav", "rain.wav")):
        np.testing.assert_array_equal(soundfile.read(one)[0], soundfile.read(same)[0])


@pytest.mark.parametrize(
    "options, message",
    [
        (["--also", "rain"], "--also, --but: expected CONDITION=VALUE as in text=rain, found 'r"),
        (["--but", "=rain"], "unknown condition ''"),
        (["--but", "txt=rain"], "unknown condition 'txt'; nearest known: 'text'"),
        (["--but", "energy=loud"], "unknown energy 'loud'; expected low or high"),
        (["--but", "unconditional=1"], "argument --unconditional: ignored explicit argument '1'"),
        (["--also", "text=rain", "--unconditional"], "unconditional names no sound"),
    ],
)
def test_what_is_no_further_query(fails, options, message):
    assert fails(*options, "-o", "out.wav").startswith(message)


def test_a_further_enrollment_is_not_overwritten(fails):
    write_float_wav("cat.wav", 0.1 * np.random.default_rng(1).standard_normal(900), 11025)
    said = fails("--but", "enrollment=cat.wav", "-o", "cat.wav", "--force")
    assert said == "cat.wav: would overwrite an enrollment"


def test_flac_and_stereo(run, tmp_path):
    samples = 0.1 * np.random.default_rng(0).standard_normal((3000, 2))
    soundfile.write(tmp_path / "stereo.flac", samples, 44100)
    run("--energy", "high", "-o", "a.flac", "--rest", "b.flac", source=tmp_path / "stereo.flac")
    parts = [soundfile.read(name)[0] for name in ("a.flac", "b.flac")]
    assert parts[0].shape == (3000, 2) and soundfile.info("a.flac").samplerate == 44100
    np.testing.assert_allclose(parts[0] + parts[1], samples, atol=1e-4)


def test_beyond_full_scale_survives_in_wav(run, tmp_path):
    write_float_wav(tmp_path / "loud.wav", 5 * np.random.default_rng(0).standard_normal(900), 8000)
    run("--energy", "high", "-o", "a.wav", "--rest", "b.wav", source=tmp_path / "loud.wav")
    parts = [soundfile.read(name)[0] for name in ("a.wav", "b.wav")]
    assert max(np.abs(part).max() for part in parts) > 2
    np.testing.assert_allclose(sum(parts), soundfile.read(tmp_path / "loud.wav")[0], atol=1e-5)


def test_long_files_are_what_the_extractor_says(run, tiny_experiment, tmp_path):
    """Read, extracted and written piece by piece; beyond what WAV can hold, as RF64."""
    samples = 0.1 * np.random.default_rng(0).standard_normal((45 * 11025, 2))
    soundfile.write(tmp_path / "long.flac", samples, 11025)
    run("--energy", "high", "-o", "a.wav", "--rest", "b.wav", source=tmp_path / "long.flac")
    samples, fs = soundfile.read(tmp_path / "long.flac", dtype="float32")
    expected = TargetSoundExtractor.load(tiny_experiment)(samples, fs, energy="high")
    for name, part in zip(("a.wav", "b.wav"), expected):
        found, _ = soundfile.read(name, dtype="float32")
        np.testing.assert_allclose(found, part, atol=1e-6, rtol=0)


def test_beyond_four_gigabytes_it_is_rf64(run, monkeypatch):
    monkeypatch.setattr(extract, "LARGEST_WAV", 7999)
    run("--energy", "high", "-o", "a.wav", "--rest", "b.wav")
    assert Path("a.wav").read_bytes()[:4] == b"RF64"
    assert soundfile.info("a.wav").frames == 2000


def test_nothing_is_overwritten_without_force(run, fails):
    Path("out.wav").write_text("mine")
    said = fails("--energy", "low", "-o", "out.wav")
    assert said == "out.wav exists; use --force to overwrite it"
    Path("rest.wav").write_text("mine")
    said = fails("--energy", "low", "-o", "new.wav", "--rest", "rest.wav")
    assert said == "rest.wav exists; use --force to overwrite it"
    run("--energy", "low", "-o", "out.wav", "--rest", "rest.wav", "--force")
    assert soundfile.info("out.wav").frames == soundfile.info("rest.wav").frames == 2000


def test_the_mixture_is_never_overwritten(run, fails, mixture):
    before = mixture.read_bytes()
    Path("link.wav").symlink_to(mixture)
    for name in (mixture, "../mixture.wav", "link.wav"):
        said = fails("--energy", "low", "-o", name, "--force")
        assert said == f"{name}: would overwrite the mixture itself"
        said = fails("--energy", "low", "-o", "new.wav", "--rest", name, "--force")
        assert said == f"{name}: would overwrite the mixture itself"
    assert mixture.read_bytes() == before


def test_target_and_rest_need_two_files(fails):
    said = fails("--energy", "low", "-o", "out.wav", "--rest", "./out.wav")
    assert said == "-o and --rest name the same file: out.wav"


@pytest.mark.parametrize("name", ["out.mp3", "out", "out.wav.txt"])
def test_another_suffix(fails, name):
    said = fails("--energy", "low", "-o", name)
    assert said == f"{name}: expected a name ending in .wav or .flac"


def test_a_directory_that_is_not_there(fails):
    assert fails("--energy", "low", "-o", "none/out.wav") == "none: no such directory"


def make_source(path, kind):
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not audio at all\n" * 100)
    elif kind == "directory":
        path.mkdir()
    elif kind == "no samples":
        write_float_wav(path, np.zeros(0), 8000)
    elif kind == "not a number":
        write_float_wav(path, np.array([0.0, np.nan]), 8000)


@pytest.mark.parametrize(
    "kind, message",
    [
        ("missing", "no such file"),
        ("directory", "no such file"),
        ("empty", "has 0 bytes"),
        ("text", "cannot be read: "),
        ("no samples", "holds no samples"),
        ("not a number", "1 samples are NaN or infinite (first at 1)"),
    ],
)
def test_a_bad_recording_is_named(fails, tmp_path, kind, message):
    path = tmp_path / "bad.wav"
    make_source(path, kind)
    said = fails("--energy", "low", "-o", "out.wav", source=path)
    assert said.startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    "suffix, message",
    [
        (".wav", "truncated, it has 30000 of 60044 bytes"),
        (".flac", "cannot be read beyond sample 0: "),
        (".mp3", "truncated, it has "),
    ],
)
def test_a_header_that_promises_more_than_there_is(fails, tmp_path, suffix, message):
    path = tmp_path / f"cut{suffix}"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(30000), 16000)
    path.write_bytes(path.read_bytes()[:30000] if suffix == ".wav" else halved(path))
    said = fails("--energy", "low", "-o", "out.wav", "--rest", "rest.wav", source=path)
    assert said.startswith(f"{path}: {message}")


def halved(path):
    data = path.read_bytes()
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--class_label", "Barck"], "unknown class 'Barck'; nearest known: 'Bark'"),
        (["--energy", "loud"], "unknown energy 'loud'; expected low or high"),
        (["--text", ""], "text: expected a phrase, found an empty one"),
        (["--order", "first", "--model_file", "a.pth"], "{exp}: expected weights named a.pth"),
        (["--order", "first", "--device", "tpu9"], "device tpu9: "),
    ],
)
def test_bad_options_are_named(fails, tiny_experiment, options, message):
    said = fails(*options, "-o", "out.wav")
    assert said.startswith(message.format(exp=tiny_experiment))


def test_a_model_that_is_none(fails, tmp_path):
    said = fails("--energy", "low", "-o", "out.wav", model=tmp_path / "none")
    assert said.startswith(f"{tmp_path}/none/config.yaml: no such file; expected the directory of")


@pytest.mark.parametrize("options", [[], ["--energy", "low", "--order", "first"]])
def test_no_and_two_conditions(fails, options):
    assert "--energy" in fails(*options, "-o", "out.wav")


def test_flac_that_would_clip_is_refused_before_anything_is_written(fails, tmp_path):
    write_float_wav(tmp_path / "loud.wav", 5 * np.random.default_rng(0).standard_normal(900), 8000)
    for names in (("-o", "a.flac"), ("-o", "a.wav", "--rest", "b.flac")):
        said = fails("--energy", "high", *names, source=tmp_path / "loud.wav")
        assert "is beyond full scale, which FLAC cannot hold; write wav instead" in said


def test_flac_of_more_channels_than_it_holds(fails, tmp_path):
    soundfile.write(tmp_path / "nine.wav", np.zeros((90, 9)), 8000)
    said = fails("--energy", "high", "-o", "a.flac", source=tmp_path / "nine.wav")
    assert said.startswith("a.flac: cannot be written: ")


def test_a_full_disk_leaves_nothing(fails, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tsx_espnet.tables.os.replace", full)
    said = fails("--energy", "low", "-o", "out.wav")
    assert said == "out.wav: cannot be written: No space left on device"


def test_a_disk_that_fills_up_leaves_nothing(tiny_experiment, tmp_path):
    """A limit on the size of files fails as a full disk does: libsndfile would not say so."""
    soundfile.write(tmp_path / "long.wav", 0.1 * np.ones(40000), 8000)
    command = f"ulimit -f 64; exec {sys.executable} -m tsx_espnet.bin.extract long.wav --energy low"
    command += f" --model '{tiny_experiment}' -o a.wav --rest b.wav"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "error: b.wav: cannot be written: File too large"
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]


def test_as_a_process(tiny_experiment, mixture, tmp_path):
    """Exit status, standard error, and no traceback."""
    command = [sys.executable, "-m", "tsx_espnet.bin.extract", str(mixture)]
    command += ["--model", str(tiny_experiment), "--class_label", "Cow", "-o", "out.wav"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == ["error: unknown class 'Cow'; nearest known: 'Meow'"]
    assert not (tmp_path / "out.wav").exists()

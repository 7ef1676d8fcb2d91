"""Fixed sets of mixtures: written in one go, in parts, after a crash, and from their plans."""

import json
import shutil
import struct

import numpy as np
import pytest
import scipy.io.wavfile
import soundfile

from tsx_espnet.audio import HEADER_BYTES, wav_bytes, write_float_wav
from tsx_espnet.bin.mix import main
from tsx_espnet.conditions import CONDITIONS
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing import set_writer
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.tables import read_table

NUMBER = 11


@pytest.fixture(scope="module")
def command(corpus_dir, tmp_path_factory):
    """Runs the command with these options; returns the output directory."""
    folder = tmp_path_factory.mktemp("mix")
    (folder / "mix.yaml").write_text("duration: 1.0\nsnr: [1, 5]\n")

    def run(name, *more, seed=1, number=NUMBER, clips=corpus_dir):
        options = ["--clips", clips, "--out", folder / name, "--config", folder / "mix.yaml"]
        options += ["--num_mixtures", number, "--seed", seed, *more]
        main([str(option) for option in options])
        return folder / name

    return run


@pytest.fixture(scope="module")
def whole(command):
    return command("whole")


def contents(directory, but=(".done",)):
    """Files of a set, with its own path taken out of the tables."""
    return {
        str(path.relative_to(directory)): path.read_bytes().replace(str(directory).encode(), b"SET")
        for path in directory.rglob("*")
        if path.is_file() and path.name not in but
    }


def test_files_of_a_set(whole):
    plans = read_plans(whole / "mixtures.jsonl")
    assert [plan.id for plan in plans] == [f"mix{n:05d}" for n in range(1, NUMBER + 1)]
    for plan in plans:
        paths = [read_table(whole / f)[plan.id] for f in ("wav.scp", "spk1.scp", "spk2.scp")]
        assert all(soundfile.info(path).subtype == "FLOAT" for path in paths)
        mixture, target, other = (soundfile.read(path, dtype="float32")[0] for path in paths)
        assert mixture.shape == (8000,)
        np.testing.assert_array_equal(mixture, target + other)
        snr = 10 * np.log10(np.sum(target.astype(float) ** 2) / np.sum(other.astype(float) ** 2))
        assert snr == pytest.approx(plan.snr, abs=0.01)
    for name in CONDITIONS:
        table = read_table(whole / f"utt2{name}")
        assert table == {plan.id: plan.conditions.get(name, "n/a") for plan in plans}
    assert json.loads((whole / ".done").read_text())["num_mixtures"] == NUMBER
    assert not list(whole.glob("parts.*")) and not (whole / ".begun").exists()


def test_parts_make_the_same_set(command, whole):
    for job in (3, 1):
        command("parts", "--num_jobs", 3, "--job", job)
    with pytest.raises(TSXError, match=r"parts\.3/2: this part is not finished; run --num_jobs 3"):
        command("parts", "--num_jobs", 3, "--merge")
    command("parts", "--num_jobs", 3, "--job", 2)
    parts = command("parts", "--num_jobs", 3, "--merge")
    assert contents(parts) == contents(whole)
    assert contents(command("many", "--num_jobs", 20)) == contents(whole)


def test_rebuilt_bit_for_bit_from_the_plans_alone(command, whole, corpus_dir, tmp_path):
    (tmp_path / "plans").mkdir()
    shutil.copy(whole / "mixtures.jsonl", tmp_path / "plans")
    again = tmp_path / "again"
    rebuild = ["--rebuild", str(tmp_path / "plans"), "--clips", str(corpus_dir)]
    main([*rebuild, "--out", str(again)])
    assert contents(again) == contents(whole)
    with pytest.raises(TSXError, match="cannot rebuild a set into itself"):
        main([*rebuild, "--out", str(tmp_path / "plans")])
    with pytest.raises(TSXError, match="--rebuild and --config exclude each other"):
        command("x", *rebuild[:2])


def test_rebuilding_sees_that_a_clip_changed(whole, corpus_dir, tmp_path):
    clips = tmp_path / "train"
    shutil.copytree(corpus_dir, clips)
    used = read_plans(whole / "mixtures.jsonl")[0].sources[0].clip
    text = (clips / "wav.scp").read_text().replace(str(corpus_dir), str(clips))
    (clips / "wav.scp").write_text(text)
    samples, fs = soundfile.read(clips / "wav" / f"{used}.wav")
    soundfile.write(clips / "wav" / f"{used}.wav", samples * 0.7, fs)
    with pytest.raises(TSXError, match=f"mix00001: expected an SNR of .* changed .*{used}"):
        main(["--rebuild", str(whole), "--clips", str(clips), "--out", str(tmp_path / "again")])


def test_a_killed_run_is_continued(command, whole, monkeypatch):
    class Killed(BaseException):
        pass

    written = []

    def die_at_the_20th_file(path, samples, fs):
        if len(written) == 20:
            raise Killed
        written.append(path)
        write_float_wav(path, samples, fs)

    with monkeypatch.context() as patch:
        patch.setattr(set_writer, "write_float_wav", die_at_the_20th_file)
        with pytest.raises(Killed):
            command("killed")
    killed = written[0].parents[2]
    (killed / "wav" / "target" / "mix00007.tmp4711.wav").write_bytes(b"half")
    assert not (killed / ".done").exists() and not (killed / "wav.scp").exists()
    stamps = {path: path.stat().st_mtime_ns for path in written[:18]}
    with pytest.raises(TSXError, match=r"killed: holds mixtures made differently \(seed: 1 there"):
        command("killed", seed=2)
    assert contents(command("killed")) == contents(whole)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def test_finished_work_is_left_alone_and_other_work_refused(command, whole, capsys):
    stamp = (whole / "mixtures.jsonl").stat().st_mtime_ns
    command("whole")
    assert "already done (11 mixtures)" in capsys.readouterr().out
    assert (whole / "mixtures.jsonl").stat().st_mtime_ns == stamp
    with pytest.raises(TSXError, match="num_mixtures: 11 there, 12 now; seed: 1 there, 5 now"):
        command("whole", number=12, seed=5)
    (whole.parent / "other.yaml").write_text("duration: 1.0\nsnr: [1, 4]\n")
    with pytest.raises(TSXError, match=r"config.snr: \[1.0, 5.0\] there, \[1.0, 4.0\] now"):
        command("whole", "--config", whole.parent / "other.yaml")
    (whole.parent / "classes.txt").write_text("Bark\nRain\n")
    with pytest.raises(TSXError, match="clips.classes: '.*; remove it or choose another name"):
        command("whole", "--classes", whole.parent / "classes.txt")


def test_only_known_classes_are_asked_for(command, whole):
    (whole.parent / "three.txt").write_text("Bark\nRain\nVehicle\n")
    three = command("three", "--classes", whole.parent / "three.txt")
    assert set(read_table(three / "utt2class").values()) <= {"Bark", "Rain", "Vehicle"}


def test_a_foreign_directory_is_not_touched(command, whole):
    (whole.parent / "foreign").mkdir()
    (whole.parent / "foreign" / "thesis.txt").write_text("mine")
    with pytest.raises(TSXError, match="foreign: is not empty and holds no mixtures of ours"):
        command("foreign")


def test_a_part_with_lines_missing(command, whole):
    folder = command("short", "--num_jobs", 2, "--job", 1)
    command("short", "--num_jobs", 2, "--job", 2)
    part = folder / "parts.2" / "1" / "mixtures.jsonl"
    part.write_text("".join(part.read_text().splitlines(True)[:-1]))
    with pytest.raises(TSXError, match=r"1/mixtures\.jsonl: expected 6 mixtures, found 5"):
        command("short", "--num_jobs", 2, "--merge")


def test_options(command, corpus_dir, tmp_path):
    with pytest.raises(TSXError, match="num_mixtures: expected at least 1, found 0"):
        command("zero", number=0)
    with pytest.raises(TSXError, match="--config and --num_mixtures missing"):
        main(["--clips", str(corpus_dir), "--out", str(tmp_path / "out")])
    with pytest.raises(TSXError, match="run format"):
        command("unformatted", clips=tmp_path)
    (tmp_path / "mixtures.jsonl").write_text("\n")
    with pytest.raises(TSXError, match="holds no mixture"):
        main(["--rebuild", str(tmp_path), "--clips", str(corpus_dir), "--out", str(tmp_path / "o")])
    with pytest.raises(TSXError, match="seed: expected an integer"):
        command("negative", seed=-1)


def test_a_full_disk_is_one_line_naming_the_file(monkeypatch, corpus, tmp_path):
    def full(samples, fs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tsx_espnet.audio.wav_bytes", full)
    with pytest.raises(TSXError, match=r"x\.wav: cannot be written: No space left on device"):
        write_float_wav(tmp_path / "x.wav", np.zeros(3), 8000)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_table_behind(command, monkeypatch):
    def full(path, plans):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(set_writer, "write_plans", full)
        with pytest.raises(TSXError, match="full: No space left on device"):
            command("full", number=2)
    assert (command("full", number=2) / ".done").exists()


def test_super_classes_in_a_file(corpus, superclasses, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps({k: list(v) for k, v in superclasses.items()}))
    config = config_of(tmp_path / "mine.json")
    assert set(Sampler(corpus, config).superclasses) == {"Animal", "Water", "Vehicle"}


def config_of(path):
    from tsx_espnet.mixing.config import MixingConfig

    return MixingConfig(duration=1.0, strategy="same", superclasses=str(path))


def test_wav_files_are_read_by_others_and_hold_no_time(tmp_path):
    samples = np.random.default_rng(0).normal(size=1001).astype(np.float32) * 3
    write_float_wav(tmp_path / "x.wav", samples, 16000)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "x.wav", dtype="float32")[0], samples)
    fs, found = scipy.io.wavfile.read(tmp_path / "x.wav")
    assert fs == 16000 and found.dtype == np.float32
    np.testing.assert_array_equal(found, samples)
    data = (tmp_path / "x.wav").read_bytes()
    assert data == wav_bytes(samples, 16000) and len(data) == HEADER_BYTES + 4 * 1001
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8


def test_a_job_killed_while_it_claims_the_directory_does_not_block_it(command, tmp_path):
    """Two jobs started together: one saw the other's half-written marker and took the set for a
    foreign one; a kill at that moment blocked the set for good."""
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / ".begun.tmp99").write_text("{")
    out = command(str(begun), number=2)
    assert len(read_table(out / "wav.scp")) == 2


class TestNewClasses:
    """Clips of two directories, one of which holds the new classes."""

    @pytest.fixture
    def words(self, corpus_dir, make_clips, make_noise, tmp_path):
        rng = np.random.default_rng(0)
        new = make_clips({f"cat{n}": (make_noise(rng, 1.0), ("Purr",)) for n in range(3)})
        (tmp_path / "mix.yaml").write_text("{duration: 1.0, num_sources: 3, placement: uniform}")
        (tmp_path / "new.txt").write_text("Purr\n")
        (tmp_path / "seen.txt").write_text("Bark\nMeow\nRain\nHorn\n")
        clips = ["--clips", str(corpus_dir), str(new.directories[0]), "--num_mixtures", "8"]
        return [*clips, "--config", f"{tmp_path}/mix.yaml", "--classes", f"{tmp_path}/seen.txt"]

    def test_two_seen_and_one_new(self, words, tmp_path):
        new = ["--new_classes", f"{tmp_path}/new.txt"]
        main([*words, *new, "--out", f"{tmp_path}/any"])
        main([*words, *new, "--target", "new", "--out", f"{tmp_path}/target"])
        for name in ("any", "target"):
            for plan in read_plans(tmp_path / name / "mixtures.jsonl"):
                labels = [source.label for source in plan.sources]
                assert labels[0] == "Purr" and set(labels[1:]) < {"Bark", "Meow", "Rain", "Horn"}
        assert set(read_table(tmp_path / "target" / "utt2class").values()) == {"Purr"}
        with pytest.raises(TSXError, match="made differently .target: 'any' there, 'new' now"):
            main([*words, *new, "--target", "new", "--out", f"{tmp_path}/any"])

    def test_options(self, words, tmp_path):
        with pytest.raises(TSXError, match="target new: only with new classes"):
            main([*words, "--target", "new", "--out", f"{tmp_path}/x"])
        rebuild = ["--clips", "x", "--rebuild", "y", "--out", "z"]
        with pytest.raises(TSXError, match="--rebuild and --target exclude each other"):
            main([*rebuild, "--target", "new"])

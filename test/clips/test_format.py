import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from tsx_espnet.bin import format as command
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.clips.energies import clip_energies
from tsx_espnet.clips.format import format_set
from tsx_espnet.errors import TSXError

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from tsx_espnet.bin.format import main
from tsx_espnet.errors import run_command
run_command(main)
"""


def make(root, num_clips=5, rate=16000, seconds=0.4):
    """A data directory of ``num_clips`` noises; returns its path."""
    rng = np.random.default_rng(0)
    data = root / "data"
    data.mkdir()
    for number in range(num_clips):
        soundfile.write(
            root / f"c{number}.wav", 0.1 * rng.standard_normal(int(seconds * rate)), rate
        )
    names = [f"c{number}" for number in range(num_clips)]
    (data / "wav.scp").write_text("".join(f"{name} {root}/{name}.wav\n" for name in names))
    (data / "utt2labels").write_text("".join(f"{name} Rain,Water\n" for name in names))
    return data


def contents(out):
    """What a formatted directory says."""
    tables = {
        file: (out / file).read_text() for file in ("utt2labels", "utt2num_samples", "skipped")
    }
    audio = {p.name: p.read_bytes() for p in (out / "wav").iterdir()}
    return tables, audio, (out / "energies.f32").read_bytes()


def test_everything_is_there_and_agrees(tmp_path):
    data, out = make(tmp_path), tmp_path / "dump"
    (data / "text").write_text('c1 ["steady rain", "a shower"]\n')
    (data / "utt2recording").write_text("c1 12\nc4 take 2\n")
    done = format_set(data, out, 8000)
    assert (out / "utt2recording").read_text() == (data / "utt2recording").read_text()
    assert json.loads((out / ".done").read_text()) == done
    assert (done["fs"], done["num_kept"], done["skipped"]) == (8000, 5, {})
    assert (out / "classes.txt").read_text() == "Rain\nWater\n"
    assert (out / "utt2labels").read_text() == (data / "utt2labels").read_text()
    assert not list(out.glob("parts*"))
    clips = ClipSet(out)
    assert list(clips.ids) == ["c0", "c1", "c2", "c3", "c4"] and clips.fs == 8000
    assert clips.captions("c1") == ("steady rain", "a shower") and clips.captions("c0") == ()
    for name in clips.ids:
        samples, rate = soundfile.read(out / "wav" / f"{name}.wav", dtype="int16")
        assert (rate, len(samples)) == (8000, 3200)
        energies = clips.energies(name)
        assert energies.dtype == np.float32 and energies.shape == (40, 3)
        squares = (samples.astype(np.int64) ** 2).reshape(40, 80).sum(1)
        np.testing.assert_array_equal(energies[:, 0], (squares / 2**30).astype(np.float32))
        np.testing.assert_array_equal(energies, clip_energies(samples, 8000))


class TestWithoutLabels:
    TEXTS = ["[Music] A man, a dog", '["下雨了", "It \\"rains\\".", "n/a"]', "n/a"]

    @pytest.fixture
    def data(self, tmp_path):
        data = make(tmp_path, num_clips=3)
        lines = [f"c{number} {text}\n" for number, text in enumerate(self.TEXTS)]
        (data / "text").write_text("".join(lines), encoding="utf-8")
        (data / "utt2phrases").write_text('c0 ["a man", "a dog"]\nz ["not there"]\n')
        (data / "utt2labels").write_text("c2 Rain\n")
        return data

    def test_some(self, data, tmp_path):
        out = tmp_path / "dump"
        format_set(data, out, 8000)
        clips = ClipSet(out)
        assert [clips.labels(name) for name in clips.ids] == [(), (), ("Rain",)]
        captions = [("[Music] A man, a dog",), ("下雨了", 'It "rains".'), ()]
        assert [clips.captions(name) for name in clips.ids] == captions
        assert [clips.phrases(name) for name in clips.ids] == [("a man", "a dog"), (), ()]
        assert (out / "classes.txt").read_text() == "Rain\n"

    def test_all(self, data, tmp_path):
        """Nothing is left of the labels that the clips had when they were formatted before."""
        out = tmp_path / "dump"
        format_set(data, out, 8000)
        (data / "utt2labels").unlink()
        (data / "utt2phrases").unlink()
        (data / "text").write_text("".join(f"c{n} It is {n}.\n" for n in range(3)))
        format_set(data, out, 8000)
        assert not {"utt2labels", "utt2phrases", "classes.txt"} & {x.name for x in out.iterdir()}
        clips = ClipSet(out)
        assert clips.classes == [] and not len(clips.clips_of("Rain"))
        assert clips.captions("c1") == ("It is 1.",) and clips.phrases("c1") == ()

    @pytest.mark.parametrize("file", ["text", "utt2phrases", "utt2labels"])
    def test_a_table_that_vanished_is_made_again(self, data, tmp_path, file):
        out = tmp_path / "dump"
        format_set(data, out, 8000)
        before = (out / file).read_text()
        (out / file).unlink()
        format_set(data, out, 8000)
        assert (out / file).read_text() == before

    def test_captions_under_their_older_name(self, data, tmp_path, capsys):
        """Sets that were formatted before stay what they are, and are not made again."""
        out = tmp_path / "dump"
        (data / "text").rename(data / "utt2captions")
        format_set(data, out, 8000)
        (out / "text").rename(out / "utt2captions")
        format_set(data, out, 8000)
        assert "already done" in capsys.readouterr().out and not (out / "text").exists()
        assert ClipSet(out).captions("c1") == ("下雨了", 'It "rains".')


def test_jobs_and_merge_give_what_one_process_gives(tmp_path, capsys):
    data = make(tmp_path)
    format_set(data, tmp_path / "one", 8000)
    args = ["--data", str(data), "--out", str(tmp_path / "many"), "--fs", "8000", "--num_jobs", "3"]
    command.main([*args, "--job", "3"])
    with pytest.raises(TSXError, match=r"parts.3/1: .* run --num_jobs 3 --job 1 before"):
        command.main([*args, "--merge"])
    for job in "12":
        command.main([*args, "--job", job])
    capsys.readouterr()
    command.main([*args, "--job", "2"])
    assert "parts.3/2: already done" in capsys.readouterr().out
    command.main([*args, "--merge"])
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    command.main([*args, "--merge"])
    assert "many: already done (5 clips kept, 0 skipped)" in capsys.readouterr().out


def test_finished_work_is_left_alone_until_the_data_or_the_rate_changes(tmp_path):
    data, out = make(tmp_path), tmp_path / "dump"
    format_set(data, out, 8000)
    before = (out / "wav" / "c0.wav").stat().st_mtime_ns
    format_set(data, out, 8000)
    assert (out / "wav" / "c0.wav").stat().st_mtime_ns == before
    format_set(data, out, 16000)
    assert soundfile.info(out / "wav" / "c0.wav").samplerate == 16000
    (data / "wav.scp").write_text(f"c3 {tmp_path}/c3.wav\n")
    assert format_set(data, out, 16000)["num_kept"] == 1
    assert list(ClipSet(out).ids) == ["c3"]


def test_bad_clips_are_listed_and_counted(tmp_path, capsys):
    data, out = make(tmp_path, num_clips=6), tmp_path / "dump"
    soundfile.write(tmp_path / "c1.wav", np.zeros(8000), 8000)
    (tmp_path / "c2.wav").unlink()
    (tmp_path / "c3.wav").write_bytes(b"not a wav")
    (tmp_path / "c5.wav").unlink()
    done = format_set(data, out, 8000)
    assert done["skipped"] == {"missing": 2, "silent": 1, "unreadable": 1}
    assert "2 clips kept, 4 skipped (2 missing, 1 silent, 1 unreadable)" in capsys.readouterr().out
    lines = (out / "skipped").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["c1", "c2", "c3", "c5"]
    assert lines[1] == f"c2 missing: {tmp_path}/c2.wav: no such file"
    assert list(ClipSet(out).ids) == ["c0", "c4"]


def test_a_set_in_which_nothing_is_left_is_an_error_and_tried_again(tmp_path):
    data, out = make(tmp_path, num_clips=1), tmp_path / "dump"
    (tmp_path / "c0.wav").rename(tmp_path / "elsewhere.wav")
    with pytest.raises(
        TSXError, match=r"data: no clip kept, 1 skipped \(1 missing\), see .*skipped"
    ):
        format_set(data, out, 8000)
    assert not (out / ".done").exists()
    (tmp_path / "elsewhere.wav").rename(tmp_path / "c0.wav")
    assert format_set(data, out, 8000)["num_kept"] == 1


def test_originals_are_never_overwritten(tmp_path):
    data = make(tmp_path, num_clips=1)
    (tmp_path / "wav").mkdir()
    (tmp_path / "c0.wav").rename(tmp_path / "wav" / "c0.wav")
    (data / "wav.scp").write_text(f"c0 {tmp_path}/wav/c0.wav\n")
    with pytest.raises(TSXError, match="wav.scp:1: .* choose another output directory"):
        format_set(data, tmp_path, 8000)
    with pytest.raises(TSXError, match="output and data directory are the same"):
        format_set(data, data, 8000)


@pytest.mark.parametrize("fs", [0, -8000, 8, 10**7])
def test_an_impossible_rate_is_refused(tmp_path, fs):
    with pytest.raises(TSXError, match="sampling rate must lie in"):
        format_set(make(tmp_path, num_clips=1), tmp_path / "dump", fs)


@pytest.mark.parametrize("limit, named", [(4000, "wav/c0.wav"), (7000, "parts.1/1/energies.f32")])
def test_a_full_disk_is_one_line_and_leaves_no_half_file(tmp_path, limit, named):
    # a WAV has 6.4 kB here, so the second limit lets it pass and stops the growing energies
    data, out = make(tmp_path, num_clips=20), tmp_path / "dump"
    args = ["--data", str(data), "--out", str(out), "--fs", "8000"]
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *args], capture_output=True, text=True
    )
    assert run.returncode == 1
    errors = [
        line for line in run.stderr.splitlines() if "format dump" not in line and line.strip()
    ]
    assert errors == [f"error: {out / named}: cannot be written: File too large"]
    assert not (out / ".done").exists()
    left = [path for path in out.rglob("*") if path.is_file()]
    assert all(path.parent.name == "wav" and path.stat().st_size == 6444 for path in left)
    command.main(args)
    assert list(ClipSet(out).ids) == sorted(f"c{number}" for number in range(20))


def test_killed_at_any_moment_it_starts_again_and_ends_the_same(tmp_path):
    data, out = make(tmp_path, num_clips=60), tmp_path / "dump"
    args = ["--data", str(data), "--out", str(out), "--fs", "8000"]
    run = subprocess.Popen(
        [sys.executable, "-m", "tsx_espnet.bin.format", *args], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(out.glob("wav/*"))) < 5:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (out / ".done").exists()
    whole = [path for path in (out / "wav").iterdir() if ".tmp" not in path.name]
    assert whole and all(soundfile.info(path).frames == 3200 for path in whole)
    (out / "wav" / f"c7.tmp{os.getpid()}.wav").write_bytes(b"half")  # what a kill can leave
    format_set(data, out, 8000)
    format_set(data, tmp_path / "other", 8000)
    assert contents(out) == contents(tmp_path / "other")


def test_the_command_starts_without_numpy():
    code = "import sys, tsx_espnet.bin.format as f; f.get_parser(); print('numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_job_options_are_checked(tmp_path):
    args = ["--data", "x", "--out", "y", "--fs", "8000"]
    with pytest.raises(TSXError, match="--job must lie in 1 .. 2"):
        command.main([*args, "--num_jobs", "2", "--job", "3"])

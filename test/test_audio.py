"""Reading audio: what is there is read in blocks, whatever the header says, and checked once."""

import io

import numpy as np
import pytest
import soundfile

from tsx_espnet import audio
from tsx_espnet.audio import (
    AudioError,
    AudioFile,
    audio_length,
    audio_writer,
    read_audio,
    wav_bytes,
    write_audio,
)
from tsx_espnet.errors import TSXError

FS = 8000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 2)).astype(np.float32)


def write(path, samples, fs=FS):
    soundfile.write(path, samples, fs, subtype="FLOAT")
    return path


@pytest.mark.parametrize("size", [1, 3, 600, 2000, 9000])
def test_blocks_are_the_file(tmp_path, size, monkeypatch):
    monkeypatch.setattr(audio, "BLOCK", size)
    with AudioFile(write(tmp_path / "a.wav", NOISE)) as file:
        assert (file.fs, file.channels, file.frames) == (FS, 2, 1000)
        blocks = list(file.blocks(whole=True))
        assert len(blocks) == file.num_blocks
    assert all(len(block) == max(1, size // 2) for block in blocks[:-1])
    np.testing.assert_array_equal(np.concatenate(blocks), NOISE)


def test_a_file_that_ends_before_its_header_says(tmp_path):
    """Of MP3 and what is written to a pipe the header is a guess; only who asks for it is told."""
    path = tmp_path / "a.flac"
    soundfile.write(path, NOISE[:, 0], FS)
    data = bytearray(path.read_bytes())
    data[24:26] = b"\x07\xd0"  # 2000 samples
    path.write_bytes(data)
    with AudioFile(path) as file, pytest.raises(AudioError, match="a.flac: ") as error:
        list(file.blocks(whole=True))
    assert error.value.kind in ("truncated", "unreadable")


def test_a_file_written_in_pieces_is_the_file(tmp_path):
    write_audio(tmp_path / "a.flac", NOISE, FS, "FLAC", "PCM_24")
    with audio_writer(tmp_path / "b.flac", FS, 2, "FLAC", "PCM_24") as append:
        append(NOISE[:300])
        assert not (tmp_path / "b.flac").exists()
        append(NOISE[300:])
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()
    with pytest.raises(TSXError, match="c.flac: cannot be written: "):
        write_audio(tmp_path / "c.flac", np.zeros((10, 9)), FS, "FLAC", "PCM_24")
    assert not (tmp_path / "c.flac").exists()


def test_a_part(tmp_path):
    with AudioFile(write(tmp_path / "a.wav", NOISE[:, 0])) as file:
        np.testing.assert_array_equal(file.read(10, 20), NOISE[10:30, 0])
        assert len(file.read(990, 20)) == 10


def test_a_whole_recording(tmp_path):
    path = write(tmp_path / "a.wav", NOISE)
    samples, fs = read_audio(path, average=True)
    assert fs == FS and samples.dtype == np.float32
    np.testing.assert_array_equal(samples, NOISE.mean(axis=1))
    mono = write(tmp_path / "b.wav", NOISE[:, 0])
    samples, _ = read_audio(mono, fs=FS, length=1000, dtype="float64")
    assert samples.dtype == np.float64 and audio_length(mono, FS) == 1000
    np.testing.assert_array_equal(samples, NOISE[:, 0])


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_channels_come_back(tmp_path, channels):
    samples = np.random.default_rng(0).normal(size=(500, channels)).astype(np.float32)
    (tmp_path / "a.wav").write_bytes(wav_bytes(samples, FS))
    np.testing.assert_array_equal(
        soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)[0], samples
    )
    found, fs = read_audio(tmp_path / "a.wav", fs=FS, length=500, channels=channels)
    assert fs == FS and found.dtype == np.float32
    np.testing.assert_array_equal(found, samples)
    with pytest.raises(AudioError, match=f"expected 3 channels, found {channels}"):
        read_audio(tmp_path / "a.wav", channels=3)


def cut(data):
    return data[:-2000]


def nan(data):
    return data[:-8] + np.float32([np.nan, np.inf]).tobytes()


GOOD = wav_bytes(NOISE[:, 0], FS)
FLAC = io.BytesIO()
soundfile.write(FLAC, NOISE, FS, format="FLAC")


@pytest.mark.parametrize(
    "data, expected, kind, message",
    [
        (None, {}, "missing", "no such file"),
        (b"", {}, "empty", "has 0 bytes"),
        (wav_bytes(NOISE[:0, 0], FS), {}, "empty", "holds no samples"),
        (b"no audio at all", {}, "unreadable", "cannot be read: "),
        (cut(GOOD), {}, "truncated", "truncated, it has 2058 of 4058 bytes"),
        (wav_bytes(NOISE[:, 0], 3), {}, "unreadable", "its header says 3 Hz"),
        (nan(GOOD), {}, "not finite", r"2 samples are NaN or infinite \(first at 998\)"),
        (GOOD, {"fs": 16000}, "other", "expected 16000 Hz, found 8000 Hz"),
        (GOOD, {"length": 999}, "other", "expected 999 samples, found 1000"),
        (FLAC.getvalue(), {}, "other", "expected 1 channel, found 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, data, expected, kind, message):
    path = tmp_path / "a.wav"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(AudioError, match=f"a.wav: {message}") as error:
        read_audio(path, **expected)
    assert error.value.kind == kind and "\n" not in str(error.value)

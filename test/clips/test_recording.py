import io

import numpy as np
import pytest
import scipy.io.wavfile
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.audio import write_audio
from tsx_espnet.clips.energies import frame_energies
from tsx_espnet.clips.format import UnusableClip, quantise, read_clip


def sine(frequency, rate, seconds=1.0, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 96000, 6000])
def test_a_tone_is_the_same_tone_at_any_input_rate(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", sine(1000, rate), rate, subtype="FLOAT")
    found = read_clip(tmp_path / "a.wav", 8000) / 32768
    assert len(found) == 8000
    inner = slice(800, -800)  # the resampler's filter sees the ends of the file
    error = found[inner] - sine(1000, 8000)[inner]
    assert 10 * np.log10(np.mean(error**2) / 0.125) < -60


def test_what_lies_above_the_new_nyquist_frequency_is_gone(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(6000, 44100), 44100)
    tail = r"silent|too short"  # the filter rings at the two ends of the file only
    with pytest.raises(UnusableClip, match=tail):
        read_clip(tmp_path / "a.wav", 8000)


def test_stereo_96_khz_with_an_offset_becomes_mono_without(tmp_path):
    left, right = sine(500, 96000), sine(700, 96000)
    stereo = np.stack([left + 0.2, right + 0.1], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 96000, subtype="PCM_24")
    found = read_clip(tmp_path / "a.wav", 8000) / 32768
    expected = (sine(500, 8000) + sine(700, 8000)) / 2
    np.testing.assert_allclose(found[800:-800], expected[800:-800], atol=1e-3)
    assert abs(found.mean()) < 1e-4


@pytest.mark.parametrize(
    "suffix, subtype", [("flac", "PCM_16"), ("ogg", "VORBIS"), ("wav", "ULAW")]
)
def test_other_formats(tmp_path, suffix, subtype):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sine(400, 8000), 8000, subtype=subtype)
    assert np.abs(read_clip(path, 8000) / 32768 - sine(400, 8000)).max() < 0.05


def test_the_level_is_kept_unless_it_would_clip(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(400, 8000, amplitude=0.01), 8000, subtype="FLOAT")
    assert np.abs(read_clip(tmp_path / "a.wav", 8000)).max() == round(0.01 * 32768)
    soundfile.write(tmp_path / "b.wav", sine(400, 8000, amplitude=3.0), 8000, subtype="FLOAT")
    found = read_clip(tmp_path / "b.wav", 8000)
    assert np.abs(found).max() == 32767
    np.testing.assert_allclose(found / 32767, sine(400, 8000, amplitude=1.0), atol=1 / 32767)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=1, max_size=40))
def test_quantising_never_wraps_around(values):
    audio = np.array(values)
    peak = max(1.0, np.abs(audio).max())
    assert np.abs(quantise(audio) / 32768 - audio / peak).max() <= 2 / 32768


def test_the_full_16_bit_range_survives_unchanged(tmp_path):
    rng = np.random.default_rng(0)
    samples = rng.integers(-32768, 32768, 8000).astype(np.int16)
    samples[:2] = -32768, 32767
    np.testing.assert_array_equal(quantise(samples / 32768), samples)
    write_audio(tmp_path / "a.wav", samples, 8000, "WAV", "PCM_16")
    rate, found = scipy.io.wavfile.read(tmp_path / "a.wav")
    assert rate == 8000 and found.dtype == np.int16
    np.testing.assert_array_equal(found, samples)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 1000), st.sampled_from([8000, 16000, 22050]))
def test_frame_energies_add_up_exactly(length, fs):
    samples = np.random.default_rng(length).integers(-32768, 32768, length).astype(np.int16)
    energies = frame_energies(samples, fs)
    assert len(energies) == -(-length // round(fs / 100))
    assert energies.sum() * 2**30 == sum(int(x) ** 2 for x in samples)


def wav_bytes(audio, rate=8000, subtype="PCM_16"):
    stream = io.BytesIO()
    soundfile.write(stream, audio, rate, format="WAV", subtype=subtype)
    return stream.getvalue()


GOOD = wav_bytes(sine(400, 8000))
HOLES = sine(400, 8000)
HOLES[4000] = np.nan
INFINITE = sine(400, 8000)
INFINITE[4000] = -np.inf
ODD_RATE = GOOD[:24] + (3).to_bytes(4, "little") + GOOD[28:]
CLICK = np.zeros(8000)
CLICK[4000:4100] = sine(400, 8000)[:100]
BAD = {
    "missing": (None, "missing: .*no such file"),
    "empty file": (b"", "empty: .* 0 bytes"),
    "no samples": (wav_bytes(np.zeros(0)), "empty: .* holds no samples"),
    "not audio": (b"<html>404 Not Found</html>", "unreadable"),
    "half a header": (GOOD[:30], "truncated|unreadable"),
    "half a file": (GOOD[: len(GOOD) // 2], "truncated: .* it has 8022 of 16044 bytes"),
    "noise for a header": (bytes(range(256)) * 20, "unreadable"),
    "3 Hz": (ODD_RATE, "unreadable: .* 3 Hz"),
    "3 samples": (wav_bytes(np.array([0.5, -0.5, 0.5])), "too short: 3 samples"),
    "zeros": (wav_bytes(np.zeros(8000)), "silent"),
    "only an offset": (wav_bytes(np.full(8000, 0.5)), "silent"),
    "at -70 dB": (wav_bytes(sine(400, 8000, amplitude=4e-4)), "silent"),
    "a click": (wav_bytes(CLICK), "too short: 0.0. s of sound"),
    "NaN": (wav_bytes(HOLES, subtype="FLOAT"), "not finite"),
    "infinity": (wav_bytes(INFINITE, subtype="FLOAT"), "not finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_unusable_clip_says_why(tmp_path, name):
    content, reason = BAD[name]
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(UnusableClip, match=reason):
        read_clip(tmp_path / "a.wav", 8000)


def test_a_directory_is_unreadable(tmp_path):
    with pytest.raises(UnusableClip, match="unreadable"):
        read_clip(tmp_path, 8000)


def test_a_streamed_wav_of_unknown_length_is_read(tmp_path):
    streamed = GOOD[:4] + b"\xff\xff\xff\xff" + GOOD[8:]
    (tmp_path / "a.wav").write_bytes(streamed)
    assert len(read_clip(tmp_path / "a.wav", 8000)) == 8000

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.clips import energies
from tsx_espnet.clips.energies import hpss_energies, soft_mask

FS = 8000


def ratio(audio):
    harmonic, percussive = hpss_energies(audio, FS)
    return 10 * np.log10((harmonic.sum() + 1e-12) / (percussive.sum() + 1e-12))


@settings(max_examples=12, deadline=None)
@given(st.integers(16, 60), st.integers(16, 60), st.integers(0, 9))  # SciPy mirrors once only
def test_the_mask_is_the_one_of_librosa(frames, bins, seed):
    magnitude = np.random.default_rng(seed).exponential(size=(frames, bins)).astype(np.float32)
    magnitude[magnitude < 0.3] = 0
    expected, _ = librosa.decompose.hpss(magnitude.T, kernel_size=energies.KERNEL, mask=True)
    np.testing.assert_allclose(soft_mask(magnitude).T, expected, atol=1e-6)


def test_energies_are_those_of_librosa():
    audio = np.random.default_rng(0).standard_normal(FS).astype(np.float32)
    audio += np.sin(0.3 * np.arange(FS), dtype=np.float32)
    padded = np.pad(audio, ((512 - 80) // 2, (512 - 80) // 2))
    spectrum = librosa.stft(padded, n_fft=512, hop_length=80, center=False)
    two_sided = np.full(257, 2.0)
    two_sided[[0, -1]] = 1
    scale = 80 / (512 * np.sum(librosa.filters.get_window("hann", 512) ** 2))
    parts = librosa.decompose.hpss(spectrum, kernel_size=energies.KERNEL)
    for found, part in zip(hpss_energies(audio, FS), parts):
        np.testing.assert_allclose(found, scale * two_sided @ np.abs(part) ** 2, rtol=1e-4)


def test_tones_are_harmonic_and_clicks_percussive():
    time = np.arange(2 * FS) / FS
    tone = sum(np.sin(2 * np.pi * f * time) for f in (440, 880, 1320))
    clicks = np.zeros(2 * FS)
    clicks[::1600] = 1
    noise = np.random.default_rng(0).standard_normal(2 * FS)
    assert ratio(tone) > 20
    assert ratio(clicks) < -20
    assert abs(ratio(noise)) < 1


def test_energies_have_the_unit_of_frame_energies_and_their_place():
    tone = np.zeros(2 * FS)
    tone[FS : FS + FS // 2] = np.sin(2 * np.pi * 500 * np.arange(FS // 2) / FS)
    harmonic, _ = hpss_energies(tone, FS)
    assert harmonic[:95].sum() == pytest.approx(0, abs=1e-6)
    # 80 samples of mean square 1/2
    np.testing.assert_allclose(harmonic[105:145], 80 / 2, rtol=0.05)


def test_silence_has_no_energy_and_no_nan():
    for part in hpss_energies(np.zeros(FS), FS):
        np.testing.assert_array_equal(part, 0)


def test_long_clips_are_analysed_in_blocks_that_do_not_show(monkeypatch):
    audio = np.random.default_rng(0).standard_normal(FS)
    whole = hpss_energies(audio, FS)
    monkeypatch.setattr(energies, "BLOCK", 17)
    np.testing.assert_allclose(hpss_energies(audio, FS), whole, rtol=1e-5)


@pytest.mark.parametrize(
    "fs, length", [(8000, 1), (8000, 80), (8000, 81), (22050, 3000), (1000, 99)]
)
def test_one_value_per_frame(fs, length):
    harmonic, percussive = hpss_energies(np.ones(length), fs)
    assert len(harmonic) == len(percussive) == -(-length // round(fs / 100))

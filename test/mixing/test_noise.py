"""Stationary noise: its spectrum against scipy's, its loops against their own neighbourhood."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.mixing.background import coloured_noise, loop_length, looped


@pytest.mark.parametrize("slope", [-6.0, -3.0, 0.0, 3.0])
def test_the_spectrum_has_the_slope(slope):
    noise = coloured_noise(7, slope, 8000 * 60, 8000)
    frequency, power = scipy.signal.welch(noise, 8000, nperseg=4096)
    wanted = (frequency > 100) & (frequency < 3500)
    octaves, decibels = np.log2(frequency[wanted]), 10 * np.log10(power[wanted])
    assert np.polyfit(octaves, decibels, 1)[0] == pytest.approx(slope, abs=0.1)


@pytest.mark.parametrize("num_samples", [4000, 4001, 48000])
def test_level_steps_and_seeds(num_samples):
    noise = coloured_noise(1, -3.0, num_samples, 8000)
    assert noise.shape == (num_samples,) and noise.dtype == np.float32
    assert np.sqrt(np.mean(noise.astype(float) ** 2)) == pytest.approx(0.1, rel=1e-5)
    assert abs(noise.mean(dtype=float)) < 1e-4
    np.testing.assert_array_equal(noise * 32768, np.rint(noise * 32768))
    np.testing.assert_array_equal(noise, coloured_noise(1, -3.0, num_samples, 8000))
    assert not np.array_equal(noise, coloured_noise(2, -3.0, num_samples, 8000))


def test_it_is_stationary():
    noise = coloured_noise(3, -3.0, 8000 * 30, 8000).astype(float)
    level = 10 * np.log10(np.square(noise).reshape(30, -1).mean(axis=1))
    assert level.std() < 1.0


@settings(deadline=None)
@given(length=st.integers(1, 3000), start=st.integers(0, 5000), number=st.integers(1, 9000))
def test_a_loop_repeats(length, start, number):
    samples = np.random.default_rng(0).normal(size=length).astype(np.float32)
    period = loop_length(length, 8000)
    sound = looped(samples, start, number + period, 8000)
    assert sound.shape == (number + period,) and sound.dtype == np.float32
    np.testing.assert_array_equal(sound[period:], sound[:number])
    straight = looped(samples, 0, 2 * period, 8000)
    np.testing.assert_array_equal(looped(samples, period - 1, 2, 8000), straight[period - 1 :][:2])


def test_no_click_where_a_tone_is_repeated():
    """A tone cut anywhere jumps where it is simply repeated; here no step exceeds its own."""
    tone = np.sin(2 * np.pi * 100.3 * np.arange(12345) / 8000).astype(np.float32)
    step = np.abs(np.diff(tone)).max()
    sound = looped(tone, 4000, 60000, 8000)
    assert np.abs(np.diff(np.tile(tone, 2))).max() > 3 * step
    assert np.abs(np.diff(sound)).max() < 1.5 * step


def test_no_dip_where_noise_is_repeated():
    samples = np.random.default_rng(1).normal(size=16000).astype(np.float32)
    period = loop_length(len(samples), 8000)
    seams = [
        looped(np.roll(samples, n), 0, 400, 8000) for n in range(0, 16000, 40)
    ]  # 400 other recordings
    assert period == 15600
    assert np.mean(np.square(seams)) == pytest.approx(1.0, abs=0.05)


def test_the_inside_of_a_recording_is_left_alone():
    samples = np.random.default_rng(2).normal(size=4000).astype(np.float32)
    np.testing.assert_array_equal(looped(samples, 400, 3200, 8000), samples[400:3600])

"""The synthesizers against the physics they model, measured on the waveform."""

import numpy as np
import pytest

from tsx_espnet.corpora.mini.dsp import (
    FS,
    contour,
    formant_filter,
    modes,
    noise,
    pulses,
    resonate,
    tones,
)
from tsx_espnet.corpora.mini.instruments import bell_stroke, flute_note, pluck
from tsx_espnet.corpora.mini.vehicles import siren_glide
from tsx_espnet.corpora.mini.water import bubble


def spectrum(sound):
    """Frequencies in Hz, finely sampled, and magnitudes of a windowed sound."""
    size = 1 << 18
    return np.fft.rfftfreq(size, 1 / FS), np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))


def peak_near(sound, low, high):
    frequency, magnitude = spectrum(sound)
    inside = (frequency >= low) & (frequency <= high)
    return frequency[inside][np.argmax(magnitude[inside])]


def instantaneous_frequency(sound):
    from scipy.signal import hilbert

    return np.diff(np.unwrap(np.angle(hilbert(sound)))) * FS / (2 * np.pi)


@pytest.mark.parametrize("pitch", [450.0, 700.0, 1100.0])
def test_flute_sounds_at_its_pitch(pitch):
    note = flute_note(np.random.default_rng(0), pitch, FS, [1.0, 0.4, 0.2], 0.05)
    assert peak_near(note, 200, 4000) == pytest.approx(pitch, rel=0.01)  # vibrato of 0.8 %
    assert peak_near(note, 1.7 * pitch, 2.3 * pitch) == pytest.approx(2 * pitch, rel=0.01)


def test_bell_has_the_partials_of_a_minor_third_bell():
    pitch = 300.0
    stroke = bell_stroke(np.random.default_rng(0), pitch, 2 * FS, 1.0, 2.0)
    for ratio in (0.5, 1.0, 1.19, 1.5, 2.0):  # hum, prime, tierce, quint, nominal
        found = peak_near(stroke, 0.93 * ratio * pitch, 1.07 * ratio * pitch)
        assert found == pytest.approx(ratio * pitch, rel=0.003)


def test_high_partials_of_a_bell_die_first():
    stroke = bell_stroke(np.random.default_rng(0), 300.0, 2 * FS, 1.0, 1.0)
    frequency, early = spectrum(stroke[: FS // 2])
    _, late = spectrum(stroke[FS : FS + FS // 2])
    loss = [
        early[np.argmin(abs(frequency - f))] / late[np.argmin(abs(frequency - f))]
        for f in (150.0, 600.0, 1605.0)
    ]
    assert loss[0] < loss[1] < loss[2]


@pytest.mark.parametrize("pitch", [98.0, 233.08, 329.63, 523.25])
@pytest.mark.parametrize("bright", [0.1, 0.9])
def test_string_is_in_tune(pitch, bright):
    sound = pluck(np.random.default_rng(1), pitch, FS, bright, 3.0)
    cents = 1200 * np.log2(peak_near(sound, 0.8 * pitch, 1.25 * pitch) / pitch)
    assert abs(cents) < 4


@pytest.mark.parametrize("pitch", [110.0, 440.0])
def test_string_decays_as_asked(pitch):
    sound = pluck(np.random.default_rng(1), pitch, 2 * FS, 0.5, 2.0)
    frequency, early = spectrum(sound[: FS // 2])
    _, late = spectrum(sound[FS : FS + FS // 2])
    at = np.argmin(abs(frequency - pitch))
    assert 20 * np.log10(early[at] / late[at]) == pytest.approx(30, abs=2)  # 60 dB in 2 s


def test_string_loses_its_brightness():
    sound = pluck(np.random.default_rng(1), 110.0, 2 * FS, 0.5, 2.0)
    frequency, early = spectrum(sound[: FS // 2])
    _, late = spectrum(sound[FS : FS + FS // 2])
    fundamental, tenth = (np.argmin(abs(frequency - f)) for f in (110.0, 1100.0))
    assert early[tenth] / late[tenth] > 2 * early[fundamental] / late[fundamental]


def test_bubble_rises_and_dies():
    sound = bubble(800, 800.0, 0.03, 0.2)
    heard = instantaneous_frequency(sound)
    assert np.mean(heard[20:60]) == pytest.approx(800 * (1 + 0.2 * 40 / 480), rel=0.03)
    assert np.mean(heard[460:500]) == pytest.approx(800 * 1.2, rel=0.03)
    level = np.sqrt(np.mean(sound[:40] ** 2) / np.mean(sound[480:520] ** 2))
    assert level == pytest.approx(np.e, rel=0.1)


def test_siren_sweeps_between_its_limits():
    f = siren_glide(4 * FS, 500.0, 1400.0, 2.0, 0.0)
    assert f[0] == pytest.approx(500) and f[FS] == pytest.approx(1400)
    assert f[FS // 2] == pytest.approx(np.sqrt(500 * 1400))  # even in pitch: geometric mean
    heard = instantaneous_frequency(tones(f, len(f), [1.0]))
    inside = slice(1000, -1000)
    assert np.allclose(heard[inside], f[1:][inside], rtol=0.01)


def test_pulses_equal_the_sum_of_their_harmonics():
    time = np.arange(1600) / FS
    count = int(0.47 * FS / 320.0)
    series = sum(np.cos(2 * np.pi * k * 320.0 * time) for k in range(1, count + 1))
    assert np.allclose(pulses(320.0, 1600), series / np.sqrt(count / 2), atol=1e-6)


def test_tones_above_half_the_rate_are_left_out():
    assert np.array_equal(tones(3000.0, 800, [1, 1, 1]), tones(3000.0, 800, [1, 1]))


def test_formant_filter_matches_a_recursive_filter():
    from scipy.signal import lfilter

    sound = np.random.default_rng(0).standard_normal(4000)
    expected = sound
    for frequency, bandwidth in ((700, 100), (1800, 150)):
        radius = np.exp(-np.pi * bandwidth / FS)
        poles = [1, -2 * radius * np.cos(2 * np.pi * frequency / FS), radius**2]
        expected = lfilter([sum(poles)], poles, expected)
    found = formant_filter(sound, [700.0, np.full(4000, 1800.0)], [100, 150])
    assert np.max(np.abs(found - expected)) < 2e-3 * np.max(np.abs(expected))


def test_resonance_has_unit_gain_at_its_frequency():
    sound = np.sin(2 * np.pi * 1000 * np.arange(FS) / FS)
    assert np.max(np.abs(resonate(sound, 1000, 80)[FS // 2 :])) == pytest.approx(1, abs=1e-3)


def test_mode_falls_by_one_over_e():
    sound = modes(FS, [500.0], [0.1], [1.0])
    start, later = np.max(np.abs(sound[:32])), np.max(np.abs(sound[1600:1632]))
    assert later / start == pytest.approx(np.exp(-1), rel=0.01)


def test_noise_has_unit_power_and_stays_in_its_band():
    sound = noise(np.random.default_rng(0), FS, low=1000, high=2000)
    assert np.mean(sound**2) == pytest.approx(1)
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert power[500:4000].sum() > 0.99 * power.sum()


def test_contour_passes_through_its_values():
    curve = contour([1.0, 3.0, 2.0], 101, [0, 0.4, 1])
    assert curve[0] == 1 and curve[40] == pytest.approx(3) and curve[-1] == pytest.approx(2)
    assert curve.min() >= 1 and curve.max() <= 3

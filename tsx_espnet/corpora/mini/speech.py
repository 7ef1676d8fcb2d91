"""Speech without words: glottal pulses through the moving formants of vowels, and consonants."""

from typing import List, Tuple

import numpy as np
from scipy.signal import lfilter

from tsx_espnet.corpora.mini import dsp

# first three formants in Hz of men's vowels (Peterson and Barney, 1952)
VOWELS = (
    (270, 2290, 3010),  # heed
    (390, 1990, 2550),  # hid
    (530, 1840, 2480),  # head
    (660, 1720, 2410),  # had
    (730, 1090, 2440),  # hod
    (570, 840, 2410),  # hawed
    (440, 1020, 2240),  # hood
    (300, 870, 2240),  # who'd
    (640, 1190, 2390),  # hud
)
Knots = List[Tuple[float, float]]


def male_speech(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A man talking."""
    return babble(rng, seconds, rng.uniform(90, 140), rng.uniform(0.95, 1.05))


def female_speech(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A woman talking: a higher pitch, and formants of a shorter vocal tract."""
    return babble(rng, seconds, rng.uniform(185, 255), rng.uniform(1.13, 1.23))


def babble(rng: np.random.Generator, seconds: float, pitch: float, tract: float) -> np.ndarray:
    """Syllables in phrases.

    Args:
        pitch: mean fundamental frequency in Hz.
        tract: factor on the formants of ``VOWELS``.
    """
    num = dsp.to_samples(seconds)
    rate = rng.uniform(3.6, 5.6)  # syllables a second
    voiced: Knots = [(0.0, 0.0)]
    accents: Knots = []
    places = []
    fricatives = np.zeros(num)
    now, left = rng.uniform(0.01, 0.06), int(rng.integers(4, 9))
    while now < seconds:
        length = rng.uniform(0.8, 1.25) / rate
        vowel = VOWELS[rng.integers(len(VOWELS))]
        places.append((now + 0.3 * length, vowel))
        places.append((now + 0.75 * length, vowel))
        consonant = rng.uniform()
        closed = rng.uniform(0.0, 0.5) if consonant < 0.7 else rng.uniform(0.8, 1.4)
        loud = rng.uniform(0.6, 1.0)
        voiced += [(now, 0.25 * closed**2), (now + 0.3 * length, loud), (now + 0.75 * length, loud)]
        accents.append((now + 0.4 * length, rng.normal(0.0, 0.09)))
        if consonant < 0.4:
            _add_fricative(rng, fricatives, now - 0.2 * length, 0.4 * length)
        elif consonant < 0.6:
            _add_fricative(rng, fricatives, now + 0.02, 0.03)
        now += length
        left -= 1
        if left == 0:  # breathe
            voiced += [(now, 0.0), (now + 0.08, 0.0)]
            now, left = now + rng.uniform(0.15, 0.35), int(rng.integers(4, 9))
    times = np.arange(num) / dsp.FS
    envelope = np.interp(times, *zip(*voiced, (now, 0.0)))
    melody = np.interp(times, *zip(*accents))
    f0 = pitch * (1 + melody + 0.012 * dsp.wander(rng, num, 25)) * dsp.contour([1.08, 0.9], num)
    # airflow, and what the lips radiate of it
    glottis = lfilter([1.0], [1, -0.86], dsp.pulses(f0, num))
    breath = rng.uniform(0.02, 0.06)
    source = (glottis / np.std(glottis) + breath * dsp.noise(rng, num, low=1000)) * envelope
    moments = [moment for moment, _ in places]
    smooth = np.hanning(dsp.to_samples(0.06))
    smooth /= smooth.sum()
    tracks = []
    for index in range(3):
        line = np.interp(times, moments, [tract * vowel[index] for _, vowel in places])
        line = np.pad(line, len(smooth) // 2, mode="edge")
        tracks.append(np.convolve(line[: num + len(smooth) - 1], smooth, "valid"))
    tracks += [np.full(num, tract * 3400.0), np.full(num, tract * 4400.0)]
    sound = dsp.formant_filter(source, tracks, [70, 100, 140, 250, 350])
    return (sound / np.max(np.abs(sound)) + 0.12 * fricatives) * dsp.fade(num, 0.01, 0.03)


def _add_fricative(rng: np.random.Generator, out: np.ndarray, start: float, length: float) -> None:
    """Add a hissing consonant (s, sh, f) to ``out`` at ``start`` seconds, cut at its ends."""
    first, num = int(start * dsp.FS), dsp.to_samples(length)
    low = rng.choice([1800, 2800, 4000])
    hiss = (
        rng.uniform(0.4, 1.0)
        * dsp.noise(rng, num, low=low)
        * dsp.fade(num, 0.4 * length, 0.3 * length)
    )
    begin, end = max(0, first), min(len(out), first + num)
    if begin < end:
        out[begin:end] += hiss[begin - first : end - first]

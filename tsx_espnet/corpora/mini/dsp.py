"""Building blocks of the generated sounds: contours, sources, resonances. All at 16 kHz, mono."""

from typing import List, Optional, Sequence, Union

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import fftconvolve, lfilter

FS = 16000  # sampling rate, Hz
Curve = Union[float, np.ndarray]


def to_samples(seconds: float) -> int:
    """Number of samples, at least one.

    >>> to_samples(0.5)
    8000
    """
    return max(1, int(round(seconds * FS)))


def contour(
    values: Sequence[float], num: int, positions: Optional[Sequence[float]] = None
) -> np.ndarray:
    """Smooth curve of ``num`` samples through ``values`` (half a cosine from one to the next).

    Args:
        values: K >= 2 values.
        positions: where they lie, increasing from 0 to 1; evenly spaced by default.
    """
    knots = np.asarray(values, dtype=float)
    places = np.linspace(0, 1, len(knots)) if positions is None else np.asarray(positions, float)
    at = np.linspace(0, 1, num)
    left = np.clip(np.searchsorted(places, at, side="right") - 1, 0, len(knots) - 2)
    fraction = (at - places[left]) / (places[left + 1] - places[left])
    weight = 0.5 - 0.5 * np.cos(np.pi * np.clip(fraction, 0, 1))
    return knots[left] * (1 - weight) + knots[left + 1] * weight


def wander(rng: np.random.Generator, num: int, rate: float) -> np.ndarray:
    """Random smooth curve of about unit variance, changing ``rate`` times a second."""
    knots = max(2, int(np.ceil(num / FS * rate)) + 1)
    return contour(rng.standard_normal(knots), num)


def phase(frequency: Curve, num: int) -> np.ndarray:
    """Phase in radians, starting at 0, of an oscillator at ``frequency`` (Hz, number or curve)."""
    steps = np.broadcast_to(2 * np.pi * np.asarray(frequency, float) / FS, (num,))
    return np.cumsum(steps) - steps[0]


def tones(frequency: Curve, num: int, amplitudes: Sequence[float]) -> np.ndarray:
    """Sum of the harmonics 1, 2, ... of ``frequency`` in Hz; those above 7.6 kHz are left out."""
    angle = phase(frequency, num)
    top = np.max(frequency)
    sound = np.zeros(num)
    for order, amplitude in enumerate(amplitudes, start=1):
        if amplitude and order * top < 0.475 * FS:
            sound += amplitude * np.sin(order * angle)
    return sound


def pulses(frequency: Curve, num: int) -> np.ndarray:
    """Band-limited pulse train of unit power: all harmonics of ``frequency`` (Hz) equally strong.

    Closed form of sum_k cos(k a), k = 1 .. M (Dirichlet kernel).
    """
    half = phase(frequency, num) / 2
    count = max(1, int(0.47 * FS / np.max(frequency)))
    below = np.sin(half)
    singular = np.abs(below) < 1e-6
    train = np.sin((2 * count + 1) * half) / (2 * np.where(singular, 1.0, below)) - 0.5
    return np.where(singular, float(count), train) / np.sqrt(count / 2)


def noise(
    rng: np.random.Generator, num: int, low: float = 0.0, high: float = FS / 2, tilt: float = 0.0
) -> np.ndarray:
    """Gaussian noise of unit power between ``low`` and ``high`` Hz, ``tilt`` dB per octave."""
    length = next_fast_len(num, real=True)
    spectrum = rfft(rng.standard_normal(length))
    frequency = np.maximum(rfftfreq(length, 1 / FS), 20.0)
    gain = (frequency / 1000.0) ** (tilt / 6.02)
    # soft edges, half an octave wide: brick walls ring audibly
    if low > 0:
        gain = gain / np.sqrt(1 + (low / frequency) ** 8)
    if high < FS / 2:
        gain = gain / np.sqrt(1 + (frequency / high) ** 8)
    sound = irfft(spectrum * gain, length)[:num]
    return sound / np.sqrt(np.mean(sound**2) + 1e-20)


def resonate(sound: np.ndarray, frequency: float, bandwidth: float) -> np.ndarray:
    """Two-pole resonance of unit gain at ``frequency``, ``bandwidth`` wide at -3 dB (both Hz)."""
    radius = np.exp(-np.pi * bandwidth / FS)
    angle = 2 * np.pi * frequency / FS
    poles = [1.0, -2 * radius * np.cos(angle), radius**2]
    gain = (1 - radius) * np.sqrt(1 - 2 * radius * np.cos(2 * angle) + radius**2)
    return lfilter([gain], poles, sound)


def formant_filter(
    sound: np.ndarray, formants: Sequence[Curve], bandwidths: Sequence[float]
) -> np.ndarray:
    """Cascade of moving resonances, each of unit gain at 0 Hz, as in a vocal tract (Klatt, 1980).

    Args:
        sound: (T,)
        formants: a frequency in Hz for each resonance: a number, or a curve of T samples.
        bandwidths: -3 dB width of each, in Hz.

    Returns:
        (T,): frames of 32 ms, 8 ms apart, filtered in the frequency domain and added up.
    """
    size, hop, length = 512, 128, 1024
    num = len(sound)
    starts = np.arange(0, num + size - hop, hop)
    padded = np.concatenate([np.zeros(size - hop), sound, np.zeros(size)])
    frames = padded[starts[:, None] + np.arange(size)]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    spectra = rfft(frames * window, length, axis=1)
    delay = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)
    centres = np.clip(starts + size // 2 - (size - hop), 0, num - 1)
    for frequency, bandwidth in zip(formants, bandwidths):
        track = np.broadcast_to(np.asarray(frequency, float), (num,))[centres]
        radius = np.exp(-np.pi * bandwidth / FS)
        slope = 2 * radius * np.cos(2 * np.pi * track / FS)[:, None]
        response = 1 - slope * delay + radius**2 * delay**2
        spectra *= (1 - slope + radius**2) / response
    pieces = irfft(spectra, length, axis=1)
    out = np.zeros(starts[-1] + length + hop)
    blocks = out[: len(out) // hop * hop].reshape(-1, hop)
    rows = pieces.reshape(len(starts), length // hop, hop)
    for column in range(length // hop):
        blocks[column : column + len(starts)] += rows[:, column]
    return out[size - hop : size - hop + num] / 2  # windows a quarter apart add up to 2


def modes(
    num: int,
    frequencies: Sequence[float],
    decays: Sequence[float],
    amplitudes: Sequence[float],
) -> np.ndarray:
    """Struck body: sines (Hz) that fall by 1/e in ``decays`` seconds, all starting at phase 0."""
    seconds = np.arange(num) / FS
    sound = np.zeros(num)
    for frequency, decay, amplitude in zip(frequencies, decays, amplitudes):
        if frequency < 0.475 * FS:
            swing = np.sin(2 * np.pi * frequency * seconds)
            sound += amplitude * np.exp(-seconds / decay) * swing
    return sound


def fade(num: int, attack: float, release: float) -> np.ndarray:
    """Envelope of ones with half-cosine edges of ``attack`` and ``release`` seconds."""
    gain = np.ones(num)
    rise, fall = min(num, to_samples(attack)), min(num, to_samples(release))
    gain[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    gain[num - fall :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, fall + 1) / fall)
    return gain


def unit(sound: np.ndarray) -> np.ndarray:
    """``sound`` with peak 1."""
    return sound / (np.max(np.abs(sound)) + 1e-12)


def add_at(out: np.ndarray, seconds: float, sound: np.ndarray) -> None:
    """Add ``sound`` to ``out`` in place from ``seconds`` on; what reaches past the end is lost."""
    start = int(round(seconds * FS))
    num = min(len(sound), len(out) - start)
    if num > 0:
        out[start : start + num] += sound[:num]


def onsets(
    rng: np.random.Generator, seconds: float, gap: Sequence[float], first: float = 0.08
) -> List[float]:
    """Times in [0, seconds) of events ``gap[0]`` to ``gap[1]`` seconds apart."""
    times = [float(rng.uniform(0.01, first))]
    while times[-1] < seconds:
        times.append(times[-1] + float(rng.uniform(*gap)))
    return times[:-1]


def room(rng: np.random.Generator, sound: np.ndarray, seconds: float, level: float) -> np.ndarray:
    """``sound`` in a room: a tail of decaying noise (-60 dB after ``seconds``), same length.

    Args:
        level: amplitude of the tail's energy relative to the direct sound.
    """
    num = to_samples(seconds)
    tail = noise(rng, num, high=4000.0) * np.exp(-6.9 * np.arange(num) / num)
    tail *= level / np.sqrt(np.sum(tail**2))
    tail[0] += 1.0
    return fftconvolve(sound, tail)[: len(sound)]

"""Stationary noise: generated with a slope of the spectrum, or a recording repeated without clicks.

>>> noise = coloured_noise(seed=1, slope=-3.0, num_samples=8000, fs=8000)
>>> round(float(np.sqrt(np.mean(noise**2))), 4)
0.1
"""

import numpy as np

NOISE_LEVEL = 0.1  # RMS of generated noise re full scale
LOWEST = 50.0  # Hz; the spectrum is flat below, or a steep one would be rumble alone
FADE = 0.05  # s
_STEPS = 32768


def coloured_noise(seed: int, slope: float, num_samples: int, fs: int) -> np.ndarray:
    """Gaussian noise whose spectrum rises or falls by ``slope`` dB an octave, RMS ``NOISE_LEVEL``.

    Shape: (num_samples,) float32

    The samples are whole 16-bit steps, like those of a recording: what the last bit of a Fourier
    transform is on some machine does not reach them.

    Args:
        seed: of all that is random here.
        slope: 0 is white, -3 pink, -6 brown.
        num_samples: of the noise.
        fs: sampling rate in Hz.
    """
    frequency = np.fft.rfftfreq(num_samples, 1 / fs)
    shape = np.maximum(frequency, LOWEST) ** (slope / (20 * np.log10(2)))
    shape[0] = 0.0  # no mean
    spectrum = np.random.default_rng(seed).normal(size=2 * len(frequency)).view(np.complex128)
    spectrum *= shape
    noise = np.fft.irfft(spectrum, num_samples)
    power = np.dot(noise, noise) / num_samples
    noise *= NOISE_LEVEL * _STEPS / np.sqrt(power) if power > 0 else 0.0  # one sample is its mean
    return np.rint(noise, out=noise).astype(np.float32) / np.float32(_STEPS)


def looped(samples: np.ndarray, start: int, num_samples: int, fs: int) -> np.ndarray:
    """``num_samples`` of a recording that repeats for ever, from sample ``start`` on.

    Shape: samples (N,) -> (num_samples,)

    The end of one round is faded into the beginning of the next, 50 ms long (half of a shorter
    recording) and at equal power, so that neither a click nor a dip is heard.
    """
    fade = min(round(FADE * fs), len(samples) // 2)
    period = loop_length(len(samples), fs)
    body = samples[:period].copy()
    if fade:
        rising = ((np.arange(fade) + 0.5) / fade).astype(samples.dtype)
        body[:fade] = samples[:fade] * np.sqrt(rising) + samples[period:] * np.sqrt(1 - rising)
    return body[(start + np.arange(num_samples)) % period]


def loop_length(length: int, fs: int) -> int:
    """Samples after which a recording of ``length`` samples repeats in ``looped``.

    >>> loop_length(8000, fs=8000), loop_length(100, fs=8000)
    (7600, 50)
    """
    return length - min(round(FADE * fs), length // 2)

"""Energies of a clip over time, from which signal conditions are derived.

Harmonic and percussive energy come from median filtering of the spectrogram.

Reference: D. FitzGerald, "Harmonic/percussive separation using median filtering", DAFx 2010.
The masks are those of ``librosa.decompose.hpss``, whose median filters take 58 ms for three seconds
at 8 kHz. Concatenating all lines to one signal gives the same numbers in 5 ms, as SciPy >= 1.15 has
a fast median filter in one dimension only.
"""

import os
from pathlib import Path
from typing import Tuple

import numpy as np

from tsx_espnet.conditions import hop_length

FILE = "energies.f32"  # (F, 3) float32 of all clips of a set, in the order of their ids
FRAME_BYTES = 12
FULL_SCALE = 32768  # one 16-bit step is 1 / FULL_SCALE
WINDOW = 0.064  # s
KERNEL = 31  # frames (0.31 s) and bins (484 Hz)
BLOCK = 3000  # frames analysed at a time, which bounds the memory for long clips


def num_frames(num_samples: int, fs: int) -> int:
    """10 ms frames of a clip, the last one zero-padded."""
    return -(-num_samples // hop_length(fs))


def read_energies(path: Path, first: int, number: int) -> np.ndarray:
    """``number`` frames of a file of energies, from frame ``first`` on: (number, 3) float32.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it ends before.
    """
    if not os.path.isfile(path):  # a pipe would be waited for
        raise FileNotFoundError("no such file")
    with open(path, "rb") as stream:
        start, size = FRAME_BYTES * first, FRAME_BYTES * number
        found = os.fstat(stream.fileno()).st_size
        if start + size > found:
            raise ValueError(f"expected {start + size} bytes or more, found {found}")
        stream.seek(start)
        return np.frombuffer(stream.read(size), dtype="<f4").reshape(number, 3)


def clip_energies(samples: np.ndarray, fs: int) -> np.ndarray:
    """Total, harmonic and percussive energy of each 10 ms frame: (T,) int16 -> (F, 3) float32."""
    harmonic, percussive = hpss_energies(samples.astype(np.float32) / FULL_SCALE, fs)
    total = frame_energies(samples, fs)
    return np.stack([total, harmonic, percussive], axis=1).astype(np.float32)


def frame_energies(samples: np.ndarray, fs: int) -> np.ndarray:
    """Energy of each 10 ms frame, re full scale: the sum of squares of ``samples / 32768``.

    Args:
        samples: (T,) int16.

    Returns:
        (F,) float64 with F = ceil(T / hop_length(fs)); exact, and so is any sum of them.
    """
    frames = np.zeros((num_frames(len(samples), fs), hop_length(fs)), dtype=np.int64)
    frames.reshape(-1)[: len(samples)] = samples
    return (frames**2).sum(axis=1) / FULL_SCALE**2


def hpss_energies(audio: np.ndarray, fs: int) -> Tuple[np.ndarray, np.ndarray]:
    """Energies of the harmonic and the percussive component in each 10 ms frame.

    A 64 ms Hann window is centred on every frame. Soft masks ``H^2 / (H^2 + P^2)`` from the medians
    of the magnitudes along time (H) and along frequency (P) weight the spectrum; the energies are
    scaled such that white noise unmasked would give its energy in 10 ms.

    Args:
        audio: (T,) samples.
        fs: sampling rate in Hz.

    Returns:
        two arrays (F,) float64, F = ceil(T / hop_length(fs)).
    """
    from scipy.fft import rfft

    hop = hop_length(fs)
    size = 2 * round(WINDOW * fs / 2)
    frames_in_all = num_frames(len(audio), fs)
    padded = np.zeros((frames_in_all - 1) * hop + size, dtype=np.float32)
    start = (size - hop) // 2
    padded[start : start + len(audio)] = audio
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    scale = np.full(size // 2 + 1, 2 * hop / (size * np.sum(window**2, dtype=np.float64)))
    scale[[0, -1]] /= 2  # these two bins have no mirror image
    energies = np.empty((2, frames_in_all))
    half = KERNEL // 2
    for low in range(0, frames_in_all, BLOCK):
        high = min(low + BLOCK, frames_in_all)
        first, last = max(low - half, 0), min(high + half, frames_in_all)
        magnitude = np.abs(rfft(frames[first:last] * window))
        mask = soft_mask(magnitude)[low - first : high - first]
        magnitude = magnitude[low - first : high - first]
        energies[0, low:high] = (magnitude * mask) ** 2 @ scale
        energies[1, low:high] = (magnitude * (1 - mask)) ** 2 @ scale
    return energies[0], energies[1]


def soft_mask(magnitude: np.ndarray) -> np.ndarray:
    """Share of the harmonic component in each bin; the percussive one has the rest.

    Args:
        magnitude: (F, K) of F frames and K bins.

    Returns:
        (F, K) in [0, 1]; 0.5 where both medians are zero.
    """
    harmonic = _median(np.ascontiguousarray(magnitude.T)).T
    percussive = _median(magnitude)
    larger = np.maximum(harmonic, percussive)
    silent = larger < np.finfo(larger.dtype).tiny
    larger[silent] = 1
    harmonic = (harmonic / larger) ** 2
    percussive = (percussive / larger) ** 2
    harmonic[silent] = percussive[silent] = 1
    return harmonic / (harmonic + percussive)


def _median(lines: np.ndarray) -> np.ndarray:
    """Running median of each row, mirrored at its ends: (R, N) -> (R, N)."""
    from scipy.ndimage import median_filter

    half = KERNEL // 2
    padded = np.pad(lines, ((0, 0), (half, half)), mode="symmetric")
    return median_filter(padded.reshape(-1), size=KERNEL).reshape(padded.shape)[:, half:-half]

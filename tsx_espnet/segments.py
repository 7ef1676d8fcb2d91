"""Recordings of any length: worked on in segments that are faded into each other."""

from typing import Callable, Iterable, List

import numpy as np

SEGMENT = 20.0  # seconds
CROSSFADE = 1.0  # seconds
Progress = Callable[[List[int]], Iterable[int]]


def by_segments(
    samples: np.ndarray,
    fs: int,
    extract: Callable[[np.ndarray], np.ndarray],
    progress: Progress = lambda starts: starts,
) -> np.ndarray:
    """What ``extract`` makes of ``samples``, 20 s at a time, of which neighbours share one second.

    Shape: (T,) -> (T,)

    Args:
        fs: sampling rate in Hz.
        extract: (n,) -> (n,), for any n up to 20 s; its result is changed.
        progress: wraps the list of the first samples of the segments.
    """
    segment, fade = int(SEGMENT * fs), int(CROSSFADE * fs)
    target = np.zeros_like(samples)
    starts = list(range(0, max(1, len(samples) - fade), segment - fade))
    for start in progress(starts):
        estimate = extract(samples[start : start + segment])
        if start > 0:
            rise = np.linspace(0, 1, fade, dtype=np.float32)[: len(estimate)]
            estimate[:fade] *= rise
            target[start : start + fade] *= 1 - rise
        target[start : start + segment] += estimate
    return target

"""When each source of a mixture begins, in 10 ms frames."""

import numpy as np

from tsx_espnet.conditions import hop_length
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.refused import Refused


def draw_overlapping(
    rng: np.random.Generator, lengths: np.ndarray, num_frames: int, fs: int, config: MixingConfig
) -> np.ndarray:
    """Onsets of sounds that overlap the first one heard, which a draw decides on.

    The gap from the first onset to each other one is uniform over those that keep ``min_overlap``
    with the first (within ``onset_gap``, if given). Where there is room for all, the time of the
    first onset is uniform too; where there is not, the first starts the mixture.

    Shape: lengths (M,) of the spans -> (M,)

    Raises:
        Refused: if no gap fits.
    """
    first = int(rng.integers(len(lengths)))
    gaps = np.zeros(len(lengths), dtype=np.int64)
    for number in range(len(lengths)):
        if number != first:
            gaps[number] = _draw_gap(rng, lengths[first], lengths[number], num_frames, fs, config)
    room = max(0, num_frames - int((gaps + lengths).max()))
    return rng.integers(room + 1) + gaps


def draw_uniform(rng: np.random.Generator, lengths: np.ndarray, num_frames: int) -> np.ndarray:
    """Offsets of crops at any time of the mixture, each by itself, none cut: (M,) -> (M,)."""
    return rng.integers(num_frames - lengths + 1)


def _draw_gap(
    rng: np.random.Generator,
    one: int,
    two: int,
    num_frames: int,
    fs: int,
    config: MixingConfig,
) -> int:
    low, high = 0, int(one - np.ceil(config.min_overlap * min(one, two) - 1e-9))
    if config.onset_gap is not None:
        gap = np.array(config.onset_gap) * fs / hop_length(fs)
        low, high = int(np.ceil(gap[0] - 1e-6)), min(high, int(gap[1] + 1e-6))
    high = min(high, num_frames - 1)
    if low > high:
        raise Refused("no onset gap keeps the overlap")
    return int(rng.integers(low, high + 1))

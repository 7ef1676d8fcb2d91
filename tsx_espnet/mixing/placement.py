"""Which part of a clip is heard, where in the mixture it goes, and how loud.

All of it happens on the grid of 10 ms frames, from the energies stored with each clip, so that
levels are exact sums and no audio is read.

The span of a source runs from its first to its last sounding frame (``condition.sounding``), and

    overlap = |span of one and span of the other, in the mixture| / min(span lengths as drawn)

where "as drawn" is before the end of the mixture cuts the tail of the later source. So two sources
that sound throughout, of which the later one is shifted by a fraction r, overlap by 1 - r, which is
how [OCT] Sec. 3.1 counts; silence inside the crops does not count as overlap at either end.
"""

from typing import NamedTuple, Tuple

import numpy as np

from tsx_espnet.condition import hop_length, sounding
from tsx_espnet.mixing.config import MixingConfig


class Refused(Exception):
    """This draw does not make a mixture; the message is the reason, for counting."""


class Layout(NamedTuple):
    """Two sources in a mixture of F frames.

    Shape: first, length, offset (2,) in frames; gains (2,); tracks (2, F, 3), gains applied
    """

    first: np.ndarray
    length: np.ndarray
    offset: np.ndarray
    gains: np.ndarray
    tracks: np.ndarray
    overlap: float


def draw_crop(
    rng: np.random.Generator, energies: np.ndarray, fs: int, num_frames: int, min_sounding: float
) -> Tuple[int, int]:
    """First frame and length of a crop, all those that sound for ``min_sounding`` s equally likely.

    Sounding is meant relative to the clip's loudest frame here: background noise between two calls
    is not a call.

    Raises:
        Refused: if the clip has no such crop.
    """
    length = min(num_frames, len(energies))
    heard = np.concatenate(([0], np.cumsum(sounding(energies[:, 0], fs))))
    enough = heard[length:] - heard[: len(heard) - length] >= _frames(min_sounding, fs)
    starts = np.flatnonzero(enough)
    if not starts.size:
        raise Refused("silent crop")
    return int(starts[rng.integers(starts.size)]), length


def lay_out(
    rng: np.random.Generator,
    crops: Tuple[np.ndarray, np.ndarray],
    fs: int,
    config: MixingConfig,
) -> Layout:
    """Place two crops and set their gains. Coins say which is first and which is louder.

    The gap between the onsets is uniform over those that keep ``min_overlap`` (within
    ``onset_gap``, if given). Where there is room for both, the time of the first onset is uniform
    too; where there is not, the first starts the mixture and the other's tail is cut.

    Shape: crops, twice (n, 3), energies as recorded

    Raises:
        Refused: if no gap fits, or too little is left to be heard after the cut.
    """
    num_frames = config.num_frames(fs)
    power = 10 ** (config.level / 10) * num_frames * hop_length(fs)
    spans = np.array([_span(crop, power / 2, fs) for crop in crops])
    onsets = _draw_onsets(rng, spans, num_frames, fs, config)
    # A crop may start before the mixture does: what is cut there does not sound.
    shift = onsets - spans[:, 0]
    first, offset = np.maximum(-shift, 0), np.maximum(shift, 0)
    length = np.minimum([len(crop) for crop in crops] - first, num_frames - offset)
    tracks = np.zeros((2, num_frames, 3))
    for track, crop, f, o, n in zip(tracks, crops, first, offset, length):
        track[o : o + n] = crop[f : f + n]
    gains = _draw_gains(rng, tracks[..., 0].sum(axis=1), power, config)
    tracks *= gains[:, None, None] ** 2
    overlap = _check_heard(tracks, spans[:, 1] - spans[:, 0], fs, config)
    return Layout(first, length, offset, gains, tracks, overlap)


def _frames(seconds: float, fs: int) -> int:
    """Fewest frames that last at least this long, at least one."""
    return max(1, int(np.ceil(seconds * fs / hop_length(fs) - 1e-6)))


def _span(crop: np.ndarray, power: float, fs: int) -> Tuple[int, int]:
    """First sounding frame and the one after the last, of a crop brought to about its final level.

    Raises:
        Refused: if nothing sounds.
    """
    energy = crop[:, 0].astype(np.float64)
    heard = np.flatnonzero(sounding(energy * (power / max(energy.sum(), 1e-30)), fs))
    if not heard.size:
        raise Refused("silent crop")
    return int(heard[0]), int(heard[-1]) + 1


def _draw_onsets(
    rng: np.random.Generator, spans: np.ndarray, num_frames: int, fs: int, config: MixingConfig
) -> np.ndarray:
    earlier = int(rng.integers(2))
    lengths = spans[:, 1] - spans[:, 0]
    one, two = lengths[earlier], lengths[1 - earlier]
    low, high = 0, int(one - np.ceil(config.min_overlap * min(one, two) - 1e-9))
    if config.onset_gap is not None:
        gap = np.array(config.onset_gap) * fs / hop_length(fs)
        low, high = int(np.ceil(gap[0] - 1e-6)), min(high, int(gap[1] + 1e-6))
    high = min(high, num_frames - 1)
    if low > high:
        raise Refused("no onset gap keeps the overlap")
    between = int(rng.integers(low, high + 1))
    room = max(0, num_frames - max(one, between + two))
    onsets = np.full(2, rng.integers(room + 1))
    onsets[1 - earlier] += between
    return onsets


def _draw_gains(
    rng: np.random.Generator, energy: np.ndarray, power: float, config: MixingConfig
) -> np.ndarray:
    """Gains that give the level difference exactly, and the mixture's level up to the cross term.

    Shape: energy (2,) as recorded -> (2,)

    The RMS level of the mixture is ``config.level`` if the sources are uncorrelated, as sounds of
    different origin nearly are.
    """
    difference = rng.uniform(*config.snr) * (1 if rng.integers(2) else -1)
    if not np.all(energy > 0):
        raise Refused("silent after the tail cut")
    share = np.array([1.0, 10 ** (-difference / 10)])
    return np.sqrt(power * share / share.sum() / energy)


def _check_heard(tracks: np.ndarray, lengths: np.ndarray, fs: int, config: MixingConfig) -> float:
    """Overlap of what is heard in the end; the tail cut may have taken the loud part of a source.

    Raises:
        Refused: if it is under ``min_overlap``, the onsets are not ``onset_gap`` apart, or a source
            sounds for less than ``min_sounding``.
    """
    heard = sounding(tracks[..., 0], fs)
    if np.any(heard.sum(axis=1) < _frames(config.min_sounding, fs)):
        raise Refused("silent after the tail cut")
    begin = heard.argmax(axis=1)
    end = heard.shape[1] - heard[:, ::-1].argmax(axis=1)
    common = max(0, end.min() - begin.max())
    # the -60 dB floor can let a frame more be heard at the final level than when it was drawn
    overlap = common / np.maximum(lengths, end - begin).min()
    if overlap < config.min_overlap - 1e-9:
        raise Refused("overlap lost in the tail cut")
    if config.onset_gap is not None:
        gap = abs(begin[0] - begin[1]) * hop_length(fs) / fs
        if not config.onset_gap[0] - 1e-6 <= gap <= config.onset_gap[1] + 1e-6:
            raise Refused("onset moved by the tail cut")
    return float(overlap)

"""Where in the mixture a crop goes, and how loud.

All of it happens on the grid of 10 ms frames, from the energies stored with each clip, so that
levels are exact sums and no audio is read.

The span of a source runs from its first to its last sounding frame (``conditions.sounding``), and

    overlap = |span of one and span of the other, in the mixture| / min(span lengths as drawn)

where "as drawn" is before the end of the mixture cuts the tail of the later source. So two sources
that sound throughout, of which the later one is shifted by a fraction r, overlap by 1 - r, which is
how [OCT] Sec. 3.1 counts; silence inside the crops does not count as overlap at either end. Of more
than two sources, the overlap is that of the two which overlap least.

The level of each further source relative to the first one is uniform in ``snr``, a coin says which
of the two is louder, and the background lies ``background.snr`` below all sources together.

With ``snr: null`` every source lies ``background.snr`` above the background, drawn for each by
itself, over the time of its own crop: this is how Scaper, by which the mixtures of [SoundBeam]
Sec. 5.1 were made, understands an SNR. The paper leaves open how the levels of its sources were
drawn. Scaper measures loudness (LUFS), here it is the energy.
"""

from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.conditions import hop_length, sounding
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.crop import Refused, frames_of


class Layout(NamedTuple):
    """M sources in a mixture of F frames.

    Shape: first, length, offset (M,) in frames; gains (M,); tracks (M, F, 3), gains applied
    """

    first: np.ndarray
    length: np.ndarray
    offset: np.ndarray
    gains: np.ndarray
    noise_gain: float
    tracks: np.ndarray
    overlap: Optional[float]


def lay_out(
    rng: np.random.Generator,
    crops: Sequence[np.ndarray],
    fs: int,
    config: MixingConfig,
    noise_energy: Optional[float] = None,
) -> Layout:
    """Place crops and set their gains.

    Shape: crops, M times (n, 3), energies as recorded

    Args:
        noise_energy: of the background at gain 1, if there is one.

    Raises:
        Refused: if the sources cannot overlap so, or too little is left to be heard after the cut.
    """
    num_frames = config.num_frames(fs)
    power = 10 ** (config.level / 10) * num_frames * hop_length(fs)
    spans = np.array([_span(crop, power / len(crops), fs) for crop in crops])
    lengths = spans[:, 1] - spans[:, 0]
    sizes = np.array([len(crop) for crop in crops])
    if config.placement == "uniform":
        shift = rng.integers(num_frames - sizes + 1)  # each by itself, none cut
    else:
        # A crop may start before the mixture does: what is cut there does not sound.
        shift = _draw_onsets(rng, lengths, num_frames, fs, config) - spans[:, 0]
    first, offset = np.maximum(-shift, 0), np.maximum(shift, 0)
    length = np.minimum(sizes - first, num_frames - offset)
    tracks = np.zeros((len(crops), num_frames, 3))
    for track, crop, f, o, n in zip(tracks, crops, first, offset, length):
        track[o : o + n] = crop[f : f + n]
    energy = tracks[..., 0].sum(axis=1)
    gains, noise_gain = _draw_gains(rng, energy, length, num_frames, power, config, noise_energy)
    tracks *= gains[:, None, None] ** 2
    overlap = _check_heard(tracks, lengths, fs, config)
    return Layout(first, length, offset, gains, noise_gain, tracks, overlap)


def _draw_onsets(
    rng: np.random.Generator, lengths: np.ndarray, num_frames: int, fs: int, config: MixingConfig
) -> np.ndarray:
    """Onsets of sounds that overlap the first one heard; a draw decides which that is.

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


def _draw_gains(
    rng: np.random.Generator,
    energy: np.ndarray,
    length: np.ndarray,
    num_frames: int,
    power: float,
    config: MixingConfig,
    noise_energy: Optional[float] = None,
) -> Tuple[np.ndarray, float]:
    """Gains of the sources, (M,), and of the background, 0 without one.

    Level differences are exact; the RMS level of the mixture is ``config.level`` if its parts are
    uncorrelated, as sounds of different origin nearly are.

    Shape: energy (M,) as recorded, length (M,) in frames -> (M,)

    Args:
        energy, length: of the crops, as they lie in the mixture of ``num_frames`` frames.
        power: energy of the mixture.
        noise_energy: of the background at gain 1.

    Raises:
        Refused: if a source or the background is silent.
    """
    if config.snr is None:
        over = np.array([rng.uniform(*config.background.snr) for _ in energy])
        share, noise_share = length / num_frames * 10 ** (over / 10), 1.0
    else:
        share, noise_share = _draw_shares(rng, len(energy), config), 0.0
        if noise_energy is not None:
            noise_share = share.sum() * 10 ** (-rng.uniform(*config.background.snr) / 10)
    if not np.all(energy > 0):
        raise Refused("silent after the tail cut")
    if noise_energy is not None and not noise_energy > 0:
        raise Refused("silent background")
    total = share.sum() + noise_share
    background = 0.0
    if noise_energy is not None:
        background = float(np.sqrt(power * noise_share / total / noise_energy))
    return np.sqrt(power * share / total / energy), background


def _draw_shares(rng: np.random.Generator, number: int, config: MixingConfig) -> np.ndarray:
    """Energies relative to that of the first source, (M,)."""
    share = [1.0]
    for _ in range(number - 1):
        difference = rng.uniform(*config.snr) * (1 if rng.integers(2) else -1)
        share.append(10 ** (-difference / 10))
    return np.array(share)


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


def _check_heard(
    tracks: np.ndarray, lengths: np.ndarray, fs: int, config: MixingConfig
) -> Optional[float]:
    """Overlap of what is heard in the end; the tail cut may have taken the loud part of a source.

    None of a single source.

    Raises:
        Refused: if a source sounds for less than ``min_sounding``, sources overlap by less than
            ``min_overlap``, or their onsets are not ``onset_gap`` apart.
    """
    heard = sounding(tracks[..., 0], fs)
    if np.any(heard.sum(axis=1) < frames_of(config.min_sounding, fs)):
        raise Refused("silent after the tail cut")
    begin = heard.argmax(axis=1)
    end = heard.shape[1] - heard[:, ::-1].argmax(axis=1)
    # the -60 dB floor can let a frame more be heard at the final level than when it was drawn
    lengths = np.maximum(lengths, end - begin)
    if len(tracks) == 1:
        return None
    overlap = min(
        max(0, min(end[m], end[n]) - max(begin[m], begin[n])) / min(lengths[m], lengths[n])
        for m in range(len(begin))
        for n in range(m)
    )
    if config.placement == "overlap":
        if overlap < config.min_overlap - 1e-9:
            raise Refused("too little overlap")
        _check_gap(begin, fs, config)
    return float(overlap)


def _check_gap(begin: np.ndarray, fs: int, config: MixingConfig) -> None:
    if config.onset_gap is None:
        return
    gaps = np.sort(begin - begin.min())[1:] * hop_length(fs) / fs
    low, high = config.onset_gap
    if not np.all((low - 1e-6 <= gaps) & (gaps <= high + 1e-6)):
        raise Refused("onset moved by the tail cut")

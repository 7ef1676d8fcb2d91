"""Which part of a clip is heard in a mixture, and which part is left for its enrollment.

All of it happens on the grid of 10 ms frames, from the energies stored with each clip, so that no
audio is read.
"""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import hop_length, sounding
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.elements import Placement

Region = Tuple[int, int]  # first frame, and the one after the last


class Refused(Exception):
    """Why a draw makes no mixture; another one is tried, and reasons are counted."""


class Crop(NamedTuple):
    """What is heard of a clip, before it is placed in a mixture.

    ``track`` are its energies, (n, 3) from frame ``start`` on; ``rest`` is the region that its
    enrollment is taken from, if that is of the same clip.
    """

    clip: str
    label: str
    labels: Tuple[str, ...]
    start: int
    track: np.ndarray
    rest: Optional[Region] = None

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        clips: ClipSet,
        clip: str,
        label: str,
        labels: Tuple[str, ...],
        config: MixingConfig,
        split: bool = False,
    ) -> "Crop":
        """Draw a crop of a clip that is wanted for ``label``, if for any.

        Args:
            labels: of the clip.
            split: leave a part of the clip to its enrollment.

        Raises:
            Refused: if the clip has no such crop.
        """
        fs, energies = clips.fs, clips.energies(clip)
        region, rest = split_clip(rng, energies, fs, config) if split else (None, None)
        num_frames, duration = config.num_frames(fs), config.clip_duration
        start, length = draw_crop(
            rng, energies, fs, num_frames, config.min_sounding, duration, region
        )
        track = energies[start : start + length]
        return cls(clip, label or next(iter(labels), ""), labels, start, track, rest)

    def place(
        self, clips: ClipSet, first: int, length: int, offset: int, gain: float
    ) -> Placement:
        """``length`` frames from frame ``first`` of the crop, at frame ``offset`` of a mixture."""
        start = int(self.start + first) * clips.hop
        # the last frame of a clip may be a short one
        samples = min(int(length) * clips.hop, clips.num_samples(self.clip) - start)
        offset = int(offset) * clips.hop
        return Placement(self.clip, self.label, self.labels, start, samples, offset, float(gain))


def draw_crop(
    rng: np.random.Generator,
    energies: np.ndarray,
    fs: int,
    num_frames: int,
    min_sounding: float,
    duration: Optional[Tuple[float, float]] = None,
    region: Optional[Region] = None,
) -> Tuple[int, int]:
    """First frame and length of a crop, uniform over those that sound for ``min_sounding`` s.

    Sounding is relative to the clip's loudest frame: background noise between two calls is not a
    call. The length is uniform within ``duration``, in seconds, or that of the ``region`` (by
    default the whole clip), and at most ``num_frames``.

    Raises:
        Refused: if the clip has no such crop.
    """
    begin, end = region or (0, len(energies))
    length = min(num_frames, end - begin)
    if duration is not None:
        low, high = (round(bound * fs / hop_length(fs)) for bound in duration)
        length = min(length, int(rng.integers(low, high + 1)))
    heard = np.concatenate(([0], np.cumsum(sounding(energies[:, 0], fs))))
    heard = heard[begin : end + 1]
    enough = heard[length:] - heard[: len(heard) - length] >= frames_of(min_sounding, fs)
    starts = begin + np.flatnonzero(enough)
    if not starts.size:
        raise Refused("silent crop")
    return int(starts[rng.integers(starts.size)]), length


def split_clip(
    rng: np.random.Generator, energies: np.ndarray, fs: int, config: MixingConfig
) -> Tuple[Region, Region]:
    """Cut a clip in two: what the source is taken from, and what the enrollment is taken from.

    Each sounds for ``min_sounding`` or more. Which of them comes first is drawn, and so is the
    place of the cut: anywhere that leaves a whole source and a whole enrollment, or, in a clip too
    short for both, where their lengths have the same ratio.

    Shape: energies (F, 3), of the whole clip

    Raises:
        Refused: if the clip does not sound long enough for two.
    """
    size = len(energies)
    heard = np.concatenate(([0], np.cumsum(sounding(energies[:, 0], fs))))
    least = frames_of(config.min_sounding, fs)
    cuts = np.flatnonzero((heard >= least) & (heard[-1] - heard >= least))
    if not cuts.size:
        raise Refused("too short to be cut in two")
    longest = config.clip_duration[1] if config.clip_duration else config.duration
    source = min(frames_of(longest, fs), config.num_frames(fs))
    sizes = [source, frames_of(config.enrollment_duration, fs)]
    source_first = bool(rng.integers(2))
    before, after = sizes if source_first else sizes[::-1]
    low, high = before, size - after
    if low > high:
        low = high = round(size * before / (before + after))
    low, high = np.clip((low, high), cuts[0], cuts[-1])
    cut = int(rng.integers(low, high + 1))
    parts = (0, cut), (cut, size)
    return parts if source_first else parts[::-1]


def frames_of(seconds: float, fs: int) -> int:
    """Frames that cover ``seconds``, at least one."""
    return max(1, int(np.ceil(seconds * fs / hop_length(fs) - 1e-6)))

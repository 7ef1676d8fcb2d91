"""Recordings of any length in constant memory: segments, cross-faded."""

from typing import Callable, Iterable, Iterator, List, Optional, Tuple

import numpy as np
import soxr

from tsx_espnet.errors import TSXError

SEGMENT = 20.0  # seconds
CROSSFADE = 1.0  # seconds
Progress = Callable[[List[int]], Iterable[int]]


def lengths(fs: int) -> Tuple[int, int]:
    """Samples of a segment, and of what it shares with the next one, at ``fs`` Hz."""
    return int(SEGMENT * fs), int(CROSSFADE * fs)


class RecordingInSegments:
    """One recording passing through a model: resampled, and cut into segments.

    Neighbouring segments of 20 s share one second, over which one is faded into the next.

    Args:
        extract: (n, C) -> (n, K), K signals from a segment, for any n up to 20 s at the model's
            rate; called for one segment after the other.
        split: (m, C) of the mixture and (m, K) of these signals, at its rate -> its parts, (m, C)
            each.
        model_fs: the model's rate in Hz.
        fs: the recording's.
        channels: C.
        signals: K; by default C.
    """

    def __init__(
        self,
        extract: Callable[[np.ndarray], np.ndarray],
        split: Callable[[np.ndarray, np.ndarray], Tuple[np.ndarray, ...]],
        model_fs: int,
        fs: float,
        channels: int,
        signals: Optional[int] = None,
    ):
        self.extract, self.split = extract, split
        self.segment, self.fade = lengths(model_fs)
        signals = channels if signals is None else signals
        self.resample = fs != model_fs
        if self.resample:
            self.down = soxr.ResampleStream(fs, model_fs, channels, dtype="float32")
            self.up = soxr.ResampleStream(model_fs, fs, signals, dtype="float32")
        self.mixture = np.zeros((0, channels), dtype=np.float32)  # at fs, not given back yet
        self.heard = self.mixture  # at the model's rate, not extracted yet
        self.signals = self.nothing = np.zeros((0, signals), dtype=np.float32)  # as the mixture
        self.tail: Optional[np.ndarray] = None  # to be faded into the next segment

    def push(
        self, block: np.ndarray, last: bool = False, progress: Progress = lambda starts: starts
    ) -> Tuple[np.ndarray, ...]:
        """As much of all parts as is ready: (n, C) -> (m, C) each."""
        self.mixture = _join(self.mixture, block)
        heard = self.down.resample_chunk(block, last) if self.resample else block
        signals = self._segments(heard, last, progress)
        if self.resample:
            signals = self.up.resample_chunk(signals, last)
        signals = _join(self.signals, signals)
        ready = len(self.mixture) if last else min(len(self.mixture), len(signals))
        mixture, self.mixture = self.mixture[:ready], self.mixture[ready:]
        self.signals = signals[ready:]
        missing = max(0, ready - len(signals))  # resampling may round down
        padding = np.zeros((missing, signals.shape[1]), dtype=np.float32)
        return self.split(mixture, _join(signals[:ready], padding))

    def _segments(self, heard: np.ndarray, last: bool, progress: Progress) -> np.ndarray:
        heard = _join(self.heard, heard)
        if last and not len(heard):  # shorter than one sample at the model's rate
            return self.nothing
        # a segment that is not the last one has a successor, which needs more than the fade
        end = max(1, len(heard) - self.fade) if last else max(0, len(heard) - self.segment)
        hop = self.segment - self.fade
        starts = list(range(0, end, hop))
        self.heard = heard[len(starts) * hop :]
        found = [self.nothing]
        for start in progress(starts) if starts else ():
            signals = self.extract(heard[start : start + self.segment]) + 0.0
            if self.tail is not None:
                rise = np.linspace(0, 1, self.fade, dtype=np.float32)[:, None]
                signals[: self.fade] = self.tail * (1 - rise) + signals[: self.fade] * rise
            self.tail = signals[hop:]
            found.append(signals if last and start == starts[-1] else signals[:hop])
        return np.concatenate(found)


class TargetInSegments(RecordingInSegments):
    """A recording from which one sound is extracted: the parts are target and rest.

    Args:
        extract: (n,) -> (n,), applied to each channel.
        model_fs, fs, channels: as above.
        negative: what is extracted is the rest.
    """

    def __init__(
        self,
        extract: Callable[[np.ndarray], np.ndarray],
        model_fs: int,
        fs: float,
        channels: int,
        negative: bool = False,
    ):
        def extract_all(part: np.ndarray) -> np.ndarray:
            return np.stack([extract(channel) for channel in part.T], axis=1)

        def split(mixture: np.ndarray, target: np.ndarray) -> Tuple[np.ndarray, ...]:
            parts = target, mixture - target
            return parts[::-1] if negative else parts

        super().__init__(extract_all, split, model_fs, fs, channels)


def in_blocks(
    blocks: Iterable[np.ndarray], fs: float, start: Callable[[int], RecordingInSegments]
) -> Iterator[Tuple[np.ndarray, ...]]:
    """The parts of a recording of blocks (n,) or (n, channels), as soon as they are ready.

    Args:
        start: the number of channels -> the recording.

    Shape:
        (m,) or (m, channels) each part

    Raises:
        TSXError: for a block that ``check_mixture`` refuses or of another shape than the first, or
            no samples at all.
    """
    recording, shape, gathered = None, (), []
    for block in blocks:
        block = np.asarray(block)
        if block.ndim and not len(block):
            continue
        block = check_mixture(block, fs)
        if recording is None:
            shape = block.shape[1:]
            recording = start(block[0].size)
        if block.shape[1:] != shape:
            wanted = f"(n, {shape[0]})" if shape else "(n,)"
            raise TSXError(f"mixture: expected blocks of shape {wanted}, found {block.shape}")
        gathered.append(block.reshape(len(block), -1))
        if sum(map(len, gathered)) >= fs:  # a second at a time, however small the blocks
            parts = recording.push(np.concatenate(gathered))
            gathered = []
            if len(parts[0]):
                yield tuple(part.reshape(-1, *shape) for part in parts)
    if recording is None:
        check_mixture(np.zeros(0), fs)  # raises
    parts = recording.push(np.concatenate(gathered or [parts[0][:0]]), last=True)
    yield tuple(part.reshape(-1, *shape) for part in parts)


def check_mixture(mixture: np.ndarray, fs: float) -> np.ndarray:
    """The mixture as float32 (T,) or (T, channels).

    Raises:
        TSXError: saying what is wrong with it.
    """
    mixture = np.asarray(mixture)
    if mixture.dtype.kind != "f" or mixture.ndim not in (1, 2) or mixture.size == 0:
        raise TSXError(
            "mixture: expected floating point samples of shape (T,) or (T, channels), "
            f"found {mixture.dtype} {mixture.shape}"
        )
    with np.errstate(over="ignore"):
        mixture = mixture.astype(np.float32)
    if not np.isfinite(mixture).all():
        raise TSXError("mixture: found NaN or infinite samples")
    if not 0 < fs < np.inf:
        raise TSXError(f"fs: expected a sampling rate in Hz, found {fs}")
    return mixture


def _join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One after the other, without a copy where one of them is empty: they may be long."""
    if not len(first) or not len(second):
        return first if len(first) else second
    return np.concatenate([first, second])

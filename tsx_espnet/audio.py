"""Audio files: read and checked in one place, written whole or not at all.

Files are read block by block: a header may promise more than there is. libsndfile writes the time
of day into float files (their PEAK chunk), so the same audio never gives the same file twice;
``write_float_wav`` leaves that out.
"""

import contextlib
import os
import struct
from typing import IO, Callable, Iterator, Optional, Tuple

import numpy as np
import soundfile
import soxr

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, atomic_write

HEADER_BYTES = 58  # of a float WAV, before its samples
MIN_RATE, MAX_RATE = 1000, 768000  # Hz; anything else is a corrupt header
STREAMED = 0x7FFF0000  # a RIFF size from here on means "unknown" (written to a pipe)
BLOCK = 2**18  # samples, over all channels
LONGEST = 2**30  # samples; a few kB of FLAC can hold as many
# what soundfile raises: RuntimeErrors of its own, and TypeError for a name that ends in .raw
_UNREADABLE = (RuntimeError, TypeError, ValueError, OSError, MemoryError)


class AudioError(TSXError):
    """What is wrong with a recording.

    Attributes:
        kind: in a word or two: missing, empty, truncated, unreadable, too long, not finite, other.
    """

    def __init__(self, path: PathLike, kind: str, reason: str):
        super().__init__(f"{path}: {reason}")
        self.kind = kind


class AudioFile:
    """A recording that is open for reading; a context manager.

    Attributes:
        fs: its rate in Hz.
        channels: how many.
        frames: samples of each channel, by the header; 0 if unknown.

    Raises:
        AudioError: if there is no such file (pipes do not count), or it cannot be read.
    """

    def __init__(self, path: PathLike):
        self.path = path
        if not os.path.isfile(path):
            raise self._fault("unreadable" if os.path.exists(path) else "missing", "no such file")
        try:
            if os.path.getsize(path) == 0:
                raise self._fault("empty", "has 0 bytes")
            self._file = soundfile.SoundFile(str(path))
        except _UNREADABLE as error:
            raise self._unreadable(error) from None
        self.fs: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int = self._file.frames if self._file.frames < 2**62 else 0
        self._block_length = max(1, BLOCK // self.channels)

    def __enter__(self) -> "AudioFile":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def read(self, start: int, length: int) -> np.ndarray:
        """At most ``length`` samples from ``start`` on: (T,) float32, or (T, channels)."""
        try:
            self._file.seek(start)
            return self._file.read(length, dtype="float32")
        except _UNREADABLE as error:
            raise self._unreadable(error) from None

    @property
    def num_blocks(self) -> int:
        """Number of ``blocks``, by the header; 0 if unknown."""
        return -(-self.frames // self._block_length)

    def blocks(self, dtype: str = "float32", whole: bool = False) -> Iterator[np.ndarray]:
        """The rest of the file in blocks, the last one shorter.

        Shape: (N, channels) each

        Args:
            whole: refuse a file that ends before its header says.

        Raises:
            AudioError: if it cannot be read, or holds NaN or infinity.
        """
        if whole:
            self.check_length()
        found = 0
        while True:
            try:
                block = self._file.read(self._block_length, dtype=dtype, always_2d=True)
            except _UNREADABLE as error:
                raise self._unreadable(error, f" beyond sample {found}") from None
            if not len(block):
                break
            bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
            if bad.size:
                first = f"first at {found + bad[0]}"
                raise self._fault("not finite", f"{bad.size} samples are NaN or infinite ({first})")
            found += len(block)
            yield block
        if whole and found < self.frames:
            raise self._fault("truncated", f"truncated, it has {found} of {self.frames} samples")
        if whole and not found:
            raise self._fault("empty", "holds no samples")

    def check(self, fs: Optional[int], channels: Optional[int]) -> None:
        """Raise ``AudioError`` for another rate than ``fs`` Hz, or another number of channels."""
        if fs not in (None, self.fs):
            raise self._fault("other", f"expected {fs} Hz, found {self.fs} Hz")
        if channels not in (None, self.channels):
            expected = "1 channel" if channels == 1 else f"{channels} channels"
            raise self._fault("other", f"expected {expected}, found {self.channels}")

    def check_length(self) -> None:
        """Raise ``AudioError`` for a WAV of fewer bytes than it says; libsndfile would not."""
        with open(self.path, "rb") as stream:
            head = stream.read(12)
            size = os.fstat(stream.fileno()).st_size
        declared = int.from_bytes(head[4:8], "little") + 8
        if head[:4] == b"RIFF" and size + 8 < declared < STREAMED:
            raise self._fault("truncated", f"truncated, it has {size} of {declared} bytes")

    def _unreadable(self, error: Exception, where: str = "") -> AudioError:
        return self._fault("unreadable", f"cannot be read{where}: {' '.join(str(error).split())}")

    def _fault(self, kind: str, reason: str) -> AudioError:
        return AudioError(self.path, kind, reason)


def read_audio(
    path: PathLike,
    fs: Optional[int] = None,
    length: Optional[int] = None,
    dtype: str = "float32",
    average: bool = False,
    channels: Optional[int] = None,
) -> Tuple[np.ndarray, int]:
    """A whole recording: (T,) samples, or (T, channels), and its rate in Hz.

    Args:
        fs: the rate that is expected, in Hz.
        length: the number of samples that is expected.
        dtype: of the result.
        average: the mean of its channels, however many there are.
        channels: the number of channels that is expected and given back; None: one, as (T,).

    Raises:
        AudioError: if it is missing, cannot be read, ends early, holds no samples, NaN or infinity,
            or is not what is expected.
    """
    with AudioFile(path) as audio:
        audio.check_length()
        if not MIN_RATE <= audio.fs <= MAX_RATE:
            raise AudioError(path, "unreadable", f"its header says {audio.fs} Hz")
        audio.check(fs, None if average else channels or 1)
        parts, total = [], 0
        for block in audio.blocks(dtype="float32" if average else dtype):
            parts.append(block.mean(axis=1, keepdims=True, dtype=dtype) if average else block)
            total += len(block)
            if total > LONGEST:
                raise AudioError(path, "too long", f"has more than {LONGEST} samples")
    if not total:
        raise AudioError(path, "empty", "holds no samples")
    if length is not None and total != length:
        raise AudioError(path, "other", f"expected {length} samples, found {total}")
    samples = np.concatenate(parts)
    return (samples[:, 0] if channels is None else samples), audio.fs


def audio_length(path: PathLike, fs: int) -> int:
    """Samples of a mono recording at ``fs`` Hz, by its header.

    Raises:
        AudioError: if it cannot be read, has no samples, or is not what is expected.
    """
    with AudioFile(path) as audio:
        audio.check(fs, channels=1)
        if audio.frames == 0:
            raise AudioError(path, "empty", "holds no samples")
        return audio.frames


def read_recording(path: PathLike, fs: Optional[int] = None) -> np.ndarray:
    """A recording of any rate and number of channels: their mean, at ``fs`` Hz, (T,) float32.

    Raises:
        AudioError: as ``read_audio``.
    """
    samples, rate = read_audio(path, average=True)
    return samples if fs in (None, rate) else soxr.resample(samples, rate, fs)


def wav_bytes(samples: np.ndarray, fs: int) -> bytes:
    """A 32-bit float WAV file.

    Shape: samples (T,) -> 58 + 4 T bytes, or (T, C) -> 58 + 4 T C bytes
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    data = np.ascontiguousarray(samples, dtype="<f4").tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHHH4sII4sI",
        *(b"RIFF", HEADER_BYTES - 8 + len(data), b"WAVE"),
        # format 3: IEEE float
        *(b"fmt ", 18, 3, channels, fs, 4 * channels * fs, 4 * channels, 32, 0),
        *(b"fact", 4, len(samples)),
        *(b"data", len(data)),
    )
    return header + data


def write_float_wav(path: PathLike, samples: np.ndarray, fs: int) -> None:
    """Write (T,) or (T, C) samples at ``fs`` Hz, atomically.

    Raises:
        TSXError: naming the file, if it cannot be written (disk full, ...).
    """
    with atomic_write(path, "wb") as stream:
        stream.write(wav_bytes(samples, fs))


def write_audio(path: PathLike, samples: np.ndarray, fs: int, container: str, subtype: str) -> None:
    """Write (T,) or (T, channels) samples in a format of libsndfile, atomically.

    Raises:
        TSXError: as ``audio_writer``.
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with audio_writer(path, fs, channels, container, subtype) as write:
        write(samples)


@contextlib.contextmanager
def audio_writer(
    path: PathLike, fs: int, channels: int, container: str, subtype: str
) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that appends samples to a file, which is there once the block has succeeded.

    Raises:
        TSXError: if it cannot be written, or the format cannot hold it (nine channels, or samples
            beyond full scale, in FLAC).
    """
    with atomic_write(path, "wb") as stream:
        target = _Target(stream)
        try:
            file = soundfile.SoundFile(target, "w", fs, channels, subtype, format=container)
        except soundfile.LibsndfileError as error:
            raise TSXError(f"{path}: cannot be written: {error}") from None
        with file:

            def write(samples: np.ndarray) -> None:
                clips = container == "FLAC" and samples.dtype.kind == "f"
                peak = np.abs(samples).max(initial=0) if clips else 0
                if peak > 1:
                    raise TSXError(
                        f"{path}: peak {peak:.2f} is beyond full scale, which FLAC cannot hold; "
                        "write wav instead"
                    )
                file.write(samples)
                target.check()

            yield write
        target.check()


class _Target:
    """A file for libsndfile that keeps errors: it would not report a full disk."""

    def __init__(self, stream: IO[bytes]):
        self._error: Optional[OSError] = None
        self.tell = stream.tell
        self.write = self._guarded(stream.write, len)
        self.seek = self._guarded(stream.seek, abs)  # writes what is buffered

    def _guarded(self, call: Callable, claimed: Callable) -> Callable:
        def attempt(first, *more):
            try:
                return call(first, *more)
            except OSError as error:
                self._error = self._error or error
                return claimed(first)

        return attempt

    def check(self) -> None:
        if self._error is not None:
            raise self._error

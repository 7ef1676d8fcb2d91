"""Audio files, written whole or not at all, and float WAV whose bytes depend on the samples alone.

libsndfile writes the time of day into the header of float files (its PEAK chunk), so that the same
audio never gives the same file twice.
"""

import contextlib
import os
import struct
from typing import Any, Callable, Iterator, NamedTuple

import numpy as np

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, atomic_write

HEADER_BYTES = 58
MIN_RATE, MAX_RATE = 1000, 768000  # Hz; anything else is a corrupt header
# what soundfile raises: RuntimeErrors of its own, and TypeError for a name that ends in .raw
UNREADABLE = (RuntimeError, TypeError, ValueError, OSError)
BLOCK = 2**18  # samples read at a time, as a header may promise more than there is
STREAMED = 0x7FFF0000  # a length from here on means "unknown" (written to a pipe)


class OpenRecording(NamedTuple):
    """An audio file that is being read: rate in Hz, and (n, channels) float32 blocks."""

    fs: int
    channels: int
    frames: int  # as the header says; 0 if it does not
    blocks: Iterator[np.ndarray]

    @property
    def num_blocks(self) -> int:
        """How many there will be; 0 if the header does not say."""
        return -(-self.frames // _block_length(self.channels))


@contextlib.contextmanager
def open_recording(path: PathLike) -> Iterator[OpenRecording]:
    """A file of any format libsndfile reads, for reading once from the start.

    Raises:
        TSXError: naming the file, if there is none or it is no recording; from ``blocks``, if it
            ends before its header says, is empty, or holds NaN or infinity.
    """
    import soundfile

    try:
        size = os.path.getsize(path)
        with open(path, "rb") as stream:
            head = stream.read(12)
        declared = int.from_bytes(head[4:8], "little") + 8
        if head[:4] == b"RIFF" and size + 8 < declared < STREAMED:  # libsndfile would not say
            raise TSXError(f"{path}: truncated, it has {size} of {declared} bytes")
        file = soundfile.SoundFile(path)
    except FileNotFoundError:
        raise TSXError(f"{path}: no such file") from None
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise TSXError(f"{path}: not a recording that can be read: {reason}") from None
    with file:
        frames = file.frames if file.frames < 2**62 else 0
        yield OpenRecording(file.samplerate, file.channels, frames, _blocks(path, file, frames))


def _blocks(path: PathLike, file: Any, frames: int) -> Iterator[np.ndarray]:
    found = 0
    while True:
        try:
            block = file.read(_block_length(file.channels), dtype="float32", always_2d=True)
        except UNREADABLE as error:
            raise TSXError(
                f"{path}: cannot be read beyond sample {found} of {frames}: {error}"
            ) from None
        if not len(block):
            break
        if not np.isfinite(block).all():
            raise TSXError(f"{path}: found NaN or infinite samples")
        found += len(block)
        yield block
    if found < frames:
        raise TSXError(f"{path}: truncated, it has {found} of {frames} samples")
    if not found:
        raise TSXError(f"{path}: a recording without samples")


def _block_length(channels: int) -> int:
    return max(1, BLOCK // channels)


def check_samples(samples: np.ndarray, fs: float) -> np.ndarray:
    """A mixture as float32 (T,) or (T, channels).

    Raises:
        TSXError: saying what is wrong with it.
    """
    samples = np.asarray(samples)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2) or samples.size == 0:
        raise TSXError(
            "mixture: expected floating point samples of shape (T,) or (T, channels), "
            f"found {samples.dtype} {samples.shape}"
        )
    with np.errstate(over="ignore"):
        samples = samples.astype(np.float32)
    if not np.isfinite(samples).all():
        raise TSXError("mixture: found NaN or infinite samples")
    if not 0 < fs < np.inf:
        raise TSXError(f"fs: expected a sampling rate in Hz, found {fs}")
    return samples


def wav_bytes(samples: np.ndarray, fs: int) -> bytes:
    """A mono 32-bit float WAV file.

    Shape: samples (T,) -> 58 + 4 T bytes
    """
    data = np.ascontiguousarray(samples, dtype="<f4").tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHHH4sII4sI",
        *(b"RIFF", HEADER_BYTES - 8 + len(data), b"WAVE"),
        *(b"fmt ", 18, 3, 1, fs, 4 * fs, 4, 32, 0),  # format 3: IEEE float
        *(b"fact", 4, len(samples)),
        *(b"data", len(data)),
    )
    return header + data


def write_float_wav(path: PathLike, samples: np.ndarray, fs: int) -> None:
    """Write (T,) samples at ``fs`` Hz, atomically.

    Raises:
        TSXError: naming the file, if it cannot be written (disk full, ...).
    """
    with atomic_write(path, "wb") as stream:
        stream.write(wav_bytes(samples, fs))


def write_audio(path: PathLike, samples: np.ndarray, fs: int, container: str, subtype: str) -> None:
    """Write (T,) or (T, channels) samples in a format of libsndfile, atomically.

    Raises:
        TSXError: naming the file, if it cannot be written (disk full, ...).
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
        TSXError: naming the file, if it cannot be written (disk full, ...), or the format cannot
            hold it (nine channels in FLAC, ...).
    """
    import soundfile

    with atomic_write(path, "wb") as stream:
        target = _Target(stream)
        try:
            file = soundfile.SoundFile(target, "w", fs, channels, subtype, format=container)
        except soundfile.LibsndfileError as error:
            raise TSXError(f"{path}: cannot be written: {error}") from None
        with file:

            def write(samples: np.ndarray) -> None:
                file.write(samples)
                target.check()

            yield write
        target.check()


class _Target:
    """A file for libsndfile, which would not say that the disk is full."""

    def __init__(self, stream: Any):
        self._write = stream.write
        self.seek, self.tell, self.flush = stream.seek, stream.tell, stream.flush
        self._error = None

    def write(self, data: bytes) -> int:
        try:
            return self._write(data)
        except OSError as error:
            self._error = self._error or error
            return len(data)

    def check(self) -> None:
        if self._error is not None:
            raise self._error

"""Audio of any rate and channel count -> mono 16-bit samples at one rate, or the reason why not."""

import os
from pathlib import Path
from typing import Any, Iterator, Tuple

import numpy as np

from tsx_espnet.audio import MAX_RATE, MIN_RATE, write_audio
from tsx_espnet.conditions import SOUNDING_FLOOR, hop_length, sounding
from tsx_espnet.tables import PathLike

FULL_SCALE = 32768  # one 16-bit step is 1 / FULL_SCALE
MIN_SOUNDING = 0.1  # s
STREAMED = 0x7FFF0000  # a RIFF size from here on means "unknown" (written to a pipe)
BLOCK = 2**20  # samples read at a time, as a header may promise more than there is
LONGEST = 2**30  # samples; a few kB of FLAC can hold as many


class UnusableClip(Exception):
    """Why a clip is left out of the formatted set, as ``kind: details``."""


def frame_energies(samples: np.ndarray, fs: int) -> np.ndarray:
    """Energy of each 10 ms frame, re full scale: the sum of squares of ``samples / 32768``.

    Args:
        samples: (T,) int16.

    Returns:
        (F,) float64 with F = ceil(T / hop_length(fs)); exact, and so is any sum of them.
    """
    hop = hop_length(fs)
    frames = np.zeros((-(-len(samples) // hop), hop), dtype=np.int64)
    frames.reshape(-1)[: len(samples)] = samples
    return (frames**2).sum(axis=1) / FULL_SCALE**2


def read_clip(path: PathLike, fs: int) -> np.ndarray:
    """Read a recording as mono 16-bit samples at ``fs`` Hz.

    The channels are averaged, the mean is removed, and the level is kept unless that would clip.

    Args:
        path: any format libsndfile reads, at any rate and with any number of channels.
        fs: rate of the result, in Hz.

    Returns:
        (T,) int16.

    Raises:
        UnusableClip: missing, unreadable, truncated, empty or silent (no 10 ms frame above
            -60 dBFS) file, less than 0.1 s of sound, or samples that are NaN or infinite.
    """
    audio, rate = _read(Path(path))
    if len(audio) < MIN_SOUNDING * rate:
        raise UnusableClip(f"too short: {len(audio)} samples at {rate} Hz, {MIN_SOUNDING} s needed")
    audio -= audio.mean()
    if rate != fs:
        import soxr

        audio = soxr.resample(audio, rate, fs, quality="HQ")
    samples = quantise(audio)
    _check_sounding(samples, fs)
    return samples


def quantise(audio: np.ndarray) -> np.ndarray:
    """Round to 16 bit; a signal whose peak does not fit is scaled down until it does.

    >>> quantise(np.array([0.5, -1.0])), quantise(np.array([1.0, -2.0]))
    (array([ 16384, -32768], dtype=int16), array([ 16384, -32767], dtype=int16))
    """
    scaled = audio * FULL_SCALE
    if np.rint(scaled.max()) >= FULL_SCALE or np.rint(scaled.min()) < -FULL_SCALE:
        scaled *= (FULL_SCALE - 1) / np.abs(scaled).max()
    return np.rint(scaled).astype(np.int16)


def write_wav(path: PathLike, samples: np.ndarray, fs: int) -> None:
    """Write ``samples`` (T,) int16 as a PCM_16 WAV, whole or not at all.

    Raises:
        TSXError: naming the file, if it cannot be written (disk full, ...).
    """
    write_audio(path, samples, fs, "WAV", "PCM_16")


def _read(path: Path) -> Tuple[np.ndarray, int]:
    """(T,) float64 and the rate in Hz; every way in which that can fail has a reason."""
    import soundfile

    try:
        size = os.path.getsize(path)
        if size == 0:
            raise UnusableClip(f"empty: {path} has 0 bytes")
        _check_whole(path, size)
        with soundfile.SoundFile(path) as file:
            rate, blocks = file.samplerate, [np.zeros(0)]
            for block in _blocks(file):
                blocks.append(block.mean(axis=1, dtype=np.float64))
                if sum(map(len, blocks)) > LONGEST:
                    raise UnusableClip(f"too long: {path} has more than {LONGEST} samples")
        audio = np.concatenate(blocks)
    except FileNotFoundError:
        raise UnusableClip(f"missing: no file {path}") from None
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise UnusableClip(f"unreadable: {path}: {' '.join(str(error).split())}") from None
    if len(audio) == 0:
        raise UnusableClip(f"empty: {path} has a header but not one sample")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UnusableClip(f"unreadable: {path}: its header says {rate} Hz")
    if not np.isfinite(audio).all():
        raise UnusableClip(f"not finite: {path} holds NaN or infinite samples")
    return audio, rate


def _blocks(file: Any) -> Iterator[np.ndarray]:
    """The samples of an open file, (N, channels) float32 each time."""
    number = max(1, BLOCK // file.channels)
    block = file.read(number, dtype="float32", always_2d=True)
    while len(block):
        yield block
        block = file.read(number, dtype="float32", always_2d=True)


def _check_whole(path: Path, size: int) -> None:
    """A WAV that ends early is read by libsndfile as if it were whole: look at its own length."""
    with open(path, "rb") as stream:
        head = stream.read(12)
    declared = int.from_bytes(head[4:8], "little") + 8
    if head[:4] == b"RIFF" and size + 8 < declared < STREAMED:
        raise UnusableClip(f"truncated: {path} has {size} of {declared} bytes")


def _check_sounding(samples: np.ndarray, fs: int) -> None:
    """Raise ``UnusableClip`` if too few 10 ms frames sound (``tsx_espnet.conditions.sounding``)."""
    frames = int(sounding(frame_energies(samples, fs), fs).sum())
    if frames == 0:
        raise UnusableClip(f"silent: no 10 ms above {SOUNDING_FLOOR:.0f} dBFS")
    if frames < round(MIN_SOUNDING * 100):
        raise UnusableClip(f"too short: {frames / 100:.2f} s of sound, {MIN_SOUNDING} s needed")

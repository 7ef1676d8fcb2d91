"""Audio of any rate and channel count -> mono 16-bit samples at one rate, or the reason why not."""

import numpy as np

from tsx_espnet.audio import AudioError, read_audio, write_audio
from tsx_espnet.clips.energies import FULL_SCALE, frame_energies
from tsx_espnet.conditions import SOUNDING_FLOOR, sounding
from tsx_espnet.tables import PathLike

MIN_SOUNDING = 0.1  # s


class UnusableClip(Exception):
    """Why a clip is left out of the formatted set, as ``kind: details``."""


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
    try:
        audio, rate = read_audio(path, dtype="float64", average=True)
    except AudioError as error:
        raise UnusableClip(f"{error.kind}: {error}") from None
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


def _check_sounding(samples: np.ndarray, fs: int) -> None:
    """Raise ``UnusableClip`` if too few 10 ms frames sound (``tsx_espnet.conditions.sounding``)."""
    frames = int(sounding(frame_energies(samples, fs), fs).sum())
    if frames == 0:
        raise UnusableClip(f"silent: no 10 ms above {SOUNDING_FLOOR:.0f} dBFS")
    if frames < round(MIN_SOUNDING * 100):
        raise UnusableClip(f"too short: {frames / 100:.2f} s of sound, {MIN_SOUNDING} s needed")

"""Audio files, written whole or not at all, and float WAV whose bytes depend on the samples alone.

libsndfile writes the time of day into the header of float files (its PEAK chunk), so that the same
audio never gives the same file twice.
"""

import io
import struct

import numpy as np

from tsx_espnet.tables import PathLike, atomic_write

HEADER_BYTES = 58
MIN_RATE, MAX_RATE = 1000, 768000  # Hz; anything else is a corrupt header
# what soundfile raises: RuntimeErrors of its own, and TypeError for a name that ends in .raw
UNREADABLE = (RuntimeError, TypeError, ValueError, OSError)


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

    libsndfile would not say that the disk is full; hence it writes to memory.

    Raises:
        TSXError: naming the file, if it cannot be written (disk full, ...).
    """
    import soundfile

    memory = io.BytesIO()
    soundfile.write(memory, samples, fs, format=container, subtype=subtype)
    with atomic_write(path, "wb") as stream:
        stream.write(memory.getvalue())

"""Enrollments: recordings of the kind of sound that is wanted.

In a mixture set, ``utt2enrollment`` holds the path of a recording for every mixture, or a JSON list
of several: ``["dog1.wav", "dog2.wav"]``.
"""

import os
from typing import List, Optional

import numpy as np
import soundfile
import soxr

from tsx_espnet.audio import UNREADABLE
from tsx_espnet.clips.recording import MAX_RATE, MIN_RATE
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, parse_json


def enrollment_paths(value: str) -> List[str]:
    """The recordings that a value names.

    >>> enrollment_paths("my dog.wav"), enrollment_paths('["a.wav", "b.wav"]')
    (['my dog.wav'], ['a.wav', 'b.wav'])

    Raises:
        TSXError: if it begins as a list and is none, or an empty one.
    """
    if not value.startswith("["):
        return [value]
    try:
        paths = parse_json(value)
    except ValueError:
        paths = None
    if not isinstance(paths, list) or not paths or not all(isinstance(p, str) for p in paths):
        raise TSXError(f"enrollment: expected a path or a JSON list of paths, found {value!r:.80}")
    return paths


def read_recording(path: PathLike, fs: Optional[int] = None) -> np.ndarray:
    """The samples of a recording of any rate, at ``fs`` Hz; its channels are averaged.

    Shape:
        (T,) float32

    Raises:
        TSXError: if it cannot be read, or holds no samples, NaN or infinity.
    """
    if not os.path.isfile(path):
        raise TSXError(f"{path}: no such file")
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (*UNREADABLE, MemoryError) as error:
        raise TSXError(f"{path}: cannot be read: {error}") from None
    if not MIN_RATE <= rate <= MAX_RATE:
        raise TSXError(f"{path}: cannot be read: its header says {rate} Hz")
    samples = samples.mean(axis=1)
    if fs is not None and fs != rate:
        samples = soxr.resample(samples, rate, fs)
    if len(samples) == 0:
        raise TSXError(f"{path}: holds no samples")
    if not np.isfinite(samples).all():
        raise TSXError(f"{path}: holds NaN or infinite samples")
    return samples

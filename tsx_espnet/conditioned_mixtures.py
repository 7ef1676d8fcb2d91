"""A mixture set as a model is asked about it: audio, and the value of each condition."""

import json
import os
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np
import soundfile

from tsx_espnet.audio import UNREADABLE
from tsx_espnet.conditions import ANY, ENROLLMENT, NOT_APPLICABLE, UNCONDITIONAL
from tsx_espnet.conditions.enrollment import enrollment_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import DONE, read_table

_AGAIN = "run stage 3 (mix) again"


class ConditionedMixtures:
    """Mixtures of a directory and what each can be asked by.

    Args:
        directory: the mixture set.
        conditions: what the mixtures are asked by.
        num_enrollments: K, take the first K of the enrollments of each mixture; None: all.

    Raises:
        TSXError: if a file is missing (stage 3 makes them), a table lacks a mixture, or a mixture
            has fewer than K enrollments.
    """

    def __init__(
        self,
        directory: Path,
        conditions: Tuple[str, ...],
        num_enrollments: Optional[int] = None,
    ):
        if not (directory / DONE).is_file():
            raise TSXError(f"{directory}: not a complete mixture set (run stage 3)")
        self.directory = directory
        self.wavs = _read(directory / "wav.scp")
        self.values = {
            name: dict.fromkeys(self.wavs, ANY)
            if name == UNCONDITIONAL
            else _read(directory / f"utt2{name}")
            for name in conditions
        }
        for name, values in self.values.items():
            missing = [mixture for mixture in self.wavs if mixture not in values]
            if missing:
                raise TSXError(
                    f"{directory}/utt2{name}: no line for mixture {missing[0]!r}; {_AGAIN}"
                )
        self.num_enrollments = num_enrollments
        if num_enrollments is not None:
            self._shorten(num_enrollments)

    def _shorten(self, number: int) -> None:
        """Keep the first ``number`` enrollments of each mixture."""
        if number < 1:
            raise TSXError(f"number of enrollments must be at least 1, found {number}")
        if ENROLLMENT not in self.values:
            asked = ", ".join(self.values)
            raise TSXError(f"number of enrollments: expected the condition enrollment in {asked}")
        values = self.values[ENROLLMENT]
        for name in self.applicable(ENROLLMENT):
            paths = enrollment_paths(values[name])
            if len(paths) < number:
                raise TSXError(
                    f"{self.directory}/utt2{ENROLLMENT}: {name}: expected {number} enrollments or "
                    f"more, found {len(paths)}"
                )
            values[name] = json.dumps(paths[:number])

    def applicable(self, condition: str) -> List[str]:
        """The mixtures a condition can be asked of."""
        values = self.values[condition]
        return [name for name in self.wavs if values[name] != NOT_APPLICABLE]


def _read(path: Path) -> Dict[str, str]:
    try:
        return read_table(path)
    except TSXError as error:
        raise TSXError(f"{error}; {_AGAIN}") from None


def mixture_length(path: str, fs: int) -> int:
    """Samples of a mono file at ``fs`` Hz.

    Raises:
        TSXError: if it is something else, is empty, or cannot be read.
    """
    if not os.path.isfile(path):
        raise TSXError(f"{path}: no such file; {_AGAIN}")
    try:
        info = soundfile.info(path)
    except UNREADABLE as error:
        raise TSXError(f"{path}: cannot be read: {error}; {_AGAIN}") from None
    if info.samplerate != fs or info.channels != 1:
        raise TSXError(
            f"{path}: expected {fs} Hz mono as the model was trained on, "
            f"found {info.samplerate} Hz and {info.channels} channels"
        )
    if info.frames == 0:
        raise TSXError(f"{path}: holds no samples; {_AGAIN}")
    return info.frames


def read_mixture(path: str, length: Optional[int] = None) -> np.ndarray:
    """Its samples, (T,) float32.

    Args:
        length: T, as ``mixture_length`` found it some time ago.

    Raises:
        TSXError: if it cannot be read, has another length, or holds NaN or infinity.
    """
    try:
        samples, _ = soundfile.read(path, dtype="float32")
    except (*UNREADABLE, MemoryError) as error:
        raise TSXError(f"{path}: cannot be read: {error}; {_AGAIN}") from None
    if length is not None and samples.shape != (length,):
        raise TSXError(
            f"{path}: changed meanwhile: expected {length} samples, found {len(samples)}; {_AGAIN}"
        )
    if not np.isfinite(samples).all():
        raise TSXError(f"{path}: holds NaN or infinite samples")
    return samples

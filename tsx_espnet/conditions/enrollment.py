"""Enrollments: recordings of the kind of sound that is wanted.

In a mixture set, ``utt2enrollment`` holds the path of a recording for every mixture, or a JSON list
of several: ``["dog1.wav", "dog2.wav"]``.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, List, Sequence, Tuple, Union

import numpy as np

from tsx_espnet.audio import read_recording
from tsx_espnet.conditions.condition import NOT_APPLICABLE, Condition, parse_strings
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike

if TYPE_CHECKING:
    from tsx_espnet.vocabulary import Vocabulary

Recordings = Union[PathLike, Sequence[PathLike]]


class Enrollment(Condition):
    """Recordings of other instances of the target; the plan of a mixture lists them separately."""

    name = "enrollment"
    help = "recordings of such a sound, one or several; their embeddings are averaged"
    option = {"nargs": "+", "metavar": "FILE"}
    conditioner = "enrollment"
    gives = ("samples",)
    planned = False

    def query(self, asked: Recordings) -> str:
        paths = recording_paths(asked)
        if not paths:
            raise TSXError("expected at least one recording of the sound, found none")
        # a value that begins with [ is a list
        return json.dumps([f"./{path}" if path.startswith("[") else path for path in paths])

    def split(self, value: str) -> List[str]:
        return enrollment_paths(value)

    def encode(self, value: str, vocabulary: "Vocabulary", takes: str) -> np.ndarray:
        """The samples of one recording, at the rate of the vocabulary.

        Shape:
            (T,) float32, T = 0 for "not applicable"

        Raises:
            TSXError: if it cannot be read, ``value`` names several, or the conditioner does not
                take samples.
        """
        self.check_gives(takes, f"a conditioner that takes {takes}")
        if value == NOT_APPLICABLE:
            return np.zeros(0, dtype=np.float32)
        path, *more = enrollment_paths(value)
        if more:
            found = 1 + len(more)
            raise TSXError(f"expected one enrollment per mixture, found {found}: {value:.80}")
        return read_recording(path, vocabulary.fs)


def recording_paths(recordings: Recordings) -> Tuple[str, ...]:
    """The paths that a user gives, one or several.

    Raises:
        TSXError: if it is something else.
    """
    several = [recordings] if isinstance(recordings, (str, Path)) else recordings
    if not isinstance(several, Sequence) or not all(isinstance(x, (str, Path)) for x in several):
        found = type(recordings).__name__
        raise TSXError(f"recordings: expected a path or a list of paths, found {found}")
    paths = tuple(str(path) for path in several)
    for path in paths:
        if not path or path == NOT_APPLICABLE:
            raise TSXError(f"recordings: expected the path of a recording, found {path!r}")
    return paths


def enrollment_paths(value: str) -> List[str]:
    """The recordings that a value names.

    >>> enrollment_paths("my dog.wav"), enrollment_paths('["a.wav", "b.wav"]')
    (['my dog.wav'], ['a.wav', 'b.wav'])

    Raises:
        TSXError: if it begins like a list but is not one, or is empty.
    """
    if not value.startswith("["):
        return [value]
    expected = "enrollment: expected a path or a JSON list of paths"
    paths = parse_strings(value, expected)
    if not paths:
        raise TSXError(f"{expected}, found {value!r}")
    return paths

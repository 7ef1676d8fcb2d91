"""Enrollments: recordings of the kind of sound that is wanted.

In a mixture set, ``utt2enrollment`` holds the path of a recording for every mixture, or a JSON list
of several: ``["dog1.wav", "dog2.wav"]``.
"""

from typing import List

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import parse_json


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

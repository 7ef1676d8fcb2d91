"""From the value of a condition to the array a conditioner takes."""

import difflib
from typing import List, Optional, Sequence

import numpy as np

from tsx_espnet.audio import read_recording
from tsx_espnet.conditions import ENROLLMENT, NOT_APPLICABLE, UNCONDITIONAL, values
from tsx_espnet.enrollment import enrollment_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.text_table import TextTable

NO_VALUE = -1


class Vocabulary:
    """Knows the values of every condition of a model.

    Args:
        classes: the labels of the class condition; their order is the order of the table's rows.
        text_table: vectors of phrases, for the text condition.
        fs: sampling rate of enrollments in Hz; by default that of their files.
    """

    def __init__(
        self,
        classes: Sequence[str] = (),
        text_table: Optional[TextTable] = None,
        fs: Optional[int] = None,
    ):
        self.classes = tuple(classes)
        self.text_table = text_table
        self.fs = fs
        self._class_index = {label: index for index, label in enumerate(self.classes)}

    def num_values(self, condition: str) -> int:
        """Number of values of a condition with a closed set of them."""
        return len(self.classes if condition == "class" else values(condition))

    def encode(self, condition: str, value: str) -> np.ndarray:
        """The array of ``value``.

        Shape:
            (1,) int64, ``-1`` for "not applicable"; text: (L, E) float32, L = 0 for that;
            enrollment: (T,) float32 samples, T = 0 for that

        Raises:
            TSXError: if the value is unknown, with the nearest known ones, or a recording cannot be
                read; if a value names several (see ``split``).
        """
        if condition == UNCONDITIONAL:  # whatever the value
            return np.array([0])
        if condition == "text":
            return self._encode_text(value)
        if condition == ENROLLMENT:
            return self._encode_enrollment(value)
        if value == NOT_APPLICABLE:
            return np.array([NO_VALUE])
        if condition == "class":
            index = self._class_index.get(value)
            known = self.classes
        else:
            known = values(condition)
            index = known.index(value) if value in known else None
        if index is None:
            raise TSXError(unknown_value(condition, value, known))
        return np.array([index])

    def split(self, condition: str, value: str) -> List[str]:
        """The values that ``value`` stands for: several enrollments, or itself."""
        return enrollment_paths(value) if condition == ENROLLMENT else [value]

    def _encode_enrollment(self, value: str) -> np.ndarray:
        if value == NOT_APPLICABLE:
            return np.zeros(0, dtype=np.float32)
        path, *more = enrollment_paths(value)
        if more:
            raise TSXError(f"expected one enrollment a mixture, found {1 + len(more)}: {value:.80}")
        return read_recording(path, self.fs)

    def _encode_text(self, phrase: str) -> np.ndarray:
        if self.text_table is None:
            raise TSXError("text conditions need a table of text embeddings (run stage 4)")
        if phrase == NOT_APPLICABLE:
            return np.zeros((0, self.text_table.dim), dtype=np.float32)
        return self.text_table[phrase][np.newaxis]


def unknown_value(condition: str, value: str, known: Sequence[str]) -> str:
    """The message for an unknown value, naming the nearest known ones.

    >>> unknown_value("class", "bark", ["Bark", "Meow"])
    "unknown class 'bark'; nearest known: 'Bark'"
    """
    folded = {name.lower(): name for name in known}
    asked = value.lower().replace(" ", "_")
    nearest = difflib.get_close_matches(asked, folded, n=3, cutoff=0.5)
    nearest += [name for name in folded if asked in name and name not in nearest][:3]
    names = [folded[name] for name in nearest[:3]] or list(known)[:10]
    return f"unknown {condition} {value!r}; nearest known: {', '.join(map(repr, names))}"

"""The labels, phrases and sampling rate that the values of a model's conditions refer to."""

import dataclasses
from typing import Callable, Optional, Tuple

import numpy as np

from tsx_espnet.conditions import find
from tsx_espnet.pretrained.text_table import TextTable


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """The labels, phrases and sampling rate of a model.

    Args:
        classes: the labels of the class condition; their order is the order of the table's rows.
        text_table: vectors of phrases, for the text condition.
        fs: sampling rate of enrollments in Hz; by default that of their files.
        embed_phrase: phrase -> (L, E), for phrases that are not in the table.
    """

    classes: Tuple[str, ...] = ()
    text_table: Optional[TextTable] = None
    fs: Optional[int] = None
    embed_phrase: Optional[Callable[[str], np.ndarray]] = None

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))

    def encode(self, condition: str, value: str) -> np.ndarray:
        """The array of a value, as ``Condition.encode`` of its condition."""
        return find(condition).encode(value, self)

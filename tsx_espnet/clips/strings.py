"""Many strings in little memory, which forked workers share."""

from collections.abc import Sequence as SequenceABC
from typing import Iterable

import numpy as np


class Strings(SequenceABC):
    """Strings that never change, as one block of memory.

    A list of strings would be copied page by page into every forked worker, as Python counts
    references inside each string.

    >>> Strings(["a", "bc"])[1]
    'bc'
    """

    def __init__(self, items: Iterable[str]):
        encoded = [item.encode("utf-8") for item in items]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([0] + [len(item) for item in encoded])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode("utf-8")

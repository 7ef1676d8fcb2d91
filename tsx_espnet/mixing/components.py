"""Components of a mixture, of one source or several, and how they are queried.

A component of several sources has the sum of their energies and, for a text, their texts joined.
It has no label, so the class is not applicable. Its parts, the sources, are queried by their own
texts.
"""

import dataclasses
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.conditions import Sources, find, read_conditions
from tsx_espnet.mixing.query import Query

Partition = Tuple[Tuple[int, ...], ...]


def consecutive(num_sources: int, size: int) -> Partition:
    """The components of ``size`` sources each, as a plan has them.

    >>> consecutive(4, 2), consecutive(4, 1)
    (((0, 1), (2, 3)), ())
    """
    if size == 1:
        return ()
    return tuple(tuple(range(n, n + size)) for n in range(0, num_sources, size))


def join_phrases(phrases: Sequence[str]) -> str:
    """One text for several sounds.

    >>> join_phrases(["a dog"]), join_phrases(["A dog.", "rain"]), join_phrases(["a", "b", "c"])
    ('a dog', 'A dog and rain', 'a, b and c')
    """
    *first, last = phrases if len(phrases) == 1 else [phrase.rstrip(" .") for phrase in phrases]
    return f"{', '.join(first)} and {last}" if first else last


class Components:
    """What the components of a mixture can be queried by.

    Args:
        sources: all of them.
        partition: of the sources, as in a plan; empty: each source is a component.
        rng: draws the texts of parts.

    Attributes:
        joined: the components, as sources.
    """

    def __init__(
        self, sources: Sources, partition: Partition, rng: Optional[np.random.Generator] = None
    ):
        self.joined = sources
        self._texts: List[List[Optional[str]]] = [[] for _ in sources.labels]  # of each part
        if not partition:
            return
        text = find("text")
        texts = [
            text.read(dataclasses.replace(sources, target=number), rng)
            for number in range(len(sources.labels))
        ]
        self._texts = [[texts[number] for number in numbers] for numbers in partition]
        tracks = [sources.tracks[list(numbers)].sum(axis=0) for numbers in partition]
        self.joined = dataclasses.replace(
            sources,
            tracks=np.stack(tracks),
            labels=[()] * len(partition),
            captions=[[] if None in own else [join_phrases(own)] for own in self._texts],
        )

    def conditions(self, component: int, rng: np.random.Generator) -> Dict[str, str]:
        """The conditions that tell a component from all others."""
        return read_conditions(dataclasses.replace(self.joined, target=component), rng)

    def part_queries(self, mixture: str, component: int) -> Tuple[Query, ...]:
        """The queries of the parts of a component by their texts."""
        texts = enumerate(self._texts[component], start=1)
        return tuple(Query(mixture, component, k, "text", text) for k, text in texts if text)

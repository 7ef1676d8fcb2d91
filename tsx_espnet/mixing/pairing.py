"""Which two classes meet in a mixture: random ones, or by super-class ([OCT] Sec. 3.1)."""

from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.error import TSXError


class Wanted(NamedTuple):
    """A class to draw a source of.

    ``foreign``: labels that the other source must not have if this one is in the mixture.
    """

    label: str
    group: Optional[str]
    foreign: FrozenSet[str]


class RandomClasses:
    """Two distinct classes, each uniform over those there are."""

    def __init__(self, classes: Sequence[str]):
        if len(classes) < 2:
            raise TSXError(f"two classes are needed to mix, found {_listed(classes)}")
        self.classes = list(classes)

    def first(self, rng: np.random.Generator) -> Wanted:
        return self._wanted(self.classes[rng.integers(len(self.classes))])

    def second(self, rng: np.random.Generator, first: Wanted) -> Wanted:
        return self._wanted(_other(rng, self.classes, first.label))

    @staticmethod
    def _wanted(label: str) -> Wanted:
        return Wanted(label, None, frozenset([label]))


class SuperClasses:
    """Two sub-classes: of two ``different`` super-classes, or two of the same.

    Super-classes are uniform, and sub-classes are uniform in their super-class; only those that
    occur among ``classes`` count.
    """

    def __init__(
        self, classes: Sequence[str], superclasses: Mapping[str, Sequence[str]], different: bool
    ):
        there = set(classes)
        self.different = different
        self.members: Dict[str, FrozenSet[str]] = {
            group: frozenset(subs) | {group} for group, subs in superclasses.items()
        }
        needed = 1 if different else 2
        present = {group: sorted(there.intersection(subs)) for group, subs in superclasses.items()}
        self.subs: Dict[str, List[str]] = {
            group: subs for group, subs in present.items() if len(subs) >= needed
        }
        if len(self.subs) < (2 if different else 1):
            found = ", ".join(f"{group}: {len(subs)}" for group, subs in present.items())
            wanted = "two super-classes with a" if different else "a super-class with two"
            raise TSXError(
                f"strategy {'different' if different else 'same'!r} needs {wanted} sub-class"
                f"{'' if different else 'es'} among the clips; found sub-classes: {found or 'none'}"
            )
        self.groups = sorted(self.subs)

    def first(self, rng: np.random.Generator) -> Wanted:
        group = self.groups[rng.integers(len(self.groups))]
        return self._wanted(group, self.subs[group][rng.integers(len(self.subs[group]))])

    def second(self, rng: np.random.Generator, first: Wanted) -> Wanted:
        if not self.different:
            return self._wanted(first.group, _other(rng, self.subs[first.group], first.label))
        group = _other(rng, self.groups, first.group)
        return self._wanted(group, self.subs[group][rng.integers(len(self.subs[group]))])

    def _wanted(self, group: str, label: str) -> Wanted:
        # a dog barking in the rain belongs to two super-classes
        foreign = self.members[group] if self.different else frozenset([label])
        return Wanted(label, group, foreign)


def collide(wanted: Tuple[Wanted, Wanted], labels: Tuple[Sequence[str], Sequence[str]]) -> bool:
    """Whether either source has a label that is the other's."""
    return bool(
        wanted[0].foreign.intersection(labels[1]) or wanted[1].foreign.intersection(labels[0])
    )


def _other(rng: np.random.Generator, items: Sequence[str], but: str) -> str:
    """One of ``items`` other than ``but``, which is among them."""
    number = int(rng.integers(len(items) - 1))
    return items[number + (number >= items.index(but))]


def _listed(items: Sequence[str]) -> str:
    return f"{len(items)} ({', '.join(items)})" if items else "none"

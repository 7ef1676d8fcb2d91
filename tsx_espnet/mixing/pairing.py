"""Which classes meet in a mixture: random ones, or by super-class ([OCT] Sec. 3.1).

The super-classes are by default the six of FSD50K used in "Optimal condition training for target
source separation" (Tzinis et al., 2023), section 3.1. The paper counts 21 animal sub-classes; 20
are left here, as ``Growling`` stood in the authors' list twice. The other counts agree: 35, 15, 26,
5 and 6.
"""

import json
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike

FSD50K_SUPERCLASSES = Path(__file__).parents[1] / "data" / "fsd50k_superclasses.json"


class Wanted(NamedTuple):
    """A class to draw a source of.

    ``foreign``: labels that another source must not have if this one is in the mixture.
    """

    label: str
    group: Optional[str]
    foreign: FrozenSet[str]


class RandomClasses:
    """Distinct classes, uniformly drawn.

    Args:
        classes: to draw from.
        number: of classes in a mixture.
        first: if given, the first class is one of these, and no other class is.

    Raises:
        TSXError: if there are too few.
    """

    def __init__(
        self, classes: Sequence[str], number: int = 2, first: Optional[Sequence[str]] = None
    ):
        self.classes = list(classes)
        self.firsts = self.classes
        needed = number
        if first is not None:
            self.firsts = [label for label in self.classes if label in set(first)]
            self.classes = [label for label in self.classes if label not in set(first)]
            if not self.firsts:
                raise TSXError(f"no clip of the new classes {', '.join(sorted(first))}")
            needed -= 1
        if len(self.classes) < needed:
            kind = "classes" if first is None else "classes that are not new"
            found = _listed(self.classes)
            raise TSXError(f"{_count(needed)} {kind} are needed to mix, found {found}")

    def first(self, rng: np.random.Generator) -> Wanted:
        """The first class of a mixture."""
        return self._wanted(self.firsts[rng.integers(len(self.firsts))])

    def next(self, rng: np.random.Generator, before: Sequence[Wanted]) -> Wanted:
        """Another class for a mixture that has those ``before``."""
        return self._wanted(_other(rng, self.classes, [one.label for one in before]))

    @staticmethod
    def _wanted(label: str) -> Wanted:
        return Wanted(label, None, frozenset([label]))


class SuperClasses:
    """Sub-classes: of ``different`` super-classes, or all of the same.

    Super-classes are drawn uniformly, then sub-classes within them; only those among ``classes``.

    Raises:
        TSXError: if there are too few for ``number`` sources.
    """

    def __init__(
        self,
        classes: Sequence[str],
        superclasses: Mapping[str, Sequence[str]],
        different: bool,
        number: int = 2,
    ):
        there = set(classes)
        self.different = different
        self.members: Dict[str, FrozenSet[str]] = {
            group: frozenset(subs) | {group} for group, subs in superclasses.items()
        }
        needed = 1 if different else number
        present = {group: sorted(there.intersection(subs)) for group, subs in superclasses.items()}
        self.subs: Dict[str, List[str]] = {
            group: subs for group, subs in present.items() if len(subs) >= needed
        }
        if len(self.subs) < (number if different else 1):
            found = ", ".join(f"{group}: {len(subs)}" for group, subs in present.items())
            wanted = f"{_count(number)} super-classes with a sub-class"
            if not different:
                wanted = f"a super-class with {_count(number)} sub-classes"
            raise TSXError(
                f"strategy {'different' if different else 'same'!r} needs {wanted} among the "
                f"clips; found sub-classes: {found or 'none'}"
            )
        self.groups = sorted(self.subs)

    def first(self, rng: np.random.Generator) -> Wanted:
        """The first class of a mixture."""
        group = self.groups[rng.integers(len(self.groups))]
        return self._wanted(group, self.subs[group][rng.integers(len(self.subs[group]))])

    def next(self, rng: np.random.Generator, before: Sequence[Wanted]) -> Wanted:
        """Another class for a mixture that has those ``before``."""
        if not self.different:
            group = before[0].group
            label = _other(rng, self.subs[group], [one.label for one in before])
            return self._wanted(group, label)
        group = _other(rng, self.groups, [one.group for one in before])
        return self._wanted(group, self.subs[group][rng.integers(len(self.subs[group]))])

    def _wanted(self, group: str, label: str) -> Wanted:
        # a dog barking in the rain belongs to two super-classes
        foreign = self.members[group] if self.different else frozenset([label])
        return Wanted(label, group, foreign)


def collide(wanted: Sequence[Wanted], labels: Sequence[Sequence[str]]) -> bool:
    """Whether any source has a label that is another's."""
    return any(
        m != n and not one.foreign.isdisjoint(labels[n])
        for m, one in enumerate(wanted)
        for n in range(len(labels))
    )


def _other(rng: np.random.Generator, items: Sequence[str], but: Sequence[str]) -> str:
    """One of ``items`` that is not in ``but``, whose items are distinct."""
    taken = sorted(items.index(item) for item in but if item in items)
    number = int(rng.integers(len(items) - len(taken)))
    for position in taken:
        number += number >= position
    return items[number]


def _count(number: int) -> str:
    return "two" if number == 2 else str(number)


def _listed(items: Sequence[str]) -> str:
    return f"{len(items)} ({', '.join(items)})" if items else "none"


def load_superclasses(path: Optional[PathLike] = None) -> Dict[str, Tuple[str, ...]]:
    """Read ``{"Super_class": ["Sub_class", ...], ...}``, by default the six of FSD50K.

    >>> load_superclasses()["Water"]
    ('Rain', 'Raindrop', 'Stream', 'Ocean', 'Waves_and_surf', 'Gurgling')

    Raises:
        TSXError: if the file is not such JSON, a super-class has no sub-class, a label has a comma
            or a space, or a sub-class stands twice or is a super-class too.
    """
    path = Path(FSD50K_SUPERCLASSES if path is None else path)
    try:
        pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_Pairs)
    except OSError as error:
        raise TSXError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise TSXError(f"{path}: not JSON ({error})") from None
    if not isinstance(pairs, _Pairs) or not pairs:
        raise TSXError(f'{path}: expected {{"Super_class": ["Sub_class", ...], ...}}')
    superclasses: Dict[str, Tuple[str, ...]] = {}
    home: Dict[str, str] = {}
    for name, labels in pairs:
        if name in superclasses:
            raise TSXError(f"{path}: super-class {name!r} occurs twice")
        if isinstance(labels, _Pairs) or not isinstance(labels, list) or not labels:
            raise TSXError(f"{path}: {name!r} expects a list of sub-classes, found {labels!r}")
        for label in labels:
            _check_label(label, name, path)
            if label in home:
                raise TSXError(f"{path}: {label!r} is listed in {home[label]!r} and in {name!r}")
            home[label] = name
        superclasses[name] = tuple(labels)
    for name in superclasses:
        if name in home:
            raise TSXError(f"{path}: {name!r} is a super-class and a sub-class of {home[name]!r}")
    return superclasses


class _Pairs(List[Tuple[str, Any]]):
    """A JSON object as (key, value) pairs: a dict would hide a repeated key."""


def _check_label(label: Any, name: str, path: Path) -> None:
    if not isinstance(label, str) or label.split() != [label] or "," in label:
        raise TSXError(f"{path}: {name!r} holds {label!r}, expected a label without space or comma")

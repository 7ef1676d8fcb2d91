"""What meets in a mixture: random classes, or by super-class ([OCT] Sec. 3.1), or any clips."""

from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig

ClipsOf = Mapping[str, np.ndarray]  # class -> positions of its clips in ``ClipSet.ids``


class Wanted(NamedTuple):
    """What a source is drawn among: ``clips``, as positions in ``ClipSet.ids``.

    ``label`` is the class that is wanted, if one is; ``foreign``: labels that another source must
    not have if this one is in the mixture.
    """

    clips: np.ndarray
    label: str = ""
    group: Optional[str] = None
    foreign: FrozenSet[str] = frozenset()


class UniformClips:
    """Distinct clips, each as likely as any other.

    Args:
        clips: to draw from, as positions in ``ClipSet.ids``.
        number: of clips in a mixture.
        noun: for them, in messages.

    Raises:
        TSXError: if there are too few.
    """

    def __init__(self, clips: np.ndarray, number: int = 2, noun: str = "clips"):
        self.clips = clips
        if len(clips) < number:
            raise TSXError(f"{_count(number)} {noun} are needed to mix, found {len(clips)}")

    def first(self, rng: np.random.Generator) -> Wanted:
        """The first clip of a mixture."""
        return self.next(rng, [])

    def next(self, rng: np.random.Generator, before: Sequence[Wanted]) -> Wanted:
        """Another clip for a mixture that has those ``before``."""
        taken = [one.clips[0] for one in before]
        while True:
            number = rng.integers(len(self.clips))
            if self.clips[number] not in taken:
                return Wanted(self.clips[number : number + 1])


class RandomClasses:
    """Distinct classes, uniformly drawn.

    Args:
        clips_of: the clips of each class to draw from.
        number: of classes in a mixture.
        first: if given, the first class is one of these, and no other class is.

    Raises:
        TSXError: if there are too few.
    """

    def __init__(
        self, clips_of: ClipsOf, number: int = 2, first: Optional[Sequence[str]] = None
    ):
        self.clips_of = clips_of
        self.classes = sorted(clips_of)
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

    def _wanted(self, label: str) -> Wanted:
        return Wanted(self.clips_of[label], label, None, frozenset([label]))


class SuperClasses:
    """Sub-classes: of ``different`` super-classes, or all of the same.

    Super-classes are drawn uniformly, then sub-classes within them; only those in ``clips_of``.

    Raises:
        TSXError: if there are too few for ``number`` sources.
    """

    def __init__(
        self,
        clips_of: ClipsOf,
        superclasses: Mapping[str, Sequence[str]],
        different: bool,
        number: int = 2,
    ):
        there = set(clips_of)
        self.clips_of = clips_of
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
        return Wanted(self.clips_of[label], label, group, foreign)


class Interference:
    """The first source as by another pairing, all others among the clips of the interference."""

    def __init__(self, firsts: "Pairing", clips: np.ndarray, number: int):
        self.firsts = firsts
        self.others = UniformClips(clips, number, "clips of the interference")

    def first(self, rng: np.random.Generator) -> Wanted:
        """What the first source is drawn among."""
        return self.firsts.first(rng)

    def next(self, rng: np.random.Generator, before: Sequence[Wanted]) -> Wanted:
        """Another clip for a mixture that has those ``before``."""
        return self.others.next(rng, before)


Pairing = Union[UniformClips, RandomClasses, SuperClasses, Interference]


def open_pairing(
    clips: ClipSet,
    least: int,
    config: MixingConfig,
    superclasses: Optional[Mapping[str, Sequence[str]]] = None,
    new_classes: Optional[Sequence[str]] = None,
) -> Pairing:
    """How the sources of a mixture are chosen.

    Args:
        least: samples that a clip that is no interference must have to be drawn.
        superclasses: for the strategies ``different`` and ``same``.
        new_classes: the first source is of one of these, and no other is.

    Raises:
        TSXError: if there are too few classes, or clips.
    """
    most = config.source_counts[1]
    number = most if config.interference is None else 1
    pairing = _own_pairing(clips, least, config.strategy, number, superclasses, new_classes)
    if config.interference is None:
        return pairing
    others = clips.long_enough(config.least_samples(clips.fs), interference=True)
    return Interference(pairing, others, most - 1)


def _own_pairing(
    clips: ClipSet,
    least: int,
    strategy: str,
    number: int,
    superclasses: Optional[Mapping[str, Sequence[str]]],
    new_classes: Optional[Sequence[str]],
) -> Pairing:
    """The pairing of ``number`` sources that are no interference."""
    if strategy == "clips":
        return UniformClips(clips.long_enough(least), number)
    clips_of = {label: clips.clips_of(label, least) for label in clips.classes}
    clips_of = {label: found for label, found in clips_of.items() if len(found)}
    if not clips_of:
        raise TSXError(f"strategy {strategy} needs labels, found none; expected strategy clips")
    if strategy == "random":
        return RandomClasses(clips_of, number, new_classes)
    return SuperClasses(clips_of, superclasses or {}, strategy == "different", number)


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

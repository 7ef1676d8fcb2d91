"""A fixed set of mixtures on disk.

A directory ``dump/<fs>/mix/<set>`` as ``WrittenMixtures`` leaves it:

- ``mixtures.jsonl``: one ``Plan`` a line, from which all the rest can be made again, bit for bit
- ``wav.scp``, ``spk1.scp``, ``spk2.scp``: mixture, target and other, as 32-bit float WAV
- ``utt2energy``, ``utt2harmonicity``, ...: the value of each condition, ``n/a`` if not applicable
- ``utt2enrollment``: the path of a recording, a JSON list of several, or ``n/a``
- ``.done``: how the set was made

All of these are of the target of each plan. If other components or parts are queried too, or with
``write_sources``, there are

- ``sources.scp``: the components, a channel each, as 32-bit float WAV
- ``utt2queries``: a JSON list of all queries of the mixture, see ``query.py``
"""

import contextlib
import functools
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.audio import audio_length, read_audio
from tsx_espnet.checks import check_at_least
from tsx_espnet.conditions import ANY, ENROLLMENT, NOT_APPLICABLE, UNCONDITIONAL
from tsx_espnet.conditions.enrollment import enrollment_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.data_table import (
    ESTIMATES,
    MIXTURE,
    QUERIES,
    SOURCES,
    TARGET,
    DataEntry,
    query_entries,
)
from tsx_espnet.mixing.plan import Placement, Plan, read_plans
from tsx_espnet.mixing.query import Query, from_json
from tsx_espnet.tables import DONE, PathLike, read_table

PLANS = "mixtures.jsonl"
MIX, INFER = "mix", "infer"  # commands


class MixtureSet:
    """The mixtures of a directory; a table is read, and checked, when it is first needed.

    Attributes:
        directory: where they are.
        ids: names of the mixtures, sorted.

    Raises:
        TSXError: if the set is not complete or holds no mixture; later, if a table is missing or
            not that of these mixtures.
    """

    def __init__(self, directory: PathLike):
        self.directory = Path(directory)
        if not (self.directory / DONE).is_file():
            raise TSXError(f"{self.directory}: not a complete mixture set; run {MIX}")
        self._tables: Dict[str, Dict[str, str]] = {}
        self._values: Dict[str, Dict[str, str]] = {}
        with made_by(MIX):
            self._tables[MIXTURE.file] = read_table(self.directory / MIXTURE.file)
        self.ids = sorted(self._tables[MIXTURE.file])
        if not self.ids:
            raise TSXError(f"{self.directory / MIXTURE.file}: no mixtures; run {MIX} again")

    def table(self, file: str) -> Dict[str, str]:
        """Id -> value of one of the files of ``data_table``."""
        if file not in self._tables:
            with made_by(MIX):
                table = read_table(self.directory / file)
                self._check_ids(file, table)
            self._tables[file] = table
        return self._tables[file]

    @functools.cached_property
    def targets(self) -> Dict[str, Tuple[str, int]]:
        """Target name -> its mixture and component, sorted: what scores are kept by.

        They are the targets of the plans, and all other components that are queried whole.
        """
        names = {name: (name, plan.target) for name, plan in self.plans.items()}
        for query in self._queries:
            if query.whole:
                name = self.plans[query.mixture].target_name(query.component)
                if names.setdefault(name, (query.mixture, query.component))[0] != query.mixture:
                    where = self.directory / QUERIES.file
                    raise TSXError(f"{where}: {name} is a mixture and a target of another")
        return dict(sorted(names.items()))

    @functools.cached_property
    def components(self) -> Dict[str, Tuple[str, int]]:
        """Name -> its mixture and component, of the targets and of all that is not queried.

        The components without a query are what a model that asks for nothing is scored by too.
        """
        names = {
            plan.target_name(number): (name, number)
            for name, plan in self.plans.items()
            for number in range(len(plan.partition))
        }
        for name in names.keys() & self.plans.keys():
            if names[name][0] != name:
                where = self.directory / PLANS
                raise TSXError(f"{where}: {name} is a mixture and a component of another")
        return dict(sorted(names.items()))

    def mixture_of(self, name: str) -> str:
        """The id of the mixture of a target or component."""
        return name if name in self._tables[MIXTURE.file] else self._place(name)[0]

    def paths(self, sound: DataEntry) -> Dict[str, str]:
        """Id -> audio file of one of ``SOUNDS``, or of ``SOURCES``."""
        return self.table(sound.file)

    def read(self, sound: DataEntry, name: str, dtype: str = "float32", **expected) -> np.ndarray:
        """A sound of one target, (T,); of ``SOURCES``, (T, C).

        The other sound of a target that is not the plan's is the mixture minus it.

        Args:
            expected: ``fs`` and ``length``, see ``read_audio``.
        """
        mixture = self.mixture_of(name)
        if mixture != name and sound in ESTIMATES:
            sources = self.read(SOURCES, mixture, dtype, **expected)
            target = sources[:, self._place(name)[1]]
            if sound is TARGET:
                return target
            return self.read(MIXTURE, mixture, dtype, **expected) - target
        channels = len(self.plans[mixture].partition) if sound is SOURCES else None
        with made_by(MIX):
            path = self.paths(sound)[mixture]
            return read_audio(path, dtype=dtype, channels=channels, **expected)[0]

    def lengths(self, fs: int, sound: DataEntry = MIXTURE) -> Dict[str, int]:
        """Id -> samples of each sound, which must be mono at ``fs`` Hz."""
        with made_by(MIX):
            return {name: audio_length(path, fs) for name, path in self.paths(sound).items()}

    @functools.cached_property
    def plans(self) -> Dict[str, Plan]:
        """What the mixtures were made from, by id."""
        with made_by(MIX):
            plans = {plan.id: plan for plan in read_plans(self.directory / PLANS)}
            self._check_ids(PLANS, plans)
        return plans

    def members(self, name: str) -> Tuple[Placement, ...]:
        """The sources of a target."""
        mixture, component = self._place(name)
        return self.plans[mixture].members(component)

    def label(self, name: str) -> str:
        """The most specific label of a target; of several sources, all of theirs ("Bark+Rain")."""
        return "+".join(label for one in self.members(name) for label in one.labels[:1])

    def clip(self, name: str) -> str:
        """The clip that a target was made from; of several sources, all of theirs."""
        return "+".join(one.clip for one in self.members(name))

    def count(self, name: str) -> int:
        """The number of sources of the mixture of a target."""
        return len(self.plans[self.mixture_of(name)].sources)

    @property
    def conditions(self) -> Tuple[str, ...]:
        """Those with a table, and ``unconditional``."""
        there = (row.name for row in query_entries() if (self.directory / row.file).is_file())
        return (UNCONDITIONAL, *there)

    def applicable(self, condition: str) -> Dict[str, str]:
        """Target name -> value, sorted; a mixture that is not queried has one name, its own."""
        if condition not in self._values:
            table = dict.fromkeys(self.ids, ANY)
            if condition != UNCONDITIONAL:
                table = {**self.table(f"utt2{condition}"), **self._further_values(condition)}
            self._values[condition] = {
                name: table[name] for name in sorted(table) if table[name] != NOT_APPLICABLE
            }
        return self._values[condition]

    def queries(
        self, conditions: Sequence[str], num_enrollments: Optional[int] = None
    ) -> Dict[str, Dict[str, str]]:
        """Condition -> target name -> value.

        Args:
            num_enrollments: K, take the first K of the enrollments of each target; None: all.

        Raises:
            TSXError: if a target has fewer than K.
        """
        queries = {condition: dict(self.applicable(condition)) for condition in conditions}
        if num_enrollments is None:
            return queries
        check_at_least(1, num_enrollments=num_enrollments)
        if ENROLLMENT not in queries:
            listed = ", ".join(queries)
            raise TSXError(f"number of enrollments: expected the condition enrollment in {listed}")
        for name, value in queries[ENROLLMENT].items():
            paths = enrollment_paths(value)
            if len(paths) < num_enrollments:
                raise TSXError(
                    f"{self.directory}/utt2{ENROLLMENT}: {name}: expected {num_enrollments} "
                    f"enrollments or more, found {len(paths)}"
                )
            queries[ENROLLMENT][name] = json.dumps(paths[:num_enrollments])
        return queries

    def _place(self, name: str) -> Tuple[str, int]:
        return self.targets[name] if name in self.targets else self.components[name]

    @functools.cached_property
    def _queries(self) -> Tuple[Query, ...]:
        """Those of ``utt2queries``, if the set has it."""
        path = self.directory / QUERIES.file
        if not path.is_file():
            return ()
        with made_by(MIX):
            table = self.table(QUERIES.file)
            return tuple(
                query
                for name, plan in self.plans.items()
                for query in from_json(table[name], name, str(path), len(plan.partition))
            )

    def _further_values(self, condition: str) -> Dict[str, str]:
        """The values of the targets that are not those of the plans."""
        names = {place: name for name, place in self.targets.items()} if self._queries else {}
        return {
            names[query.mixture, query.component]: query.value
            for query in self._queries
            if query.whole and query.condition == condition
        }

    def _check_ids(self, file: str, found: Mapping[str, Any]) -> None:
        difference = describe_difference(self._tables[MIXTURE.file], found)
        if difference:
            where = self.directory / file
            raise TSXError(f"{where}: not the mixtures of {MIXTURE.file}: {difference}")


@contextlib.contextmanager
def made_by(command: str) -> Iterator[None]:
    """Errors of the block say which command makes the file again."""
    try:
        yield
    except TSXError as error:
        raise TSXError(f"{error}; run {command} again") from None


def describe_difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """How the ids differ, in words; empty if they do not.

    >>> describe_difference({"a": 1, "b": 2, "c": 3}, {"c": 3, "d": 4})
    "2 of 3 ids missing (first 'a'), 1 unknown (first 'd')"
    """
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    words: List[str] = []
    if missing:
        words.append(f"{len(missing)} of {len(expected)} ids missing (first {missing[0]!r})")
    if unknown:
        words.append(f"{len(unknown)} unknown (first {unknown[0]!r})")
    return ", ".join(words)

"""A mixture as data: which crop of which clip goes where, how loud, and the queries."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple

from tsx_espnet.checks import Fields
from tsx_espnet.conditions import CONDITIONS
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.elements import (
    Background,
    Enrollment,
    Placement,
    background_from_record,
)
from tsx_espnet.mixing.query import Query, check_value, target_name
from tsx_espnet.tables import PathLike, atomic_write, check_id

# limits of what is drawn, and of what a plan from a file may ask memory for
LONGEST = 600.0  # seconds of a mixture
MAX_SOURCES = 16


@dataclasses.dataclass(frozen=True)
class Plan:
    """A mixture of any number of sources, before it is audio.

    Args:
        id: name of the mixture.
        fs: sampling rate in Hz.
        num_samples: length of the mixture.
        sources: what is mixed.
        target: number of the component that is the target.
        conditions: name -> value of the conditions that apply to the target, see
            ``tsx_espnet.conditions``.
        snr: level of the target over that of all the rest together, in dB; None: there is no rest,
            or it is not known.
        overlap: of the sounding parts, see ``placement.py``; None: there is one source, or it is
            not known.
        seed, epoch, index: what it was drawn from.
        background: noise under the sources.
        enrollments: recordings that query the target, or another component.
        components: a partition of the sources, by their numbers; empty: each source by itself.
        queries: those beyond ``conditions``.
    """

    id: str
    fs: int
    num_samples: int
    sources: Tuple[Placement, ...]
    target: int
    conditions: Dict[str, str]
    snr: Optional[float]
    overlap: Optional[float]
    seed: int
    epoch: int
    index: int
    background: Optional[Background] = None
    enrollments: Tuple[Enrollment, ...] = ()
    components: Tuple[Tuple[int, ...], ...] = ()
    queries: Tuple[Query, ...] = ()

    @property
    def partition(self) -> Tuple[Tuple[int, ...], ...]:
        """The numbers of the sources of each component."""
        return self.components or tuple((number,) for number in range(len(self.sources)))

    def members(self, component: Optional[int] = None) -> Tuple[Placement, ...]:
        """The sources of a component, by default of the target."""
        numbers = self.partition[self.target if component is None else component]
        return tuple(self.sources[number] for number in numbers)

    def target_name(self, component: int) -> str:
        """The name of a component as a target."""
        return target_name(self.id, component, self.target)

    def all_queries(self) -> Tuple[Query, ...]:
        """Those of ``conditions``, then ``queries``."""
        own = (Query(self.id, self.target, 0, *condition) for condition in self.conditions.items())
        return (*own, *self.queries)

    def component_of(self, enrollment: Enrollment) -> int:
        """The number of the component that an enrollment queries."""
        return self.target if enrollment.component is None else enrollment.component

    @property
    def further(self) -> bool:
        """Whether more is queried than the whole of the target."""
        return bool(self.queries) or any(one.component is not None for one in self.enrollments)

    def renamed(self, name: str) -> "Plan":
        """The same mixture by another name."""
        queries = tuple(dataclasses.replace(query, mixture=name) for query in self.queries)
        return dataclasses.replace(self, id=name, queries=queries)

    def to_json(self) -> str:
        """One line of JSON from which ``from_json`` makes an equal plan."""
        written = dataclasses.asdict(self)
        for enrollment in written["enrollments"]:
            if enrollment["component"] is None:
                del enrollment["component"]
        written["queries"] = [query.to_record() for query in self.queries]
        for name in ("background", "enrollments", "components", "queries"):
            if not written[name]:  # left out if there are none
                del written[name]
        return json.dumps(written, allow_nan=False)

    @classmethod
    def from_json(cls, line: str, where: str = "plan") -> "Plan":
        """Parse and check a line of JSON.

        Raises:
            TSXError: naming ``where`` and the field, if anything is not as ``to_json`` writes it.
        """
        try:
            found = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise TSXError(f"{where}: not JSON ({error})") from None
        plan = Fields.of_record(cls, found, where)
        check_id(plan.text("id"), where)
        plan.integer("fs", 1, 10**7)
        plan.integer("num_samples", 1, round((LONGEST + 1) * found["fs"]))
        for name, low, high in (("snr", -1000, 1000), ("overlap", 0, 1)):
            if plan.values[name] is not None:
                plan.number(name, low, high)
        for name in ("seed", "epoch", "index"):
            plan.integer(name, 0, 2**63)
        if not isinstance(found["conditions"], dict):
            plan.refuse("conditions", "an object")
        for item in found["conditions"].items():
            check_value(*item, where)
        _parse_sources(plan)
        _parse_queries(plan)
        return cls(**plan.values)


def write_plans(path: PathLike, plans: Iterable[Plan]) -> None:
    """Write one plan a line, atomically."""
    with atomic_write(path) as stream:
        for plan in plans:
            stream.write(plan.to_json() + "\n")


def read_plans(path: PathLike) -> List[Plan]:
    """Read the plans of a file.

    Raises:
        TSXError: naming file and line, if one is bad or repeats an id.
    """
    path = Path(path)
    if not path.is_file():
        raise TSXError(f"{path}: no such file")
    plans, seen = [], set()
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            plan = Plan.from_json(_decode(line, f"{path}:{number}"), f"{path}:{number}")
            if plan.id in seen:
                raise TSXError(f"{path}:{number}: mixture {plan.id!r} occurs twice")
            seen.add(plan.id)
            plans.append(plan)
    return plans


def _decode(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TSXError(f"{where}: not UTF-8 text ({error.reason})") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")  # JSON has neither NaN nor Infinity


def _parse_sources(plan: Fields) -> None:
    """Check sources, components, target and background, and convert them in place."""
    values, where = plan.values, plan.where
    sources = values["sources"]
    if not isinstance(sources, list) or not 1 <= len(sources) <= MAX_SOURCES:
        plan.refuse("sources", f"a list of 1 to {MAX_SOURCES} sources")
    values["sources"] = tuple(
        Placement.from_record(source, values["num_samples"], f"{where}: sources[{number}]")
        for number, source in enumerate(sources)
    )
    if not _is_partition(values["components"], len(sources)):
        plan.refuse("components", f"lists of the numbers 0 to {len(sources) - 1}, each once")
    values["components"] = tuple(map(tuple, values["components"]))
    plan.integer("target", 0, len(values["components"] or sources) - 1)
    if values["background"] is not None:
        values["background"] = background_from_record(values["background"], f"{where}: background")


def _parse_queries(plan: Fields) -> None:
    """Check enrollments and queries, and convert them in place."""
    values, where = plan.values, plan.where
    number = len(values["components"] or values["sources"])
    for name in ("enrollments", "queries"):
        if not isinstance(values[name], (list, tuple)):
            plan.refuse(name, "a list")
    values["enrollments"] = tuple(
        Enrollment.from_record(found, number, f"{where}: enrollments[{place}]")
        for place, found in enumerate(values["enrollments"])
    )
    values["queries"] = tuple(
        Query.from_record(found, values["id"], f"{where}: queries[{place}]", number)
        for place, found in enumerate(values["queries"])
    )
    seen = {(values["target"], name) for name in CONDITIONS}  # the plan's conditions
    for place, query in enumerate(values["queries"]):
        check_value(query.condition, query.value, f"{where}: queries[{place}]")
        if query.whole and (query.component, query.condition) in seen:
            raise TSXError(
                f"{where}: queries[{place}]: expected one query of component {query.component} by "
                f"{query.condition}, of the target in conditions"
            )
        seen |= {(query.component, query.condition)} if query.whole else set()


def _is_partition(found: Any, number: int) -> bool:
    """Whether it is empty, or lists of 0 to ``number - 1``, each of them once."""
    if not isinstance(found, (list, tuple)):
        return False
    if not all(isinstance(component, list) and component for component in found):
        return False
    members = [member for component in found for member in component]
    whole = all(type(member) is int for member in members)
    return whole and sorted(members) == list(range(number if found else 0))

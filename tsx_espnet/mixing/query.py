"""What a mixture is queried for: a component of it, or a part of one, by the value of a condition.

A *target* is a component that is queried whole. Its name is the id of the mixture for the target of
the plan, and ``<id>-<component + 1>`` for any other: estimates, scores and tables are kept by it.
"""

import dataclasses
import json
from typing import Any, Dict, Iterable, Tuple

from tsx_espnet.checks import Fields, is_line, shown
from tsx_espnet.conditions import CONDITIONS, PLUGINS
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import parse_json

MAX_COMPONENTS = 16
MAX_PARTS = 1000  # of a component


@dataclasses.dataclass(frozen=True)
class Query:
    """One query of a mixture.

    Args:
        mixture: id of the mixture.
        component: number of the component that is queried.
        part: 0 for the whole component, k for its k-th part, counted from 1.
        condition: name of the condition.
        value: of the condition.
        weight: 1, or -1: everything but it.
    """

    mixture: str
    component: int
    part: int
    condition: str
    value: str
    weight: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether a component is wanted, neither a part of it nor everything else."""
        return self.part == 0 and self.weight > 0

    def to_record(self) -> Dict[str, Any]:
        """As JSON of its mixture, which it does not repeat."""
        record = dataclasses.asdict(self)
        del record["mixture"]
        return record

    @classmethod
    def from_record(
        cls, found: Any, mixture: str, where: str, num_components: int = MAX_COMPONENTS
    ) -> "Query":
        """Check what ``to_record`` made; the value is left to ``check_value``.

        Raises:
            TSXError: naming ``where`` and the field, if it is anything else.
        """
        if isinstance(found, dict):
            if "mixture" in found:
                raise TSXError(f"{where}: no field 'mixture' expected, it is that of the plan")
            found = {"mixture": mixture, **found}
        query = Fields.of_record(cls, found, where)
        query.integer("component", 0, num_components - 1)
        query.integer("part", 0, MAX_PARTS)
        query.number("weight", -1, 1)
        if abs(query.values["weight"]) != 1:
            query.refuse("weight", "1 or -1")
        for name in ("condition", "value"):
            if not isinstance(query.values[name], str):
                query.refuse(name, "a string")
        return cls(**query.values)


def target_name(plan_id: str, component: int, target: int) -> str:
    """The name of a component as a target.

    >>> target_name("mix00001", 0, target=0), target_name("mix00001", 2, target=0)
    ('mix00001', 'mix00001-3')

    Args:
        target: the component that is the target of the plan.
    """
    return plan_id if component == target else f"{plan_id}-{component + 1}"


def check_value(condition: Any, value: Any, where: str) -> None:
    """Raise ``TSXError`` unless a plan may hold this value of this condition."""
    if condition not in CONDITIONS or not CONDITIONS[condition].planned:
        raise TSXError(
            f"{where}: conditions: no condition {shown(condition)}: expected some of "
            f"{', '.join(CONDITIONS)}, or of a module that {PLUGINS} names"
        )
    allowed = CONDITIONS[condition].values
    if not is_line(value) or (allowed and value not in allowed):
        expected = " or ".join(allowed) if allowed else "one line of text"
        raise TSXError(f"{where}: {condition}: expected {expected}, found {shown(value)}")


def to_json(queries: Iterable[Query]) -> str:
    """The queries of one mixture as a line of JSON."""
    return json.dumps([query.to_record() for query in queries])


def from_json(
    text: str, mixture: str, where: str = "queries", num_components: int = MAX_COMPONENTS
) -> Tuple[Query, ...]:
    """The queries of a mixture from what ``to_json`` made.

    Raises:
        TSXError: naming ``where``, the query and the field, if it is anything else.
    """
    try:
        found = parse_json(text)
    except ValueError as error:
        raise TSXError(f"{where}: {mixture}: not JSON ({error})") from None
    if not isinstance(found, list):
        raise TSXError(f"{where}: {mixture}: expected a list of queries, found {shown(found)}")
    place = f"{where}: {mixture}: queries"
    return tuple(
        Query.from_record(one, mixture, f"{place}[{number}]", num_components)
        for number, one in enumerate(found)
    )

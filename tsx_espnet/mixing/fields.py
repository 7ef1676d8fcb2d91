"""Fields of a JSON record, checked one by one; every message names the place and the field."""

import dataclasses
import math
from typing import Any, Dict

from tsx_espnet.errors import TSXError

MOST_SAMPLES = 2**40


def refuse_constant(name: str) -> None:
    """For ``json.loads``: NaN and Infinity are no JSON."""
    raise ValueError(f"{name} is no number")


def record(cls: type, found: Any, where: str) -> Dict[str, Any]:
    """The fields of dataclass ``cls``; those with a default may be left out.

    Raises:
        TSXError: if ``found`` is no object, lacks a field, or has one that ``cls`` has not.
    """
    names = [field.name for field in dataclasses.fields(cls)]
    if not isinstance(found, dict):
        raise TSXError(f"{where}: not a plan: expected an object with {', '.join(names)}")
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(cls)
        if field.default is not dataclasses.MISSING
    }
    lacks = sorted(set(names) - set(found) - set(defaults))
    extra = sorted(set(found) - set(names))
    if lacks or extra:
        raise TSXError(f"{where}: fields missing: {lacks or 'none'}, unknown: {extra or 'none'}")
    return {**defaults, **found}


def is_line(value: Any) -> bool:
    """A string that can stand in a table: not empty, no control characters, single spaces."""
    if not isinstance(value, str) or not value or value != " ".join(value.split()):
        return False
    return min(value) >= " " and not any("\ud800" <= c <= "\udfff" for c in value)


def text(found: Dict[str, Any], name: str, where: str) -> str:
    """A field that is one line of text."""
    if not is_line(found[name]):
        raise TSXError(f"{where}: {name}: expected one line of text, found {found[name]!r:.80}")
    return found[name]


def integer(found: Dict[str, Any], name: str, where: str, low: int, high: int) -> None:
    """A field that is an integer in [low, high]."""
    value = found[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise TSXError(
            f"{where}: {name}: expected an integer in [{low}, {high}], found {value!r:.80}"
        )


def number(found: Dict[str, Any], name: str, where: str, low: float, high: float) -> None:
    """A field that is a number in [low, high]; it becomes a float."""
    value = found[name]
    good_type = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good_type or not low <= value <= high or not math.isfinite(value):
        raise TSXError(
            f"{where}: {name}: expected a number in [{low:g}, {high:g}], found {value!r:.80}"
        )
    found[name] = float(value)

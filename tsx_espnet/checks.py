"""Checks of what users write: options, yaml files, JSON records.

Every message names the place, what was expected and what was found.
"""

import dataclasses
import difflib
import math
import reprlib
from typing import Any, Dict, Iterable, List, Mapping, NoReturn, Optional, Sequence

from tsx_espnet.errors import TSXError


class Fields:
    """Values by name, checked one by one.

    Args:
        values: of a config (``vars(self)`` of a dataclass) or a record; checks may convert them in
            place.
        where: prefix of messages, such as a file and a line.

    Raises:
        TSXError: each check, if a value is not what it expects.

    >>> fields = Fields({"gain": 2, "snr": [0, 5]})
    >>> fields.number("gain", 0, 10)
    >>> fields.interval("snr", -20, 20)
    >>> fields.values
    {'gain': 2.0, 'snr': (0.0, 5.0)}
    """

    def __init__(self, values: Dict[str, Any], where: str = ""):
        self.values = values
        self.where = where

    @classmethod
    def of_record(cls, kind: type, found: Any, where: str) -> "Fields":
        """The fields of dataclass ``kind``; those with a default may be missing.

        Raises:
            TSXError: if ``found`` is not a mapping, lacks a field, or has an unknown one.
        """
        defaults = {field.name: field.default for field in dataclasses.fields(kind)}
        check_names(found, list(defaults), where, "field")
        check_given(
            found,
            [name for name, value in defaults.items() if value is dataclasses.MISSING],
            where,
        )
        return cls({**defaults, **found}, where)

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Raise ``TSXError``: the value of ``name`` is not what was ``expected``."""
        place = f"{self.where}: {name}" if self.where else name
        raise TSXError(f"{place}: expected {expected}, found {shown(self.values[name])}")

    def number(self, name: str, low: float, high: float = math.inf) -> None:
        """A finite number in [low, high]; it becomes a float."""
        if not _is_number(self.values[name], low, high):
            bounds = f"from {low:g} on" if high == math.inf else f"in [{low:g}, {high:g}]"
            self.refuse(name, f"a number {bounds}")
        self.values[name] = float(self.values[name])

    def integer(self, name: str, low: int, high: int) -> None:
        """An integer in [low, high]."""
        value = self.values[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.refuse(name, f"an integer in [{low}, {high}]")

    def integers(self, name: str, low: int, high: int) -> None:
        """Two integers, lowest and highest, within [low, high]; they become a tuple."""
        value = self.values[name]
        fits = isinstance(value, (list, tuple)) and len(value) == 2
        if not (fits and {*map(type, value)} == {int} and low <= value[0] <= value[1] <= high):
            self.refuse(name, f"two integers [lowest, highest] within [{low}, {high}]")
        self.values[name] = tuple(value)

    def interval(self, name: str, low: float, high: float) -> None:
        """Two numbers, lowest and highest, within [low, high]; they become a tuple of floats."""
        value = self.values[name]
        fits = isinstance(value, (list, tuple)) and len(value) == 2
        if not (fits and all(_is_number(v, low, high) for v in value) and value[0] <= value[1]):
            self.refuse(name, f"[lowest, highest] within [{low:g}, {high:g}]")
        self.values[name] = (float(value[0]), float(value[1]))

    def choice(self, name: str, choices: Iterable[str]) -> None:
        """One of ``choices``."""
        if self.values[name] not in tuple(choices):
            self.refuse(name, f"one of {', '.join(choices)}")

    def flag(self, name: str) -> None:
        """True or false."""
        if not isinstance(self.values[name], bool):
            self.refuse(name, "true or false")

    def file_name(self, name: str) -> None:
        """A string, or None."""
        if not isinstance(self.values[name], (str, type(None))):
            self.refuse(name, "a file name")

    def text(self, name: str) -> str:
        """One line of text, see ``is_line``; it is returned."""
        if not is_line(self.values[name]):
            self.refuse(name, "one line of text")
        return self.values[name]


def check_names(found: Any, known: Sequence[str], where: str, noun: str = "option") -> None:
    """Raise ``TSXError``, with the nearest name, unless ``found`` maps some of the ``known``."""
    if not isinstance(found, Mapping):
        raise TSXError(
            f"{where}: expected {noun}s and their values ({', '.join(known)}), found {shown(found)}"
        )
    for name in found:
        if name not in known:
            raise TSXError(f"{where}: no {noun} {shown(name)}; {did_you_mean(name, known)}")


def check_given(found: Mapping[str, Any], needed: Iterable[str], where: str) -> None:
    """Raise ``TSXError`` with all ``needed`` names that are missing."""
    missing = [name for name in needed if name not in found]
    if missing:
        raise TSXError(f"{where}: missing: {', '.join(missing)}")


def check_at_least(least: int, **numbers: int) -> None:
    """Raise ``TSXError`` unless all ``numbers``, options by name, are ``least`` or more.

    >>> check_at_least(1, batch_size=3, num_threads=1)
    """
    for name, number in numbers.items():
        if number < least:
            raise TSXError(f"{name}: expected at least {least}, found {number}")


def one_of(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return ``value`` if it is one of ``choices``.

    >>> one_of("fusion", "film", ("multiply", "film"))
    'film'

    Raises:
        ValueError: if it is not.
    """
    if value not in tuple(choices):
        expected = ", ".join(map(str, choices))
        raise ValueError(f"{name}: expected one of {expected}, found {shown(value)}")
    return value


def nearest(
    word: Any, known: Iterable[str], number: int = 1, cutoff: float = 0.6
) -> List[str]:
    """The names most similar to a word.

    >>> nearest("barck", ["Bark", "Meow"])
    ['Bark']
    """
    folded = {name.lower(): name for name in known}
    found = difflib.get_close_matches(str(word)[:200].lower(), folded, n=number, cutoff=cutoff)
    return [folded[name] for name in found]


def did_you_mean(word: Any, known: Iterable[str], otherwise: Optional[str] = None) -> str:
    """The end of a message about an unknown name.

    Args:
        otherwise: if no known name is similar; by default the first ten of them.

    >>> did_you_mean("--clisp", ["--clips", "--out"]), did_you_mean("rain", ["Bark", "Meow"])
    ('did you mean --clips?', 'expected one of Bark, Meow')
    """
    near = nearest(word, known)
    if near:
        return f"did you mean {near[0]}?"
    if otherwise is not None:
        return otherwise
    names = list(known)
    return f"expected one of {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"


def is_line(value: Any) -> bool:
    """A string that fits a table: not empty, no control characters, single spaces."""
    if not isinstance(value, str) or not value or value != " ".join(value.split()):
        return False
    return min(value) >= " " and not any("\ud800" <= c <= "\udfff" for c in value)


def shown(value: Any) -> str:
    """A value for a message, cut short: a few lines of yaml can expand beyond memory.

    >>> shown(1.5), shown([[[[[[["deep"]]]]]]])
    ('1.5', '[[[[[[...]]]]]]')
    """
    try:
        return reprlib.repr(value)[:200]
    except ValueError:  # an integer with too many digits
        return f"a {type(value).__name__}"


def _is_number(value: Any, low: float, high: float) -> bool:
    good_type = isinstance(value, (int, float)) and not isinstance(value, bool)
    return good_type and low <= value <= high and math.isfinite(value)

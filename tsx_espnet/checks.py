"""Checks of the options of a configuration; every message names the option, expected and found."""

import difflib
import math
import reprlib
from typing import Any, Mapping, Sequence, Tuple

from tsx_espnet.errors import TSXError


def check_names(options: Any, known: Sequence[str], where: str) -> None:
    """Raise ``TSXError``, with the nearest name, unless ``options`` maps some of the ``known``."""
    if not isinstance(options, Mapping):
        raise TSXError(f"{where}: expected 'option: value' lines, found {shown(options)}")
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(shown(name), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"expected: {', '.join(known)}"
            raise TSXError(f"{where}: no option {shown(name)}; {hint}")


def check_number(config: Any, name: str, low: float, high: float) -> None:
    """Make ``config.name`` a float in [low, high]."""
    value = getattr(config, name)
    if not _is_number(value, low, high):
        raise TSXError(f"{name}: expected a number in [{low:g}, {high:g}], found {shown(value)}")
    object.__setattr__(config, name, float(value))


def check_integer(config: Any, name: str, low: int, high: int) -> None:
    """Raise ``TSXError`` unless ``config.name`` is an integer in [low, high]."""
    value = getattr(config, name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise TSXError(f"{name}: expected an integer in [{low}, {high}], found {shown(value)}")


def check_range(config: Any, name: str, low: float, high: float) -> None:
    """Make ``config.name`` a pair of floats, lowest and highest, within [low, high]."""
    value = getattr(config, name)
    fits = isinstance(value, (list, tuple)) and len(value) == 2
    if not (fits and all(_is_number(v, low, high) for v in value) and value[0] <= value[1]):
        raise TSXError(
            f"{name}: expected [lowest, highest] within [{low:g}, {high:g}], found {shown(value)}"
        )
    object.__setattr__(config, name, (float(value[0]), float(value[1])))


def check_choice(config: Any, name: str, choices: Tuple[str, ...]) -> None:
    """Raise ``TSXError`` unless ``config.name`` is one of ``choices``."""
    value = getattr(config, name)
    if value not in choices:
        raise TSXError(f"{name}: expected one of {', '.join(choices)}, found {shown(value)}")


def check_file_name(config: Any, name: str) -> None:
    """Raise ``TSXError`` unless ``config.name`` is None or a string."""
    value = getattr(config, name)
    if value is not None and not isinstance(value, str):
        raise TSXError(f"{name}: expected a file name, found {shown(value)}")


def shown(value: Any) -> str:
    """A value for a message, cut short: a few lines of yaml can mean more than fits into memory.

    >>> shown(1.5), shown([[[[[[["deep"]]]]]]])
    ('1.5', '[[[[[[...]]]]]]')
    """
    try:
        return reprlib.repr(value)[:200]
    except ValueError:  # an integer of more digits than Python writes
        return f"a {type(value).__name__}"


def _is_number(value: Any, low: float, high: float) -> bool:
    good_type = isinstance(value, (int, float)) and not isinstance(value, bool)
    return good_type and low <= value <= high and math.isfinite(value)

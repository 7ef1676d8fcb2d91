"""A mixture as data: which crop of which clip goes where, how loud, and what can be asked for."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, Dict, Iterable, List, Tuple

from tsx_espnet.condition import CONDITIONS
from tsx_espnet.error import TSXError
from tsx_espnet.files import PathLike, atomic_write, check_id

_MOST_SAMPLES = 2**40


@dataclasses.dataclass(frozen=True)
class Placement:
    """One source: samples ``start`` to ``start + length`` of a clip, at ``offset``, times ``gain``.

    ``label`` is the class it was drawn for, ``labels`` are all labels of the clip.
    """

    clip: str
    label: str
    labels: Tuple[str, ...]
    start: int
    length: int
    offset: int
    gain: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """A mixture of any number of sources, before it is audio.

    Args:
        id: name of the mixture.
        fs: sampling rate in Hz.
        num_samples: length of the mixture.
        sources: what is mixed.
        target: number of the wanted source.
        conditions: name -> value of the conditions that apply, see ``condition.py``.
        snr: level of the target over that of the other sources together, in dB.
        overlap: of the sounding parts, see ``placement.py``.
        seed, epoch, index: what it was drawn from.
    """

    id: str
    fs: int
    num_samples: int
    sources: Tuple[Placement, ...]
    target: int
    conditions: Dict[str, str]
    snr: float
    overlap: float
    seed: int
    epoch: int
    index: int

    def to_json(self) -> str:
        """One line of JSON from which ``from_json`` makes an equal plan."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)

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
        plan = _record(cls, found, where)
        check_id(_text(plan, "id", where), where)
        _integer(plan, "fs", where, 1, 10**7)
        _integer(plan, "num_samples", where, 1, _MOST_SAMPLES)
        if not isinstance(plan["sources"], list) or not plan["sources"]:
            raise TSXError(f"{where}: sources: expected a list of at least one source")
        plan["sources"] = tuple(
            _placement(source, plan["num_samples"], f"{where}: sources[{number}]")
            for number, source in enumerate(plan["sources"])
        )
        _integer(plan, "target", where, 0, len(plan["sources"]) - 1)
        _number(plan, "snr", where, -1000, 1000)
        _number(plan, "overlap", where, 0, 1)
        for name in ("seed", "epoch", "index"):
            _integer(plan, name, where, 0, 2**63)
        _check_conditions(plan["conditions"], where)
        return cls(**plan)


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
        raise TSXError(f"{path}: no such file; run the mix stage (stage 3)")
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
    raise ValueError(f"{name} is no number")


def _record(cls: type, found: Any, where: str) -> Dict[str, Any]:
    names = [field.name for field in dataclasses.fields(cls)]
    if not isinstance(found, dict):
        raise TSXError(f"{where}: not a plan: expected an object with {', '.join(names)}")
    if set(found) != set(names):
        lacks, extra = sorted(set(names) - set(found)), sorted(set(found) - set(names))
        raise TSXError(f"{where}: fields missing: {lacks or 'none'}, unknown: {extra or 'none'}")
    return dict(found)


def _placement(found: Any, num_samples: int, where: str) -> Placement:
    source = _record(Placement, found, where)
    check_id(_text(source, "clip", where), f"{where}: clip")
    _text(source, "label", where)
    labels = source["labels"]
    if not isinstance(labels, list) or not labels or not all(map(_is_line, labels)):
        raise TSXError(f"{where}: labels: expected a list of names, found {labels!r:.80}")
    source["labels"] = tuple(labels)
    _integer(source, "start", where, 0, _MOST_SAMPLES)
    _integer(source, "offset", where, 0, num_samples - 1)
    _integer(source, "length", where, 1, num_samples - source["offset"])
    _number(source, "gain", where, 0, 1e9)
    return Placement(**source)


def _check_conditions(conditions: Any, where: str) -> None:
    if not isinstance(conditions, dict):
        raise TSXError(f"{where}: conditions: expected an object, found {conditions!r:.80}")
    for name, value in conditions.items():
        if name not in CONDITIONS:
            raise TSXError(f"{where}: conditions: no condition {name!r:.80}")
        allowed = CONDITIONS[name]
        if not _is_line(value) or (allowed and value not in allowed):
            expected = " or ".join(allowed) if allowed else "one line of text"
            raise TSXError(f"{where}: {name}: expected {expected}, found {value!r:.80}")


def _is_line(value: Any) -> bool:
    """A string that can stand in a table: not empty, no control characters, single spaces."""
    if not isinstance(value, str) or not value or value != " ".join(value.split()):
        return False
    return min(value) >= " " and not any("\ud800" <= c <= "\udfff" for c in value)


def _text(record: Dict[str, Any], name: str, where: str) -> str:
    if not _is_line(record[name]):
        raise TSXError(f"{where}: {name}: expected one line of text, found {record[name]!r:.80}")
    return record[name]


def _integer(record: Dict[str, Any], name: str, where: str, low: int, high: int) -> None:
    value = record[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise TSXError(
            f"{where}: {name}: expected an integer in [{low}, {high}], found {value!r:.80}"
        )


def _number(record: Dict[str, Any], name: str, where: str, low: float, high: float) -> None:
    value = record[name]
    good_type = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good_type or not low <= value <= high or not math.isfinite(value):
        raise TSXError(
            f"{where}: {name}: expected a number in [{low:g}, {high:g}], found {value!r:.80}"
        )
    record[name] = float(value)

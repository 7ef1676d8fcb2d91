"""A mixture as data: which crop of which clip goes where, how loud, and the queries."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

from tsx_espnet.checks import Fields, is_line, shown
from tsx_espnet.conditions import CONDITIONS, PLUGINS
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, atomic_write, check_id

# limits of what is drawn, and of what a plan from a file may ask memory for
LONGEST = 600.0  # seconds of a mixture
MAX_SOURCES = 16
MOST_SAMPLES = 2**40


@dataclasses.dataclass(frozen=True)
class Placement:
    """One source: samples ``start`` to ``start + length`` of a clip, at ``offset``, times ``gain``.

    ``label`` is the class it was drawn for, ``labels`` are all labels of the clip; "" and () if it
    has none.
    """

    clip: str
    label: str
    labels: Tuple[str, ...]
    start: int
    length: int
    offset: int
    gain: float


@dataclasses.dataclass(frozen=True)
class GeneratedNoise:
    """Background noise made from ``seed``, ``slope`` dB an octave, times ``gain``."""

    seed: int
    slope: float
    gain: float


@dataclasses.dataclass(frozen=True)
class RecordedNoise:
    """Background noise from sample ``start`` of a clip of noise, times ``gain``."""

    clip: str
    start: int
    gain: float


Background = Union[GeneratedNoise, RecordedNoise]


@dataclasses.dataclass(frozen=True)
class Enrollment:
    """Another clip of the target's class, or its own: samples ``start`` to ``start + length``."""

    clip: str
    start: int
    length: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """A mixture of any number of sources, before it is audio.

    Args:
        id: name of the mixture.
        fs: sampling rate in Hz.
        num_samples: length of the mixture.
        sources: what is mixed.
        target: index of the target source.
        conditions: name -> value of the conditions that apply, see ``tsx_espnet.conditions``.
        snr: level of the target over that of all the rest together, in dB; None: there is no rest.
        overlap: of the sounding parts, see ``placement.py``; None: there is one source.
        seed, epoch, index: what it was drawn from.
        background: noise under the sources.
        enrollments: recordings that query the target.
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

    def to_json(self) -> str:
        """One line of JSON from which ``from_json`` makes an equal plan."""
        written = dataclasses.asdict(self)
        for name in ("background", "enrollments"):  # left out if there are none
            if not written[name]:
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
        _check_conditions(found["conditions"], where)
        values = plan.values
        sources = values["sources"]
        if not isinstance(sources, list) or not 1 <= len(sources) <= MAX_SOURCES:
            plan.refuse("sources", f"a list of 1 to {MAX_SOURCES} sources")
        values["sources"] = tuple(
            _placement(source, values["num_samples"], f"{where}: sources[{number}]")
            for number, source in enumerate(sources)
        )
        plan.integer("target", 0, len(sources) - 1)
        if values["background"] is not None:
            values["background"] = _background(values["background"], f"{where}: background")
        if not isinstance(values["enrollments"], (list, tuple)):
            plan.refuse("enrollments", "a list")
        values["enrollments"] = tuple(
            _enrollment(found, f"{where}: enrollments[{number}]")
            for number, found in enumerate(values["enrollments"])
        )
        return cls(**values)


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


def _placement(found: Any, num_samples: int, where: str) -> Placement:
    source = Fields.of_record(Placement, found, where)
    check_id(source.text("clip"), f"{where}: clip")
    labels = source.values["labels"]
    if not isinstance(labels, list) or not all(map(is_line, labels)):
        source.refuse("labels", "a list of names")
    if labels or source.values["label"] != "":
        source.text("label")
    source.values["labels"] = tuple(labels)
    source.integer("start", 0, MOST_SAMPLES)
    source.integer("offset", 0, num_samples - 1)
    source.integer("length", 1, num_samples - source.values["offset"])
    source.number("gain", 0, 1e9)
    return Placement(**source.values)


def _background(found: Any, where: str) -> Background:
    recorded = isinstance(found, dict) and "clip" in found
    noise = Fields.of_record(RecordedNoise if recorded else GeneratedNoise, found, where)
    noise.number("gain", 0, 1e9)
    if recorded:
        check_id(noise.text("clip"), f"{where}: clip")
        noise.integer("start", 0, MOST_SAMPLES)
        return RecordedNoise(**noise.values)
    noise.integer("seed", 0, 2**63)
    noise.number("slope", -100, 100)
    return GeneratedNoise(**noise.values)


def _enrollment(found: Any, where: str) -> Enrollment:
    excerpt = Fields.of_record(Enrollment, found, where)
    check_id(excerpt.text("clip"), f"{where}: clip")
    excerpt.integer("start", 0, MOST_SAMPLES)
    excerpt.integer("length", 1, MOST_SAMPLES)
    return Enrollment(**excerpt.values)


def _check_conditions(conditions: Any, where: str) -> None:
    if not isinstance(conditions, dict):
        raise TSXError(f"{where}: conditions: expected an object, found {shown(conditions)}")
    for name, value in conditions.items():
        if name not in CONDITIONS or not CONDITIONS[name].planned:
            raise TSXError(
                f"{where}: conditions: no condition {shown(name)}: expected some of "
                f"{', '.join(CONDITIONS)}, or of a module that {PLUGINS} names"
            )
        allowed = CONDITIONS[name].values
        if not is_line(value) or (allowed and value not in allowed):
            expected = " or ".join(allowed) if allowed else "one line of text"
            raise TSXError(f"{where}: {name}: expected {expected}, found {shown(value)}")

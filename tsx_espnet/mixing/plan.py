"""A mixture as data: which crop of which clip goes where, how loud, what it is queried by."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

from tsx_espnet.conditions import CONDITIONS, PLUGINS
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing import fields
from tsx_espnet.mixing.fields import MOST_SAMPLES
from tsx_espnet.tables import PathLike, atomic_write, check_id

# what is drawn keeps to these; a plan is read from a file, and memory follows from it
LONGEST = 600.0  # seconds of a mixture
MAX_SOURCES = 16


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
class GeneratedNoise:
    """Background noise made from ``seed``, ``slope`` dB an octave, times ``gain``; ``noise.py``."""

    seed: int
    slope: float
    gain: float


@dataclasses.dataclass(frozen=True)
class RecordedNoise:
    """Background noise from sample ``start`` of a clip of noise, times ``gain``; ``noise.py``."""

    clip: str
    start: int
    gain: float


Background = Union[GeneratedNoise, RecordedNoise]


@dataclasses.dataclass(frozen=True)
class Enrollment:
    """Another clip of the target's class: its samples ``start`` to ``start + length``."""

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
        target: number of the wanted source.
        conditions: name -> value of the conditions that apply, see ``tsx_espnet.conditions``.
        snr: level of the target over that of all the rest together, in dB.
        overlap: of the sounding parts, see ``placement.py``.
        seed, epoch, index: what it was drawn from.
        background: noise under the sources.
        enrollments: recordings to ask for the target by.
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
    background: Optional[Background] = None
    enrollments: Tuple[Enrollment, ...] = ()

    def to_json(self) -> str:
        """One line of JSON from which ``from_json`` makes an equal plan."""
        written = dataclasses.asdict(self)
        for name in ("background", "enrollments"):  # as lines were before there were these
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
            found = json.loads(line, parse_constant=fields.refuse_constant)
        except (ValueError, RecursionError) as error:
            raise TSXError(f"{where}: not JSON ({error})") from None
        plan = fields.record(cls, found, where)
        check_id(fields.text(plan, "id", where), where)
        fields.integer(plan, "fs", where, 1, 10**7)
        fields.integer(plan, "num_samples", where, 1, round((LONGEST + 1) * plan["fs"]))
        if not isinstance(plan["sources"], list) or not 1 <= len(plan["sources"]) <= MAX_SOURCES:
            raise TSXError(f"{where}: sources: expected a list of 1 to {MAX_SOURCES} sources")
        plan["sources"] = tuple(
            _placement(source, plan["num_samples"], f"{where}: sources[{number}]")
            for number, source in enumerate(plan["sources"])
        )
        fields.integer(plan, "target", where, 0, len(plan["sources"]) - 1)
        fields.number(plan, "snr", where, -1000, 1000)
        fields.number(plan, "overlap", where, 0, 1)
        for name in ("seed", "epoch", "index"):
            fields.integer(plan, name, where, 0, 2**63)
        _check_conditions(plan["conditions"], where)
        if plan["background"] is not None:
            plan["background"] = _background(plan["background"], f"{where}: background")
        if not isinstance(plan["enrollments"], (list, tuple)):
            raise TSXError(f"{where}: enrollments: expected a list")
        plan["enrollments"] = tuple(
            _enrollment(found, f"{where}: enrollments[{number}]")
            for number, found in enumerate(plan["enrollments"])
        )
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


def _placement(found: Any, num_samples: int, where: str) -> Placement:
    source = fields.record(Placement, found, where)
    check_id(fields.text(source, "clip", where), f"{where}: clip")
    fields.text(source, "label", where)
    labels = source["labels"]
    if not isinstance(labels, list) or not labels or not all(map(fields.is_line, labels)):
        raise TSXError(f"{where}: labels: expected a list of names, found {labels!r:.80}")
    source["labels"] = tuple(labels)
    fields.integer(source, "start", where, 0, MOST_SAMPLES)
    fields.integer(source, "offset", where, 0, num_samples - 1)
    fields.integer(source, "length", where, 1, num_samples - source["offset"])
    fields.number(source, "gain", where, 0, 1e9)
    return Placement(**source)


def _background(found: Any, where: str) -> Background:
    recorded = isinstance(found, dict) and "clip" in found
    noise = fields.record(RecordedNoise if recorded else GeneratedNoise, found, where)
    fields.number(noise, "gain", where, 0, 1e9)
    if recorded:
        check_id(fields.text(noise, "clip", where), f"{where}: clip")
        fields.integer(noise, "start", where, 0, MOST_SAMPLES)
        return RecordedNoise(**noise)
    fields.integer(noise, "seed", where, 0, 2**63)
    fields.number(noise, "slope", where, -100, 100)
    return GeneratedNoise(**noise)


def _enrollment(found: Any, where: str) -> Enrollment:
    excerpt = fields.record(Enrollment, found, where)
    check_id(fields.text(excerpt, "clip", where), f"{where}: clip")
    fields.integer(excerpt, "start", where, 0, MOST_SAMPLES)
    fields.integer(excerpt, "length", where, 1, MOST_SAMPLES)
    return Enrollment(**excerpt)


def _check_conditions(conditions: Any, where: str) -> None:
    if not isinstance(conditions, dict):
        raise TSXError(f"{where}: conditions: expected an object, found {conditions!r:.80}")
    for name, value in conditions.items():
        if name not in CONDITIONS or not CONDITIONS[name].planned:
            raise TSXError(
                f"{where}: conditions: no condition {name!r:.80}: expected some of "
                f"{', '.join(CONDITIONS)}, or of a module that {PLUGINS} names"
            )
        allowed = CONDITIONS[name].values
        if not fields.is_line(value) or (allowed and value not in allowed):
            expected = " or ".join(allowed) if allowed else "one line of text"
            raise TSXError(f"{where}: {name}: expected {expected}, found {value!r:.80}")

"""``scores.csv``: one row per target and condition, and the oracle that picks among them."""

import csv
import dataclasses
import itertools
import math
from pathlib import Path
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from tsx_espnet.conditions import ASKED, CONDITIONS, UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, atomic_write

FILE = "scores.csv"
ORACLE = "oracle"
SHUFFLED = "shuffled"
# what tables say beside the name of a system, and why; facts of its estimates
MARKS = {ORACLE: "the model hears the sources", SHUFFLED: "the model hears other mixtures"}
ORDER = (*ASKED, ORACLE)
YES, NO = "yes", "no"
ROUNDING = 2e-4  # dB; a gain and what it is the difference of have four decimals each
_AGAIN = "run score again"


@dataclasses.dataclass(frozen=True)
class Score:
    """How well one target was extracted under one condition; all metrics in dB or None.

    ``mixture`` is the name of the target, which is that of its mixture. The further targets of a
    mixture that is queried for several have names of their own, and ``in_mixture`` is the mixture;
    files without such targets do not have this column.

    ``silent`` names the signal that leaves nothing to measure (target, other, mixture, estimate),
    and is empty if all are audible. ``value`` is that of the condition; of the oracle, the
    condition; of a model without queries, the output that fits the target (spk1, spk2).
    ``sdr`` (and ``sir``, ``sar``) is BSS-eval's, ``snr`` the SNR-type SDR, ``..._mixture`` the
    value of the mixture itself, ``si_sdri`` the gain over it. ``clip`` is the clip of the target,
    which other mixtures may share; it is empty in scores from before this column.

    ``rest_si_sdr`` is the SI-SDR of the estimate of the rest, measured against the target: how well
    a queried model would have done with its outputs exchanged.

    Only for a model without queries, in sets that have all sources, see ``sources.py``: ``si_snr``
    of FUSS, the ``count`` of sources of the mixture and the number of its ``active_outputs``, and
    whether the one of this target is ``active`` (yes, no). The mixture of a single source is that
    source: it has no ``si_snr_mixture``. A source of zeros has neither.
    """

    mixture: str
    condition: str
    value: str
    label: str
    silent: str = ""
    si_sdr: Optional[float] = None
    si_sdr_mixture: Optional[float] = None
    si_sdri: Optional[float] = None
    snr: Optional[float] = None
    snr_mixture: Optional[float] = None
    sdr: Optional[float] = None
    sdr_mixture: Optional[float] = None
    sir: Optional[float] = None
    sar: Optional[float] = None
    clip: str = ""
    in_mixture: str = ""
    rest_si_sdr: Optional[float] = None
    si_snr: Optional[float] = None
    si_snr_mixture: Optional[float] = None
    count: Optional[int] = None
    active_outputs: Optional[int] = None
    active: str = ""

    @property
    def mixture_id(self) -> str:
        """The mixture of the target; targets that share one are not independent."""
        return self.in_mixture or self.mixture

    def of_rest(self) -> "Score":
        """The score of the estimate of the rest, if that is taken for the target."""
        others = {name: None for name in METRICS if not name.endswith("_mixture")}
        return dataclasses.replace(self, **{**others, "si_sdr": self.rest_si_sdr})


COLUMNS = tuple(field.name for field in dataclasses.fields(Score))
METRICS = COLUMNS[5:14]
OPTIONAL = COLUMNS[14:]
REST = "rest_si_sdr"
OF_SOURCES = COLUMNS[17:]
_DECIBELS = (*METRICS, REST, "si_snr", "si_snr_mixture")
_COUNTS = ("count", "active_outputs")


class Metric(NamedTuple):
    """A column of ``scores.csv``, or its improvement: minus ``<column>_mixture``. In dB.

    ``pairs``: as FUSS has it, only of active outputs, and without improvement on a single source.
    """

    name: str
    column: str
    improvement: bool = False
    pairs: bool = False

    def of(self, score: Score) -> Optional[float]:
        """Its value; None where it, or what it improves on, is missing (silent, not computed)."""
        if self.pairs and score.active != YES:
            return None
        improves = self.improvement and not (self.pairs and score.count == 1)
        values = getattr(score, self.column), self.level(score) if improves else 0.0
        return None if None in values else values[0] - values[1]

    def level(self, score: Score) -> Optional[float]:
        """That of the mixture itself."""
        return getattr(score, f"{self.column}_mixture")


def add_oracle(scores: Iterable[Score]) -> List[Score]:
    """The scores with an ``oracle`` row for each target: that of the condition of highest SI-SDR.

    That is the "(Oracle) OCT" of the OCT paper. Ties go to the condition that comes first in
    ``CONDITIONS``; a target without any SI-SDR keeps a row that says what is silent.
    ``unconditional`` is never picked. Sorted by target, then in the order of the conditions.
    """
    scores = sorted((score for score in scores if score.condition != ORACLE), key=_place)
    best: Dict[str, Score] = {}
    for score in scores:
        if score.condition != UNCONDITIONAL:
            champion = best.setdefault(score.mixture, score)
            if _rank(score) > _rank(champion):
                best[score.mixture] = score
    oracle = [
        dataclasses.replace(score, condition=ORACLE, value=score.condition)
        for score in best.values()
    ]
    return sorted(scores + oracle, key=_place)


def shown_condition(present: Sequence[str], wanted: Optional[str] = None) -> str:
    """``wanted`` if it is there; else text, which is what a user has; else the last that is there.

    >>> shown_condition(["energy", "order", "text", "oracle"]), shown_condition(["energy", "order"])
    ('text', 'order')
    """
    if wanted in present:
        return wanted
    return [name for name in (UNCONDITIONAL, *CONDITIONS) if name in present][-1]


def write_scores(path: PathLike, scores: Iterable[Score]) -> None:
    """Write ``scores`` in the given order, atomically; decibels with four decimals."""
    scores = list(scores)
    rare = ("in_mixture", REST)
    left_out = {name for name in rare if all(getattr(one, name) in ("", None) for one in scores)}
    if not any(score.count for score in scores):
        left_out |= set(OF_SOURCES)
    columns = [column for column in COLUMNS if column not in left_out]
    with atomic_write(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for score in scores:
            writer.writerow([_cell(getattr(score, column)) for column in columns])


def read_scores(path: PathLike) -> List[Score]:
    """Read what ``write_scores`` wrote.

    Raises:
        TSXError: for a missing file or column, an unknown condition, or a cell that is no finite
            number; with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise TSXError(f"{path}: no such file; run score")
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            needed = (name for name in COLUMNS if name not in OPTIONAL)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise TSXError(f"{path}: missing column {', '.join(missing)}; {_AGAIN}")
            return [_score(row, f"{path}:{reader.line_num}") for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TSXError(f"{path}: not CSV ({error}); {_AGAIN}") from None


def check_scores(scores: Sequence[Score], path: PathLike) -> None:
    """Refuse ``scores`` of ``path`` that score cannot have written.

    Of every target: one row a condition, one label and one SI-SDR of the mixture itself in all of
    them, SI-SDRi = SI-SDR - the mixture's; an oracle that is the row of the condition it names and
    no worse than any (so that oracle OCT is at least what text gives, wherever text is applicable).

    Raises:
        TSXError: with the file, the mixture and what contradicts what.
    """
    mixtures: Dict[str, Dict[str, Score]] = {}
    for score in scores:
        rows = mixtures.setdefault(score.mixture, {})
        if score.condition in rows:
            raise _stale(path, score.mixture, f"{score.condition} occurs twice")
        rows[score.condition] = score
    for name, rows in mixtures.items():
        for fault in itertools.chain(_faults(rows), _oracle_faults(rows)):
            raise _stale(path, name, fault)


def _score(row: Dict[str, str], where: str) -> Score:
    if None in row.values() or None in row:
        cells = sum(column in row for column in COLUMNS)
        raise TSXError(f"{where}: expected {cells} cells; {_AGAIN}")
    if row["condition"] not in ORDER:
        raise TSXError(
            f"{where}: unknown condition {row['condition']!r:.80}; expected one of "
            f"{', '.join(ORDER)}; {_AGAIN}"
        )
    fields: Dict[str, Any] = {column: row[column] for column in COLUMNS[:5]}
    fields.update({column: row.get(column, "") for column in OPTIONAL})
    for column in (*_DECIBELS, *_COUNTS):
        text = fields[column] = row.get(column, "")
        kind, expected = (int, "a number") if column in _COUNTS else (float, "a number of dB")
        try:
            fields[column] = kind(text) if text else None
        except ValueError:
            fields[column] = math.nan
        if not math.isfinite(fields[column] or 0):
            raise TSXError(f"{where}: {column} is {text!r:.80}; expected {expected}; {_AGAIN}")
    return Score(**fields)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else value


def _place(score: Score) -> Tuple[str, int]:
    return score.mixture, ORDER.index(score.condition)


def _rank(score: Score) -> float:
    return -math.inf if score.si_sdr is None else score.si_sdr


def _faults(rows: Mapping[str, Score]) -> Iterator[str]:
    first = next(iter(rows.values()))
    for name, score in rows.items():
        for column in ("label", "clip", "in_mixture", "si_sdr_mixture"):
            found, expected = getattr(score, column), getattr(first, column)
            if found != expected:
                yield f"{column} is {found!r} under {name} and {expected!r} under {first.condition}"
        single, numbered = score.count == 1, score.count and score.active_outputs is not None
        if score.si_snr is not None and not (numbered and single == (score.si_snr_mixture is None)):
            yield f"{name} has SI-SNR without {', '.join(OF_SOURCES[1:])} that fit it"
        after, before, gain = score.si_sdr, score.si_sdr_mixture, score.si_sdri
        if None in (after, before, gain):
            if after is not None or gain is not None:
                yield f"{name} lacks one of SI-SDR, SI-SDRi and the mixture's SI-SDR"
        elif abs(after - before - gain) > ROUNDING:
            yield f"{name} has SI-SDRi {gain:.4f} dB, expected {after:.4f} - {before:.4f} dB"


def _oracle_faults(rows: Mapping[str, Score]) -> Iterator[str]:
    queried = {c: score for c, score in rows.items() if c not in (ORACLE, UNCONDITIONAL)}
    oracle = rows.get(ORACLE)
    if oracle is None:
        if queried:
            yield "no oracle"
        return
    for condition, score in queried.items():
        if _rank(score) > _rank(oracle):
            found, least = decibels(oracle.si_sdr), decibels(score.si_sdr)
            yield f"oracle has SI-SDR {found}, less than the {least} of {condition}"
    named = queried.get(oracle.value)
    if named is None:
        yield f"oracle is {oracle.value!r}, which has no row"
    elif dataclasses.replace(oracle, condition=named.condition, value=named.value) != named:
        yield f"oracle and {oracle.value}, which it names, have different numbers"


def decibels(value: Optional[float]) -> str:
    """``value`` with its unit; a silent signal has none."""
    return "none (silent)" if value is None else f"{value:.4f} dB"


def _stale(path: PathLike, name: str, fault: str) -> TSXError:
    words = f"it is stale or was edited: remove it and {_AGAIN}"
    return TSXError(f"{path}: mixture {name!r}: {fault}; {words}")

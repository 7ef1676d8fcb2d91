"""What holds for scores by definition; where it does not, a file is stale or was edited."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import ORACLE, Score
from tsx_espnet.mixing.mixture_set import describe_difference
from tsx_espnet.tables import PathLike

if TYPE_CHECKING:
    from tsx_espnet.evaluation.system import ScoredExperiment

ROUNDING = 2e-4  # dB; a gain and what it is the difference of have four decimals each
SAME_AUDIO = 0.01  # dB; the same mixture scored on another machine


def check_scores(scores: Sequence[Score], path: PathLike) -> None:
    """Refuse ``scores`` of ``path`` that stage 7 cannot have written.

    Of every mixture: one row a condition, one label and one SI-SDR of the mixture itself in all of
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
        fault = _fault(rows) or _oracle_fault(rows)
        if fault:
            raise _stale(path, name, fault)


def check_ensemble(
    ensemble: Mapping[str, float], members: Mapping[str, Mapping[str, float]]
) -> None:
    """Refuse an ensemble that is worse than one of its ``members``, for a mixture or in the mean.

    All are mixture -> SI-SDR in dB; the mean is over the mixtures of the member.

    Raises:
        TSXError: with the member and the mixture.
    """
    for member, values in members.items():
        for name, value in values.items():
            best = ensemble.get(name, -math.inf)
            if best < value:
                raise TSXError(
                    f"oracle ensemble: mixture {name!r}: {best:.4f} dB, less than the {value:.4f} "
                    f"dB of {member}"
                )
        means = [math.fsum(table[name] for name in values) for table in (ensemble, values)]
        if means[0] < means[1]:
            raise TSXError(f"oracle ensemble: mean over the mixtures of {member} below its own")


def check_same_set(experiments: Sequence["ScoredExperiment"]) -> None:
    """Refuse experiments that did not score the same mixtures.

    Stage 6 notes the set; without that note, conditions that two experiments share must be of the
    same mixtures with the same values, and mixtures that they share must have the same target and
    level.

    Raises:
        TSXError: with the first experiment that differs, from which, and how.
    """
    for index, other in enumerate(experiments):
        for first in experiments[:index]:
            difference = _difference(first, other)
            if difference:
                raise TSXError(
                    f"{other.path}: not of the same mixtures as {first.path}: {difference}"
                )


def _fault(rows: Mapping[str, Score]) -> Optional[str]:
    first = next(iter(rows.values()))
    for score in rows.values():
        for column in ("label", "si_sdr_mixture"):
            found, expected = getattr(score, column), getattr(first, column)
            if found != expected:
                return (
                    f"{column} is {found!r} under {score.condition} and {expected!r} under "
                    f"{first.condition}"
                )
        parts = (score.si_sdr, score.si_sdr_mixture, score.si_sdri)
        if None in parts:
            if score.si_sdr is not None or score.si_sdri is not None:
                return f"{score.condition} lacks one of SI-SDR, SI-SDRi and the mixture's SI-SDR"
        elif abs(score.si_sdr - score.si_sdr_mixture - score.si_sdri) > ROUNDING:
            return (
                f"{score.condition} has SI-SDRi {score.si_sdri:.4f} dB, expected "
                f"{score.si_sdr:.4f} - {score.si_sdr_mixture:.4f} dB"
            )
    return None


def _oracle_fault(rows: Mapping[str, Score]) -> Optional[str]:
    asked = {c: score for c, score in rows.items() if c not in (ORACLE, UNCONDITIONAL)}
    oracle = rows.get(ORACLE)
    if oracle is None:
        return "no oracle" if asked else None
    for condition, score in asked.items():
        if score.si_sdr is not None and (oracle.si_sdr is None or oracle.si_sdr < score.si_sdr):
            return (
                f"oracle has SI-SDR {_decibels(oracle.si_sdr)}, less than the "
                f"{_decibels(score.si_sdr)} of {condition}"
            )
    if oracle.value not in asked:
        return f"oracle is {oracle.value!r}, which has no row"
    named = asked[oracle.value]
    if dataclasses.replace(oracle, condition=named.condition, value=named.value) != named:
        return f"oracle and {oracle.value}, which it names, have different numbers"
    return None


def _difference(first: "ScoredExperiment", other: "ScoredExperiment") -> str:
    """How the mixtures differ, in words; empty if they do not."""
    ours, theirs = first.table, other.table
    for condition in first.conditions:
        # the oracle is of the mixtures that any condition of the experiment applies to
        if condition in other.conditions and condition != ORACLE:
            words = describe_difference(first.rows(condition), other.rows(condition))
            if words:
                return f"{condition}: {words}"
    # asked for nothing, a model answers every mixture; the others skip what cannot be asked
    words = ""
    if UNCONDITIONAL in first.conditions:
        words = describe_difference(ours, {**ours, **theirs})
    elif UNCONDITIONAL in other.conditions:
        words = describe_difference(ours, {name: ours[name] for name in ours if name in theirs})
    if words:
        return words
    common = sorted(set(ours) & set(theirs))
    for name in common:
        fault = _row_difference(ours[name], theirs[name])
        if fault:
            return f"mixture {name!r}: {fault}"
    ids = describe_difference(ours, theirs)
    if not common:
        return f"none in common: {ids}"
    sets = (first.mixture_set, other.mixture_set)
    if None not in sets and sets[0] != sets[1]:
        return f"its .done names another mixture set ({ids or 'with the same ids'})"
    return ""


def _row_difference(ours: Mapping[str, Score], theirs: Mapping[str, Score]) -> str:
    expected, found = next(iter(ours.values())), next(iter(theirs.values()))
    if found.label != expected.label:
        return f"target is {found.label!r}, expected {expected.label!r}"
    levels: List[Optional[float]] = [expected.si_sdr_mixture, found.si_sdr_mixture]
    if None in levels:
        differ = levels[0] is not levels[1]
    else:
        differ = abs(levels[0] - levels[1]) > SAME_AUDIO
    if differ:
        expected_level, found_level = map(_decibels, levels)
        return f"SI-SDR of the mixture is {found_level}, expected {expected_level}"
    for condition in set(ours) & set(theirs) - {ORACLE, UNCONDITIONAL}:
        expected, found = ours[condition], theirs[condition]
        if found.value != expected.value:
            return f"{condition} is {found.value!r}, expected {expected.value!r}"
    return ""


def _decibels(value: Optional[float]) -> str:
    return "none (silent)" if value is None else f"{value:.4f} dB"


def _stale(path: PathLike, name: str, fault: str) -> TSXError:
    return TSXError(
        f"{Path(path)}: mixture {name!r}: {fault}; it is stale or was edited: remove it and run "
        "stage 7 (score) again"
    )

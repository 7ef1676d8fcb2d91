"""What is compared: the scores of an experiment on a test set, and answers in dB a mixture."""

import dataclasses
import functools
from pathlib import Path
from typing import Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import (
    FILE,
    ORACLE,
    ORDER,
    Score,
    check_scores,
    decibels,
    read_scores,
)
from tsx_espnet.evaluation.statistics import Evidence, Mean, mean_of, weigh
from tsx_espnet.mixing.mixture_set import describe_difference
from tsx_espnet.tables import PathLike, read_facts

INFER = "infer"  # <exp>/infer/<test set> holds estimates and scores
ENSEMBLE = "oracle ensemble"
SAME_AUDIO = 0.01  # dB; the same mixture scored on another machine


class Metric(NamedTuple):
    """A column of ``scores.csv``, or its improvement: minus ``<column>_mixture``. In dB."""

    name: str
    column: str
    improvement: bool = False

    def of(self, score: Score) -> Optional[float]:
        """Its value; None where it, or what it improves on, is missing (silent, not computed)."""
        values = getattr(score, self.column), self.level(score) if self.improvement else 0.0
        return None if None in values else values[0] - values[1]

    def level(self, score: Score) -> Optional[float]:
        """That of the mixture itself."""
        return getattr(score, f"{self.column}_mixture")


METRICS = {
    f"{name}{suffix}": Metric(f"{name}{suffix}", name.lower().replace("-", "_"), bool(suffix))
    for name in ("SI-SDR", "SNR", "SDR")
    for suffix in ("", "i")
}


@dataclasses.dataclass(frozen=True)
class ScoredExperiment:
    """The scores of one experiment on one test set, checked.

    Attributes:
        directory: the experiment.
        path: its ``scores.csv``.
        table: mixture -> condition -> its row.
        mixture_set: digest of the marker of the mixtures, as stage 6 noted it; None if it did not.
    """

    directory: Path
    path: Path
    table: Mapping[str, Mapping[str, Score]]
    mixture_set: Optional[str]

    @property
    def conditions(self) -> Tuple[str, ...]:
        """The conditions that it was queried by, in the order of ``CONDITIONS``; oracle last."""
        present = {condition for rows in self.table.values() for condition in rows}
        return tuple(condition for condition in ORDER if condition in present)

    def rows(self, condition: str) -> Dict[str, Score]:
        """Mixture -> row, of the mixtures that ``condition`` is applicable to."""
        return {name: rows[condition] for name, rows in self.table.items() if condition in rows}


@dataclasses.dataclass(frozen=True)
class Answers:
    """One way to answer the mixtures of a test set, or the difference of two.

    Attributes:
        name: as tables call it.
        condition: what it was queried by.
        values: mixture -> dB, of the mixtures it could be queried for and that can be measured.
        targets: mixture -> its row, of these mixtures at least; of a mean or a difference, that of
            the first of them, to tell class and clip of the target.
        silent: mixtures left out as a reference or the estimate is silent.
        run_means: mean in dB of each run, over its own mixtures.
    """

    name: str
    condition: str
    values: Mapping[str, float]
    targets: Mapping[str, Score]
    silent: int = 0
    run_means: Tuple[float, ...] = ()

    @functools.cached_property
    def mean(self) -> Optional[Mean]:
        """The mean and its interval over the mixtures; None without any."""
        return mean_of(list(self.values.values()))

    @property
    def evidence(self) -> Evidence:
        """What the mean rests on."""
        targets = [self.targets[name] for name in self.values]
        clips, labels = [score.clip for score in targets], [score.label for score in targets]
        return weigh(list(self.values.values()), clips, labels, self.run_means)

    def minus(self, other: "Answers") -> "Answers":
        """The difference, mixture by mixture, over those that both have.

        The interval of its mean is the paired one: both keep their answers to the mixtures drawn.
        """
        common = [name for name in self.values if name in other.values]
        values = {name: self.values[name] - other.values[name] for name in common}
        return of_one_run(f"{self.name} - {other.name}", self.condition, values, self.targets)

    def by_label(self) -> Dict[str, "Answers"]:
        """Class of the target -> its mixtures, sorted by class."""
        groups: Dict[str, Dict[str, float]] = {}
        for name, value in self.values.items():
            groups.setdefault(self.targets[name].label, {})[name] = value
        return {
            label: of_one_run(self.name, self.condition, groups[label], self.targets)
            for label in sorted(groups)
        }


def of_one_run(
    name: str,
    condition: str,
    values: Mapping[str, float],
    targets: Mapping[str, Score],
    silent: int = 0,
) -> Answers:
    """Answers whose only run is themselves."""
    means = (sum(values.values()) / len(values),) if values else ()
    return Answers(name, condition, values, targets, silent, means)


def read_experiment(directory: PathLike, test_set: str) -> ScoredExperiment:
    """Read and check ``<directory>/infer/<test_set>/scores.csv``.

    Raises:
        TSXError: if it is missing ("run stage 7"), empty or contradicts itself.
    """
    directory = Path(directory)
    path = directory / INFER / test_set / FILE
    scores = read_scores(path)
    if not scores:
        raise TSXError(f"{path}: no scores; run stages 6 (infer) and 7 (score)")
    check_scores(scores, path)
    table: Dict[str, Dict[str, Score]] = {}
    for score in sorted(scores, key=lambda score: score.mixture):
        table.setdefault(score.mixture, {})[score.condition] = score
    facts = read_facts(path.parent) or {}
    return ScoredExperiment(directory, path, table, facts.get("mixtures"))


def ask(
    experiment: ScoredExperiment,
    condition: str,
    name: str,
    metric: Metric = METRICS["SI-SDR"],
) -> Answers:
    """The answers of ``experiment`` when queried by ``condition``.

    Raises:
        TSXError: if the experiment has no scores under it.
    """
    rows = experiment.rows(condition)
    if not rows:
        raise TSXError(
            f"{experiment.path}: no scores under {condition!r}; expected one of "
            f"{', '.join(experiment.conditions)}"
        )
    found = {mixture: metric.of(score) for mixture, score in rows.items()}
    values = {mixture: value for mixture, value in found.items() if value is not None}
    return of_one_run(name, condition, values, rows, len(rows) - len(values))


def ensemble(members: Sequence[Answers]) -> Answers:
    """For every mixture the best of ``members`` [OCT paper, Fig. 2: "their oracle ensemble"].

    It takes the references to know which one that is. Its mixtures are those that any has.
    """
    best: Dict[str, Answers] = {}
    for member in members:
        for name, value in member.values.items():
            if name not in best or value > best[name].values[name]:
                best[name] = member
    values = {name: best[name].values[name] for name in sorted(best)}
    targets = {name: best[name].targets[name] for name in values}
    return of_one_run(ENSEMBLE, "best of all", values, targets)


def average(runs: Sequence[Answers], name: str) -> Answers:
    """For every mixture that all of ``runs`` have, their mean: several seeds or draws as one."""
    common = [mixture for mixture in runs[0].values if all(mixture in r.values for r in runs)]
    values = {mixture: sum(run.values[mixture] for run in runs) / len(runs) for mixture in common}
    means = tuple(mean for run in runs for mean in run.run_means)
    silent = max(run.silent for run in runs)
    return Answers(name, runs[0].condition, values, runs[0].targets, silent, means)


def check_same_set(experiments: Sequence[ScoredExperiment]) -> None:
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


def check_same_targets(experiments: Sequence[ScoredExperiment]) -> None:
    """Refuse experiments that share no mixture with the first, or not its target and its level.

    They may have been queried by other recordings: only so are one and ten recordings of a class a
    pair, and two draws of them.

    Raises:
        TSXError: with the two files, the mixture and what differs.
    """
    for other in experiments[1:]:
        first = experiments[0]
        where = f"{other.path}: not of the same mixtures as {first.path}"
        common = sorted(set(first.table) & set(other.table))
        if not common:
            raise TSXError(f"{where}: none in common")
        for name in common:
            fault = _target_difference(
                *(next(iter(e.table[name].values())) for e in (first, other))
            )
            if fault:
                raise TSXError(f"{where}: mixture {name!r}: {fault}")


def _difference(first: ScoredExperiment, other: ScoredExperiment) -> str:
    """How the mixtures differ, in words; empty if they do not."""
    ours, theirs = first.table, other.table
    for condition in first.conditions:
        # the oracle is of the mixtures that any condition of the experiment applies to
        if condition in other.conditions and condition != ORACLE:
            words = describe_difference(first.rows(condition), other.rows(condition))
            if words:
                return f"{condition}: {words}"
    # queried by nothing, a model answers every mixture; the others skip what does not apply
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
    fault = _target_difference(next(iter(ours.values())), next(iter(theirs.values())))
    if fault:
        return fault
    for condition in set(ours) & set(theirs) - {ORACLE, UNCONDITIONAL}:
        expected, found = ours[condition].value, theirs[condition].value
        if found != expected:
            return f"{condition} is {found!r}, expected {expected!r}"
    return ""


def _target_difference(expected: Score, found: Score) -> str:
    if found.label != expected.label:
        return f"target is {found.label!r}, expected {expected.label!r}"
    levels = expected.si_sdr_mixture, found.si_sdr_mixture
    same = levels[0] is levels[1] if None in levels else abs(levels[0] - levels[1]) <= SAME_AUDIO
    if not same:
        expected_level, found_level = map(decibels, levels)
        return f"SI-SDR of the mixture is {found_level}, expected {expected_level}"
    return ""

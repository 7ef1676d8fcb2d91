"""What is compared: the scores of an experiment on a test set, and answers in dB a target."""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Dict, Iterable, Iterator, Mapping, Optional, Sequence, Tuple

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import (
    FILE,
    MARKS,
    ORACLE,
    ORDER,
    Metric,
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


METRICS = {
    f"{name}{suffix}": Metric(f"{name}{suffix}", name.lower().replace("-", "_"), bool(suffix))
    for name in ("SI-SDR", "SNR", "SDR", "SI-SNR")
    for suffix in ("", "i")
}
METRICS["FUSS"] = Metric("FUSS", "si_snr", improvement=True, pairs=True)


@dataclasses.dataclass(frozen=True)
class ScoredExperiment:
    """The scores of one experiment on one test set, checked.

    Attributes:
        path: its ``scores.csv``.
        table: target -> condition -> its row.
        mixture_set: digest of the marker of the mixtures, as infer noted it; None if it did not.
        marks: those of ``MARKS`` that tables put beside its name.
    """

    path: Path
    table: Mapping[str, Mapping[str, Score]]
    mixture_set: Optional[str]
    marks: Tuple[str, ...] = ()

    @property
    def conditions(self) -> Tuple[str, ...]:
        """What it was queried by, in the order of ``ORDER``."""
        present = {condition for rows in self.table.values() for condition in rows}
        return tuple(condition for condition in ORDER if condition in present)

    def rows(self, condition: str) -> Dict[str, Score]:
        """Target -> row, of the targets that ``condition`` is applicable to."""
        return {name: rows[condition] for name, rows in self.table.items() if condition in rows}


@dataclasses.dataclass(frozen=True)
class Answers:
    """One way to answer the queries of a test set, or the difference of two.

    Attributes:
        name: as tables call it.
        condition: what it was queried by.
        values: target -> dB, of the targets that the condition applies to and that are audible.
        targets: target -> its row, of these targets at least, for its mixture, class and clip; of a
            mean or a difference, that of the first.
        silent: targets left out as a reference or the estimate is silent.
        run_means: mean in dB of each run, over its own targets.
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
        mixtures = [self.targets[name].mixture_id for name in self.values]
        return mean_of(list(self.values.values()), mixtures)

    @property
    def evidence(self) -> Evidence:
        """What the mean rests on."""
        targets = [self.targets[name] for name in self.values]
        return weigh(list(self.values.values()), targets, self.run_means)

    def minus(self, other: "Answers") -> "Answers":
        """The difference, target by target, over those that both have.

        The interval of its mean is the paired one: both keep their answers to the mixtures drawn.
        """
        ours, theirs = self.values, other.values
        values = {name: ours[name] - theirs[name] for name in ours if name in theirs}
        return of_one_run(f"{self.name} - {other.name}", self.condition, values, self.targets)

    def by_label(self) -> Dict[str, "Answers"]:
        """Class -> its targets, sorted by class."""
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
        TSXError: if it is missing ("run score"), empty or contradicts itself.
    """
    path = Path(directory) / INFER / test_set / FILE
    scores = read_scores(path)
    if not scores:
        raise TSXError(f"{path}: no scores; run stages 6 (infer) and 7 (score)")
    check_scores(scores, path)
    table: Dict[str, Dict[str, Score]] = {}
    for score in sorted(scores, key=lambda score: score.mixture):
        table.setdefault(score.mixture, {})[score.condition] = score
    facts = read_facts(path.parent) or {}
    marks = tuple(mark for mark in MARKS if facts.get(mark) is True)
    return ScoredExperiment(path, table, facts.get("mixtures"), marks)


def ask(
    experiment: ScoredExperiment,
    condition: str,
    name: str,
    metric: Metric = METRICS["SI-SDR"],
    rest: bool = False,
) -> Answers:
    """The answers of ``experiment`` to ``condition``; with ``rest``, its estimates of the rest.

    Raises:
        TSXError: if the experiment has no scores under it.
    """
    rows = experiment.rows(condition)
    if not rows:
        raise TSXError(
            f"{experiment.path}: no scores under {condition!r}; expected one of "
            f"{', '.join(experiment.conditions)}"
        )
    if rest:
        rows = {target: score.of_rest() for target, score in rows.items()}
    found = {target: metric.of(score) for target, score in rows.items()}
    values = {target: value for target, value in found.items() if value is not None}
    name = marked(name, experiment.marks)
    return of_one_run(name, condition, values, rows, len(rows) - len(values))


def marked(name: str, marks: Sequence[str]) -> str:
    """The name of a system in tables, with its ``MARKS``.

    >>> marked("tdcn", ["oracle"]), marked("tdcn", [])
    ('tdcn (oracle)', 'tdcn')
    """
    return f"{name} ({', '.join(marks)})" if marks else name


def ensemble(members: Sequence[Answers]) -> Answers:
    """For every target the best of ``members`` [OCT paper, Fig. 2: "their oracle ensemble"].

    It takes the references to know which one that is. Its targets are those that any has.
    """
    values: Dict[str, float] = {}
    targets: Dict[str, Score] = {}
    for name in sorted(set().union(*(member.values for member in members))):
        queried = [member for member in members if name in member.values]
        best = max(queried, key=lambda member: member.values[name])
        values[name], targets[name] = best.values[name], best.targets[name]
    return of_one_run(ENSEMBLE, "best of all", values, targets)


def average(runs: Sequence[Answers]) -> Optional[Answers]:
    """For every target that all of ``runs`` have, their mean: several seeds or draws as one.

    None without such a target.
    """
    every = runs[0].values if runs else ()
    common = [name for name in every if all(name in run.values for run in runs)]
    if not common:
        return None
    values = {name: sum(run.values[name] for run in runs) / len(runs) for name in common}
    means = tuple(mean for run in runs for mean in run.run_means)
    silent = max(run.silent for run in runs)
    return dataclasses.replace(runs[0], values=values, silent=silent, run_means=means)


def check_same_set(experiments: Sequence[ScoredExperiment]) -> None:
    """Refuse experiments that did not score the same mixtures.

    The estimates note the set; without that note, conditions that two experiments share must be of
    the same mixtures with the same values, and mixtures that they share must have the same target
    and level.

    Raises:
        TSXError: with two experiments that differ, and how.
    """
    for first, other in itertools.combinations(experiments, 2):
        _refuse(first, other, _query_differences(first, other))
        _refuse(first, other, _target_differences(first, other))
        if len({first.mixture_set, other.mixture_set} - {None}) > 1:
            ids = describe_difference(first.table, other.table) or "with the same ids"
            _refuse(first, other, [f"its .done names another mixture set ({ids})"])


def check_same_targets(experiments: Sequence[ScoredExperiment]) -> None:
    """Refuse experiments that share no mixture with the first, or not its target and its level.

    The recordings they were queried by may differ: that makes pairs of one and ten recordings of a
    class, and of two draws of them.

    Raises:
        TSXError: with the two files, the mixture and what differs.
    """
    for other in experiments[1:]:
        _refuse(experiments[0], other, _target_differences(experiments[0], other))


def _refuse(first: ScoredExperiment, other: ScoredExperiment, differences: Iterable[str]) -> None:
    for difference in differences:
        raise TSXError(f"{other.path}: not of the same mixtures as {first.path}: {difference}")


def _query_differences(first: ScoredExperiment, other: ScoredExperiment) -> Iterator[str]:
    ours, theirs = first.table, other.table
    for condition in first.conditions:
        # the oracle is of the mixtures that any condition of the experiment applies to
        if condition not in other.conditions or condition == ORACLE:
            continue
        mine, yours = first.rows(condition), other.rows(condition)
        words = describe_difference(mine, yours)
        if words:
            yield f"{condition}: {words}"
        for name in mine if condition != UNCONDITIONAL else ():
            expected, found = mine[name].value, yours[name].value
            if found != expected:
                yield f"mixture {name!r}: {condition} is {found!r}, expected {expected!r}"
    # queried by nothing, a model answers every mixture; the others skip what does not apply
    words = ""
    if UNCONDITIONAL in first.conditions:
        words = describe_difference(ours, {**ours, **theirs})
    elif UNCONDITIONAL in other.conditions:
        words = describe_difference(ours, {name: ours[name] for name in ours if name in theirs})
    if words:
        yield words


def _target_differences(first: ScoredExperiment, other: ScoredExperiment) -> Iterator[str]:
    common = sorted(set(first.table) & set(other.table))
    if not common:
        yield f"none in common: {describe_difference(first.table, other.table)}"
    for name in common:
        expected, found = (next(iter(one.table[name].values())) for one in (first, other))
        if found.label != expected.label:
            yield f"mixture {name!r}: target is {found.label!r}, expected {expected.label!r}"
        old, new = expected.si_sdr_mixture, found.si_sdr_mixture
        if old is not new and (None in (old, new) or abs(old - new) > SAME_AUDIO):
            yield (
                f"mixture {name!r}: SI-SDR of the mixture is {decibels(new)}, expected "
                f"{decibels(old)}"
            )

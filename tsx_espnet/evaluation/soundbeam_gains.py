"""How much one answer to a set of mixtures improves on the mixtures, and how sure that is."""

import dataclasses
import functools
from typing import Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.evaluation.scores import Score
from tsx_espnet.evaluation.table import RESAMPLES, Mean, mean_of


class Metric(NamedTuple):
    """An improvement in dB: a column of ``scores.csv`` minus ``<column>_mixture``."""

    name: str
    column: str

    def gain(self, score: Score) -> Optional[float]:
        """In dB; None where one of the two is missing (silent, or not computed)."""
        values = getattr(score, self.column), self.level(score)
        return None if None in values else values[0] - values[1]

    def level(self, score: Score) -> Optional[float]:
        """That of the mixture itself in dB."""
        return getattr(score, f"{self.column}_mixture")


SDRI = Metric("SDRi", "sdr")  # BSS-eval's, the paper's
SI_SDRI = Metric("SI-SDRi", "si_sdr")
METRICS = (SDRI, SI_SDRI)


@dataclasses.dataclass(frozen=True)
class Gains:
    """The improvement mixture by mixture.

    Attributes:
        values: mixture -> dB, of those that can be measured.
        labels: mixture -> class of its target, of these at least.
        run_means: mean in dB of each run (training, draw of recordings), over its own mixtures.
    """

    values: Mapping[str, float]
    labels: Mapping[str, str]
    run_means: Tuple[float, ...] = ()

    @functools.cached_property
    def mean(self) -> Optional[Mean]:
        """The mean and its interval over the mixtures; None without any."""
        return mean_of(list(self.values.values()))

    @functools.cached_property
    def class_interval(self) -> Optional[Tuple[float, float]]:
        """The interval over the classes and their mixtures; None with fewer than two classes."""
        groups = [list(gains.values.values()) for gains in self.by_label().values()]
        return cluster_interval(groups) if len(groups) > 1 else None

    def minus(self, other: "Gains") -> "Gains":
        """The difference, mixture by mixture, over those that both have."""
        common = [name for name in self.values if name in other.values]
        return _of_one_run(
            {name: self.values[name] - other.values[name] for name in common}, self.labels
        )

    def by_label(self) -> Dict[str, "Gains"]:
        """Class of the target -> its mixtures, sorted by class."""
        groups: Dict[str, Dict[str, float]] = {}
        for name, value in self.values.items():
            groups.setdefault(self.labels[name], {})[name] = value
        return {label: Gains(groups[label], self.labels) for label in sorted(groups)}


def measure(rows: Mapping[str, Score], metric: Metric) -> Gains:
    """The gains of mixture -> row, all of one condition."""
    found = {name: metric.gain(score) for name, score in rows.items()}
    values = {name: value for name, value in found.items() if value is not None}
    return _of_one_run(values, {name: score.label for name, score in rows.items()})


def _of_one_run(values: Mapping[str, float], labels: Mapping[str, str]) -> Gains:
    return Gains(values, labels, (sum(values.values()) / len(values),) if values else ())


def average(runs: Sequence[Gains]) -> Gains:
    """For every mixture that all of ``runs`` have, their mean."""
    common = [name for name in runs[0].values if all(name in run.values for run in runs)]
    values = {name: sum(run.values[name] for run in runs) / len(runs) for name in common}
    means = tuple(mean for run in runs for mean in run.run_means)
    return Gains(values, runs[0].labels, means)


def cluster_interval(
    groups: Sequence[Sequence[float]],
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Tuple[float, float]:
    """Two-stage bootstrap interval of the mean of all values: draw groups, then values in each.

    As many groups as there are, and of each as many values as it has, all with replacement
    [Davison and Hinkley, "Bootstrap methods and their application", 1997, Sec. 3.8]. It is wider
    than that over all values where groups differ in their mean.

    >>> cluster_interval([[3.0, 3.0], [3.0]])
    (3.0, 3.0)
    """
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(groups), [1 / len(groups)] * len(groups), size=resamples)
    sums, counts = np.zeros(resamples), drawn @ [len(values) for values in groups]
    for times, values in zip(drawn.T, groups):
        data = np.asarray(values, dtype=np.float64)
        owners = np.repeat(np.arange(resamples), times)  # the resample of each time it is drawn
        block = max(1, 1_000_000 // len(data))  # at once: 8 MB of indices
        for start in range(0, len(owners), block):
            owner = owners[start : start + block]
            values_drawn = data[random.integers(len(data), size=(len(owner), len(data)))]
            np.add.at(sums, owner, values_drawn.sum(1))
    low, high = np.quantile(sums / counts, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

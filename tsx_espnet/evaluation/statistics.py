"""Means of scores, and how sure they are."""

import dataclasses
from typing import Dict, Hashable, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.evaluation.scores import METRICS, ORDER, Score

RESAMPLES = 10_000
UNPROCESSED = "mixture"
MIN_FOR_INTERVAL = 5  # fewer mixtures, or clips, say nothing about their spread
Interval = Tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Summary:
    """One row of a table: the mean of every metric over the mixtures that could be measured.

    Attributes:
        name: a condition, a class, or "mixture" (no processing).
        count: mixtures with all signals audible; the means are over these.
        silent: mixtures left out because a reference, the mixture or the estimate is silent.
        means: metric -> mean in dB, only for the metrics that were computed.
        interval: 95 % bootstrap interval of the mean SI-SDRi in dB.
        worse: share in [0, 1] of mixtures whose estimate is worse than the mixture (SI-SDRi < 0).
    """

    name: str
    count: int
    silent: int
    means: Dict[str, float]
    interval: Optional[Interval] = None
    worse: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean in dB over ``count`` mixtures, and its 95 % bootstrap interval."""

    value: float
    count: int
    interval: Interval


def bootstrap_interval(
    values: Sequence[float], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval of the mean of ``values`` [Efron 1979], from a fixed seed.

    >>> bootstrap_interval([3.0, 3.0, 3.0])
    (3.0, 3.0)
    """
    data = np.asarray(values, dtype=np.float64)
    means = [data[drawn].mean(1) for drawn in _resamples(len(data), resamples, seed)]
    return _quantiles(means, level)


def cluster_interval(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The same, but whole clusters are drawn: values of one cluster are not independent.

    As many clusters as there are, with replacement, each with all of its values [Davison and
    Hinkley, "Bootstrap methods and their application", 1997, Sec. 3.8, strategy 1].

    >>> cluster_interval([1.0, 1.0, 4.0], ["a", "a", "b"])
    (1.0, 4.0)
    """
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    owners = np.array([numbers[cluster] for cluster in clusters])
    sums, counts = np.bincount(owners, np.asarray(values, np.float64)), np.bincount(owners)
    means = [
        sums[drawn].sum(1) / counts[drawn].sum(1)
        for drawn in _resamples(len(sums), resamples, seed)
    ]
    return _quantiles(means, level)


def _resamples(size: int, resamples: int, seed: int) -> Iterable[np.ndarray]:
    """Indices into ``size`` items, ``(R, size)``, a block of all resamples after the other."""
    random = np.random.default_rng(seed)
    block = max(1, 1_000_000 // size)  # resamples at once: 8 MB of indices
    for start in range(0, resamples, block):
        yield random.integers(size, size=(min(block, resamples - start), size))


def _quantiles(means: Sequence[np.ndarray], level: float) -> Interval:
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_of(values: Sequence[float]) -> Optional[Mean]:
    """The mean of ``values`` with its interval; None if there are none."""
    if not values:
        return None
    return Mean(float(np.mean(values)), len(values), bootstrap_interval(values))


def summarize(name: str, scores: Iterable[Score]) -> Summary:
    """The summary of ``scores``, which are of one condition (and perhaps of one class)."""
    scores = list(scores)
    heard = [score for score in scores if score.si_sdri is not None]
    gains = [score.si_sdri for score in heard]
    return Summary(
        name=name,
        count=len(heard),
        silent=len(scores) - len(heard),
        means=_means(heard, METRICS),
        interval=bootstrap_interval(gains) if gains else None,
        worse=float(np.mean(np.less(gains, 0))) if gains else None,
    )


def by_condition(scores: Sequence[Score]) -> List[Summary]:
    """One summary a condition that occurs, the oracle last."""
    present = {score.condition for score in scores}
    return [
        summarize(condition, (score for score in scores if score.condition == condition))
        for condition in ORDER
        if condition in present
    ]


def by_label(scores: Sequence[Score], condition: str) -> List[Summary]:
    """One summary per class of the target under ``condition``, sorted by name."""
    groups: Dict[str, List[Score]] = {}
    for score in scores:
        if score.condition == condition:
            groups.setdefault(score.label, []).append(score)
    return [summarize(label, groups[label]) for label in sorted(groups)]


def unprocessed(scores: Sequence[Score]) -> Summary:
    """What the mixtures themselves score, each counted once whatever its conditions."""
    first: Dict[str, Score] = {}
    for score in scores:
        first.setdefault(score.mixture, score)
    heard = [score for score in first.values() if score.si_sdr_mixture is not None]
    means = {
        metric: value
        for metric in ("si_sdr", "snr", "sdr")
        for value in _means(heard, [f"{metric}_mixture"]).values()
    }
    return Summary(UNPROCESSED, len(heard), len(first) - len(heard), means)


def _means(scores: Sequence[Score], metrics: Sequence[str]) -> Dict[str, float]:
    means: Dict[str, float] = {}
    for metric in metrics:
        values = [getattr(score, metric) for score in scores]
        values = [value for value in values if value is not None]
        if values:
            means[metric] = float(np.mean(values))
    return means

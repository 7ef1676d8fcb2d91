"""Means of scores, and how sure they are.

What is averaged are targets. A mixture may have several, which are not independent: whatever makes
one of them hard to extract makes the others so too. The bootstrap draws whole mixtures.
"""

import dataclasses
from typing import Dict, Hashable, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from tsx_espnet.evaluation.scores import METRICS, ORDER, Score

RESAMPLES = 10_000
LEVEL = 0.95  # of the intervals
MIN_FOR_INTERVAL = 5  # fewer mixtures, or clips, say nothing about their spread
MIN_RUNS = 3  # fewer do not judge a claim
Interval = Tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Summary:
    """One row of a table: the mean of every metric over the targets that could be measured.

    Attributes:
        name: a condition, a class, or "mixture" (no processing).
        count: targets with all signals audible; the means are over these.
        num_mixtures: that they are in.
        silent: targets left out because a reference, the mixture or the estimate is silent.
        means: metric -> mean in dB, only for the metrics that were computed.
        interval: 95 % bootstrap interval of the mean SI-SDRi in dB, over the mixtures.
        worse: share in [0, 1] of targets whose estimate is worse than the mixture (SI-SDRi < 0).
    """

    name: str
    count: int
    num_mixtures: int
    silent: int
    means: Dict[str, float]
    interval: Optional[Interval] = None
    worse: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean in dB over ``count`` targets, and its 95 % bootstrap interval over their mixtures."""

    value: float
    count: int
    num_mixtures: int
    interval: Interval


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a mean in dB rests on.

    Attributes:
        clips: 95 % interval over the clips of the targets, which mixtures share; None if there are
            too few, or scores do not say which they are. Where mixtures have several targets, it
            takes in the interval over mixtures.
        classes: the same over the classes of the targets; None with fewer than two.
        runs: the lowest and the highest mean of a run (seed, draw of recordings); None with one.
        num_runs, num_above: the runs, and those of them with a mean above 0.
    """

    clips: Optional[Interval]
    classes: Optional[Interval]
    runs: Optional[Interval]
    num_runs: int
    num_above: int

    @property
    def verdict(self) -> str:
        """Whether what should be above 0 is: "holds", "reversed" (it is below), or "open".

        Open unless there are three runs and all three intervals are on one side of 0, by their
        bounds as printed (two decimals); the one over runs is so if every run is.
        """
        intervals = (self.clips, self.classes, self.runs)
        if self.num_runs < MIN_RUNS or None in intervals:
            return "open"
        if all(round(low, 2) > 0 for low, _ in intervals):
            return "holds"
        return "reversed" if all(round(high, 2) < 0 for _, high in intervals) else "open"


def counted(means: Iterable[Union[Summary, Mean]]) -> str:
    """What tables count: "targets" where a mixture has several of them, else "mixtures".

    >>> counted([Mean(2.5, 100, 100, (2.25, 2.75)), Mean(2.5, 90, 60, (2.25, 2.75))])
    'targets'
    """
    return "targets" if any(mean.num_mixtures < mean.count for mean in means) else "mixtures"


def weigh(values: Sequence[float], targets: Sequence[Score], runs: Sequence[float]) -> Evidence:
    """The evidence in ``values`` of ``targets``, by their clips and classes, and in runs."""
    clips, labels = [score.clip for score in targets], [score.label for score in targets]
    mixtures = [score.mixture_id for score in targets]
    over_clips = None
    if all(clips) and min(len(set(clips)), len(set(mixtures))) >= MIN_FOR_INTERVAL:
        over_clips = cluster_interval(values, clips)
        if len(set(mixtures)) < len(mixtures):
            low, high = zip(over_clips, cluster_interval(values, mixtures))
            over_clips = min(low), max(high)
    return Evidence(
        clips=over_clips,
        classes=cluster_interval(values, labels) if len(set(labels)) > 1 else None,
        runs=(min(runs), max(runs)) if len(runs) > 1 else None,
        num_runs=len(runs),
        num_above=sum(mean > 0 for mean in runs),
    )


def bootstrap_interval(values: Sequence[float], resamples: int = RESAMPLES) -> Interval:
    """95 % percentile bootstrap interval of the mean of ``values`` [Efron 1979]; the seed is fixed.

    >>> bootstrap_interval([3.0, 3.0, 3.0])
    (3.0, 3.0)
    """
    return cluster_interval(values, range(len(values)), resamples)


def cluster_interval(
    values: Sequence[float], clusters: Sequence[Hashable], resamples: int = RESAMPLES
) -> Interval:
    """The same, drawing whole clusters, since the values of one are not independent.

    As many clusters as there are, with replacement, each with all of its values [Davison and
    Hinkley, "Bootstrap methods and their application", 1997, Sec. 3.8, strategy 1].

    >>> cluster_interval([1.0, 1.0, 4.0], ["a", "a", "b"])
    (1.0, 4.0)
    """
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    owners = np.array([numbers[cluster] for cluster in clusters])
    sums, counts = np.bincount(owners, np.asarray(values, np.float64)), np.bincount(owners)
    draws = _resamples(len(sums), resamples)
    return _quantiles(sums[drawn].sum(1) / counts[drawn].sum(1) for drawn in draws)


def _resamples(size: int, resamples: int) -> Iterator[np.ndarray]:
    """Indices into ``size`` items, (R, size), block after block until R sum to ``resamples``."""
    random = np.random.default_rng(0)
    block = max(1, 1_000_000 // size)  # resamples at once: 8 MB of indices
    for start in range(0, resamples, block):
        yield random.integers(size, size=(min(block, resamples - start), size))


def _quantiles(means: Iterable[np.ndarray]) -> Interval:
    low, high = np.quantile(np.concatenate(list(means)), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_of(values: Sequence[float], mixtures: Sequence[str]) -> Optional[Mean]:
    """The mean of ``values`` with its interval; None if there are none.

    Args:
        mixtures: the one that each value is of.
    """
    if not values:
        return None
    interval = cluster_interval(values, mixtures)
    return Mean(float(np.mean(values)), len(values), len(set(mixtures)), interval)


def summarize(name: str, scores: Sequence[Score]) -> Summary:
    """The summary of ``scores``, which are of one condition (and perhaps of one class)."""
    heard = [score for score in scores if score.si_sdri is not None]
    gains, mixtures = [s.si_sdri for s in heard], [s.mixture_id for s in heard]
    return Summary(
        name=name,
        count=len(heard),
        num_mixtures=len(set(mixtures)),
        silent=len(scores) - len(heard),
        means=_means(heard, METRICS),
        interval=cluster_interval(gains, mixtures) if gains else None,
        worse=float(np.mean(np.less(gains, 0))) if gains else None,
    )


def by_condition(scores: Sequence[Score]) -> List[Summary]:
    """One summary a condition that occurs, the oracle last."""
    present = {score.condition for score in scores}
    return [
        summarize(condition, [score for score in scores if score.condition == condition])
        for condition in ORDER
        if condition in present
    ]


def by_label(scores: Sequence[Score], condition: str) -> List[Summary]:
    """One summary per class of the target under ``condition``, sorted by name."""
    rows = [score for score in scores if score.condition == condition]
    return [
        summarize(label, [score for score in rows if score.label == label])
        for label in sorted({score.label for score in rows})
    ]


def unprocessed(scores: Sequence[Score]) -> Summary:
    """What the mixtures themselves score, each target counted once whatever its conditions."""
    first: Dict[str, Score] = {}
    for score in scores:
        first.setdefault(score.mixture, score)
    heard = [score for score in first.values() if score.si_sdr_mixture is not None]
    levels = (f"{name}_mixture" for name in ("si_sdr", "snr", "sdr", "si_snr"))
    found = _means(heard, tuple(levels))
    means = {metric.replace("_mixture", ""): value for metric, value in found.items()}
    mixtures = {score.mixture_id for score in heard}
    return Summary("mixture", len(heard), len(mixtures), len(first) - len(heard), means)


def _means(scores: Sequence[Score], metrics: Sequence[str]) -> Dict[str, float]:
    columns = {metric: [getattr(score, metric) for score in scores] for metric in metrics}
    columns = {name: [v for v in column if v is not None] for name, column in columns.items()}
    return {name: float(np.mean(values)) for name, values in columns.items() if values}

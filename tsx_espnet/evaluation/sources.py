"""All sources of a mixture at once, as FUSS scores them: by the number that are active.

Of the mixtures of one source, the SI-SNR counts; of the others, what it gains over the mixture.
FUSS takes the mean over *pairs* of an active source and an active output. A source that a model
drops is in no pair, so the mean over all active sources stands beside it.

Reference: Wisdom et al., "What's all the FUSS about free universal sound separation data?", ICASSP
2021, and its code.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.evaluation.markdown import bullets, markdown, number, spread
from tsx_espnet.evaluation.metrics import si_snr
from tsx_espnet.evaluation.scores import NO, YES, Score
from tsx_espnet.evaluation.statistics import Mean, mean_of

ACTIVE = 1e-8  # RMS of an active source, at least
SOFTEST = 0.01  # power of an active output over that of the softest active source, at least: -20 dB
_LEGEND = (
    "sources: the number of active ones. The references decide which output is which source.",
    "1: SI-SNR; more than 1: SI-SNRi, its gain over the mixture. Means are not removed, and values "
    "lie within ±80 dB: the measure of FUSS, with 95 % bootstrap intervals over the mixtures.",
    '"pairs": mean over the pairs of an active source and an active output, as FUSS reports it; an '
    "output is active unless it is more than 20 dB softer than the softest active source. "
    '"dropped": share of the active sources that are in no pair. "all": mean over all active '
    "sources, whose dropped ones count with what their outputs are.",
    '"under", "equal", "over": share of the mixtures with fewer, as many and more active outputs '
    "than active sources.",
    "SI-SDRi: means removed, over the sources whose output is not silent. A mixture of one source "
    'has none, and counts as "silent" in the other tables: nothing else sounds in it.',
)


class Activity(NamedTuple):
    """Which signals of a mixture are active.

    Args:
        sources: (S,) bool.
        outputs: (M,) bool.
    """

    sources: np.ndarray
    outputs: np.ndarray

    @classmethod
    def of(cls, sources: np.ndarray, outputs: np.ndarray) -> "Activity":
        """A source is active if it is no silence; an output, if it is not 20 dB softer than each.

        Shape: ``(S, T), (M, T)``
        """
        levels = np.mean(np.square(sources), axis=1), np.mean(np.square(outputs), axis=1)
        active = np.sqrt(levels[0]) > ACTIVE
        if not active.any():
            return cls(active, levels[1] > 0)
        return cls(active, levels[1] > SOFTEST * levels[0][active].min())


def measure_sources(
    mixture: np.ndarray, sources: np.ndarray, outputs: np.ndarray, fitting: Sequence[int]
) -> List[Dict[str, Any]]:
    """The fields of ``Score`` that say how well each source was separated.

    Args:
        fitting: the output of each source.

    Shape: ``(T,), (S, T), (M, T)``
    """
    activity = Activity.of(sources, outputs)
    count = int(activity.sources.sum())
    rows = []
    for source, sounds, place in zip(sources, activity.sources, fitting):
        row: Dict[str, Any] = {"count": count, "active_outputs": int(activity.outputs.sum())}
        row["active"] = YES if activity.outputs[place] else NO
        if sounds:
            row["si_snr"] = si_snr(source, outputs[place])
        if sounds and count > 1:
            row["si_snr_mixture"] = si_snr(source, mixture)
        rows.append(row)
    return rows


class CountSummary(NamedTuple):
    """The mixtures that have some number of active sources.

    Args:
        counts: the numbers of sources.
        num_mixtures: how many such mixtures there are.
        pairs: mean over pairs of an active source and an active output, in dB: SI-SNR of mixtures
            of one source, else its gain over the mixture; None if both are among them, or none is.
        every: the same over all active sources.
        si_sdri: mean gain in SI-SDR, the means removed, over the sources whose output sounds.
        dropped: share of the active sources whose output is not active.
        under, equal, over: shares of the mixtures with fewer active outputs than sources, as many,
            more.
    """

    counts: Tuple[int, ...]
    num_mixtures: int
    pairs: Optional[Mean]
    every: Optional[Mean]
    si_sdri: Optional[Mean]
    dropped: float
    under: float
    equal: float
    over: float

    @classmethod
    def of(cls, counts: Tuple[int, ...], scores: Sequence[Score]) -> "CountSummary":
        """From the scores of the active sources of such mixtures."""
        paired = [score for score in scores if score.active == YES]
        mixtures = {score.mixture_id: score for score in scores}
        more = [score.active_outputs - score.count for score in mixtures.values()]
        return cls(
            counts=counts,
            num_mixtures=len(mixtures),
            pairs=_mean(paired, _gain),
            every=_mean(scores, _gain),
            si_sdri=_mean(scores, lambda score: score.si_sdri),
            dropped=1 - len(paired) / len(scores),
            under=float(np.mean(np.less(more, 0))),
            equal=float(np.mean(np.equal(more, 0))),
            over=float(np.mean(np.greater(more, 0))),
        )


def by_count(scores: Sequence[Score]) -> List[CountSummary]:
    """The mixtures of 1, 2, ... active sources, those of several together, and all.

    Empty if the scores have no counts: of a model that is queried, or of a set without its sources.
    """
    known = [score for score in scores if score.count and score.si_snr is not None]
    present = sorted({score.count for score in known})
    several = tuple(count for count in present if count > 1)
    groups = [(count,) for count in present]
    groups += [several] if len(several) > 1 else []
    groups += [tuple(present)] if len(present) > len(several) > 0 else []
    return [CountSummary.of(group, [s for s in known if s.count in group]) for group in groups]


def sources_table(found: Sequence[CountSummary]) -> List[List[str]]:
    """Header, and a row for each number of sources."""
    table = [["sources", "mixtures", "SI-SNR(i), pairs (dB)", "95 % interval (dB)", "all (dB)"]]
    table[0] += ["95 % interval (dB)", "SI-SDRi (dB)", "dropped (%)"]
    table[0] += [f"{kind} (%)" for kind in ("under", "equal", "over")]
    for one in found:
        name = str(one.counts[0])
        name += f" to {one.counts[-1]}" if len(one.counts) > 1 else ""
        means = (*spread(one.pairs), *spread(one.every), spread(one.si_sdri)[0])
        shares = (one.dropped, one.under, one.equal, one.over)
        table.append([name, str(one.num_mixtures), *means])
        table[-1] += [number(100 * share, 1) for share in shares]
    return table


def describe_sources(scores: Sequence[Score]) -> List[str]:
    """The table and what it means, for a report; nothing where there are no counts."""
    found = by_count(scores)
    return [markdown(sources_table(found)), bullets(_LEGEND)] if found else []


def _gain(score: Score) -> Optional[float]:
    if score.count == 1 or None in (score.si_snr, score.si_snr_mixture):
        return score.si_snr
    return score.si_snr - score.si_snr_mixture


def _mean(scores: Sequence[Score], value: Callable[[Score], Optional[float]]) -> Optional[Mean]:
    if len({score.count > 1 for score in scores}) > 1:
        return None  # of levels and of gains there is none
    found = [(value(score), score.mixture_id) for score in scores]
    known = [(decibels, mixture) for decibels, mixture in found if decibels is not None]
    return mean_of([decibels for decibels, _ in known], [mixture for _, mixture in known])

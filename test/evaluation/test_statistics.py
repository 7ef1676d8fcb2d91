"""Means, intervals and shares against scipy and hand-made scores."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.evaluation.answers import of_one_run
from tsx_espnet.evaluation.markdown import NONE, interval
from tsx_espnet.evaluation.scores import Score
from tsx_espnet.evaluation.statistics import (
    bootstrap_interval,
    by_condition,
    by_label,
    cluster_interval,
    summarize,
    unprocessed,
)


def make(mixture, gain, condition="text", label="Bark", before=1.0, **more):
    if gain is None:
        return Score(mixture, condition, "x", label, silent="estimate", si_sdr_mixture=before)
    values = {"si_sdr": before + gain, "si_sdr_mixture": before, "si_sdri": gain, **more}
    return Score(mixture, condition, "x", label, **values)


def test_interval_agrees_with_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).gamma(2, 3, size=60)
    theirs = bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=2)
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.05)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.05)
    assert bootstrap_interval(values) == (low, high)  # a fixed seed


def test_interval_of_many_values_is_the_normal_one():
    values = np.random.default_rng(1).normal(5, 2, size=3000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert bootstrap_interval(values) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.01
    )


def test_silent_mixtures_are_counted_and_not_averaged():
    summary = summarize("text", [make("a", 2.0), make("b", -1.0), make("c", None), make("d", 5.0)])
    assert (summary.count, summary.silent) == (3, 1)
    assert summary.means == {"si_sdr": 3.0, "si_sdr_mixture": 1.0, "si_sdri": 2.0}
    assert summary.worse == pytest.approx(1 / 3)
    assert -1 <= summary.interval[0] < 2 < summary.interval[1] <= 5


def test_nothing_but_silence():
    summary = summarize("text", [make("a", None)])
    assert (summary.count, summary.silent, summary.means) == (0, 1, {})
    assert summary.interval is None and summary.worse is None


def test_groups_are_in_order():
    scores = [
        make("a", 1.0, "oracle"), make("a", 1.0, label="Rain"), make("b", 3.0, label="Bell"),
        make("b", 2.0, "energy"), make("c", 5.0, label="Rain"),
    ]  # fmt: skip
    assert [summary.name for summary in by_condition(scores)] == ["energy", "text", "oracle"]
    labels = by_label(scores, "text")
    assert [(row.name, row.means["si_sdri"]) for row in labels] == [("Bell", 3.0), ("Rain", 3.0)]


def test_each_mixture_counts_once_in_the_unprocessed_row():
    scores = [
        make("a", 1.0, before=0.0, snr_mixture=0.5), make("a", None, "energy", before=0.0),
        make("b", 1.0, before=4.0, snr_mixture=1.5),
        Score("c", "text", "x", "Bark", silent="target"),
    ]  # fmt: skip
    row = unprocessed(scores)
    assert (row.count, row.silent, row.means) == (2, 1, {"si_sdr": 2.0, "snr": 1.0})


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.floats(-30, 30), min_size=1, max_size=5), min_size=2, max_size=4))
def test_the_interval_over_clusters_is_within_their_means(groups):
    values = [value for group in groups for value in group]
    clusters = [number for number, group in enumerate(groups) for _ in group]
    low, high = cluster_interval(values, clusters, resamples=200)
    means = [np.mean(group) for group in groups]
    assert min(means) - 1e-9 <= low <= high <= max(means) + 1e-9
    assert cluster_interval(values, clusters, resamples=200) == (low, high)


def test_values_that_share_nothing_are_a_bootstrap_of_the_values():
    values = np.random.default_rng(0).normal(3, 2, size=50)
    expected = bootstrap_interval(values)
    assert cluster_interval(values, range(50)) == pytest.approx(expected)
    # copies of a value are no more evidence than the value
    copies, owners = np.repeat(values, 7), np.repeat(np.arange(50), 7)
    assert cluster_interval(copies, owners.tolist()) == pytest.approx(expected)
    low, high = bootstrap_interval(copies)
    assert high - low < 0.5 * (expected[1] - expected[0])


def test_the_width_of_the_interval_over_clusters_is_that_of_their_means():
    """G clusters of equal size: the mean has the variance of the clusters' means, over G."""
    random = np.random.default_rng(1)
    groups = random.normal(0, 1, size=(40, 1)) + random.normal(0, 3, size=(40, 10))
    low, high = cluster_interval(groups.ravel(), np.repeat(np.arange(40), 10).tolist())
    assert (high - low) / (2 * 1.96) == pytest.approx(np.sqrt(groups.mean(1).var() / 40), rel=0.05)


def targets_of(gains, copies):
    """Scores of mixtures with ``copies`` targets each, all of one gain, in clips of their own."""
    return [
        make(
            name := f"m{number}" + (f"-{copy + 1}" if copy else ""),
            gain,
            label=("Bark", "Rain")[copy],
            clip=f"{name}.clip",
            in_mixture=f"m{number}" if copy else "",
        )
        for number, gain in enumerate(gains)
        for copy in range(copies)
    ]


def answers_of(scores):
    table = {score.mixture: score for score in scores}
    return of_one_run("ours", "text", {name: one.si_sdri for name, one in table.items()}, table)


def test_targets_of_a_mixture_that_go_together_are_no_more_evidence_than_one():
    """Two targets a mixture, fully correlated: every interval is as wide as with one."""
    gains = np.random.default_rng(3).normal(1, 4, size=60).tolist()
    one, two = (targets_of(gains, copies) for copies in (1, 2))
    assert len(two) == 2 * len(one)
    alone, both = summarize("text", one), summarize("text", two)
    assert both.interval == alone.interval
    assert (both.count, both.num_mixtures) == (2 * alone.count, alone.count)
    answers = [answers_of(scores) for scores in (one, two)]
    nothing = [
        dataclasses.replace(each, values=dict.fromkeys(each.values, 0.0)) for each in answers
    ]
    for of_mean in (lambda k: answers[k], lambda k: answers[k].minus(nothing[k])):
        assert of_mean(1).mean.interval == of_mean(0).mean.interval
        # each target has a clip of its own, but what is known of one is known of the other
        assert of_mean(1).evidence.clips == of_mean(0).evidence.clips
    low, high = bootstrap_interval([score.si_sdri for score in two])
    assert high - low < 0.8 * (both.interval[1] - both.interval[0])


def test_few_mixtures_say_nothing_however_many_their_targets():
    scores = targets_of([1.0, 2.0, 3.0, 4.0], 2)
    answers = answers_of(scores)
    assert answers.evidence.clips is None
    assert interval(answers.mean) == interval(summarize("text", scores)) == NONE


@settings(max_examples=20)
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=40))
def test_of_one_target_a_mixture_it_is_the_bootstrap_of_values_to_the_bit(gains):
    random = np.random.default_rng(0)
    means = np.array(gains)[random.integers(len(gains), size=(10_000, len(gains)))].mean(1)
    low, high = np.quantile(means, [(1 - 0.95) / 2, (1 + 0.95) / 2])
    assert summarize("text", targets_of(gains, 1)).interval == (low, high)

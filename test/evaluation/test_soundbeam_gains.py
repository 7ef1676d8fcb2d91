"""Improvements and their intervals: closed forms, and what holds for any scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tsx_espnet.evaluation.soundbeam_gains import (
    SDRI,
    SI_SDRI,
    Gains,
    average,
    cluster_interval,
    measure,
)

from tsx_espnet.evaluation.scores import Score
from tsx_espnet.evaluation.statistics import bootstrap_interval

decibels = st.floats(-30, 30)
tables = st.dictionaries(st.sampled_from("abcdefgh"), decibels, min_size=1)
LABELS = {name: "xyz"[number % 3] for number, name in enumerate("abcdefgh")}


def test_the_two_metrics():
    score = Score("a", "class", "Bark", "Bark", si_sdr=5.0, si_sdr_mixture=-1.0, si_sdri=6.0)
    assert SI_SDRI.gain(score) == 6.0 and SDRI.gain(score) is None
    score = Score("b", "class", "Bark", "Bark", sdr=8.0, sdr_mixture=-3.5)
    assert SDRI.gain(score) == 11.5 and SDRI.level(score) == -3.5
    found = measure({"a": score, "b": Score("b", "class", "Bark", "Bark", "target")}, SDRI)
    assert found.values == {"a": 11.5} and found.run_means == (11.5,)


@settings(deadline=None, max_examples=30)
@given(tables, tables)
def test_differences_are_paired(first, second):
    one, two = Gains(first, LABELS), Gains(second, LABELS)
    difference = one.minus(two)
    assert set(difference.values) == set(first) & set(second)
    for name, value in difference.values.items():
        assert value == first[name] - second[name] == -two.minus(one).values[name]
    whole = [value for gains in one.by_label().values() for value in gains.values.values()]
    assert sorted(whole) == sorted(first.values())
    assert average([one, one]).values == pytest.approx(first)
    assert average([one, two]).values == pytest.approx(
        {name: (first[name] + second[name]) / 2 for name in set(first) & set(second)}
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(decibels, min_size=1, max_size=5), min_size=2, max_size=4))
def test_the_interval_over_classes_is_within_the_values(groups):
    low, high = cluster_interval(groups, resamples=200)
    whole = [value for group in groups for value in group]
    assert min(whole) - 1e-9 <= low <= high <= max(whole) + 1e-9
    assert cluster_interval(groups, resamples=200) == (low, high)


def test_groups_of_equal_values_are_a_bootstrap_of_the_groups():
    means = np.random.default_rng(0).normal(3, 2, size=12)
    expected = bootstrap_interval(means, seed=5)
    for size in (1, 7):
        found = cluster_interval([[value] * size for value in means])
        assert found == pytest.approx(expected, abs=0.06)


def test_its_width_is_that_of_both_stages():
    """Var = (between + within / n) / G: two independent stages, the variances those of the data."""
    random = np.random.default_rng(1)
    groups = random.normal(0, 1, size=(20, 1)) + random.normal(0, 3, size=(20, 10))
    low, high = cluster_interval(list(groups))
    variance = (groups.mean(1).var() + groups.var(axis=1).mean() / 10) / 20
    assert (high - low) / (2 * 1.96) == pytest.approx(np.sqrt(variance), rel=0.03)
    plain = bootstrap_interval(groups.ravel())
    assert high - low > plain[1] - plain[0]


def test_without_enough():
    assert Gains({}, {}).mean is None
    assert Gains({"a": 1.0, "d": 2.0}, LABELS).class_interval is None
    assert Gains({"a": 1.0, "b": 2.0}, LABELS).class_interval == (1.0, 2.0)

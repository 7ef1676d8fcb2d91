"""Verdicts rest on clips, classes and runs: closed forms, and what holds for any scores."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tsx_espnet.evaluation.answers import average, of_one_run
from tsx_espnet.evaluation.scores import Score


def answers(values, clips=None, labels=None, runs=3):
    """``values`` (dB), each a mixture of its own clip and of one of five classes, in equal runs."""
    names = [f"m{number:03d}" for number in range(len(values))]
    clips = clips or [f"c{number}" for number in range(len(values))]
    labels = labels or [f"class{number % 5}" for number in range(len(values))]
    rows = {
        name: Score(name, "text", "x", label, clip=clip)
        for name, label, clip in zip(names, labels, clips)
    }
    return average([of_one_run("", "text", dict(zip(names, values)), rows)] * runs)


def verdict(*arguments, **options):
    return answers(*arguments, **options).evidence.verdict


def of_runs(*tables):
    return average([answers(table, runs=1) for table in tables])


POSITIVE = [1.0, 1.2, 0.8, 1.1, 0.9, 1.3, 0.7, 1.0, 1.1, 0.9]


def test_what_is_plainly_so_holds_and_what_is_plainly_not_is_reversed():
    assert verdict(POSITIVE) == "holds"
    assert verdict([-value for value in POSITIVE]) == "reversed"
    assert verdict([*POSITIVE, *(-value for value in POSITIVE)]) == "open"


def test_fewer_than_three_runs_are_open():
    assert [verdict(POSITIVE, runs=n) for n in (1, 2, 3, 4)] == ["open", "open", "holds", "holds"]
    evidence = answers(POSITIVE, runs=2).evidence
    assert evidence.clips[0] > 0 and evidence.classes[0] > 0 and evidence.runs[0] > 0
    assert (evidence.num_runs, evidence.num_above) == (2, 2)
    assert answers(POSITIVE, runs=1).evidence.runs is None


def test_one_clip_of_all_mixtures_is_open():
    """Ten mixtures of one clip are one observation, whose spread nobody knows."""
    evidence = answers(POSITIVE, clips=["c"] * 10).evidence
    assert evidence.clips is None and evidence.verdict == "open"
    assert verdict(POSITIVE, clips=["c", *"defgh"[:3] * 3]) == "open"  # four clips
    assert verdict(POSITIVE, clips=list("cdefg") * 2) == "holds"


def test_one_class_is_open():
    assert verdict(POSITIVE, labels=["Bark"] * 10) == "open"
    # nine mixtures of Bark +1 dB, one of Rain -3 dB: other classes than these might be like Rain
    values = [1.0] * 9 + [-3.0]
    assert verdict(values, labels=["Bark"] * 9 + ["Rain"]) == "open"


def test_scores_without_clips_are_open():
    assert verdict(POSITIVE, clips=[""] * 10) == "open"
    assert answers(POSITIVE, clips=["", *map(str, range(9))]).evidence.clips is None


def test_clips_that_recur_widen_the_interval():
    """Ten clips in 20 mixtures each: the interval is that of ten values, sqrt(20) times wider."""
    values = np.random.default_rng(0).normal(0.15, 0.5, size=10)
    clips = [f"c{number % 10}" for number in range(200)]
    shared = answers(list(np.tile(values, 20)), clips=clips).evidence.clips
    alone = answers(list(np.tile(values, 20))).evidence.clips
    ratio = (shared[1] - shared[0]) / (alone[1] - alone[0])
    assert ratio == pytest.approx(np.sqrt(20), rel=0.05)


def test_runs_of_opposite_signs_never_hold():
    """Once means of -3 and +4 dB were "holds", as their average is above 0 in every mixture."""
    below, above = ([sign + value for value in POSITIVE] for sign in (-4.0, 3.0))
    evidence = of_runs(below, above, above).evidence
    assert evidence.clips[0] > 0 and evidence.classes[0] > 0
    assert evidence.verdict == "open"
    assert (evidence.num_runs, evidence.num_above) == (3, 2)
    assert evidence.runs == pytest.approx((-3.0, 4.0))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.floats(-5, 5), min_size=8, max_size=8), min_size=1, max_size=4))
def test_a_verdict_needs_the_sign_in_every_run_and_mirrors(tables):
    evidence = of_runs(*tables).evidence
    means = [np.mean(table) for table in tables]
    assume(all(abs(mean) > 0.02 for mean in means))
    if evidence.verdict != "open":
        assert len(tables) >= 3
        assert len({mean > 0 for mean in means}) == 1
        assert (evidence.verdict == "holds") == (means[0] > 0)
    mirror = of_runs(*[[-value for value in table] for table in tables]).evidence
    bounds = (evidence.clips, evidence.classes)
    for (low, high), (other_low, other_high) in zip(bounds, (mirror.clips, mirror.classes)):
        assert (low, high) == pytest.approx((-other_high, -other_low), abs=1e-9)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0.01, 0.02, 0.02, 0.01, 0.02, 0.01], "holds"),
        ([0.001] * 6, "open"),  # once "0.00 (0.00 to 0.00)" held
        ([-0.001] * 6, "open"),
        ([-1.0] * 6, "reversed"),
        ([1.0] * 4, "open"),  # too few
    ],
)
def test_a_verdict_is_of_the_numbers_that_are_printed(values, expected):
    assert verdict(values) == expected

"""Answers, their differences and their oracle ensemble, by hand and against scipy; one test set."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.answers import (
    METRICS,
    ask,
    average,
    check_same_set,
    ensemble,
    of_one_run,
    read_experiment,
)
from tsx_espnet.evaluation.compare import mean_gain
from tsx_espnet.evaluation.scores import Score, add_oracle, read_scores, write_scores

decibels = st.floats(-30, 30)
tables = st.dictionaries(st.sampled_from("abcdefgh"), decibels, min_size=1)


def system(name, values):
    labels = {mixture: "xyz"[number % 3] for number, mixture in enumerate("abcdefgh")}
    rows = {
        mixture: Score(mixture, "text", "x", labels.get(mixture, "Bark"), si_sdri=value - 1)
        for mixture, value in values.items()
    }
    return of_one_run(name, "text", values, rows)


def test_an_experiment_queried_by_a_condition(write_scored):
    directory = write_scored(
        "oct", {"energy": {"m2": 2.0}, "text": {"m2": 1.0, "m1": -3.0, "m3": None}}
    )
    experiment = read_experiment(directory, "test")
    assert experiment.conditions == ("energy", "text", "oracle")
    assert experiment.mixture_set == "one"
    assert list(experiment.table) == ["m1", "m2", "m3"]
    text = ask(experiment, "text", "ours")
    assert (text.values, text.silent) == ({"m1": -3.0, "m2": 1.0}, 1)
    gains = ask(experiment, "text", "ours", METRICS["SI-SDRi"])
    assert gains.values == pytest.approx({"m1": -3.1, "m2": 0.8})
    assert (text.mean.value, text.mean.count) == (-1.0, 2)
    assert mean_gain(text) == pytest.approx(-1.15)
    assert ask(experiment, "oracle", "ours").values == {"m1": -3.0, "m2": 2.0}
    with pytest.raises(TSXError, match="no scores under 'order'; expected .*energy, text, oracle"):
        ask(experiment, "order", "ours")


def test_no_scores_say_which_stage(write_scored, tmp_path):
    with pytest.raises(TSXError, match="exp/oct/infer/other/scores.csv: no such file; run stage 7"):
        read_experiment(write_scored("oct", {"text": {"m1": 1.0}}), "other")
    write_scores(tmp_path / "infer/test/scores.csv", [])
    with pytest.raises(TSXError, match="scores.csv: no scores; run stages 6"):
        read_experiment(tmp_path, "test")


def test_differences_are_paired_over_shared_mixtures():
    first = system("first", {"m1": 1.0, "m2": 5.0, "m3": 9.0})
    other = system("other", {"m2": 5.5, "m3": 7.0, "m4": 100.0})
    difference = other.minus(first).mean
    assert (difference.value, difference.count) == (-0.75, 2)
    assert first.minus(system("none", {"m9": 1.0})).mean is None
    assert system("none", {}).mean is None and mean_gain(system("none", {})) is None


@settings(deadline=None, max_examples=30)
@given(tables, tables)
def test_differences_and_averages_of_any_scores(first, second):
    one, two = system("one", first), system("two", second)
    difference = one.minus(two)
    assert set(difference.values) == set(first) & set(second)
    for name, value in difference.values.items():
        assert value == first[name] - second[name] == -two.minus(one).values[name]
    whole = [value for answers in one.by_label().values() for value in answers.values.values()]
    assert sorted(whole) == sorted(first.values())
    assert average([one, one]).values == pytest.approx(first)
    mean = average([one, two])
    assert (mean.values if mean else {}) == pytest.approx(
        {name: (first[name] + second[name]) / 2 for name in set(first) & set(second)}
    )


def test_the_metrics():
    score = Score("a", "class", "Bark", "Bark", si_sdr=5.0, si_sdr_mixture=-1.0, si_sdri=6.0)
    assert METRICS["SI-SDRi"].of(score) == 6.0 and METRICS["SDRi"].of(score) is None
    score = Score("b", "class", "Bark", "Bark", sdr=8.0, sdr_mixture=-3.5)
    assert METRICS["SDRi"].of(score) == 11.5 and METRICS["SDRi"].level(score) == -3.5
    assert METRICS["SDR"].of(score) == 8.0 and METRICS["SNR"].of(score) is None


def test_the_interval_of_a_difference_agrees_with_scipy():
    from scipy.stats import bootstrap

    random = np.random.default_rng(3)
    hard = random.normal(0, 6, size=80)  # what makes a mixture hard makes it so for both
    first, other = hard + random.normal(5, 1, size=80), hard + random.normal(6, 2, size=80)
    names = [f"m{number:02d}" for number in range(80)]
    theirs = bootstrap(
        (other, first),
        lambda a, b, axis=-1: np.mean(a, axis=axis) - np.mean(b, axis=axis),
        paired=True,
        n_resamples=10_000,
        method="percentile",
        rng=2,
    ).confidence_interval
    systems = [system(n, dict(zip(names, v))) for n, v in (("a", first), ("b", other))]
    ours = systems[1].minus(systems[0]).mean
    assert ours.value == pytest.approx(np.mean(other) - np.mean(first))
    assert ours.interval == pytest.approx((theirs.low, theirs.high), abs=0.03)
    spread = systems[1].mean.interval
    assert ours.interval[1] - ours.interval[0] < 0.5 * (spread[1] - spread[0])


def test_an_ensemble_by_hand():
    best = ensemble([system("a", {"m1": 1.0, "m2": 5.0}), system("b", {"m2": 6.0, "m3": -2.0})])
    assert best.values == {"m1": 1.0, "m2": 6.0, "m3": -2.0}
    assert [row.si_sdri for row in best.targets.values()] == [0.0, 5.0, -3.0]
    assert best.name == "oracle ensemble"


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcdef"), st.floats(-100, 100)), min_size=1, max_size=4
    )
)
def test_an_ensemble_is_no_worse_than_its_members(tables):
    systems = [system(f"s{number}", table) for number, table in enumerate(tables)]
    best = ensemble(systems)
    assert set(best.values) == set().union(*tables)
    for member in systems:
        assert all(best.values[name] >= value for name, value in member.values.items())
        assert sum(best.values[n] for n in member.values) >= sum(member.values.values())
    assert all(any(t.get(name) == value for t in tables) for name, value in best.values.items())


def test_the_average_of_seeds():
    seeds = [system("s", {"m1": 1.0, "m2": 2.0}), system("s", {"m2": 4.0, "m3": 9.0})]
    mean = average(seeds)
    assert (mean.name, mean.values, mean.run_means) == ("s", {"m2": 3.0}, (1.5, 6.5))


ANSWERS = {
    "energy": {"m1": 4.0, "m3": -2.5},
    "order": {"m1": 1.0, "m2": None, "m3": 2.0},
    "text": {"m1": 3.0, "m2": 7.0, "m3": 1.5},
}


def check(*directories):
    check_same_set([read_experiment(directory, "test") for directory in directories])


def test_experiments_of_different_conditions_are_of_the_same_set(write_scored):
    for note in ("one", None):
        one = write_scored("one", {"energy": ANSWERS["energy"]}, mixture_set=note)
        two = write_scored("two", {"text": ANSWERS["text"]}, mixture_set="one")
        pit = write_scored("pit", {"unconditional": {"m1": 1.0, "m2": 1.0, "m3": 1.0, "m4": 1.0}})
        check(one, two, pit)
        check(pit, two, one)


TEXT = {"text": {"m1": 3.0, "m2": 7.0, "m3": 1.5}}
WHOLE = {"unconditional": dict.fromkeys(("m1", "m2", "m3"), 1.0)}


@pytest.mark.parametrize(
    "first, other, options, message",
    [
        (TEXT, {"text": {"m1": 1.0, "m4": 1.0}}, {},
         "text: 2 of 3 ids missing (first 'm2'), 1 unknown (first 'm4')"),
        (WHOLE, {"text": {"m1": 1.0, "m5": 1.0}}, {}, "1 unknown (first 'm5')"),
        (TEXT, {"unconditional": {"m1": 1.0, "m2": 1.0, "m5": 1.0}}, {},
         "1 of 3 ids missing (first 'm3')"),
        (TEXT, {"order": {"m8": 1.0}}, {},
         "none in common: 3 of 3 ids missing (first 'm1'), 1 unknown (first 'm8')"),
        (TEXT, TEXT, {"label": "Rain"}, "mixture 'm1': target is 'Rain', expected 'Bark'"),
        (TEXT, TEXT, {"mixture_set": "two"},
         "its .done names another mixture set (with the same ids)"),
    ],
)  # fmt: skip
def test_other_mixtures_are_refused(write_scored, first, other, options, message):
    same = write_scored("same", first, mixture_set="one")
    last = write_scored("last", other, **{"mixture_set": None, **options})
    with pytest.raises(TSXError) as error:
        check(same, same, last)
    path = last / "infer/test/scores.csv"
    assert str(error.value).startswith(f"{path}: not of the same mixtures as {same}")
    assert str(error.value).endswith(message)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"si_sdr_mixture": 0.5, "si_sdri": 2.5}, "is 0.5000 dB, expected 0.1000 dB"),
        ({"si_sdr_mixture": None, "si_sdr": None, "si_sdri": None}, "is none (silent), expected"),
        ({"value": "purr"}, "text is 'purr', expected 'asked'"),
    ],
)
def test_other_levels_and_questions_are_refused(write_scored, fields, message):
    answers = {"text": {"m1": 3.0}}
    first, other = (write_scored(name, answers, mixture_set=None) for name in ("a", "b"))
    path = other / "infer/test/scores.csv"
    scores = [row for row in read_scores(path) if row.condition != "oracle"]
    write_scores(path, add_oracle([dataclasses.replace(row, **fields) for row in scores]))
    with pytest.raises(TSXError, match=re.escape(message)):
        check(first, other)

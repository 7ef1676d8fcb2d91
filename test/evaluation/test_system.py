"""Systems, their differences and their oracle ensemble, by hand and against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import write_scores
from tsx_espnet.evaluation.system import System, ask, average, ensemble, read_experiment


def system(name, values):
    return System(name, "text", values, {mixture: v - 1 for mixture, v in values.items()})


def test_an_experiment_asked_by_a_condition(write_scored):
    directory = write_scored(
        "oct", {"energy": {"m2": 2.0}, "text": {"m2": 1.0, "m1": -3.0, "m3": None}}
    )
    experiment = read_experiment(directory, "test")
    assert experiment.conditions == ("energy", "text", "oracle")
    assert experiment.mixture_set == "one"
    assert list(experiment.table) == ["m1", "m2", "m3"]
    text = ask(experiment, "text", "ours")
    assert (text.si_sdr, text.silent) == ({"m1": -3.0, "m2": 1.0}, 1)
    assert text.si_sdri == pytest.approx({"m1": -3.1, "m2": 0.8})
    assert (text.mean().value, text.mean().count) == (-1.0, 2)
    assert text.gain() == pytest.approx(-1.15)
    assert ask(experiment, "oracle", "ours").si_sdr == {"m1": -3.0, "m2": 2.0}
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
    difference = other.minus(first)
    assert (difference.value, difference.count) == (-0.75, 2)
    assert first.minus(system("none", {"m9": 1.0})) is None
    assert system("none", {}).mean() is None and system("none", {}).gain() is None


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
    ours = systems[1].minus(systems[0])
    assert ours.value == pytest.approx(np.mean(other) - np.mean(first))
    assert ours.interval == pytest.approx((theirs.low, theirs.high), abs=0.03)
    spread = systems[1].mean().interval
    assert ours.interval[1] - ours.interval[0] < 0.5 * (spread[1] - spread[0])


def test_an_ensemble_by_hand():
    best = ensemble([system("a", {"m1": 1.0, "m2": 5.0}), system("b", {"m2": 6.0, "m3": -2.0})])
    assert best.si_sdr == {"m1": 1.0, "m2": 6.0, "m3": -2.0}
    assert best.si_sdri == {"m1": 0.0, "m2": 5.0, "m3": -3.0}
    assert best.name == "oracle ensemble"


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcdef"), st.floats(-100, 100)), min_size=1, max_size=4
    )
)
def test_an_ensemble_is_no_worse_than_its_members(tables):
    systems = [system(f"s{number}", table) for number, table in enumerate(tables)]
    best = ensemble(systems)
    assert set(best.si_sdr) == set().union(*tables)
    for member in systems:
        assert all(best.si_sdr[name] >= value for name, value in member.si_sdr.items())
    assert all(any(t.get(name) == value for t in tables) for name, value in best.si_sdr.items())


def test_the_average_of_seeds():
    seeds = [system("s", {"m1": 1.0, "m2": 2.0}), system("s", {"m2": 4.0, "m3": 9.0})]
    mean = average(seeds, "oct")
    assert (mean.name, mean.si_sdr, mean.si_sdri) == ("oct", {"m2": 3.0}, {"m2": 2.0})

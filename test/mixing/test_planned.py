"""Given plans as training mixtures: each once an epoch, in an order of (seed, epoch) alone."""

import dataclasses
import multiprocessing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.planned import PlannedMixtures
from tsx_espnet.mixing.sampler import Sampler

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def sampler(corpus):
    return Sampler(corpus, MixingConfig(duration=0.5, num_sources=3, num_targets="all"))


@pytest.fixture(scope="module")
def planned(sampler, corpus):
    plans = [sampler.draw(0, 0, index, f"mix{index}") for index in range(7)]
    return PlannedMixtures(plans, corpus)


@settings(max_examples=50)
@given(seed=seeds, epoch=st.integers(0, 1000), turn=st.integers(0, 3))
def test_each_plan_once_before_any_is_repeated(planned, seed, epoch, turn):
    number = len(planned)
    played = [planned.draw(seed, epoch, turn * number + place) for place in range(number)]
    assert sorted(plan.id for plan in played) == [plan.id for plan in planned.plans]


def order(planned, seed, epoch, turn=0):
    places = range(turn * len(planned), (turn + 1) * len(planned))
    return tuple(planned.draw(seed, epoch, place).id for place in places)


def test_another_order_for_each_seed_epoch_and_turn(planned):
    orders = [order(planned, 0, epoch) for epoch in range(40)]
    orders += [order(planned, seed, 0) for seed in range(1, 40)]
    orders += [order(planned, 0, 0, turn) for turn in range(1, 40)]
    assert len(set(orders)) > 110  # of 118; two of 5040 orders are seldom the same
    firsts = {name: sum(one[0] == name for one in orders) for name in orders[0]}
    assert min(firsts.values()) > 5 and max(firsts.values()) < 35  # 17 expected


@given(seed=seeds, index=st.integers(0, 100))
def test_a_plan_is_played_as_it_was_given(planned, seed, index):
    plan = planned.draw(seed, 3, index)
    assert (plan.seed, plan.epoch, plan.index) == (seed, 3, index)
    given_one = next(one for one in planned.plans if one.id == plan.id)
    assert dataclasses.replace(plan, seed=0, epoch=0, index=given_one.index) == given_one
    named = planned.draw(seed, 3, index, "other")
    assert named.id == "other" and {query.mixture for query in named.queries} == {"other"}
    assert Plan.from_json(named.to_json()) == named


def test_it_sounds_as_the_sampler_made_it(planned, sampler):
    plan = planned.draw(1, 0, 3)
    drawn = sampler.draw(0, 0, int(plan.id[3:]))
    np.testing.assert_array_equal(planned.render(plan).mixture, sampler.render(drawn).mixture)
    assert planned.fs == 8000


def _play(planned):
    return [planned.draw(3, 7, index).to_json() for index in (5, 0, 12, 1, 6)]


def test_any_process_plays_the_same(planned):
    here = _play(planned)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_play, [planned] * 2) == [here, here]


@settings(max_examples=20, deadline=None)
@given(st.permutations([(epoch, index) for epoch in range(3) for index in range(10)]))
def test_nothing_depends_on_what_was_drawn_before(planned, places):
    alone = PlannedMixtures(planned.plans, planned.clips)
    drawn = {place: alone.draw(1, *place) for place in places}
    assert drawn == {place: planned.draw(1, *place) for place in sorted(places)}


def test_plans_of_other_clips_are_refused(planned, make_clips, make_noise):
    with pytest.raises(TSXError, match="expected one plan or more, found none"):
        PlannedMixtures([], planned.clips)
    sound = make_noise(np.random.default_rng(0), 1.0)
    with pytest.raises(TSXError, match=r"mix0: .*no clip"):
        PlannedMixtures(planned.plans, make_clips({"a": (sound, ("A",))}))
    source = dataclasses.replace(planned.plans[2].sources[0], start=10**6)
    late = dataclasses.replace(planned.plans[2], sources=(source, *planned.plans[2].sources[1:]))
    with pytest.raises(TSXError, match=rf"mix2: needs samples 1000000 to .*{source.clip}"):
        PlannedMixtures([*planned.plans[:2], late], planned.clips)


@pytest.fixture(scope="module")
def shipped(corpus):
    """Plans of one to three sources, of which nothing else is known."""
    sampler = Sampler(corpus, MixingConfig(duration=0.5, num_sources=(1, 3)))
    drawn = [sampler.draw(0, 0, index, f"mix{index}") for index in range(9)]
    bare = {"conditions": {}, "snr": None, "overlap": None}
    return [dataclasses.replace(plan, **bare) for plan in drawn]


@settings(max_examples=50)
@given(seed=seeds, epoch=st.integers(0, 1000), turn=st.integers(0, 3))
def test_backgrounds_and_foregrounds_are_played_once_each(shipped, corpus, seed, epoch, turn):
    remixed = PlannedMixtures(shipped, corpus, remix=True)
    places = range(turn * len(shipped), (turn + 1) * len(shipped))
    plans = [remixed.draw(seed, epoch, place) for place in places]
    firsts = [plan.sources[0] for plan in plans]
    further = [plan.sources[1:] for plan in plans]
    assert sorted(map(repr, firsts)) == sorted(repr(plan.sources[0]) for plan in shipped)
    assert sorted(map(repr, further)) == sorted(repr(plan.sources[1:]) for plan in shipped)
    # the firsts come in the order in which the plans do that are not remixed
    straight = PlannedMixtures(shipped, corpus)
    assert firsts == [straight.draw(seed, epoch, place).sources[0] for place in places]
    for plan in plans:
        assert Plan.from_json(plan.to_json()) == plan


def test_another_exchange_for_each_epoch(shipped, corpus):
    remixed = PlannedMixtures(shipped, corpus, remix=True)
    epochs = [frozenset(remixed.draw(0, epoch, n).id for n in range(9)) for epoch in range(30)]
    assert len(set(epochs)) == 30
    own = sum(name.split("+")[0] == name.split("+")[1] for epoch in epochs for name in epoch)
    assert 10 < own < 60  # 30 expected


def test_a_remixed_plan_sounds_as_its_parts(shipped, corpus):
    remixed = PlannedMixtures(shipped, corpus, remix=True)
    plan = remixed.draw(1, 1, 1)
    first, further = (
        remixed.render(next(one for one in shipped if one.id == name)).components
        for name in plan.id.split("+")
    )
    expected = np.stack([first[0], *further[1:]])
    np.testing.assert_array_equal(remixed.render(plan).components, expected)
    assert remixed.draw(1, 1, 1, "named").id == "named"


def test_what_is_not_of_sources_alone_is_not_remixed(shipped, planned, corpus):
    short = dataclasses.replace(shipped[3], num_samples=shipped[3].num_samples - 1)
    with pytest.raises(TSXError, match="remix: mix3: expected 4000 samples as mix0, found 3999"):
        PlannedMixtures([*shipped[:3], short], corpus, remix=True)
    with pytest.raises(TSXError, match="remix: mix0: expected sources alone, found condit"):
        PlannedMixtures(planned.plans, corpus, remix=True)

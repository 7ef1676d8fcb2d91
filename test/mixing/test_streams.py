"""Streams: exact shares of every batch, whoever loads it."""

import multiprocessing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.planned import PlannedMixtures
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.streams import Streams


@pytest.fixture(scope="module")
def samplers(corpus):
    """Two that draw alike from equal seeds, and one of three sources."""
    two, three = MixingConfig(duration=0.5), MixingConfig(duration=0.5, num_sources=3)
    return Sampler(corpus, two), Sampler(corpus, two), Sampler(corpus, three)


@pytest.fixture(scope="module")
def streams(samplers):
    return Streams(list(zip(samplers, (0.5, 0.25, 0.25))), batch_size=8)


class Named:
    """A stream that is not rendered."""

    fs = 8000

    def __init__(self, name):
        self.name = name


@settings(max_examples=100)
@given(numbers=st.lists(st.integers(1, 9), min_size=1, max_size=5), data=st.data())
def test_shares_are_exact_in_every_batch_and_for_any_world_size(numbers, data):
    size = sum(numbers)
    streams = Streams([(Named(n), n / size) for n in numbers], size)
    batch = data.draw(st.integers(0, 10**6))
    world_size = data.draw(st.integers(1, size))
    ranks = [
        [streams.stream_of(batch * size + place) for place in range(rank, size, world_size)]
        for rank in range(world_size)
    ]
    together = [stream for rank in ranks for stream in rank]
    assert [together.count(stream) for stream in range(len(numbers))] == numbers
    for stream, number in enumerate(numbers):  # and each process has its part of it
        for rank in ranks:
            assert abs(rank.count(stream) - number / world_size) < 1


def test_each_stream_draws_its_own_mixtures_in_order(streams, samplers):
    for batch in range(3):
        for place in range(4):  # the first stream is what its sampler draws by itself
            plan = streams.draw(5, 2, 8 * batch + place)
            alone = samplers[0].draw(5, 2, 4 * batch + place)
            assert plan.sources == alone.sources and plan.id == f"stream1-{alone.id}"
            assert (plan.seed, plan.epoch, plan.index) == (5, 2, 8 * batch + place)
    rendered = [streams.render(streams.draw(5, 2, index)) for index in range(16)]
    assert [one.stream for one in rendered] == [0, 0, 0, 0, 1, 1, 2, 2] * 2
    assert [len(one.components) for one in rendered] == [2, 2, 2, 2, 2, 2, 3, 3] * 2
    again = streams.render(streams.draw(5, 2, 13, "x"))
    assert again.plan.id == "x"
    np.testing.assert_array_equal(again.mixture, rendered[13].mixture)


def test_equal_streams_do_not_draw_alike(streams):
    drawn = [streams.draw(0, 0, index) for index in range(48)]
    assert len({plan.sources for plan in drawn}) == 48 == len({plan.id for plan in drawn})


def _draw_some(streams):
    return [streams.draw(3, 7, index).to_json() for index in (9, 0, 4, 15)]


def test_any_process_draws_the_same(streams):
    here = _draw_some(streams)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_draw_some, [streams] * 2) == [here, here]


def test_given_plans_are_played_once_each(samplers, corpus):
    plans = [samplers[2].draw(0, 0, index, f"mix{index}") for index in range(6)]
    streams = Streams([(samplers[0], 0.5), (PlannedMixtures(plans, corpus), 0.5)], 4)
    played = [streams.draw(1, 0, index) for index in range(12) if streams.stream_of(index) == 1]
    assert sorted(plan.id for plan in played) == [f"stream2-mix{index}" for index in range(6)]
    for plan in played:
        assert streams.render(plan).stream == 1


@pytest.mark.parametrize(
    "shares, message",
    [
        ((0.3, 0.7), "share 0.3 of batch size 8: expected a whole number of mixtures, found 2.4"),
        ((1.0, 0.0), "share 0 of batch size 8: expected a whole number of mixtures, found 0"),
        ((0.5, 0.25), "shares of streams: expected a sum of 1, found 0.5, 0.25"),
        ((0.5, 1.0), "shares of streams: expected a sum of 1, found 0.5, 1"),
    ],
)
def test_shares_that_do_not_fill_a_batch(shares, message):
    with pytest.raises(TSXError, match=message):
        Streams([(Named(share), share) for share in shares], 8)


def test_one_rate():
    other = Named("other")
    other.fs = 16000
    with pytest.raises(TSXError, match="expected one sampling rate, found 8000 Hz, 16000 Hz"):
        Streams([(Named("a"), 0.5), (other, 0.5)], 4)

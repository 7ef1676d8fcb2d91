"""From plans to sound: the mixture is the sum of its components, whatever they are."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.render import Rendered, join, render, render_sources
from tsx_espnet.mixing.sampler import Sampler


@pytest.fixture(scope="module")
def sampler(corpus):
    config = MixingConfig(
        duration=0.6, num_sources=4, min_overlap=0.1, background={"snr": [5, 10]}, enrollments=2
    )
    return Sampler(corpus, config)


@st.composite
def partitions(draw, number=4):
    """Any partition of the sources, in any order."""
    order = draw(st.permutations(range(number)))
    cuts = sorted(draw(st.sets(st.integers(1, number - 1))))
    return tuple(tuple(order[a:b]) for a, b in zip([0, *cuts], [*cuts, number]))


@settings(max_examples=60, deadline=None)
@given(partition=partitions(), data=st.data(), index=st.integers(0, 1000))
def test_the_mixture_is_the_sum_of_its_components(sampler, corpus, partition, data, index):
    target = data.draw(st.integers(0, len(partition) - 1))
    drawn = sampler.draw(0, 0, index)
    plan = dataclasses.replace(drawn, components=partition, target=target)
    plan = Plan.from_json(plan.to_json())
    found = Rendered.of(plan, corpus)
    sources = render_sources(plan, corpus)
    assert found.components.shape == (len(partition), plan.num_samples)
    assert {array.dtype for array in (found.mixture, found.components, found.background)} == {
        np.dtype("float32")
    }
    peak = np.abs(sources).max()
    for numbers, component in zip(partition, found.components):
        exact = sources[list(numbers)].astype(np.float64).sum(axis=0)
        np.testing.assert_allclose(component, exact, rtol=0, atol=4 * 2**-24 * peak)
    np.testing.assert_array_equal(found.background, sources[-1])
    exact = found.components.astype(np.float64).sum(axis=0) + found.background
    np.testing.assert_allclose(found.mixture, exact, rtol=0, atol=8 * 2**-24 * peak)
    np.testing.assert_array_equal(found.mixture, found.components[target] + found.other)


@settings(max_examples=20, deadline=None)
@given(index=st.integers(0, 1000))
def test_again_bit_for_bit(sampler, corpus, index):
    plan = sampler.draw(0, 0, index)
    one, two = sampler.render(plan), Rendered.of(Plan.from_json(plan.to_json()), corpus)
    for name in ("mixture", "components", "background", "other"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    sources, mixture = render(plan, corpus)
    np.testing.assert_array_equal(sources, [*one.components, one.background])
    np.testing.assert_array_equal(mixture, one.mixture)


def test_single_sources_are_not_copied(sampler, corpus):
    plan = sampler.draw(0, 0, 0)
    sources = render_sources(plan, corpus)
    assert join(plan, sources) is sources


def test_enrollments_by_component(sampler, corpus):
    plan = sampler.draw(0, 0, 0)
    first, second = plan.enrollments
    rest = (plan.target + 1) % 4
    several = dataclasses.replace(
        plan, enrollments=(first, dataclasses.replace(second, component=rest), second)
    )
    found = Rendered.of(several, corpus).enrollments
    assert {component: len(own) for component, own in found.items()} == {plan.target: 2, rest: 1}
    read = corpus.read(second.clip, second.start, second.length)
    np.testing.assert_array_equal(found[rest][0], read)
    np.testing.assert_array_equal(found[plan.target][1], read)


def test_without_a_background_or_enrollments(corpus):
    plain = Sampler(corpus, MixingConfig(duration=0.5))
    found = plain.render(plain.draw(0, 0, 0))
    assert found.background is None and found.enrollments == {} and found.stream == 0
    assert plain.fs == 8000 and found.components.shape == (2, 4000)

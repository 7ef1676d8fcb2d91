"""The assignment, against every order tried by hand and against scipy."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tsx_espnet.criterion.assignment import MAX_TRIED, assign

SIZES = [(s, m) for m in range(1, 7) for s in range(1, m + 1)]


def costs(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def total(cost, order):
    return sum(cost[source][output].item() for source, output in enumerate(order))


@given(seed=st.integers(0, 10**6), size=st.sampled_from(SIZES))
def test_no_other_order_costs_less(seed, size):
    cost = costs(seed, *size)
    order = assign(cost).tolist()
    assert len(set(order)) == size[0]
    least = min(total(cost, one) for one in itertools.permutations(range(size[1]), size[0]))
    assert total(cost, order) == pytest.approx(least, abs=1e-5)


@pytest.mark.parametrize("size", [(2, 2), (4, 4), (2, 4), (5, 5), (3, 7)])
def test_scipy_finds_the_same_in_every_item_of_a_batch(size):
    cost = costs(0, 2, 3, *size)
    orders = assign(cost)
    assert orders.shape == (2, 3, size[0]) and orders.dtype == torch.long
    for item in np.ndindex(2, 3):
        assert orders[item].tolist() == linear_sum_assignment(cost[item].numpy())[1].tolist()


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_the_order_of_the_references_does_not_matter(number):
    cost, moved = costs(1, 8, number, number), torch.randperm(number)
    assert torch.equal(assign(cost[:, moved]), assign(cost)[:, moved])


@pytest.mark.parametrize("number", [2, MAX_TRIED, MAX_TRIED + 1])
def test_of_equal_costs_the_outputs_stay_in_order(number):
    assert assign(torch.zeros(3, number, number)).tolist() == [list(range(number))] * 3


@pytest.mark.parametrize("number", [MAX_TRIED, MAX_TRIED + 1])
def test_costs_that_are_infinite_are_avoided(number):
    cost = torch.zeros(1, number, number)
    cost[0, 0, 0] = float("inf")
    assert assign(cost)[0, 0] != 0


def test_more_sources_than_outputs_are_refused():
    with pytest.raises(ValueError, match="expected at most 2 sources, found 3"):
        assign(torch.zeros(1, 3, 2))

"""Probabilities by their logits, against scipy and closed forms."""

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.layers.probability import TrainableSigmoid, mean_probability, soft_or

LOGITS = np.linspace(-80, 80, 1601)


def closed_form(logits):
    """``A + log(1 - exp(-A))`` with ``A = Σ log(1 + exp(v))``, in float64."""
    total = np.logaddexp(0, logits).sum(axis=1)
    return total + np.log(-np.expm1(-total))


def test_of_one_source_it_is_the_identity():
    logits = torch.from_numpy(LOGITS).float()[:, None]
    assert torch.equal(soft_or(logits), logits[:, 0])
    absent = torch.full_like(logits, 30.0)
    active = torch.tensor([[True, False]]).expand(len(logits), 2)
    assert torch.equal(soft_or(torch.cat([logits, absent], dim=1), active), logits[:, 0])


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("dtype, rtol", [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_against_scipy(number, dtype, rtol):
    rng = np.random.default_rng(number)
    logits = rng.uniform(-12, 12, (200, number))
    found = soft_or(torch.from_numpy(logits).to(dtype)).double().numpy()
    miss = scipy.special.expit(-logits).prod(axis=1)
    np.testing.assert_allclose(found, -scipy.special.logit(miss), rtol=1e-6 + rtol, atol=1e-5)
    logits = rng.uniform(-80, 80, (500, number))
    found = soft_or(torch.from_numpy(logits).to(dtype)).double().numpy()
    np.testing.assert_allclose(found, closed_form(logits), rtol=rtol, atol=1e3 * rtol**2)


def test_the_printed_form_has_lost_all_digits_where_this_one_has_them():
    """Why not ``logit(1 - Π (1 - p))``: in float32 it is infinite from about 17 on."""
    logits = torch.tensor([[20.0, 20.0], [-20.0, -20.0]])
    printed = torch.logit(1 - (1 - logits.sigmoid()).prod(dim=1))
    assert printed.isinf().all()
    expected = torch.tensor([40.0, -20.0 + float(np.log(2))])
    torch.testing.assert_close(soft_or(logits), expected)


@given(st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=4), st.randoms())
def test_order_does_not_matter_and_more_sources_make_it_likelier(logits, random):
    shuffled = random.sample(logits, len(logits))
    found, other = soft_or(torch.tensor([logits, shuffled]))
    torch.testing.assert_close(found, other, rtol=1e-5, atol=1e-5)
    assert found >= max(logits)


@pytest.mark.parametrize("level", [0.0, 5.0, 80.0, 300.0, 1e4])
def test_gradients_are_finite_and_those_of_the_closed_form(level):
    """``∂V_or / ∂v_i = P_i / P_or``, by hand."""
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(level * rng.uniform(-1, 1, (100, 3))).float().requires_grad_()
    (found,) = torch.autograd.grad(soft_or(logits).sum(), logits)
    assert found.isfinite().all()
    if level <= 80:
        logits = logits.detach().double().numpy()
        likely = scipy.special.expit(logits)
        either = -np.expm1(scipy.special.log_expit(-logits).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(found, likely / either, rtol=1e-4, atol=1e-6)


def test_sources_that_are_not_there_do_not_count():
    logits = torch.randn(4, 3, 5, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    active = torch.tensor([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]).bool()
    found = soft_or(logits, active)
    expected = [soft_or(logits[:1]), soft_or(logits[1:2, 1:]), logits[2:3, 2], soft_or(logits[3:])]
    torch.testing.assert_close(found, torch.cat(expected))
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    heard = active | ~active.any(dim=1, keepdim=True)  # of no source, all are heard
    assert torch.equal(gradient.flatten(2).any(dim=2), heard) and gradient.isfinite().all()


def test_the_mean_over_time_is_that_of_probabilities():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (3, 2, 7, 5))
    real = np.arange(7) < np.array([[7], [4], [1]])
    found = mean_probability(torch.from_numpy(logits), torch.from_numpy(real)).numpy()
    assert found.shape == (3, 2, 1, 5)
    for row, number in enumerate((7, 4, 1)):
        mean = scipy.special.expit(logits[row, :, :number]).mean(axis=1)
        np.testing.assert_allclose(found[row, :, 0], scipy.special.logit(mean), rtol=1e-9)


def test_the_mean_over_time_is_exact_where_probabilities_are_not():
    logits = torch.tensor([-60.0, -70.0]).reshape(1, 1, 2, 1)
    found = mean_probability(torch.cat([logits, -logits]), torch.ones(2, 2).bool()).flatten()
    expected = np.logaddexp(-60, -70) - np.log(2)
    torch.testing.assert_close(found, torch.tensor([expected, -expected]).float())


def test_the_trainable_sigmoid():
    x = torch.linspace(-9, 9, 50)
    layer = TrainableSigmoid()
    assert torch.equal(layer(x), torch.sigmoid(x))
    assert sum(p.numel() for p in layer.parameters()) == 3
    values = {"alpha": 2.0, "beta": -0.5, "x0": 1.5}
    layer.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    expected = 2.0 / (1 + np.exp(-0.5 * (1.5 - x.numpy())))
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5)

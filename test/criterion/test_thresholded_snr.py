"""Negative SNR with thresholds, against its closed form in numpy."""

import numpy as np
import pytest
import torch

from tsx_espnet.criterion.distance import build_criterions


@pytest.fixture
def criterion():
    return build_criterions([{"name": "thresholded_snr"}])


def noise(seed=0, level=0.05):
    return level * torch.randn(3, 800, generator=torch.Generator().manual_seed(seed))


def power(signal):
    return np.sum(signal.numpy().astype(np.float64) ** 2, axis=-1)


@pytest.mark.parametrize("snr", [-10.0, 0.0, 20.0, 60.0])
def test_closed_form(criterion, snr):
    ref, error = noise(), noise(1)
    error = error * ref.norm(dim=1, keepdim=True) / error.norm(dim=1, keepdim=True)
    found = criterion(ref, ref + 10 ** (-snr / 20) * error, ref + noise(2))
    expected = 10 * np.log10(10 ** (-snr / 10) + 1e-3)
    assert found.tolist() == pytest.approx([expected] * 3, abs=1e-2)


def test_silence_in_closed_form(criterion):
    mixture, est = noise(), noise(1)
    ref = torch.zeros_like(mixture)
    expected = 10 * np.log10(power(est) + 0.01 * power(mixture))
    assert criterion(ref, est, mixture).tolist() == pytest.approx(expected.tolist(), abs=1e-3)
    expected = 10 * np.log10(0.01 * power(mixture))
    assert criterion(ref, ref, mixture).tolist() == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.parametrize("silent", ["ref", "est", "ref, est", "ref, est, mixture", ""])
def test_value_and_gradient_are_finite_and_vanish_where_all_is_well(criterion, silent):
    ref, est, mixture = noise(), noise(1), noise() + noise(2)
    ref, est, mixture = (
        torch.zeros_like(one) if name in silent.split(", ") else one
        for name, one in (("ref", ref), ("est", est), ("mixture", mixture))
    )
    est.requires_grad_()
    loss = criterion(ref, est, mixture)
    loss.sum().backward()
    assert loss.isfinite().all() and est.grad.isfinite().all()
    assert est.grad.any() != silent.startswith("ref, est")
    perfect = ref.clone().requires_grad_()
    criterion(ref, perfect, mixture).sum().backward()
    assert not perfect.grad.any()


def test_the_order_is_decided_without_thresholds(criterion):
    ref, est, mixture = noise(), noise(1), noise(2)
    expected = 10 * np.log10(power(ref - est))
    assert criterion.cost(ref, est, mixture).tolist() == pytest.approx(expected.tolist(), abs=1e-3)


def test_espnet_calls_it_without_a_mixture(criterion):
    ref, est = noise(), noise(1)
    (one,) = criterion
    torch.testing.assert_close(one(ref, est), criterion(ref, est, ref))
    expected = 10 * np.log10(power(est))
    assert one(0 * ref, est).tolist() == pytest.approx(expected.tolist(), abs=1e-3)

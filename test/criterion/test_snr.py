"""ESPnet's ``snr``, by name: Eq. 6 of SoundBeam, and that silence does no harm."""

import pytest
import torch

from tsx_espnet.criterion.distance import build_criterions


@pytest.fixture
def snr():
    (criterion,) = build_criterions([{"name": "snr"}])
    return criterion


def noise(seed=0):
    return 0.05 * torch.randn(3, 800, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("expected", [-20.0, 0.0, 30.0])
def test_eq_6(snr, expected):
    """An error of a given level; unlike SI-SDR, a gain of the estimate is an error too."""
    ref, error = noise(), noise(1)
    error = error * ref.norm(dim=1, keepdim=True) / error.norm(dim=1, keepdim=True)
    found = snr(ref, ref + 10 ** (-expected / 20) * error)
    assert found.tolist() == pytest.approx([-expected] * 3, abs=1e-3)
    assert snr(ref, 0.9 * ref).tolist() == pytest.approx([-20.0] * 3, abs=1e-3)


@pytest.mark.parametrize("kind", ["silent ref", "silent est", "both silent", "perfect"])
def test_value_and_gradient_are_finite(snr, kind):
    ref = torch.zeros(3, 800) if kind in ("silent ref", "both silent") else noise()
    est = ref.clone() if kind in ("both silent", "perfect") else noise(1)
    if kind == "silent est":
        est = torch.zeros(3, 800)
    est.requires_grad_()
    loss = snr(ref, est)
    loss.sum().backward()
    assert loss.isfinite().all() and loss.abs().max() < 200
    assert est.grad.isfinite().all()


def test_a_silent_reference_asks_for_silence(snr):
    est = noise().requires_grad_()
    ref = torch.zeros(3, 800)
    (gradient,) = torch.autograd.grad(snr(ref, est).sum(), est)
    assert (snr(ref, est - 1e-3 * gradient) < snr(ref, est)).all()

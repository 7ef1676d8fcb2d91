"""SI-SDR against two libraries, closed forms, and signals on which others are not finite."""

import fast_bss_eval
import pytest
import torch
from espnet2.enh.loss.criterions.time_domain import SISNRLoss, TimeDomainLoss
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from tsx_espnet.criterion.si_sdr import SISDRLoss, si_sdr


def draw(snr, seed=0, size=4, length=2000, dtype=torch.float32, offset=0.0):
    """References and estimates with noise at about ``snr`` dB."""
    generator = torch.Generator().manual_seed(seed)
    ref = torch.randn(size, length, generator=generator, dtype=torch.double)
    noise = torch.randn(size, length, generator=generator, dtype=torch.double)
    est = ref + 10 ** (-snr / 20) * noise + offset
    return ref.to(dtype), est.to(dtype)


@pytest.mark.parametrize("offset", [0.0, 0.3])
@pytest.mark.parametrize("snr", [-20.0, -3.0, 0.0, 12.0, 40.0])
@pytest.mark.parametrize("dtype, atol", [(torch.float32, 0.01), (torch.float64, 1e-4)])
def test_against_torchmetrics_and_fast_bss_eval(snr, offset, dtype, atol):
    ref, est = draw(snr, dtype=dtype, offset=offset)
    theirs = scale_invariant_signal_distortion_ratio(est.double(), ref.double(), zero_mean=True)
    found = si_sdr(ref, est).double()
    # eps adds a floor of -80 dB to the noise: 4e-4 dB at 40 dB
    torch.testing.assert_close(found, theirs, atol=atol + 1e-3, rtol=0)
    other = -fast_bss_eval.si_sdr_loss(est.double(), ref.double(), zero_mean=True)
    torch.testing.assert_close(found, other, atol=atol + 1e-3, rtol=0)


@pytest.mark.parametrize("expected", [-20.0, 0.0, 20.0])
def test_closed_form(expected):
    """Orthogonal sines: noise at a tenth of the amplitude is 20 dB."""
    time = torch.arange(1000, dtype=torch.double) / 1000
    ref, noise = (torch.sin(2 * torch.pi * cycles * time) for cycles in (5, 8))
    est = 0.7 * (ref + 10 ** (-expected / 20) * noise)
    assert si_sdr(ref, est).item() == pytest.approx(expected, abs=1e-4)
    assert SISDRLoss()(ref[None], est[None]).tolist() == [pytest.approx(-expected, abs=1e-4)]


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**31),
    ref_gain=st.floats(1e-3, 1e3),
    est_gain=st.floats(1e-3, 1e3),
    sign=st.sampled_from([-1, 1]),
    ref_mean=st.floats(-2, 2),
    est_mean=st.floats(-2, 2),
    snr=st.floats(-20, 30),
)
def test_gains_signs_and_means_do_not_matter(
    seed, ref_gain, est_gain, sign, ref_mean, est_mean, snr
):
    ref, est = draw(snr, seed, dtype=torch.double, length=200)
    changed = si_sdr(ref_gain * (ref + ref_mean), sign * est_gain * (est + est_mean))
    torch.testing.assert_close(changed, si_sdr(ref, est), atol=1e-4, rtol=0)


@settings(deadline=None, max_examples=200)
@given(
    kind=st.sampled_from(
        ["ref silent", "est silent", "both silent", "constant", "orthogonal", "scaled", "perfect"]
    ),
    level=st.sampled_from([1e-6, 1e-3, 1.0, 1e3]),
    seed=st.integers(0, 2**31),
    length=st.integers(1, 300),
    gain=st.floats(-2, 2),
)
def test_value_and_gradient_are_finite_within_the_bounds(kind, level, seed, length, gain):
    ref, est = draw(3.0, seed, length=length)
    if kind in ("ref silent", "both silent"):
        ref = torch.zeros_like(ref)
    if kind in ("est silent", "both silent"):
        est = torch.zeros_like(est)
    if kind == "constant":
        est = torch.ones_like(est)
    if kind in ("perfect", "scaled"):
        est = ref if kind == "perfect" else gain * ref  # whose energies differ by rounding alone
    if kind == "orthogonal":
        ref, est = torch.tensor([[1.0, -1, 1, -1]]), torch.tensor([[1.0, 1, -1, -1]])
    est = (level * est).clone().requires_grad_()
    loss = SISDRLoss()(level * ref, est)
    loss.sum().backward()
    assert loss.abs().max() <= 80.01
    assert est.grad.isfinite().all()


def test_values_at_the_bounds():
    ref, est = draw(3.0)
    silent = torch.zeros_like(ref)
    # 70: in single precision the energies agree to 1e-7
    assert si_sdr(ref, ref).min() > 65 and si_sdr(ref.double(), ref.double()).min() > 79.9
    assert si_sdr(silent, est).tolist() == pytest.approx([-80.0] * 4, abs=0.01)
    assert si_sdr(ref, silent).tolist() == pytest.approx([0.0] * 4)
    assert si_sdr(ref, est, eps=1e-2).max() < 3.2 and si_sdr(ref, ref, eps=1e-2).max() < 20.1


def test_why_not_espnets_si_snr():
    """On a silent reference it or its gradient is not finite: one such mixture ends a run."""
    _, est = draw(3.0)
    est.requires_grad_()
    loss = SISNRLoss()(torch.zeros(4, 2000), est)
    loss.sum().backward()
    assert not (loss.isfinite().all() and est.grad.isfinite().all())


def test_a_step_along_the_gradient_helps():
    ref, est = draw(3.0)
    est.requires_grad_()
    loss = SISDRLoss()(ref, est).sum()
    (gradient,) = torch.autograd.grad(loss, est)
    assert SISDRLoss()(ref, est - gradient).sum() < loss


def test_espnets_contract():
    loss = SISDRLoss()
    assert isinstance(loss, TimeDomainLoss) and loss.name == "si_sdr_loss"
    assert not loss.only_for_test
    assert loss(*draw(0.0)).shape == (4,)


@pytest.mark.parametrize("shape", [(4, 1999), (3, 2000), (4, 1, 2000), (2000,)])
def test_other_shapes_are_refused_even_where_they_would_broadcast(shape):
    with pytest.raises(ValueError, match=r"one shape, found \(4, 2000\) and"):
        SISDRLoss()(torch.ones(4, 2000), torch.ones(shape))

"""Negative SI-SDR that stays finite, gradients too, on silent signals."""

import torch
from espnet2.enh.loss.criterions.time_domain import TimeDomainLoss


def si_sdr(ref: torch.Tensor, est: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, the mean of both signals removed.

    ``eps`` is relative to the energies of the signals: it bounds the result at
    ``±10 log10(1 / eps)`` dB. A silent reference gives the lower bound.

    Shape:
        ref (..., T), est (..., T) -> (...)

    Reference: Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, section 2.

    >>> ref = torch.tensor([1.0, -1.0, 1.0, -1.0])
    >>> round(si_sdr(ref, ref + torch.tensor([0.1, 0.1, -0.1, -0.1])).item(), 3)
    20.0
    """
    if ref.shape != est.shape:
        raise ValueError(
            f"expected reference and estimate of one shape, found {tuple(ref.shape)} "
            f"and {tuple(est.shape)}"
        )
    ref = ref - ref.mean(dim=-1, keepdim=True)
    est = est - est.mean(dim=-1, keepdim=True)
    tiny = torch.finfo(ref.dtype).tiny ** 0.5
    ref_energy = ref.square().sum(dim=-1)
    est_energy = est.square().sum(dim=-1)
    product = (ref * est).sum(dim=-1)
    # in this order no gradient becomes infinity times zero if both are silent
    target_energy = product * (product / (ref_energy + tiny))
    noise_energy = (est_energy - target_energy).clamp(min=0.0)
    floor = eps * est_energy + tiny
    return 10.0 * (torch.log10(target_energy + floor) - torch.log10(noise_energy + floor))


class SISDRLoss(TimeDomainLoss):
    """``-si_sdr(ref, est)``, for ESPnet's criterion table (name ``si_sdr``).

    ESPnet's ``si_snr`` is infinite, with undefined gradients, on a silent reference.

    Args:
        eps: relative floor of the energies; the loss lies within ``±10 log10(1 / eps)`` dB.

    Shape:
        ref (B, T), est (B, T) -> (B,)
    """

    def __init__(self, eps: float = 1e-8, name: str = "si_sdr_loss", only_for_test: bool = False):
        super().__init__(name, only_for_test=only_for_test)
        self.eps = eps

    def forward(self, ref: torch.Tensor, est: torch.Tensor) -> torch.Tensor:
        return -si_sdr(ref, est, self.eps)

"""Negative SNR with a threshold, which also says what an output without a source costs."""

from typing import Optional

import torch
from espnet2.enh.loss.criterions.time_domain import TimeDomainLoss


class ThresholdedSNRLoss(TimeDomainLoss):
    r"""Negative SNR in dB, for ESPnet's criterion table (name ``thresholded_snr``).

    ``10 log10(‖s - ŝ‖² + τ ‖s‖²) - 10 log10 ‖s‖²`` for a source s that sounds, and
    ``10 log10(‖ŝ‖² + τ₀ ‖m‖²)`` for a silent one in the mixture m, with ``τ = 10^(-max_snr / 10)``
    and ``τ₀ = 10^(-max_snr_silent / 10)``. Beyond its threshold an output is good enough, and its
    gradient goes to zero.

    Which output is which source is decided without thresholds, by ``10 log10 ‖s - ŝ‖²``. Without a
    mixture, as in ESPnet's ``enh``, a silent source has no threshold.

    Args:
        max_snr: of a source that sounds, in dB.
        max_snr_silent: of the mixture over the output of a silent source, in dB.

    Shape:
        ref (R, T), est (R, T), mixture (R, T) -> (R,)

    Reference: Wisdom et al., "What's all the FUSS about free universal sound separation data?",
    ICASSP 2021, and its code.
    """

    def __init__(
        self,
        max_snr: float = 30.0,
        max_snr_silent: float = 20.0,
        name: str = "thresholded_snr_loss",
        only_for_test: bool = False,
    ):
        super().__init__(name, only_for_test=only_for_test)
        self.max_snr = max_snr
        self.max_snr_silent = max_snr_silent

    def forward(
        self, ref: torch.Tensor, est: torch.Tensor, mixture: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        sounds, power = ref.any(dim=-1), _power(ref)
        allowed = 10 ** (-self.max_snr / 10) * power
        if mixture is not None:
            silent_allowed = 10 ** (-self.max_snr_silent / 10) * _power(mixture)
            allowed = torch.where(sounds, allowed, silent_allowed)
        level = torch.where(sounds, _decibels(power), 0.0)
        return _decibels(_power(ref - est) + allowed) - level

    def cost(
        self, ref: torch.Tensor, est: torch.Tensor, mixture: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        """What the assignment of outputs to sources minimises."""
        return _decibels(_power(ref - est))


def _power(signal: torch.Tensor) -> torch.Tensor:
    return signal.square().sum(dim=-1)


def _decibels(power: torch.Tensor) -> torch.Tensor:
    # of the smallest number itself the gradient is infinite
    return 10 * torch.log10(power + torch.finfo(power.dtype).tiny ** 0.5)

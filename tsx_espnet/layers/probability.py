"""Between logits and probabilities, without the rounding that probabilities near 0 and 1 have."""

from typing import Optional

import torch

NOWHERE = -1e4  # the logit of what cannot be; with -inf, gradients would be NaN


def soft_or(logits: torch.Tensor, active: Optional[torch.Tensor] = None) -> torch.Tensor:
    """The logit of "at least one of S": ``P = 1 - Π (1 - P_s)``.

    In odds o = P / (1 - P), that of two is ``o_1 + o_2 + o_1 o_2``: a sum of positive terms, so
    nothing cancels, and neither does it overflow as a sum of exponentials of logits.

    Args:
        active: (B, S) bool, those of the S that are there; of none, all count.

    Shape:
        logits (B, S, ...) -> (B, ...)

    Reference: Tzinis et al., "Improving universal sound separation using sound classification",
    ICASSP 2020, Eq. 1.

    >>> soft_or(torch.tensor([[0.0, 0.0]])).sigmoid()
    tensor([0.7500])
    """
    if active is not None:
        absent = ~active & active.any(dim=1, keepdim=True)
        shape = (*absent.shape, *(1 for _ in logits.shape[2:]))
        logits = logits.masked_fill(absent.reshape(shape), NOWHERE)
    total, *others = logits.unbind(dim=1)
    for one in others:
        total = torch.stack([total, one, total + one]).logsumexp(dim=0)
    return total


def mean_probability(logits: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The logit of the mean probability over the real frames.

    Shape:
        logits (B, S, F, J), real (B, F) bool -> (B, S, 1, J)

    >>> mean_probability(torch.tensor([[[[0.0], [40.0]]]]), torch.ones(1, 2).bool()).sigmoid()
    tensor([[[[0.7500]]]])
    """
    padded = ~real[:, None, :, None]
    present, absent = (
        torch.nn.functional.logsigmoid(one).masked_fill(padded, NOWHERE).logsumexp(2, keepdim=True)
        for one in (logits, -logits)
    )
    return present - absent


class TrainableSigmoid(torch.nn.Module):
    """``α / (1 + exp(β (x0 - x)))`` with three trainable numbers; starts as the sigmoid.

    Reference: Tzinis et al., "Improving universal sound separation using sound classification",
    ICASSP 2020, section 3.2.
    """

    def __init__(self):
        super().__init__()
        self.alpha = torch.nn.Parameter(torch.ones(()))
        self.beta = torch.nn.Parameter(torch.ones(()))
        self.x0 = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.alpha * torch.sigmoid(self.beta * (x - self.x0))

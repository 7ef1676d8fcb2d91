"""What the outputs of a model should be: the references of a batch."""

from typing import NamedTuple

import torch


class References(NamedTuple):
    """The sources that a model should give for each of the B items of a batch.

    Args:
        sources: (B, S, T); of a query, S = 2: target and other. S may be less than the number of
            outputs.
        active: (B, S) bool: the sources that are there; the others are zeros.
        mixture: (B, T).
    """

    sources: torch.Tensor
    active: torch.Tensor
    mixture: torch.Tensor

    @classmethod
    def of(cls, sources: torch.Tensor, mixture: torch.Tensor) -> "References":
        """A source is active if it is not all zeros."""
        return cls(sources, sources.any(dim=-1), mixture)

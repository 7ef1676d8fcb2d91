"""A condition as the extractor sees it."""

from dataclasses import dataclass
from typing import Sequence

import torch
from torch.nn import functional


@dataclass
class ConditionEmbedding:
    """Embeddings of one condition for a batch of mixtures.

    Args:
        embedding: (B, L, D); a vector condition has L = 1.
        mask: (B, L) bool, True where the embedding is real. A row without any True means that the
            condition does not tell the target from the rest in that mixture.
    """

    embedding: torch.Tensor
    mask: torch.Tensor

    def __post_init__(self):
        if self.embedding.dim() != 3 or self.mask.shape != self.embedding.shape[:2]:
            raise ValueError(
                "expected embedding (B, L, D) and mask (B, L), found "
                f"{tuple(self.embedding.shape)} and {tuple(self.mask.shape)}"
            )

    @property
    def applicable(self) -> torch.Tensor:
        """(B,) bool: the mixtures in which the condition tells the target from the rest."""
        return self.mask.any(dim=1)

    def select(self, rows: torch.Tensor) -> "ConditionEmbedding":
        """The condition of some of the mixtures; ``rows`` (R,) indices."""
        return ConditionEmbedding(self.embedding[rows], self.mask[rows])

    def padded(self, length: int) -> "ConditionEmbedding":
        """The same with L = ``length``, no shorter than it is."""
        missing = length - self.mask.shape[1]
        return ConditionEmbedding(
            functional.pad(self.embedding, (0, 0, 0, missing)),
            functional.pad(self.mask, (0, missing)),
        )

    @classmethod
    def cat(cls, parts: Sequence["ConditionEmbedding"], dim: int = 0) -> "ConditionEmbedding":
        """Join conditions: of several mixtures (``dim`` 0), or several of a mixture (``dim`` 1).

        A mixture may be queried by several together; ``vector()`` is then their mean.
        """
        if dim == 0:
            length = max(part.mask.shape[1] for part in parts)
            parts = [part.padded(length) for part in parts]
        return cls(
            torch.cat([part.embedding for part in parts], dim=dim),
            torch.cat([part.mask for part in parts], dim=dim),
        )

    def vector(self) -> torch.Tensor:
        """(B, D): the mean over the real positions, zero where there is none."""
        weight = self.mask.unsqueeze(-1).to(self.embedding.dtype)
        return (self.embedding * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)

    @classmethod
    def null(cls, reference: torch.Tensor, dim: int) -> "ConditionEmbedding":
        """"No condition" for the batch of ``reference`` (B, ...): one zero vector each."""
        size = reference.shape[0]
        return cls(reference.new_zeros(size, 1, dim), reference.new_ones(size, 1).bool())


def real_positions(number: int, lengths: torch.Tensor) -> torch.Tensor:
    """(B, number) bool, True for the first ``lengths`` (B,).

    >>> real_positions(3, torch.tensor([1, 3]))
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    return torch.arange(number, device=lengths.device) < lengths.unsqueeze(1)

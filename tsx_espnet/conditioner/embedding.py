"""A condition as the extractor sees it, and the base class of what makes it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Mapping, Optional, Sequence, Tuple

import torch
from torch.nn import functional


@dataclass
class ConditionEmbedding:
    """Embeddings of one condition for a batch of mixtures.

    Args:
        embedding: (B, L, D); a vector condition has L = 1.
        mask: (B, L) bool, True where the embedding is real; nowhere in a mixture where the
            condition is not applicable: it does not tell the target from the rest.
        timed: whether the L positions are frames, which span the mixture.
        logits: of a condition that a classifier hears, (B, S, F, J) of each signal by name.
    """

    embedding: torch.Tensor
    mask: torch.Tensor
    timed: bool = False
    logits: Optional[Mapping[str, torch.Tensor]] = None

    def __post_init__(self):
        if self.embedding.dim() != 3 or self.mask.shape != self.embedding.shape[:2]:
            raise ValueError(
                "expected embedding (B, L, D) and mask (B, L), found "
                f"{tuple(self.embedding.shape)} and {tuple(self.mask.shape)}"
            )

    @property
    def applicable(self) -> torch.Tensor:
        """(B,) bool: the mixtures in which the condition is applicable."""
        return self.mask.any(dim=1)

    def select(self, rows: torch.Tensor) -> "ConditionEmbedding":
        """The condition of some of the mixtures; ``rows`` (R,) indices."""
        logits = self.logits and {name: one[rows] for name, one in self.logits.items()}
        return ConditionEmbedding(self.embedding[rows], self.mask[rows], self.timed, logits)

    def padded(self, length: int) -> "ConditionEmbedding":
        """Padded to L = ``length``; frames cannot be padded, as they would move in time."""
        missing = length - self.mask.shape[1]
        if missing and self.timed:
            raise ValueError(f"expected {length} frames, found {self.mask.shape[1]}")
        return replace(
            self,
            embedding=functional.pad(self.embedding, (0, 0, 0, missing)),
            mask=functional.pad(self.mask, (0, missing)),
        )

    @classmethod
    def cat(cls, parts: Sequence["ConditionEmbedding"], dim: int = 0) -> "ConditionEmbedding":
        """Join conditions of several mixtures (``dim`` 0) or several conditions of one (``dim`` 1).

        The ``vector()`` of several conditions is their mean. Logits are not joined.
        """
        timed = parts[0].timed
        if any(part.timed != timed for part in parts) or (timed and dim == 1):
            raise ValueError("conditions with frames are joined only for several mixtures")
        if dim == 0:
            length = max(part.mask.shape[1] for part in parts)
            parts = [part.padded(length) for part in parts]
        return cls(
            torch.cat([part.embedding for part in parts], dim=dim),
            torch.cat([part.mask for part in parts], dim=dim),
            timed,
        )

    def vector(self) -> torch.Tensor:
        """(B, D): the mean over the real positions, zero if there are none.

        Raises:
            ValueError: if the condition is timed.
        """
        if self.timed:
            raise ValueError("expected a condition for the whole mixture, found one of frames")
        weight = self.mask.unsqueeze(-1).to(self.embedding.dtype)
        if self.embedding.shape[1] == 1:
            return (self.embedding * weight).squeeze(1)
        return (self.embedding * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)

    def at(self, num_frames: int) -> torch.Tensor:
        """(B, W, D): a timed condition at W frames, frame w that of position floor(w · L / W).

        Zero where it is not real.
        """
        length = self.mask.shape[1]
        frames = torch.arange(num_frames, device=self.mask.device) * length // num_frames
        real = self.embedding * self.mask.unsqueeze(-1).to(self.embedding.dtype)
        return real.index_select(1, frames)

    @classmethod
    def null(cls, reference: torch.Tensor, dim: int) -> "ConditionEmbedding":
        """"No condition" for the batch of ``reference`` (B, ...): zero vectors."""
        size = reference.shape[0]
        return cls(reference.new_zeros(size, 1, dim), reference.new_ones(size, 1).bool())


def real_positions(number: int, lengths: torch.Tensor) -> torch.Tensor:
    """(B, number) bool, True for the first ``lengths`` (B,).

    >>> real_positions(3, torch.tensor([1, 3]))
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    return torch.arange(number, device=lengths.device) < lengths.unsqueeze(1)


class AbsConditioner(torch.nn.Module, ABC):
    """Turns the batch array of one condition into embeddings of size ``output_dim``, D.

    Attributes:
        takes: what a value is in the batch: ``index``, ``vector`` (of a phrase), ``tokens`` (of a
            phrase) or ``samples`` (of a recording).
        gives: what the embedding is: ``vector`` (the mean of its positions is meant), ``tokens``,
            ``timed``, or ``null``, a vector of zeros, which every extractor accepts.
        hears: for a condition that is heard instead of queried by, the signals it is made from, in
            this order: ``mixture``, ``estimates`` (of the pass before), ``sources`` (in training;
            elsewhere nobody knows them). The value is then (B, S, T), their waveforms at the level
            at which the mixture has unit RMS, of ``lengths`` samples.
    """

    takes: str = "index"
    gives: str = "vector"
    hears: Tuple[str, ...] = ()

    @property
    def is_oracle(self) -> bool:
        """Whether the condition is made from the sources."""
        return "sources" in self.hears

    @abstractmethod
    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        """Embed ``value`` (B, L, ...), of which ``lengths`` (B,) positions are real.

        The embedding has the L of ``value``, or 1 if the conditioner reduces it to one vector.
        """


class NullConditioner(AbsConditioner):
    """"No condition": a zero vector for every mixture.

    Shape:
        value (B, L), ignored -> embedding (B, 1, D), mask (B, 1)

    Reference: "Optimal condition training for target source separation", Eq. 2, f(x, -).
    """

    gives = "null"

    def __init__(self, output_dim: int):
        super().__init__()
        # has the type and device of the model; ``value`` holds integers
        self.register_buffer("zero", torch.zeros(output_dim), persistent=False)

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        return ConditionEmbedding.null(self.zero.expand(value.shape[0], -1), len(self.zero))

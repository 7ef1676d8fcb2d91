"""The base class of all conditioners, and the one that says nothing."""

from abc import ABC, abstractmethod

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding


class AbsConditioner(torch.nn.Module, ABC):
    """Turns the batch array of one condition into embeddings of size D.

    Args of every subclass: ``output_dim`` (D) first, then its own options.
    """

    @abstractmethod
    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        """Embed ``value`` (B, L, ...) of which ``lengths`` (B,) positions are real.

        The embedding has the L of ``value``, or 1 if the conditioner makes one vector of it.
        """


class NullConditioner(AbsConditioner):
    """Zero for every mixture: what a FiLM layer then does is the same for all of them.

    Args:
        output_dim: D.

    Shape:
        value (B, L), never looked at -> embedding (B, 1, D), mask (B, 1)

    Reference: "Optimal condition training for target source separation", Eq. 2, f(x, -).
    """

    def __init__(self, output_dim: int):
        super().__init__()
        # its type and device are the model's, which those of the integers in ``value`` are not
        self.register_buffer("zero", torch.zeros(output_dim), persistent=False)

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        return ConditionEmbedding.null(self.zero.expand(value.shape[0], -1), len(self.zero))

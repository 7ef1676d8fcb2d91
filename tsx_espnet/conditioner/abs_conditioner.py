"""The base class of all conditioners."""

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

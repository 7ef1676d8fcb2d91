"""Conditions with a closed set of values."""

import torch

from tsx_espnet.conditioner.abs_conditioner import AbsConditioner
from tsx_espnet.conditioner.embedding import ConditionEmbedding


class OneHotConditioner(AbsConditioner):
    """One trainable vector a value: a one-hot vector times a matrix.

    Args:
        output_dim: D.
        num_values: number of values of the concept.

    Shape:
        value (B, 1) int, -1 = not applicable -> embedding (B, 1, D), mask (B, 1)

    >>> onehot = OneHotConditioner(output_dim=8, num_values=2)
    >>> onehot(torch.tensor([[1], [-1]]), torch.tensor([1, 1])).applicable
    tensor([ True, False])
    """

    def __init__(self, output_dim: int, num_values: int):
        super().__init__()
        if num_values < 1:
            raise ValueError(f"a one-hot condition needs at least one value, found {num_values}")
        self.table = torch.nn.Embedding(num_values, output_dim)

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        mask = value >= 0
        # values that are not applicable look up row 0, which the mask then hides
        return ConditionEmbedding(self.table(value.clamp(min=0)), mask)

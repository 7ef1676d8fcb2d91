"""Conditions with a closed set of values."""

import torch
from torch.nn import functional

from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding


class OneHotConditioner(AbsConditioner):
    """One trainable vector per value: a one-hot vector times a matrix.

    Args:
        output_dim: D.
        num_values: number of values.
        num_new: how many of them, the last ones, were added after training (see
            ``tsx_espnet.few_shot``). They are a separate parameter, so that they can be trained
            alone.

    Shape:
        value (B, 1) int, -1 = not applicable -> embedding (B, 1, D), mask (B, 1)

    >>> onehot = OneHotConditioner(output_dim=8, num_values=2)
    >>> onehot(torch.tensor([[1], [-1]]), torch.tensor([1, 1])).applicable
    tensor([ True, False])
    """

    def __init__(self, output_dim: int, num_values: int, num_new: int = 0):
        super().__init__()
        if num_values < 1:
            raise ValueError(f"num_values: expected at least 1, found {num_values}")
        if not 0 <= num_new < num_values:
            raise ValueError(f"num_new: expected 0 to {num_values - 1}, found {num_new}")
        self.table = torch.nn.Embedding(num_values - num_new, output_dim)
        self.new = torch.nn.Embedding(num_new, output_dim) if num_new else None

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        mask = value >= 0
        # row 0 for values that are not applicable, hidden by the mask
        return ConditionEmbedding(functional.embedding(value.clamp(min=0), self.matrix()), mask)

    def matrix(self) -> torch.Tensor:
        """The vectors of all values, (num_values, D)."""
        if self.new is None:
            return self.table.weight
        return torch.cat([self.table.weight, self.new.weight])

    def extended(self, rows: torch.Tensor) -> "OneHotConditioner":
        """A copy with more values, whose vectors are ``rows`` (M, D)."""
        known = self.matrix()
        num_new = len(known) - self.table.num_embeddings + len(rows)
        grown = OneHotConditioner(known.shape[1], len(known) + len(rows), num_new).to(known)
        with torch.no_grad():
            grown.table.weight.copy_(self.table.weight)
            grown.new.weight.copy_(torch.cat([known[self.table.num_embeddings :], rows.to(known)]))
        return grown

"""Conditions with a closed set of values."""

import torch
from torch.nn import functional

from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding


class OneHotConditioner(AbsConditioner):
    """One trainable vector a value: a one-hot vector times a matrix.

    Args:
        output_dim: D.
        num_values: number of values of the concept.
        num_new: how many of them, the last ones, were added after training (see
            ``tsx_espnet.few_shot``). They are a parameter of their own, so that an optimizer can be
            kept from the others.

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
        # values that are not applicable look up row 0, which the mask then hides
        return ConditionEmbedding(functional.embedding(value.clamp(min=0), self.matrix()), mask)

    def matrix(self) -> torch.Tensor:
        """The vectors of all values, (num_values, D)."""
        if self.new is None:
            return self.table.weight
        return torch.cat([self.table.weight, self.new.weight])

    def extended(self, rows: torch.Tensor) -> "OneHotConditioner":
        """One that knows more values, with ``rows`` (M, D) at its end; the others as they are."""
        known = self.matrix()
        num_new = len(known) - self.table.num_embeddings + len(rows)
        grown = OneHotConditioner(known.shape[1], len(known) + len(rows), num_new).to(known)
        with torch.no_grad():
            grown.table.weight.copy_(self.table.weight)
            grown.new.weight.copy_(torch.cat([known[self.table.num_embeddings :], rows.to(known)]))
        return grown

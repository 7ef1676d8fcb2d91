"""Text conditions."""

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding, real_positions

ACTIVATIONS = {"none": lambda vectors: vectors, "relu": torch.relu}


class TextConditioner(AbsConditioner):
    """A trainable linear layer on vectors of a frozen language model.

    The vectors come from a table (see ``tsx_espnet.pretrained``), so the language model is part of
    neither the training process nor the checkpoint. Pooling belongs to the table: the mean over
    tokens (and no activation here) in the proposed text baseline, the first token (and a ReLU here)
    in that of Liu et al. (2022); see "Optimal condition training ...", section 3.3.

    Args:
        output_dim: D.
        input_dim: size E of the language model's vectors.
        activation: after the linear layer: ``none`` or ``relu``.

    Shape:
        value (B, L, E), lengths (B,), 0 = not applicable -> embedding (B, L, D), mask (B, L)
    """

    takes = "vector"

    def __init__(self, output_dim: int, input_dim: int = 384, activation: str = "none"):
        super().__init__()
        self.activation = ACTIVATIONS[one_of("activation", activation, ACTIVATIONS)]
        self.linear = torch.nn.Linear(input_dim, output_dim)

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        if value.shape[-1] != self.linear.in_features:
            raise ValueError(
                f"expected text vectors of size {self.linear.in_features} "
                f"(--conditions text.input_dim), found {value.shape[-1]}"
            )
        mask = real_positions(value.shape[1], lengths.to(value.device))
        return ConditionEmbedding(self.activation(self.linear(value)), mask)

"""Text conditions, token by token."""

import torch

from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding, real_positions
from tsx_espnet.pretrained.frozen import Frozen
from tsx_espnet.pretrained.joint import AbsTextEncoder
from tsx_espnet.pretrained.loading import PADDING


class TokensConditioner(AbsConditioner):
    """A trainable linear layer on the token states of a frozen text encoder.

    Args:
        output_dim: D.
        pretrained: the text encoder, of a joint encoder or a language model.

    Shape:
        value (B, L) int, lengths (B,), 0 = not applicable -> embedding (B, L, D), mask (B, L)

    Raises:
        ValueError: if the pretrained network encodes no text.
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(self, output_dim: int, pretrained: Frozen):
        super().__init__()
        if not isinstance(pretrained.network, AbsTextEncoder):
            found = type(pretrained.network).__name__
            raise ValueError(f"pretrained: expected a text encoder, found {found}")
        self.encoder = pretrained
        self.linear = torch.nn.Linear(pretrained.network.state_dim, output_dim)

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        mask = real_positions(value.shape[1], lengths.to(value.device))
        states = self.linear.weight.new_zeros(*value.shape, self.linear.in_features)
        rows = mask.any(dim=1)
        if rows.any():  # an encoder of nothing would attend to nothing
            tokens = value.masked_fill(~mask, PADDING)[rows]
            states[rows] = self.encoder.network.text(tokens).states.to(states.dtype)
        return ConditionEmbedding(self.linear(states), mask)

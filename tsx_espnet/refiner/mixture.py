"""The refiner of OCT++."""

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.refiner.mixture_encoder import MixtureEncoder


class MixtureRefiner(torch.nn.Module):
    """Eq. 5: ``r(x, c) = g(concat(φ(x), c))``, a condition rephrased in the light of the mixture.

    g is a two-layer MLP with ReLU in between. The paper leaves its hidden width open.

    Args:
        input_dim: N, number of encoder bases.
        embedding_dim: D.
        hidden_dim: width of g.
        channels, depth, stride, heads: of φ, see ``MixtureEncoder``.

    Reference: "Optimal condition training for target source separation", sections 2.4 and 3.2.
    """

    def __init__(
        self,
        input_dim: int,
        embedding_dim: int,
        hidden_dim: int = 512,
        channels: int = 512,
        depth: int = 4,
        stride: int = 4,
        heads: int = 2,
    ):
        super().__init__()
        self.encoder = MixtureEncoder(input_dim, channels, depth, stride, heads)
        self.map = torch.nn.Sequential(
            torch.nn.Linear(channels + embedding_dim, hidden_dim),
            torch.nn.ReLU(),
            torch.nn.Linear(hidden_dim, embedding_dim),
        )

    def forward(self, context: torch.Tensor, condition: ConditionEmbedding) -> ConditionEmbedding:
        """Refine a condition.

        Shape:
            context ``φ(x)`` (B, channels), embedding (B, L, D) -> embedding (B, L, D)
        """
        length = condition.embedding.shape[1]
        repeated = context.unsqueeze(1).expand(-1, length, -1)
        refined = self.map(torch.cat([repeated, condition.embedding], dim=-1))
        return ConditionEmbedding(refined, condition.mask)

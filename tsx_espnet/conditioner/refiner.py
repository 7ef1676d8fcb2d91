"""The refiner of OCT++: a condition rephrased in the light of the mixture."""

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.layers.basic import global_layer_norm, magnitude
from tsx_espnet.layers.sudormrf import DepthwiseConv


class MixtureRefiner(torch.nn.Module):
    """Eq. 5: ``r(x, c) = g(concat(φ(x), c))``, a condition rephrased in the light of the mixture.

    g is a two-layer MLP with a ReLU; the paper does not give its width.

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
        return ConditionEmbedding(refined, condition.mask, condition.timed)


class AttentionPooling(torch.nn.Module):
    """Weighted mean over time; each head has weights for its share of the channels.

    Args:
        channels: C, a multiple of ``heads``.
        heads: number of heads H; head h sees C / H channels.

    Shape:
        (B, C, F) -> (B, C)

    Reference: Tzinis et al., "AudioScopeV2", ECCV 2022.
    """

    def __init__(self, channels: int, heads: int = 2):
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels: expected a multiple of {heads} heads, found {channels}")
        self.heads = heads
        self.score = torch.nn.Conv1d(channels, heads, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = torch.softmax(self.score(x), dim=-1).unsqueeze(2)  # (B, H, 1, F)
        return (x.unflatten(1, (self.heads, -1)) * weights).sum(dim=-1).flatten(1)


class MixtureEncoder(torch.nn.Module):
    """The down-sampling half of a U-ConvBlock, then attention pooling over time.

    Args:
        input_dim: N, number of encoder bases.
        channels: of the block.
        depth: number of strided depthwise convolutions.
        stride: of each.
        heads: of the pooling.

    Shape:
        feature (B, F, N), real or complex -> (B, channels), any F >= 1

    Reference: "Optimal condition training for target source separation", section 3.2.
    """

    def __init__(
        self, input_dim: int, channels: int = 512, depth: int = 4, stride: int = 4, heads: int = 2
    ):
        super().__init__()
        self.expand = torch.nn.Sequential(
            torch.nn.Conv1d(input_dim, channels, 1), global_layer_norm(channels), torch.nn.PReLU()
        )
        # kernels wider than the stride, so that every frame is covered
        self.down = torch.nn.Sequential(
            *(DepthwiseConv(channels, 2 * stride + 1, stride) for _ in range(depth))
        )
        self.pool = AttentionPooling(channels, heads)

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        return self.pool(self.down(self.expand(magnitude(feature).transpose(1, 2))))

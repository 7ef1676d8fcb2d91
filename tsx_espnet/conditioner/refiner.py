"""The refiner of OCT++: a condition rephrased in the light of the mixture."""

from typing import Dict

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.layers.basic import global_layer_norm, magnitude
from tsx_espnet.layers.sudormrf import DepthwiseConv


class MixtureRefiner(torch.nn.Module):
    """Eq. 5: ``r(x, c) = g(concat(φ(x), c))``, a condition rephrased in the light of the mixture.

    g is a two-layer MLP with a ReLU; the paper does not give its width. With ``residual``, r is
    ``c + g(concat(φ(x), c))``, and the last layer of g is zero at first, so that r begins as c.

    Args:
        input_dim: N, number of encoder bases.
        embedding_dim: D.
        hidden_dim: width of g.
        residual: add c. False is Eq. 5 as written.
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
        residual: bool = False,
    ):
        super().__init__()
        self.residual = residual
        self.encoder = MixtureEncoder(input_dim, channels, depth, stride, heads)
        self.map = torch.nn.Sequential(
            torch.nn.Linear(channels + embedding_dim, hidden_dim),
            torch.nn.ReLU(),
            torch.nn.Linear(hidden_dim, embedding_dim),
        )
        self.espnet_initialization_fn()

    def espnet_initialization_fn(self) -> None:
        """Called by ESPnet's ``--init`` too, which draws all weights again."""
        if self.residual:
            torch.nn.init.zeros_(self.map[-1].weight)
            torch.nn.init.zeros_(self.map[-1].bias)

    def forward(self, context: torch.Tensor, condition: ConditionEmbedding) -> ConditionEmbedding:
        """Refine a condition.

        Shape:
            context ``φ(x)`` (B, channels), embedding (B, L, D) -> embedding (B, L, D)
        """
        refined = self.map(self._joined(context, condition))
        if self.residual:
            refined = condition.embedding + refined
        return ConditionEmbedding(refined, condition.mask, condition.timed)

    def cross(self, context: torch.Tensor, condition: ConditionEmbedding) -> torch.Tensor:
        """Refine every condition in the light of every mixture.

        Shape:
            context (B, channels), embedding (P, L, D) -> (B, P, D)
        """
        rows, columns = self._pairs(context, condition)
        refined = self(context[rows], condition.select(columns)).vector()
        return refined.unflatten(0, (len(context), -1))

    @torch.no_grad()
    def statistics(
        self, context: torch.Tensor, condition: ConditionEmbedding
    ) -> Dict[str, torch.Tensor]:
        """What the log shows of the refiner: every applicable condition with every mixture.

        ``refiner_dead``: share of the hidden units of g that are zero for all of them.
        ``refiner_mixture_to_text``: standard deviation of r over the mixtures, for one condition,
        relative to that over the conditions, for one mixture (means over the D dimensions); NaN if
        there are fewer than two of either.

        Shape:
            context (B, channels), embedding (P, L, D) -> scalars
        """
        condition = condition.select(condition.applicable.nonzero(as_tuple=True)[0])
        nothing = context.new_full((), float("nan"))
        if len(condition.mask) == 0:
            return {"refiner_dead": nothing, "refiner_mixture_to_text": nothing}
        rows, columns = self._pairs(context, condition)
        pairs = condition.select(columns)
        hidden = self.map[1](self.map[0](self._joined(context[rows], pairs)))
        dead = (hidden[pairs.mask] == 0).all(dim=0).to(context.dtype).mean()
        ratio = nothing
        if min(len(context), len(condition.mask)) > 1:
            refined = self.cross(context, condition)
            over_mixtures, over_texts = (refined.std(dim=axis).mean() for axis in (0, 1))
            ratio = torch.where(over_texts > 0, over_mixtures / over_texts, nothing)
        return {"refiner_dead": dead, "refiner_mixture_to_text": ratio}

    def _joined(self, context: torch.Tensor, condition: ConditionEmbedding) -> torch.Tensor:
        """concat(φ(x), c): (B, L, channels + D)."""
        length = condition.embedding.shape[1]
        repeated = context.unsqueeze(1).expand(-1, length, -1)
        return torch.cat([repeated, condition.embedding], dim=-1)

    def _pairs(self, context: torch.Tensor, condition: ConditionEmbedding):
        """Indices of the mixture and of the condition of all B · P pairs."""
        mixtures = torch.arange(len(context), device=context.device)
        conditions = torch.arange(len(condition.mask), device=context.device)
        return torch.cartesian_prod(mixtures, conditions).unbind(dim=1)


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

"""Fusion of a condition into features.

A fusion is a layer ``(x (B, C, F), condition) -> (B, C, F)`` that says what a condition may be, in
``accepts``: ``vector``, ``timed`` (at each frame its own) or ``tokens``.
"""

from typing import TYPE_CHECKING

import torch
from espnet2.enh.layers.adapt_layers import make_adapt_layer

from tsx_espnet.checks import one_of
from tsx_espnet.layers.basic import global_layer_norm

if TYPE_CHECKING:
    from tsx_espnet.conditioner.embedding import ConditionEmbedding

FUSIONS = ("multiply", "film", "concat", "attention")


class FiLM(torch.nn.Module):
    """Scale and shift every channel by functions of a condition: ``y = (1 + γ(c)) x + β(c)``.

    γ and β are linear in the condition; their biases start at zero, so that an untrained layer is
    the identity for the null condition.

    Args:
        condition_dim: size D of the condition embedding.
        channels: number C of channels to modulate.

    Reference: Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018.

    >>> from tsx_espnet.conditioner.embedding import ConditionEmbedding
    >>> x = torch.randn(2, 4, 5)
    >>> torch.equal(FiLM(condition_dim=3, channels=4)(x, ConditionEmbedding.null(x, 3)), x)
    True
    """

    accepts = ("vector", "timed")

    def __init__(self, condition_dim: int, channels: int):
        super().__init__()
        self.linear = torch.nn.Linear(condition_dim, 2 * channels)
        torch.nn.init.zeros_(self.linear.bias)

    def forward(self, x: torch.Tensor, condition: "ConditionEmbedding") -> torch.Tensor:
        if condition.timed:
            both = self.linear(condition.at(x.shape[-1])).transpose(1, 2)
        else:
            both = self.linear(condition.vector()).unsqueeze(-1)
        scale, shift = both.chunk(2, dim=1)
        return torch.addcmul(x + shift, x, scale)


class AdaptLayer(torch.nn.Module):
    """One of ESPnet's adaptation layers, after a linear map of the condition to C if D is not C.

    Args:
        kind: ESPnet's name: ``mul`` (``e ⊙ x``) or ``concat`` (linear in both).
        condition_dim: D.
        channels: C.
    """

    accepts = ("vector", "timed")

    def __init__(self, kind: str, condition_dim: int, channels: int):
        super().__init__()
        self.linear = None
        if condition_dim != channels:
            self.linear = torch.nn.Linear(condition_dim, channels)
        self.adapt = make_adapt_layer(kind, indim=channels, enrolldim=channels)

    def forward(self, x: torch.Tensor, condition: "ConditionEmbedding") -> torch.Tensor:
        if not condition.timed:
            return self.adapt(x, self._mapped(condition.vector()))
        # ESPnet's layers take one vector an example: here each frame is one
        frames = x.transpose(1, 2)
        vectors = self._mapped(condition.at(frames.shape[1]))
        adapted = self.adapt(frames.flatten(0, 1).unsqueeze(-1), vectors.flatten(0, 1))
        return adapted.squeeze(-1).unflatten(0, frames.shape[:2]).transpose(1, 2)

    def _mapped(self, vector: torch.Tensor) -> torch.Tensor:
        return vector if self.linear is None else self.linear(vector)


class CrossAttention(torch.nn.Module):
    """Every frame attends to the tokens of a condition: ``y = x + attention(norm(x), c, c)``.

    Without a true token, ``y = x``.

    Args:
        condition_dim: D.
        channels: C, a multiple of ``heads``.
        heads: of the attention.

    Reference: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.2.
    """

    accepts = ("vector", "tokens")

    def __init__(self, condition_dim: int, channels: int, heads: int = 4):
        super().__init__()
        if channels % heads:
            raise ValueError(
                f"fusion attention: expected a multiple of {heads} channels, found {channels}"
            )
        self.norm = global_layer_norm(channels)
        self.attention = torch.nn.MultiheadAttention(
            channels, heads, kdim=condition_dim, vdim=condition_dim, batch_first=True
        )

    def forward(self, x: torch.Tensor, condition: "ConditionEmbedding") -> torch.Tensor:
        tokens, applicable = condition.embedding, condition.applicable[:, None, None]
        # where all tokens are padding, a softmax over none would give NaN
        ignored = ~condition.mask & applicable.squeeze(-1)
        query = self.norm(x).transpose(1, 2)
        heard, _ = self.attention(query, tokens, tokens, ignored, need_weights=False)
        return x + heard.transpose(1, 2).masked_fill(~applicable, 0.0)


def make_fusion(kind: str, condition_dim: int, channels: int) -> torch.nn.Module:
    """A fusion by name.

    Args:
        kind: ``multiply`` element by element (no parameters if D = C), ``film`` (scale and shift),
            ``concat`` (a linear layer on both), or ``attention`` (to tokens).

    >>> from tsx_espnet.conditioner.embedding import ConditionEmbedding
    >>> vector = ConditionEmbedding(torch.tensor([[[2.0, 0.5]]]), torch.tensor([[True]]))
    >>> make_fusion("multiply", 2, 2)(torch.ones(1, 2, 3), vector)[0, :, 0]
    tensor([2.0000, 0.5000])
    """
    if one_of("fusion", kind, FUSIONS) == "film":
        return FiLM(condition_dim, channels)
    if kind == "attention":
        return CrossAttention(condition_dim, channels)
    return AdaptLayer({"multiply": "mul", "concat": "concat"}[kind], condition_dim, channels)

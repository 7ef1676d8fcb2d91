"""Fusion of a condition vector into features."""

import torch
from espnet2.enh.layers.adapt_layers import make_adapt_layer

from tsx_espnet.checks import one_of

FUSIONS = ("multiply", "film", "concat")


class FiLM(torch.nn.Module):
    """Scale and shift every channel by functions of a condition: ``y = (1 + γ(c)) x + β(c)``.

    γ and β are linear in the condition; their biases start at zero, so that an untrained layer is
    the identity for the null condition.

    Args:
        condition_dim: size D of the condition embedding.
        channels: number C of channels to modulate.

    Shape:
        x (B, C, F), condition (B, D) -> (B, C, F)

    Reference: Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018.

    >>> film = FiLM(condition_dim=3, channels=4)
    >>> film(torch.zeros(2, 4, 5), torch.ones(2, 3)).shape
    torch.Size([2, 4, 5])
    """

    def __init__(self, condition_dim: int, channels: int):
        super().__init__()
        self.linear = torch.nn.Linear(condition_dim, 2 * channels)
        torch.nn.init.zeros_(self.linear.bias)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        scale, shift = self.linear(condition).unsqueeze(-1).chunk(2, dim=1)
        return torch.addcmul(x + shift, x, scale)


class AdaptLayer(torch.nn.Module):
    """One of ESPnet's adaptation layers, after a linear map of the condition to C if D is not C.

    Args:
        kind: ESPnet's name: ``mul`` (``e ⊙ x``) or ``concat`` (linear in both).
        condition_dim: D.
        channels: C.

    Shape:
        x (B, C, F), condition (B, D) -> (B, C, F)
    """

    def __init__(self, kind: str, condition_dim: int, channels: int):
        super().__init__()
        self.linear = None
        if condition_dim != channels:
            self.linear = torch.nn.Linear(condition_dim, channels)
        self.adapt = make_adapt_layer(kind, indim=channels, enrolldim=channels)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return self.adapt(x, condition if self.linear is None else self.linear(condition))


def make_fusion(kind: str, condition_dim: int, channels: int) -> torch.nn.Module:
    """A layer ``(x (B, C, F), condition (B, D)) -> (B, C, F)``.

    Args:
        kind: ``multiply`` element by element (no parameters if D = C), ``film`` (scale and shift),
            or ``concat`` (a linear layer on both).

    >>> make_fusion("multiply", 2, 2)(torch.ones(1, 2, 3), torch.tensor([[2.0, 0.5]]))[0, :, 0]
    tensor([2.0000, 0.5000])
    """
    if one_of("fusion", kind, FUSIONS) == "film":
        return FiLM(condition_dim, channels)
    return AdaptLayer({"multiply": "mul", "concat": "concat"}[kind], condition_dim, channels)

"""Feature-wise linear modulation."""

import torch


class FiLM(torch.nn.Module):
    """Scale and shift every channel by functions of a condition: ``y = (1 + γ(c)) x + β(c)``.

    γ and β are linear in the condition; their biases start at zero, so that an untrained layer
    passes its input through unchanged under the null condition.

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

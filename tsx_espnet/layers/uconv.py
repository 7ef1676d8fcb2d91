"""The U-ConvBlock of Sudo rm -rf."""

import torch
from torch.nn import functional

from tsx_espnet.layers.norm import global_layer_norm

# of the original, PReLU; on processors its gradient costs as much as a convolution
ACTIVATIONS = {
    "prelu": torch.nn.PReLU,
    "relu": torch.nn.ReLU,
    "leaky_relu": lambda: torch.nn.LeakyReLU(0.25),  # PReLU as it starts
}


def get_activation(name: str) -> torch.nn.Module:
    """A non-linearity by name."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {tuple(ACTIVATIONS)}, found {name!r}")
    return ACTIVATIONS[name]()


class DepthwiseConv(torch.nn.Sequential):
    """Depthwise convolution along time, then global layer norm.

    Shape:
        (B, C, F) -> (B, C, F'), F' = ceil(F / stride) for odd kernels
    """

    def __init__(self, channels: int, kernel_size: int, stride: int):
        super().__init__(
            torch.nn.Conv1d(
                channels,
                channels,
                kernel_size,
                stride=stride,
                padding=(kernel_size - 1) // 2,
                groups=channels,
            ),
            global_layer_norm(channels),
        )


class UConvBlock(torch.nn.Module):
    """Successive down-sampling of the features and resampling back, with a residual connection.

    1x1 convolution to ``hidden_channels``, ``depth`` depthwise convolutions of which all but the
    first halve the frame rate, nearest up-sampling with addition on the way back, and a 1x1
    convolution to ``channels``.

    Args:
        channels: C, the width outside the block.
        hidden_channels: the width inside.
        depth: number of time resolutions, at least 1.
        kernel_size: of the depthwise convolutions, odd.
        activation: one of ``ACTIVATIONS``.

    Shape:
        (B, C, F) -> (B, C, F), any F >= 1

    Reference: Tzinis et al., "Compute and memory efficient universal sound source separation",
    Journal of Signal Processing Systems, 2022, section 3.3.
    """

    def __init__(
        self,
        channels: int,
        hidden_channels: int,
        depth: int = 4,
        kernel_size: int = 5,
        activation: str = "prelu",
    ):
        super().__init__()
        if depth < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"expected depth >= 1 and an odd kernel_size, found {depth} and {kernel_size}"
            )
        self.expand = torch.nn.Sequential(
            torch.nn.Conv1d(channels, hidden_channels, 1),
            global_layer_norm(hidden_channels),
            get_activation(activation),
        )
        self.down = torch.nn.ModuleList(
            DepthwiseConv(hidden_channels, kernel_size, stride=1 if level == 0 else 2)
            for level in range(depth)
        )
        self.contract = torch.nn.Sequential(
            global_layer_norm(hidden_channels),
            get_activation(activation),
            torch.nn.Conv1d(hidden_channels, channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [self.expand(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        merged = levels.pop()
        for finer in reversed(levels[1:]):
            merged = finer + functional.interpolate(merged, size=finer.shape[-1], mode="nearest")
        return x + self.contract(merged)

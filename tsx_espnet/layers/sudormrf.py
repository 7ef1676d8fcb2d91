"""The mask network of Sudo rm -rf, with or without a condition."""

from typing import TYPE_CHECKING, Optional

import torch
from torch.nn import functional

from tsx_espnet.checks import one_of
from tsx_espnet.layers.basic import get_activation, global_layer_norm, magnitude
from tsx_espnet.layers.fusion import FiLM

if TYPE_CHECKING:
    from tsx_espnet.conditioner.embedding import ConditionEmbedding

NONLINEARS = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softmax": lambda masks: torch.softmax(masks, dim=1),
}


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
        activation: one of ``tsx_espnet.layers.basic.ACTIVATIONS``.

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


class SudoRMRF(torch.nn.Module):
    """Masks from features: norm, bottleneck, ``num_blocks`` U-ConvBlocks, masks.

    With a ``condition_dim``, a trainable FiLM layer stands before each U-ConvBlock.

    Args:
        input_dim: N, number of encoder bases.
        num_masks: M, number of outputs.
        num_blocks: number of U-ConvBlocks (B in the paper).
        out_channels: width between the blocks.
        hidden_channels: width inside the blocks.
        depth: time resolutions inside a block.
        kernel_size: of the depthwise convolutions.
        activation: of the blocks, see ``tsx_espnet.layers.basic``.
        nonlinear: of the masks: ``relu`` (the original), ``sigmoid``, or ``softmax`` over the
            masks. ReLU masks can all collapse to zero early in training and get no gradient from
            then on: with mixture consistency, every estimate is then a share of the mixture.
        condition_dim: D, or None for an unconditional network.
        further_dim: K, number of further input channels, which are not masked.

    Shape:
        feature (B, F, N + K), real or complex -> masks (B, M, F, N)

    Reference: papers "Compute and memory efficient universal sound source separation" (2022) for
    the network, "Optimal condition training for target source separation" (2023), section 3.2, for
    the FiLM layers and the default sizes.
    """

    def __init__(
        self,
        input_dim: int,
        num_masks: int = 2,
        num_blocks: int = 8,
        out_channels: int = 256,
        hidden_channels: int = 512,
        depth: int = 4,
        kernel_size: int = 5,
        activation: str = "prelu",
        nonlinear: str = "relu",
        condition_dim: Optional[int] = None,
        further_dim: int = 0,
    ):
        super().__init__()
        self.nonlinear = one_of("nonlinear", nonlinear, NONLINEARS)
        self.num_masks = num_masks
        self.bottleneck = torch.nn.Sequential(
            global_layer_norm(input_dim + further_dim),
            torch.nn.Conv1d(input_dim + further_dim, out_channels, 1),
        )
        self.blocks = torch.nn.ModuleList(
            UConvBlock(out_channels, hidden_channels, depth, kernel_size, activation)
            for _ in range(num_blocks)
        )
        self.films = None
        if condition_dim is not None:
            self.films = torch.nn.ModuleList(
                FiLM(condition_dim, out_channels) for _ in range(num_blocks)
            )
        self.mask = torch.nn.Sequential(
            get_activation(activation), torch.nn.Conv1d(out_channels, num_masks * input_dim, 1)
        )

    def prepare(self, feature: torch.Tensor) -> torch.Tensor:
        """What stands before the first FiLM layer: (B, F, N + K) -> (B, out_channels, F)."""
        return self.bottleneck(magnitude(feature).transpose(1, 2))

    def forward(
        self,
        feature: torch.Tensor,
        condition: Optional["ConditionEmbedding"] = None,
        prepared: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        x = self.prepare(feature) if prepared is None else prepared
        for index, block in enumerate(self.blocks):
            if self.films is not None:
                x = self.films[index](x, condition)
            x = block(x)
        masks = self.mask(x).unflatten(1, (self.num_masks, -1))
        return NONLINEARS[self.nonlinear](masks).transpose(2, 3)

"""The mask network TDCN++, with or without a condition."""

from typing import TYPE_CHECKING, Optional

import torch
from torch.nn import functional

from tsx_espnet.checks import one_of
from tsx_espnet.layers.sudormrf import NONLINEARS

if TYPE_CHECKING:
    from tsx_espnet.conditioner.embedding import ConditionEmbedding

FUSIONS = ("none", "concat", "gate")
ACTIVATIONS = {
    "prelu": lambda: torch.nn.PReLU(init=0.1),
    "leaky_relu": lambda: torch.nn.LeakyReLU(0.1),  # PReLU as it starts
}


class Dense(torch.nn.Conv1d):
    """1x1 convolution times one trained number: ``y = α (W x + b)``.

    Args:
        scale: α at the start.

    Shape:
        (B, in_channels, F) -> (B, out_channels, F)
    """

    def __init__(self, in_channels: int, out_channels: int, scale: float = 1.0, bias: bool = False):
        super().__init__(in_channels, out_channels, 1, bias=bias)
        self.scale = torch.nn.Parameter(torch.tensor([scale]))
        start(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bias = None if self.bias is None else self.scale * self.bias
        return functional.conv1d(x, self.scale * self.weight, bias)


class ScalarNorm(torch.nn.Module):
    """Zero mean and unit variance of groups of channels over all frames; one gain and one bias.

    The statistics include zero-padded frames, as those of all our norms over time.

    Args:
        channels: C.
        groups: C to normalise each channel over time, 1 to normalise all channels together.
        eps: added to the variance. It is large, so that silent channels are not blown up.

    Shape:
        (B, C, F) -> (B, C, F), any F >= 1
    """

    def __init__(self, channels: int, groups: int, eps: float = 1e-3):
        super().__init__()
        self.channels = channels
        self.groups = groups
        self.eps = eps
        self.gain = torch.nn.Parameter(torch.ones(1))
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # functional.group_norm would refuse a single frame of a single example
        gain, bias = self.gain.expand(self.channels), self.bias.expand(self.channels)
        return torch.group_norm(x, self.groups, gain, bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.channels}, groups={self.groups}, eps={self.eps}"


class TDCNBlock(torch.nn.Module):
    """Dense, PReLU, norm, dilated depthwise convolution, PReLU, norm, dense, all over time.

    Args:
        in_channels: width of the input.
        channels: B, width of the output.
        hidden_channels: H, width inside the block.
        dilation: of the convolution of three frames.
        scale: of the output, at the start.
        activation: one of ``ACTIVATIONS``.

    Shape:
        (B, in_channels, F) -> (B, channels, F)
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        hidden_channels: int,
        dilation: int,
        scale: float,
        activation: str = "prelu",
    ):
        super().__init__()
        depthwise = torch.nn.Conv1d(
            hidden_channels,
            hidden_channels,
            3,
            padding=dilation,
            dilation=dilation,
            groups=hidden_channels,
        )
        start(depthwise)
        make_activation = ACTIVATIONS[one_of("activation", activation, ACTIVATIONS)]
        self.layers = torch.nn.Sequential(
            Dense(in_channels, hidden_channels),
            make_activation(),
            ScalarNorm(hidden_channels, groups=hidden_channels),
            depthwise,
            make_activation(),
            ScalarNorm(hidden_channels, groups=hidden_channels),
            Dense(hidden_channels, channels, scale),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class TDCN(torch.nn.Module):
    r"""Masks from features: norm, dense, blocks of dilated convolutions with long skips, dense.

    Block i of ``num_repeats * num_blocks`` has dilation ``2^(i mod num_blocks)`` and gets
    ``y_i = y_{i-1} + block_{i-1}(u_{i-1})``. To the input of the first block of a repeat are added
    those of the first blocks of all repeats before, each through a dense layer of its own.

    Without a condition ``u_i = y_i``; with a condition V (D channels, at each frame its own or the
    same at all), ``u_0`` is ``[y_0, V]`` (``concat``) or ``V ⊙ y_0`` (``gate``, D = B). It is what
    block 0 and the long skips from there read, while ``y_0`` is carried on: no condition, V = 0,
    adds nothing.

    Spectra are seen as magnitudes, features of learned bases as they are.

    Args:
        input_dim: N, number of encoder bases.
        num_masks: M, number of outputs.
        bottleneck_channels: B, width between the blocks.
        hidden_channels: H, width inside the blocks.
        num_repeats, num_blocks: repeats, and blocks of each.
        depth_factor: times as many repeats; with 2, a network as large as two of them.
        activation: of the blocks: ``prelu``, or ``leaky_relu``, as it starts, which is faster.
        nonlinear: of the masks: ``sigmoid``, ``relu`` or ``softmax`` over the masks.
        consistent_masks: share what the masks lack to a sum of one among them, by weights made from
            the last activations. Of spectra, it is mixture consistency with learned weights.
        fusion: ``concat``, ``gate``, or ``none`` for a network without a condition.
        condition_dim: D.
        everywhere: fuse the condition into the inputs of all blocks, not only of the first.
        further_dim: K, number of further input channels, which are not masked.

    Shape:
        feature (B, F, N + K), real or complex -> masks (B, M, F, N)

    Reference: Kavalerov et al., "Universal sound separation", WASPAA 2019, section 3.1; the sizes,
    scalars, norms and skips are those of ``google-research/sound-separation``. Condition: Tzinis et
    al., "Improving universal sound separation using sound classification", ICASSP 2020, section
    3.2.
    """

    def __init__(
        self,
        input_dim: int,
        num_masks: int = 2,
        bottleneck_channels: int = 128,
        hidden_channels: int = 512,
        num_repeats: int = 4,
        num_blocks: int = 8,
        depth_factor: int = 1,
        activation: str = "prelu",
        nonlinear: str = "sigmoid",
        consistent_masks: bool = False,
        fusion: str = "none",
        condition_dim: int = 0,
        everywhere: bool = False,
        further_dim: int = 0,
    ):
        super().__init__()
        num_repeats *= depth_factor
        if min(num_repeats, num_blocks) < 1:
            raise ValueError(
                f"expected at least 1 repeat and 1 block, found {num_repeats} and {num_blocks}"
            )
        if consistent_masks and num_masks == 1:
            raise ValueError("consistent_masks: expected more than 1 output, a single one is all")
        self.nonlinear = one_of("nonlinear", nonlinear, NONLINEARS)
        self.fusion = one_of("fusion", fusion, FUSIONS)
        if fusion == "none" and everywhere:
            raise ValueError("everywhere: expected fusion concat or gate, found none")
        if fusion == "gate" and condition_dim != bottleneck_channels:
            raise ValueError(
                f"fusion gate: expected an embedding of {bottleneck_channels} channels "
                f"(bottleneck_channels), found {condition_dim}"
            )
        self.num_masks = num_masks
        self.num_blocks = num_blocks
        number = num_repeats * num_blocks
        self.num_fused = 0 if fusion == "none" else number if everywhere else 1
        wider = bottleneck_channels + (condition_dim if fusion == "concat" else 0)
        widths = [wider if i < self.num_fused else bottleneck_channels for i in range(number)]
        self.norm = ScalarNorm(input_dim + further_dim, groups=1)
        self.bottleneck = Dense(input_dim + further_dim, bottleneck_channels, bias=True)
        self.blocks = torch.nn.ModuleList(
            TDCNBlock(
                widths[i],
                bottleneck_channels,
                hidden_channels,
                dilation=2 ** (i % num_blocks),
                scale=0.9**i,
                activation=activation,
            )
            for i in range(number)
        )
        starts = range(0, number, num_blocks)
        self.skips = torch.nn.ModuleDict(
            {
                f"{i}_to_{j}": Dense(widths[i], bottleneck_channels, bias=True)
                for j in starts
                for i in starts
                if i < j
            }
        )
        self.mask = start(
            torch.nn.Conv1d(bottleneck_channels, num_masks * input_dim, 1, bias=False)
        )
        self.shares = None
        if consistent_masks:
            self.shares = start(torch.nn.Linear(bottleneck_channels, num_masks, bias=False))

    def forward(
        self, feature: torch.Tensor, condition: Optional["ConditionEmbedding"] = None
    ) -> torch.Tensor:
        seen = feature.abs() if feature.is_complex() else feature
        y = self.bottleneck(self.norm(seen.transpose(1, 2)))
        frames = self._frames(condition, y.shape[-1])
        inputs = {}  # of the first block of each repeat
        for index, block in enumerate(self.blocks):
            if index % self.num_blocks == 0:
                for earlier, fused in inputs.items():
                    y = y + self.skips[f"{earlier}_to_{index}"](fused)
            fused = self._fused(y, frames) if index < self.num_fused else y
            if index % self.num_blocks == 0:
                inputs[index] = fused
            y = y + block(fused)
        # with mixed precision, masks are as exact as the features that they multiply
        masks = self.mask(y).to(seen.dtype).unflatten(1, (self.num_masks, -1))
        masks = NONLINEARS[self.nonlinear](masks)
        if self.shares is not None:
            shares = torch.softmax(self.shares(y.mean(dim=-1)).to(seen.dtype), dim=-1)
            masks = masks + shares[..., None, None] * (1.0 - masks.sum(dim=1, keepdim=True))
        return masks.transpose(2, 3)

    def _frames(
        self, condition: Optional["ConditionEmbedding"], num_frames: int
    ) -> Optional[torch.Tensor]:
        """The condition at every frame: (B, D, F)."""
        if self.fusion == "none":
            return None
        if condition.timed:
            return condition.at(num_frames).transpose(1, 2)
        return condition.vector().unsqueeze(-1).expand(-1, -1, num_frames)

    def _fused(self, y: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        return torch.cat([y, frames], dim=1) if self.fusion == "concat" else y * frames


def start(layer: torch.nn.Module) -> torch.nn.Module:
    """The layer with Glorot's uniform weights and zero biases, as TensorFlow starts it."""
    torch.nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        torch.nn.init.zeros_(layer.bias)
    return layer

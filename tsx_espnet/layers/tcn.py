"""The temporal convolutional network of Conv-TasNet, whose stacks can be run one by one."""

import re
from typing import Dict, Optional

import torch
from espnet2.enh.layers.tcn import choose_norm

from tsx_espnet.checks import one_of
from tsx_espnet.layers.basic import get_activation, masked_layer_norm

NORMS = ("GN", "gLN", "cLN")
# names in ESPnet's TemporalConvNet -> names here
ESPNET = {
    "network.0": "norm",
    "network.1": "bottleneck",
    "network.2": "stacks",
    "network.3": "activation",
    "network.4": "output",
    "net.0": "expand",
    "net.1": "activation1",
    "net.2": "norm1",
    "net.3.net.0": "depthwise",
    "net.3.net.1": "activation2",
    "net.3.net.2": "norm2",
    "net.3.net.3": "contract",
}
_ESPNET = re.compile(r"network\.\d|net\.3\.net\.\d|net\.\d")


class TemporalBlock(torch.nn.Module):
    """One dilated convolution between two 1x1 convolutions, with a residual connection.

    With ``real``, the other frames have no influence on the real ones; the norms must then be GN.

    Shape:
        x (B, C, F), real (B, 1, F) bool or None -> (B, C, F)
    """

    def __init__(
        self, channels: int, hidden: int, kernel: int, dilation: int, activation: str, norm: str
    ):
        super().__init__()
        padding = (kernel - 1) * dilation // 2
        self.expand = torch.nn.Conv1d(channels, hidden, 1, bias=False)
        self.activation1 = get_activation(activation)
        self.norm1 = choose_norm(norm, hidden)
        self.depthwise = torch.nn.Conv1d(
            *(hidden, hidden, kernel),
            padding=padding,
            dilation=dilation,
            groups=hidden,
            bias=False,
        )
        self.activation2 = get_activation(activation)
        self.norm2 = choose_norm(norm, hidden)
        self.contract = torch.nn.Conv1d(hidden, channels, 1, bias=False)

    def forward(self, x: torch.Tensor, real: Optional[torch.Tensor] = None) -> torch.Tensor:
        hidden = self.activation1(self.expand(x))
        # padded frames are zero after the norm, like the padding of the convolution
        hidden = masked_layer_norm(self.norm1, hidden, real)
        hidden = masked_layer_norm(self.norm2, self.activation2(self.depthwise(hidden)), real)
        return x + self.contract(hidden)


class TemporalConvNet(torch.nn.Module):
    """Norm, bottleneck, stacks of ``TemporalBlock``, activation, 1x1 convolution to the output.

    The same network as ESPnet's ``TemporalConvNet`` without skip paths and with a linear output,
    weight for weight: it loads ESPnet's weights by ESPnet's names too.

    The first norm is ESPnet's per-frame layer norm (cLN: over the channels of each frame), whatever
    ``norm_type`` says; the two norms of a block are of ``norm_type``.

    Args:
        input_dim, output_dim: N, and the width of the output.
        bottleneck_dim, hidden_dim, kernel, layer, stack: B, H, P, X and R of the paper.
        activation: ``prelu``, as in the paper, or ``leaky_relu``, PReLU's initial slope: training
            on the CPU then takes two thirds of the time.
        norm_type: of the blocks: ``GN`` or ``gLN``, both over all channels and frames (the paper's
            global layer norm; GN is faster), or ``cLN``. ESPnet's batch norm is left out, as its
            statistics would change in a frozen network.

    Shape:
        x (B, N, F), real (B, 1, F) bool or None -> (B, output_dim, F)

    Reference: Luo and Mesgarani, "Conv-TasNet", TASLP 2019, section II.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        bottleneck_dim: int,
        hidden_dim: int,
        kernel: int,
        layer: int,
        stack: int,
        activation: str = "prelu",
        norm_type: str = "GN",
    ):
        super().__init__()
        one_of("norm_type", norm_type, NORMS)
        if kernel % 2 == 0:
            raise ValueError(f"kernel: expected an odd number of frames, found {kernel}")
        if min(layer, stack) < 1:
            raise ValueError(f"expected at least 1 layer and 1 stack, found {layer} and {stack}")
        self.norm = choose_norm("cLN", input_dim)
        self.bottleneck = torch.nn.Conv1d(input_dim, bottleneck_dim, 1, bias=False)
        self.stacks = torch.nn.ModuleList(
            torch.nn.ModuleList(
                TemporalBlock(bottleneck_dim, hidden_dim, kernel, 2**x, activation, norm_type)
                for x in range(layer)
            )
            for _ in range(stack)
        )
        self.activation = get_activation(activation)
        self.output = torch.nn.Conv1d(bottleneck_dim, output_dim, 1, bias=False)

    def forward(self, x: torch.Tensor, real: Optional[torch.Tensor] = None) -> torch.Tensor:
        x = self.bottleneck(self.norm(x))
        return self.output(self.activation(self.run_stacks(x, real=real)))

    def run_stacks(
        self,
        x: torch.Tensor,
        first: int = 0,
        last: Optional[int] = None,
        real: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """Stacks ``first`` to ``last - 1``: (B, bottleneck_dim, F) -> (B, bottleneck_dim, F)."""
        for stack in self.stacks[first:last]:
            for block in stack:
                x = block(x, real)
        return x

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # called by load_state_dict for each module, before those within it
        rename_espnets(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


def rename_espnets(state: Dict[str, torch.Tensor], prefix: str) -> None:
    """Rename weights of ESPnet's ``TemporalConvNet``; others are left alone.

    ``network.2.0.1.net.3.net.0.weight`` becomes ``stacks.0.1.depthwise.weight``.

    Args:
        state: weights by name, changed in place.
        prefix: of the names of the network.
    """
    for name in [name for name in state if name.startswith(f"{prefix}network.")]:
        renamed = _ESPNET.sub(lambda part: ESPNET[part[0]], name[len(prefix) :])
        state[prefix + renamed] = state.pop(name)

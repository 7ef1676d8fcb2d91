"""ESPnet's Conv-TasNet network, stack by stack, and over the real frames of a padded batch only."""

from typing import Optional

import torch
from espnet2.enh.layers.tcn import TemporalConvNet

from tsx_espnet.layers.norm import masked_layer_norm
from tsx_espnet.layers.uconv import get_activation

NORMS = ("GN", "gLN", "cLN")


def temporal_conv_net(
    input_dim: int,
    output_dim: int,
    bottleneck_dim: int,
    hidden_dim: int,
    kernel: int,
    layer: int,
    stack: int,
    activation: str = "prelu",
    norm_type: str = "GN",
) -> TemporalConvNet:
    """ESPnet's ``TemporalConvNet`` without skip paths, its output as it leaves the last layer.

    Its parts are ``network[:2]`` (norm, bottleneck), ``network[2]`` (stacks of blocks) and
    ``network[3:]`` (activation, output layer).

    Args:
        input_dim, output_dim: N, and the width of the output.
        bottleneck_dim, hidden_dim, kernel, layer, stack: B, H, P, X and R of the paper.
        activation: ``prelu``, as in the paper, or ``leaky_relu``, what PReLU starts from: on
            processors a training step then takes two thirds of the time.
        norm_type: ``GN`` or ``gLN``, both global layer norm; GN is the faster. Or ``cLN``. Batch
            norm, which ESPnet has too, would go on changing in a network that is frozen.

    Reference: Luo and Mesgarani, "Conv-TasNet", TASLP 2019, section II.
    """
    if norm_type not in NORMS:
        raise ValueError(f"norm_type must be one of {NORMS}, found {norm_type!r}")
    if kernel % 2 == 0:
        raise ValueError(f"kernel: expected an odd number of frames, found {kernel}")
    if min(layer, stack) < 1:
        raise ValueError(f"expected at least 1 layer and 1 stack, found {layer} and {stack}")
    network = TemporalConvNet(
        N=input_dim,
        B=bottleneck_dim,
        H=hidden_dim,
        P=kernel,
        X=layer,
        R=stack,
        C=1,
        out_channel=output_dim,
        norm_type=norm_type,
        pre_mask_nonlinear="prelu",
        mask_nonlinear="linear",
    )
    if activation != "prelu":
        for module in list(network.modules()):
            for name, part in list(module.named_children()):
                if isinstance(part, torch.nn.PReLU):
                    setattr(module, name, get_activation(activation))
    return network


def run_stack(
    stack: torch.nn.Sequential, x: torch.Tensor, real: Optional[torch.Tensor] = None
) -> torch.Tensor:
    """The residual blocks of one stack of a ``temporal_conv_net``.

    With ``real``, what comes out in the real frames is what comes out without the others; the norms
    must then be GN.

    Shape:
        x (B, C, F), real (B, 1, F) bool -> (B, C, F)
    """
    for block in stack:
        x = x + (block(x) if real is None else _run_block(block, x, real))
    return x


def _run_block(block: torch.nn.Module, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    expand, first_activation, first_norm, separable = block.net
    depthwise, second_activation, second_norm, contract = separable.net
    # zero after the norm where nothing is real, as the convolution pads the end of a signal
    x = masked_layer_norm(first_norm, first_activation(expand(x)), real)
    return contract(masked_layer_norm(second_norm, second_activation(depthwise(x)), real))

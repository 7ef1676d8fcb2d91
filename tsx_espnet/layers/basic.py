"""Shared by the networks: feature magnitudes, levels, norms and non-linearities."""

from typing import Optional

import torch

from tsx_espnet.checks import one_of

SILENCE = 1e-8  # RMS re full scale
# the papers use PReLU, whose gradient costs as much as a convolution on the CPU
ACTIVATIONS = {
    "prelu": torch.nn.PReLU,
    "relu": torch.nn.ReLU,
    "leaky_relu": lambda: torch.nn.LeakyReLU(0.25),  # PReLU as it starts
}


def get_activation(name: str) -> torch.nn.Module:
    """A non-linearity by name."""
    return ACTIVATIONS[one_of("activation", name, ACTIVATIONS)]()


def magnitude(feature: torch.Tensor) -> torch.Tensor:
    """Real features as they are; ``log(1 + |X|)`` of a spectrum.

    >>> magnitude(torch.tensor([3 + 4j, 0j]))
    tensor([1.7918, 0.0000])
    """
    return torch.log1p(feature.abs()) if feature.is_complex() else feature


def level_of(signal: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """RMS of signals over their ``lengths`` samples, beyond which they are zero; 1e-8 of silence.

    Shape:
        signal (B, T), lengths (B,) -> (B, 1)
    """
    power = signal.square().sum(dim=1, keepdim=True) / lengths.clamp(min=1).unsqueeze(1)
    return power.clamp(min=SILENCE**2).sqrt()  # the gradient of sqrt is infinite at zero


def global_layer_norm(channels: int) -> torch.nn.Module:
    """Layer norm over all channels and frames of an example, with one gain and bias per channel.

    Equal to Conv-TasNet's gLN, as one fused kernel. Its statistics include zero-padded frames: an
    example gives the same output alone and in a batch only if all examples of the batch have the
    same length.

    Shape:
        (B, C, F) -> (B, C, F)
    """
    return torch.nn.GroupNorm(1, channels, eps=1e-8)


def masked_layer_norm(
    norm: torch.nn.Module, x: torch.Tensor, real: Optional[torch.Tensor]
) -> torch.Tensor:
    """A ``global_layer_norm`` with statistics over the real frames, and zero in the others.

    Shape:
        x (B, C, F), real (B, 1, F) bool, or None for any norm of all frames -> (B, C, F)
    """
    if real is None:
        return norm(x)
    weight = real.to(x.dtype)
    count = (weight.sum(dim=(1, 2), keepdim=True) * x.shape[1]).clamp(min=1.0)
    mean = (x * weight).sum(dim=(1, 2), keepdim=True) / count
    centred = (x - mean) * weight
    variance = centred.square().sum(dim=(1, 2), keepdim=True) / count
    scaled = centred / (variance + norm.eps).sqrt()
    return (scaled * norm.weight.unsqueeze(-1) + norm.bias.unsqueeze(-1)) * weight

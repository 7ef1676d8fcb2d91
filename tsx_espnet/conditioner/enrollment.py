"""Conditions by example: a recording of such a sound."""

import torch
from espnet2.enh.encoder.conv_encoder import ConvEncoder
from torch.nn import functional

from tsx_espnet.conditioner.abs_conditioner import AbsConditioner
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.layers.tcn import run_stack, temporal_conv_net

SILENCE = 1e-8


class EnrollmentConditioner(AbsConditioner):
    r"""Eq. 4, ``e = g(a)``: an encoder, one stack of dilated convolutions, the mean over time.

    Every recording is scaled to unit RMS first, so its level does not matter. Norms and mean see
    its real frames alone: padding does not matter either.

    Several recordings of a sound are embedded one by one; as the positions of one
    ``ConditionEmbedding`` (see ``ConditionEmbedding.cat``) their mean is Eq. 8.

    Args:
        output_dim: D.
        channel, kernel_size, stride: N, L and hop of the encoder, in samples.
        bottleneck_dim, hidden_dim, kernel, layer: B, H, P and X of the stack.
        activation: see ``tsx_espnet.layers.tcn``.

    Shape:
        value (B, T) samples, lengths (B,), 0 = not applicable -> embedding (B, 1, D), mask (B, 1);
        a recording has F = ceil(T / stride) frames

    Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", Interspeech 2021, sections 2.2 and 5.2.
    """

    def __init__(
        self,
        output_dim: int,
        channel: int = 256,
        kernel_size: int = 20,
        stride: int = 10,
        bottleneck_dim: int = 256,
        hidden_dim: int = 512,
        kernel: int = 3,
        layer: int = 8,
        activation: str = "prelu",
    ):
        super().__init__()
        if not 1 <= stride <= kernel_size:
            raise ValueError(f"stride: expected 1 to kernel_size {kernel_size}, found {stride}")
        self.encoder = ConvEncoder(channel, kernel_size, stride)
        self.tcn = temporal_conv_net(
            channel, output_dim, bottleneck_dim, hidden_dim, kernel, layer, 1, activation
        )

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        lengths = lengths.to(value.device)
        value = value.masked_fill(~_positions(value.shape[1], lengths), 0.0)
        power = value.square().sum(dim=1) / lengths.clamp(min=1)
        value = value / power.clamp(min=SILENCE**2).sqrt().unsqueeze(1)

        # the last frame begins with a real sample; zeros follow, as many as the kernel may want
        kernel_size, stride = self.encoder.kernel_size, self.encoder.stride
        feature, _ = self.encoder(functional.pad(value, (0, kernel_size)), lengths)
        frames = torch.div(lengths + stride - 1, stride, rounding_mode="floor")
        real = _positions(feature.shape[1], frames).unsqueeze(1)  # (B, 1, F)

        network = self.tcn.network
        (stack,) = network[2]
        x = run_stack(stack, network[:2](feature.transpose(1, 2)), real)
        x = network[3:](x)
        mean = (x * real).sum(dim=2) / frames.clamp(min=1).unsqueeze(1)
        return ConditionEmbedding(mean.unsqueeze(1), (lengths > 0).unsqueeze(1))


def _positions(number: int, lengths: torch.Tensor) -> torch.Tensor:
    """(B, number) bool, True for the first ``lengths`` (B,)."""
    return torch.arange(number, device=lengths.device) < lengths.unsqueeze(1)

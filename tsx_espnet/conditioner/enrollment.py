"""Conditions by example: a recording of such a sound."""

from typing import Any, Mapping, Optional, Tuple

import torch
from torch.nn import functional

from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding, real_positions
from tsx_espnet.layers.basic import level_of, magnitude
from tsx_espnet.layers.tcn import TemporalConvNet
from tsx_espnet.parts import find

BASES = {"channel": 256, "kernel_size": 20, "stride": 10}  # N, L and hop of the paper, in samples


class EnrollmentConditioner(AbsConditioner):
    r"""Eq. 4, ``e = g(a)``: an encoder, one stack of dilated convolutions, the mean over time.

    Every recording is scaled to unit RMS first. Norms and mean ignore padding. Several recordings
    of a sound are embedded one by one; as positions of one ``ConditionEmbedding`` (see
    ``ConditionEmbedding.cat``) their mean is Eq. 8.

    Args:
        output_dim: D.
        encoder: ESPnet's ``conv``, or the log magnitudes of ``stft``.
        encoder_conf: options of the encoder; by default those of the paper.
        bottleneck_dim, hidden_dim, kernel, layer: B, H, P and X of the stack.
        activation: see ``tsx_espnet.layers.tcn``.

    Shape:
        value (B, T) samples, lengths (B,), 0 = not applicable -> embedding (B, 1, D), mask (B, 1);
        a recording has F = ceil(T / hop) frames

    Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", Interspeech 2021, sections 2.2 and 5.2.
    """

    takes = "samples"

    def __init__(
        self,
        output_dim: int,
        encoder: str = "conv",
        encoder_conf: Optional[Mapping[str, Any]] = None,
        bottleneck_dim: int = 256,
        hidden_dim: int = 512,
        kernel: int = 3,
        layer: int = 8,
        activation: str = "prelu",
    ):
        super().__init__()
        conf = dict(BASES if encoder == "conv" and not encoder_conf else encoder_conf or {})
        try:
            self.encoder = find("encoder", encoder)(**conf)
        except TypeError as error:
            raise ValueError(f"encoder_conf of {encoder}: {error}") from None
        window, hop = _window_and_hop(self.encoder)
        if not 1 <= hop <= window:
            raise ValueError(f"encoder_conf: expected a hop of 1 to {window} samples, found {hop}")
        self.window, self.hop = window, hop
        self.tcn = TemporalConvNet(
            self.encoder.output_dim,
            output_dim,
            bottleneck_dim,
            hidden_dim,
            kernel,
            layer,
            1,
            activation,
        )

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        lengths = lengths.to(value.device)
        value = value.masked_fill(~real_positions(value.shape[1], lengths), 0.0)
        value = value / level_of(value, lengths)

        # zeros fill the window of the last frame
        feature, _ = self.encoder(functional.pad(value, (0, 2 * self.window)), lengths)
        feature = magnitude(feature)
        frames = torch.div(lengths + self.hop - 1, self.hop, rounding_mode="floor")
        real = real_positions(feature.shape[1], frames).unsqueeze(1)  # (B, 1, F)

        x = self.tcn(feature.transpose(1, 2), real)
        mean = (x * real).sum(dim=2) / frames.clamp(min=1).unsqueeze(1)
        return ConditionEmbedding(mean.unsqueeze(1), (lengths > 0).unsqueeze(1))


def _window_and_hop(encoder: torch.nn.Module) -> Tuple[int, int]:
    """Window and hop in samples, of a trained or a spectral encoder."""
    if hasattr(encoder, "kernel_size"):
        return encoder.kernel_size, encoder.stride
    return encoder.stft.n_fft, encoder.hop_length

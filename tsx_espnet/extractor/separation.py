"""One pass of separation: from mixtures and a condition to waveforms."""

from typing import Mapping, NamedTuple, Optional, Tuple

import torch
from torch.nn import functional

from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.layers.basic import level_of
from tsx_espnet.layers.consistency import MixtureConsistency


class Encoded(NamedTuple):
    """What all separations of a batch share.

    Args:
        mixture: (B, T), scaled to unit RMS.
        lengths: (B,), samples.
        level: (B, 1), its RMS before.
        feature: (B, F, N), of a later pass with those of the estimates beside them.
        frames: (B,) lengths of the features.
        context: (B, C), the refiner's encoding of the mixture, if there is a refiner.
        prepared: (B, ...) each, what ``AbsTSXExtractor.prepare`` returns.
        estimates: (B, M, T) of the pass before, on the scale of ``mixture``.
        sources: (B, S, T), on the same scale, if a conditioner hears them.
    """

    mixture: torch.Tensor
    lengths: torch.Tensor
    level: torch.Tensor
    feature: torch.Tensor
    frames: torch.Tensor
    context: Optional[torch.Tensor] = None
    prepared: Optional[Tuple[torch.Tensor, ...]] = None
    estimates: Optional[torch.Tensor] = None
    sources: Optional[torch.Tensor] = None

    def select(self, rows: torch.Tensor) -> "Encoded":
        """Some of the mixtures."""
        single = self._replace(prepared=None)
        chosen = Encoded(*(part if part is None else part[rows] for part in single))
        return chosen._replace(prepared=self.prepared and tuple(p[rows] for p in self.prepared))


class Pass(torch.nn.Module):
    """From mixtures and a condition to waveforms: encode, condition, separate, decode.

    The mixture is scaled to unit RMS and the estimates are scaled back. Output 0 is the target,
    output 1 the rest; with mixture consistency the outputs add up to the mixture.

    Args:
        encoder, decoder: ESPnet's.
        conditioners: one for each condition, by name; all with embeddings of size D.
        refiner: rephrases each condition in the light of the mixture (OCT++), or None.
        consistency: None leaves the estimates as they are. If the extractor returns the target
            alone, the rest is the mixture minus the target.
        stop_gradient: of a later pass, whether none reaches the pass before.
    """

    def __init__(
        self,
        encoder: torch.nn.Module,
        extractor: AbsTSXExtractor,
        decoder: torch.nn.Module,
        conditioners: Mapping[str, AbsConditioner],
        refiner: Optional[torch.nn.Module] = None,
        consistency: Optional[MixtureConsistency] = None,
        stop_gradient: bool = False,
    ):
        super().__init__()
        self.encoder = encoder
        self.extractor = extractor
        self.decoder = decoder
        self.conditioners = torch.nn.ModuleDict(conditioners)
        self.refiner = refiner
        self.consistency = consistency
        self.stop_gradient = stop_gradient

    @property
    def heard(self) -> Tuple[str, ...]:
        """The conditions that are heard, not queried by."""
        return tuple(name for name, one in self.conditioners.items() if one.hears)

    @property
    def decodes_difference(self) -> bool:
        """Whether two outputs are known from the mixture and the difference of their features."""
        uniform = self.consistency is not None and self.consistency.kind == "uniform"
        return uniform and is_linear(self.decoder)

    def encode(
        self,
        mixture: torch.Tensor,
        lengths: torch.Tensor,
        sources: Optional[torch.Tensor] = None,
    ) -> Encoded:
        """Features of mixtures (B, T) of ``lengths`` (B,) samples.

        Args:
            sources: (B, S, T), for conditioners that hear them.
        """
        level = level_of(mixture, lengths)
        if sources is not None:
            sources = sources / level.unsqueeze(1)
        return self._encode(mixture / level, lengths, level, None, sources)

    def again(
        self,
        encoded: Encoded,
        estimates: torch.Tensor,
        condition: ConditionEmbedding,
        heard: Optional[ConditionEmbedding] = None,
    ) -> Tuple[torch.Tensor, ConditionEmbedding]:
        """The outputs of a later pass, given those of the one before, and its condition.

        It hears a condition of its own, or has that of the first pass.

        Args:
            heard: a condition in place of these.

        Shape:
            estimates (B, M, T) -> (B, M, T)
        """
        if self.stop_gradient:
            estimates = estimates.detach()
        estimates = estimates / encoded.level.unsqueeze(1)
        encoded = self._encode(*encoded[:3], estimates, encoded.sources)
        if heard is not None:
            condition = heard
        elif self.conditioners:
            (name,) = self.conditioners
            condition = self.hear(encoded, name)
        return self.run(encoded, condition), condition

    def hear(self, encoded: Encoded, name: str) -> ConditionEmbedding:
        """A heard condition of all mixtures, from waveforms where the mixture has unit RMS."""
        conditioner = self.conditioners[name]
        known = {
            "mixture": encoded.mixture.unsqueeze(1),
            "estimates": encoded.estimates,
            "sources": encoded.sources,
        }
        waveforms = torch.cat([known[signal] for signal in conditioner.hears], dim=1)
        return conditioner(waveforms, encoded.lengths)

    def refine(
        self,
        encoded: Encoded,
        condition: ConditionEmbedding,
        rows: Optional[torch.Tensor] = None,
    ) -> ConditionEmbedding:
        """The condition as the extractor gets it, for all mixtures or some ``rows``."""
        if self.refiner is None:
            return condition
        context = encoded.context if rows is None else encoded.context[rows]
        return self.refiner(context, condition)

    def run(self, encoded: Encoded, condition: ConditionEmbedding) -> torch.Tensor:
        """The outputs of this pass: (B, M, T)."""
        scaled = encoded.mixture
        features = self.extractor.extract(
            encoded.feature, encoded.frames, condition, encoded.prepared
        )
        if features.shape[1] == 2 and self.decodes_difference:
            # a + (x - a - b) / 2 = (x + a - b) / 2
            difference = self._decode(features[:, 0] - features[:, 1], scaled.shape[1])
            estimates = torch.stack([scaled + difference, scaled - difference], dim=1) / 2
            return estimates * encoded.level.unsqueeze(1)
        # one by one, so that the gradients of the decoder are summed in the same order
        waveforms = [self._decode(one, scaled.shape[1]) for one in features.unbind(dim=1)]
        if len(waveforms) == 1:
            estimates = torch.stack([waveforms[0], scaled - waveforms[0]], dim=1)
        else:
            estimates = torch.stack(waveforms, dim=1)
            if self.consistency is not None:
                estimates = self.consistency(estimates, scaled, features)
        return estimates * encoded.level.unsqueeze(1)

    def _encode(self, scaled, lengths, level, estimates, sources) -> Encoded:
        feature, frames = self._features(scaled, lengths)
        if estimates is not None:
            number = estimates.shape[1]
            further, _ = self._features(estimates.flatten(0, 1), lengths.repeat_interleave(number))
            further = further.unflatten(0, (-1, number)).transpose(1, 2).flatten(2)
            feature = torch.cat([feature, further], dim=2)
        context = None if self.refiner is None else self.refiner.encoder(feature)
        prepared = self.extractor.prepare(feature, frames)
        return Encoded(
            scaled, lengths, level, feature, frames, context, prepared, estimates, sources
        )

    def _features(self, scaled, lengths) -> Tuple[torch.Tensor, torch.Tensor]:
        before, after = self._padding(scaled.shape[1])
        return self.encoder(functional.pad(scaled, (before, after)), lengths + before + after)

    def _decode(self, feature: torch.Tensor, num_samples: int) -> torch.Tensor:
        before, after = self._padding(num_samples)
        total = num_samples + before + after
        lengths = torch.full((feature.shape[0],), total, device=feature.device)
        waveform, _ = self.decoder(feature, lengths)
        return waveform[:, before : before + num_samples]

    def _padding(self, num_samples: int) -> Tuple[int, int]:
        """Zeros before and after, so that every sample is covered by the same number of frames."""
        kernel_size = getattr(self.encoder, "kernel_size", None)
        stride = getattr(self.encoder, "stride", None)
        if not isinstance(kernel_size, int) or not isinstance(stride, int):
            # spectral encoders pad by reflection, which needs half a frame
            return 0, max(0, getattr(self.encoder, "n_fft", 0) // 2 + 1 - num_samples)
        before = kernel_size - stride
        rest = (num_samples + 2 * before - kernel_size) % stride
        return before, before + (stride - rest) % stride


def is_linear(decoder: torch.nn.Module) -> bool:
    """Whether to decode a difference is to subtract what was decoded, as far as is known."""
    from espnet2.enh.decoder.conv_decoder import ConvDecoder

    if type(decoder) is ConvDecoder:  # which has no bias
        return True
    # imported only if needed, as it takes longer
    from espnet2.enh.decoder.stft_decoder import STFTDecoder

    return type(decoder) is STFTDecoder and decoder.spec_transform_type in (None, "none")


def target_and_rest(outputs: torch.Tensor) -> torch.Tensor:
    """The first output and the sum of all others: (B, M, T) -> (B, 2, T)."""
    return torch.stack([outputs[:, 0], outputs[:, 1:].sum(dim=1)], dim=1)

"""The model: one way from a mixture and its conditions to waveforms, and a loss on them."""

from typing import Dict, Mapping, NamedTuple, Optional, Tuple

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch.nn import functional

from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.distributed import weighed_by_espnet
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.layers.basic import level_of
from tsx_espnet.layers.consistency import MixtureConsistency
from tsx_espnet.objective.references import References


class Encoded(NamedTuple):
    """What all separations of a batch share.

    Args:
        mixture: (B, T), scaled to unit RMS.
        level: (B, 1), its RMS before.
        feature: (B, F, N).
        frames: (B,) lengths of the features.
        context: (B, C), the refiner's encoding of the mixture, if there is a refiner.
        prepared: (B, ...) each, what ``AbsTSXExtractor.prepare`` returns.
    """

    mixture: torch.Tensor
    level: torch.Tensor
    feature: torch.Tensor
    frames: torch.Tensor
    context: Optional[torch.Tensor] = None
    prepared: Optional[Tuple[torch.Tensor, ...]] = None

    def select(self, rows: torch.Tensor) -> "Encoded":
        """Some of the mixtures."""
        *single, prepared = self
        chosen = (part if part is None else part[rows] for part in single)
        return Encoded(*chosen, prepared and tuple(part[rows] for part in prepared))


class ESPnetTSXModel(AbsESPnetModel):
    """Target sound extraction: encoder, conditioners, extractor, decoder, mixture consistency.

    The mixture is scaled to unit RMS and the estimates are scaled back. Output 0 is the target,
    output 1 the rest; with mixture consistency the outputs add up to the mixture.

    Args:
        encoder, decoder: ESPnet's.
        conditioners: one for each condition, by name; all with embeddings of size D.
        refiner: rephrases each condition in the light of the mixture (OCT++), or None.
        consistency: None leaves the estimates as they are. If the extractor returns the target
            alone, the rest is the mixture minus the target.
        objective: an ``AbsObjective``; None for a model that only extracts.
        criterion: D, between a reference and an estimate.
        mixture_criterion: D_x, between the mixture and the sum of the outputs, or None.
    """

    def __init__(
        self,
        encoder: torch.nn.Module,
        extractor: AbsTSXExtractor,
        decoder: torch.nn.Module,
        conditioners: Mapping[str, AbsConditioner],
        refiner: Optional[torch.nn.Module] = None,
        consistency: Optional[MixtureConsistency] = None,
        objective: Optional[torch.nn.Module] = None,
        criterion: Optional[Distance] = None,
        mixture_criterion: Optional[Distance] = None,
    ):
        super().__init__()
        self.encoder = encoder
        self.extractor = extractor
        self.decoder = decoder
        self.conditioners = torch.nn.ModuleDict(conditioners)
        self.refiner = refiner
        self.consistency = consistency
        self.objective = objective
        self.criterions = criterion
        self.mixture_criterions = mixture_criterion

    def forward(
        self,
        speech_mix: torch.Tensor,
        speech_ref1: torch.Tensor,
        speech_ref2: Optional[torch.Tensor] = None,
        speech_mix_lengths: Optional[torch.Tensor] = None,
        **batch: torch.Tensor,
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor], torch.Tensor]:
        """Loss, statistics and weight of a batch, for ESPnet's trainer.

        Shape:
            speech_mix, speech_ref1 (target), speech_ref2 (other; default mixture - target) (B, T);
            ``batch``: the array of each condition (see ``tsx_espnet.vocabulary``) and ``*_lengths``
        """
        lengths = _lengths(speech_mix, speech_mix_lengths)
        if speech_ref2 is None:
            speech_ref2 = speech_mix - speech_ref1
        encoded = self.encode(speech_mix, lengths)
        loss, stats = self.objective(
            lambda condition, rows: [self.separate(encoded, condition, rows)],
            {
                name: self.refine(encoded, condition)
                for name, condition in self.embed(batch).items()
            },
            References.of(torch.stack([speech_ref1, speech_ref2], dim=1), speech_mix),
            self.criterions,
            self.mixture_criterions,
        )
        loss = weighed_by_espnet(loss, len(speech_mix), self)
        stats["loss"] = loss.detach()
        return force_gatherable((loss, stats, speech_mix.shape[0]), loss.device)

    def extract(
        self,
        mixture: torch.Tensor,
        condition: ConditionEmbedding,
        lengths: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """The outputs for each mixture: (B, T) -> (B, M, T)."""
        encoded = self.encode(mixture, _lengths(mixture, lengths))
        return self.separate(encoded, self.refine(encoded, condition))

    def embed(self, batch: Mapping[str, torch.Tensor]) -> Dict[str, ConditionEmbedding]:
        """The embeddings of all conditions, from their arrays in a batch."""
        return {
            name: conditioner(batch[name], _lengths(batch[name], batch.get(f"{name}_lengths")))
            for name, conditioner in self.conditioners.items()
        }

    def encode(self, mixture: torch.Tensor, lengths: torch.Tensor) -> Encoded:
        """Features of mixtures (B, T) of ``lengths`` (B,) samples."""
        level = level_of(mixture, lengths)
        scaled = mixture / level
        before, after = self._padding(mixture.shape[1])
        padded = functional.pad(scaled, (before, after))
        feature, frames = self.encoder(padded, lengths + before + after)
        context = None if self.refiner is None else self.refiner.encoder(feature)
        prepared = self.extractor.prepare(feature, frames)
        return Encoded(scaled, level, feature, frames, context, prepared)

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

    def separate(
        self,
        encoded: Encoded,
        condition: ConditionEmbedding,
        rows: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """The outputs for a condition, of all mixtures or some ``rows``: (R, M, T)."""
        if rows is not None:
            encoded = encoded.select(rows)
        scaled = encoded.mixture
        features = self.extractor.extract(
            encoded.feature, encoded.frames, condition, encoded.prepared
        )
        # one by one, so that the gradients of the decoder are summed in the same order
        waveforms = [self._decode(one, scaled.shape[1]) for one in features.unbind(dim=1)]
        if len(waveforms) == 1:
            estimates = torch.stack([waveforms[0], scaled - waveforms[0]], dim=1)
        else:
            estimates = torch.stack(waveforms, dim=1)
            if self.consistency is not None:
                estimates = self.consistency(estimates, scaled, features)
        return estimates * encoded.level.unsqueeze(1)

    def collect_feats(self, **batch: torch.Tensor) -> Dict[str, torch.Tensor]:
        """Nothing to collect: every mixture is scaled by its own level."""
        return {}

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


def _lengths(array: torch.Tensor, lengths: Optional[torch.Tensor]) -> torch.Tensor:
    """(B,): ``lengths``, by default all of ``array`` (B, L, ...)."""
    if lengths is None:
        return torch.full((array.shape[0],), array.shape[1], device=array.device)
    return lengths.to(array.device)

"""Training a model that hears, with what a classifier hears in the sources as its guide."""

import math
from typing import Mapping, Optional, Sequence, Tuple

import torch
from torch.nn import functional

from tsx_espnet.conditioner.classifier import check_classifier, classify, real_frames
from tsx_espnet.conditioner.embedding import AbsConditioner
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.distributed import mean
from tsx_espnet.errors import TSXError
from tsx_espnet.layers.basic import level_of
from tsx_espnet.layers.probability import soft_or
from tsx_espnet.objective.abs_objective import Passes
from tsx_espnet.objective.references import References
from tsx_espnet.objective.single import PITObjective
from tsx_espnet.objective.trials import best_order
from tsx_espnet.pretrained.frozen import Frozen


class GuidedObjective(PITObjective):
    r"""``pit``, and cross-entropies that keep the classifiers of the passes what they were.

    Of each pass k, ``CE(V_or, V_m^(k))`` of the logits of the mixture, and of later ones
    ``CE(V_s, V_s^(k))`` of those of the estimates of the pass before, in the order in which it
    fitted the sources best. The targets are what the classifier, as it was pretrained, hears in
    the true sources: their soft-OR V_or, and their own V_s. ``CE(v, w) = -p log₂ q - (1 - p)
    log₂ (1 - q)`` with ``p = σ(v)`` and ``q = σ(w)``, the mean over frames and classes. (Printed
    is the first half, which a classifier of "everything" makes zero.)

    Args:
        pretrained: the classifier that the conditioners were given.
        weight: of the cross-entropies.
        fs: sampling rate of the model in Hz; by default that of the classifier.

    Reference: Tzinis et al., "Improving universal sound separation using sound classification",
    ICASSP 2020, section 3.6.
    """

    def __init__(
        self,
        conditions: Sequence[str],
        pretrained: Frozen,
        weight: float = 1.0,
        fs: Optional[int] = None,
    ):
        super().__init__(conditions)
        if len(conditions) > 1:
            raise ValueError(f"expected {UNCONDITIONAL} alone, found {', '.join(conditions)}")
        if not weight > 0:
            raise ValueError(f"weight: expected a number above 0, found {weight}")
        self.classifier = check_classifier(pretrained)
        self.weight = weight
        self.fs = fs

    def check_heard(self, passes: Sequence[Mapping[str, AbsConditioner]]) -> None:
        """Some must hear, all by the classifier, and none the sources."""
        heard = [one for each in passes for one in each.values() if one.hears]
        for conditioner in heard:
            network = getattr(conditioner, "classifier", None)
            same = network and network.network.digest == self.classifier.network.digest
            if not same or conditioner.is_oracle:
                raise TSXError(
                    "--objective guided: expected conditions that its classifier hears in the "
                    f"mixture or estimates, found {type(conditioner).__name__}, which hears "
                    f"{' and '.join(conditioner.hears)}{'' if same else ' by another'}"
                )
        if not heard:
            raise TSXError("--objective guided: expected a condition that is heard, found none")

    def forward(
        self, separate, conditions, references, criterion, mixture_criterion=None
    ) -> Tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        guidance = [references.sources.new_zeros(0)]

        def guided(condition, rows):
            passes = separate(condition, rows)
            # the tries have copies of the embeddings, without logits
            passes = [(passes[0][0], conditions[self.condition].select(rows)), *passes[1:]]
            guidance.append(self.guidance(passes, references, criterion, rows))
            return passes

        loss, stats = super().forward(guided, conditions, references, criterion, mixture_criterion)
        found = torch.cat(guidance)
        stats["guidance"] = found.detach().mean()
        return loss + self.weight * mean(found), stats

    def guidance(
        self, passes: Passes, references: References, criterion, rows: torch.Tensor
    ) -> torch.Tensor:
        """The sum of the cross-entropies, (R,)."""
        sources, mixture = references.sources[rows], references.mixture[rows]
        active = references.active[rows]
        num_samples = mixture.shape[1]
        lengths = mixture.new_full((len(mixture),), num_samples).long()
        if references.lengths is not None:
            lengths = references.lengths[rows]
        with torch.no_grad():
            scaled = sources / level_of(mixture, lengths).unsqueeze(1)
            targets = classify(self.classifier, scaled, self.fs)
            together = soft_or(targets, active).unsqueeze(1)
        real = real_frames(lengths, num_samples, targets.shape[2])
        total = mixture.new_zeros(len(mixture))
        before = None  # the outputs that a pass hears
        for outputs, condition in passes:
            logits = condition.logits or {}
            if "mixture" in logits:
                total = total + cross_entropy(together, logits["mixture"], real).squeeze(1)
            if "estimates" in logits:
                weights = [1.0] * sources.shape[1]
                order = best_order(criterion, sources, before, mixture, weights)
                heard = logits["estimates"].gather(1, order[:, :, None, None].expand_as(targets))
                each = cross_entropy(targets, heard, real) * active
                total = total + each.sum(dim=1) / active.sum(dim=1).clamp(min=1)
            before = outputs
        return total


def cross_entropy(target: torch.Tensor, logits: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Of the probabilities of two tensors of logits, in bits; the mean over frames and classes.

    Shape:
        target, logits (B, S, F, J), real (B, F) bool -> (B, S)
    """
    nats = functional.binary_cross_entropy_with_logits(
        logits, target.sigmoid(), reduction="none"
    ).mean(dim=3)
    real = real.unsqueeze(1)
    return (nats * real).sum(dim=2) / (math.log(2) * real.sum(dim=2).clamp(min=1))

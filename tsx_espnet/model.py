"""The model: one way from a mixture and its conditions to waveforms, and a loss on them."""

import itertools
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.distributed import weighed_by_espnet
from tsx_espnet.extractor.separation import Encoded, Pass
from tsx_espnet.objective.references import Queries, References


class ESPnetTSXModel(Pass, AbsESPnetModel):
    """Target sound extraction: a pass of separation, or several, and an objective.

    Args:
        parts: of the first pass, see ``Pass``.
        later: further passes; each sees the mixture and the outputs of the one before.
        objective: an ``AbsObjective``; None for a model that only extracts.
        criterion: D, between a reference and an estimate.
        mixture_criterion: D_x, between the mixture and the sum of the outputs, or None.
    """

    def __init__(
        self,
        *,
        later: Sequence[Pass] = (),
        objective: Optional[torch.nn.Module] = None,
        criterion: Optional[Distance] = None,
        mixture_criterion: Optional[Distance] = None,
        **parts,
    ):
        super().__init__(**parts)
        self.later = torch.nn.ModuleList(later)
        self.objective = objective
        self.criterions = criterion
        self.mixture_criterions = mixture_criterion

    @property
    def is_oracle(self) -> bool:
        """Whether a condition is made from the sources, which are not known in use."""
        passes = (self, *self.later)
        return any(one.is_oracle for each in passes for one in each.conditioners.values())

    def forward(
        self,
        speech_mix: torch.Tensor,
        speech_ref1: Optional[torch.Tensor] = None,
        speech_ref2: Optional[torch.Tensor] = None,
        speech_mix_lengths: Optional[torch.Tensor] = None,
        **batch: torch.Tensor,
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor], torch.Tensor]:
        """Loss, statistics and weight of a batch, for ESPnet's trainer.

        Shape:
            speech_mix, speech_ref1 (target), speech_ref2 (other; default mixture - target) (B, T);
            ``batch``: the array of each condition (see ``tsx_espnet.vocabulary``) and ``*_lengths``

            with several queries a mixture, in place of target and other: sources (B, T, C);
            queries (Q, 3) int64: row of the mixture, component, part; query_weight (Q,);
            conditions of Q rows
        """
        references, sources = self._references(speech_mix, speech_ref1, speech_ref2, batch)
        lengths = _lengths(speech_mix, speech_mix_lengths)
        encoded = self.encode(speech_mix, lengths, sources if self.is_oracle else None)
        mixtures = None if references.queries is None else references.queries.mixture
        references = references._replace(lengths=lengths if mixtures is None else lengths[mixtures])
        conditions = self.embed(batch, encoded, mixtures)
        loss, stats = self.objective(
            lambda condition, rows: self.passes(
                encoded, condition, rows if mixtures is None else mixtures[rows]
            ),
            {
                name: self.refine(encoded, condition, mixtures)
                for name, condition in conditions.items()
            },
            references,
            self.criterions,
            self.mixture_criterions,
        )
        if self.objective.needs_refiner:
            wanted = conditions[self.objective.condition]
            stats.update(self.refiner.statistics(encoded.context, wanted))
        size = len(references.sources)
        loss = weighed_by_espnet(loss, size, self)
        stats["loss"] = loss.detach()
        return force_gatherable((loss, stats, size), loss.device)

    def extract(
        self,
        mixture: torch.Tensor,
        condition: Union[ConditionEmbedding, str],
        lengths: Optional[torch.Tensor] = None,
        sources: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """The outputs for each mixture: (B, T) -> (B, M, T).

        Args:
            condition: of each mixture, or the name of one that is heard.
            sources: (B, S, T), for conditioners that hear them.
        """
        encoded = self.encode(mixture, _lengths(mixture, lengths), sources)
        if isinstance(condition, str):
            condition = self.hear(encoded, condition)
        return self.separate(encoded, self.refine(encoded, condition))

    def embed(
        self,
        batch: Mapping[str, torch.Tensor],
        encoded: Optional[Encoded] = None,
        mixtures: Optional[torch.Tensor] = None,
    ) -> Dict[str, ConditionEmbedding]:
        """The embeddings of all conditions, from their arrays in a batch.

        Args:
            encoded: for heard conditions.
            mixtures: (Q,), the row of the mixture of each query; by default each has one.
        """
        conditions = {}
        for name, conditioner in self.conditioners.items():
            if conditioner.hears:
                heard = self.hear(encoded, name)
                conditions[name] = heard if mixtures is None else heard.select(mixtures)
            else:
                lengths = _lengths(batch[name], batch.get(f"{name}_lengths"))
                conditions[name] = conditioner(batch[name], lengths)
        return conditions

    def separate(
        self,
        encoded: Encoded,
        condition: ConditionEmbedding,
        rows: Optional[torch.Tensor] = None,
        heard: Sequence[ConditionEmbedding] = (),
    ) -> torch.Tensor:
        """The outputs for a condition, of all mixtures or some ``rows``: (R, M, T).

        Args:
            heard: as in ``passes``.
        """
        return self.passes(encoded, condition, rows, heard)[-1][0]

    def passes(
        self,
        encoded: Encoded,
        condition: ConditionEmbedding,
        rows: Optional[torch.Tensor] = None,
        heard: Sequence[ConditionEmbedding] = (),
    ) -> List[Tuple[torch.Tensor, ConditionEmbedding]]:
        """The outputs of every pass, (R, M, T), and the condition that it had.

        Args:
            heard: conditions of the later passes, in place of what they hear.
        """
        if rows is not None:
            encoded = encoded.select(rows)
        found = [(self.run(encoded, condition), condition)]
        for later, other in itertools.zip_longest(self.later, heard):
            found.append(later.again(encoded, found[-1][0], condition, other))
        return found

    def collect_feats(self, **batch: torch.Tensor) -> Dict[str, torch.Tensor]:
        """Nothing to collect: every mixture is scaled by its own level."""
        return {}

    def _references(self, mixture, target, other, batch) -> Tuple[References, torch.Tensor]:
        """The references of a batch, and the sources (B, S, T) of its mixtures."""
        if "sources" not in batch:
            sources = torch.stack([target, mixture - target if other is None else other], dim=1)
            references = References.of(sources, mixture)
        else:
            sources = batch["sources"].transpose(1, 2)
            references = References.of_queries(
                sources, mixture, Queries.of(batch["queries"], batch["query_weight"])
            )
        num_outputs = self.extractor.num_outputs
        every = num_outputs > 2 or num_outputs == sources.shape[1]
        if every and set(self.conditioners) == {UNCONDITIONAL}:
            references = references.unqueried(sources, num_outputs)
        return references, sources


def _lengths(array: torch.Tensor, lengths: Optional[torch.Tensor]) -> torch.Tensor:
    """(B,): ``lengths``, by default all of ``array`` (B, L, ...)."""
    if lengths is None:
        return torch.full((array.shape[0],), array.shape[1], device=array.device)
    return lengths.to(array.device)

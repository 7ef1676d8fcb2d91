"""Trials of conditions, and the base class of the objectives that choose among them."""

from abc import abstractmethod
from typing import Dict, Mapping, Optional, Sequence, Tuple

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.criterion.assignment import assign
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.criterion.si_sdr import si_sdr
from tsx_espnet.extractor.separation import target_and_rest
from tsx_espnet.objective.abs_objective import AbsObjective, Separate
from tsx_espnet.objective.references import References


class Trials:
    """Tries (condition, mixture) pairs and keeps the loss and the SI-SDR of each.

    Pairs are given by ``choice`` (R,), indices of conditions, and ``rows`` (R,), indices of
    mixtures; all pairs of a call go through the extractor as one batch.

    Args:
        separate, conditions, criterion: as in ``AbsObjective``.
        references: of the B mixtures; the first source is the target.
        mixture_criterion: D_x, added to each loss.
        other_weight: of D of all sources but the target in the loss; 0 leaves the target alone.
    """

    def __init__(
        self,
        separate: Separate,
        conditions: Mapping[str, ConditionEmbedding],
        references: References,
        criterion: Distance,
        mixture_criterion: Optional[Distance] = None,
        other_weight: float = 1.0,
    ):
        self.names = tuple(conditions)
        self._unconditional = (*self.names, UNCONDITIONAL).index(UNCONDITIONAL)
        self._separate = separate
        self._references = references
        self._criterion = criterion
        self._mixture_criterion = mixture_criterion
        self._other_weight = other_weight
        length = max(condition.mask.shape[1] for condition in conditions.values())
        padded = [condition.padded(length) for condition in conditions.values()]
        self._embedding = torch.stack([condition.embedding for condition in padded])
        self._mask = torch.stack([condition.mask for condition in padded])
        self._timed = padded[0].timed  # as all conditions of a model are, or none
        self.applicable = self._mask.any(dim=-1)  # (C, B)
        if references.queries is not None:  # some may have no reference to learn from
            self.applicable = self.applicable & references.active.any(dim=-1)
        self.loss = references.sources.new_full(self.applicable.shape, float("nan"))
        self.si_sdr = self.loss.clone()
        self.extra: Dict[str, torch.Tensor] = {}  # what an objective adds to the statistics

    def index(self, name: str) -> int:
        return self.names.index(name)

    def among(self, *names: str) -> torch.Tensor:
        """(C, B) bool: the applicable pairs of these conditions."""
        chosen = self.applicable.new_tensor([name in names for name in self.names])
        return self.applicable & chosen.unsqueeze(1)

    def run(self, choice: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Try pairs; the loss of each is ``D(target) + other_weight · D(other)`` (Eq. 3), (R,).

        Without a condition the best assignment of outputs to sources counts (Eq. 2). The loss of a
        model of several passes is the sum over them, the SI-SDR that of the last.
        """
        sources, mixture = self._references.sources[rows], self._references.mixture[rows]
        unordered = choice == self._unconditional
        some_unordered = bool(unordered.any())
        loss = 0.0
        for outputs, _ in self._separate(self.condition(choice, rows), rows):
            estimates = outputs
            if outputs.shape[1] > sources.shape[1]:
                estimates = target_and_rest(outputs)
            if some_unordered:
                estimates = self._ordered(sources, estimates, mixture, unordered)
            for source, weight in enumerate(self._weights(sources.shape[1])):
                distance = self._criterion(sources[:, source], estimates[:, source], mixture)
                loss = loss + weight * distance
            if self._mixture_criterion is not None:
                loss = loss + self._mixture_criterion(mixture, outputs.sum(dim=1), mixture)
        self.loss[choice, rows] = loss.detach()
        self.si_sdr[choice, rows] = si_sdr(sources[:, 0], estimates[:, 0].detach())
        return loss

    def _weights(self, num_sources: int) -> Sequence[float]:
        """Of D of each source that counts."""
        return (1.0, *([self._other_weight] * (num_sources - 1) if self._other_weight else ()))

    def _ordered(self, sources, outputs, mixture, unordered) -> torch.Tensor:
        """The outputs of ``unordered`` pairs as they are assigned to the sources: (R, S, T)."""
        fixed = torch.arange(sources.shape[1], device=sources.device)
        weights = self._weights(sources.shape[1])
        best = best_order(self._criterion, sources, outputs, mixture, weights)
        order = torch.where(unordered.unsqueeze(1), best, fixed)
        return outputs.gather(1, order.unsqueeze(-1).expand(-1, -1, outputs.shape[-1]))

    def condition(self, choice: torch.Tensor, rows: torch.Tensor) -> ConditionEmbedding:
        """The embeddings of pairs."""
        embedding, mask = self._embedding[choice, rows], self._mask[choice, rows]
        return ConditionEmbedding(embedding, mask, self._timed)

    def run_where(self, pairs: torch.Tensor) -> torch.Tensor:
        """Try the pairs that are True in ``pairs`` (C, B)."""
        choice, rows = pairs.nonzero(as_tuple=True)
        if len(rows) == 0:
            return self.loss.new_zeros(0)
        return self.run(choice, rows)

    def best(self, candidates: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """The tried pair of least loss in each mixture, among ``candidates`` (C, B) bool.

        Returns:
            choice (R,), rows (R,) of the R mixtures that have a candidate
        """
        loss = self.loss.masked_fill(~candidates | self.loss.isnan(), float("inf"))
        least, choice = loss.min(dim=0)
        rows = least.isfinite().nonzero(as_tuple=True)[0]
        return choice[rows], rows

    def stats(self, best: Optional[torch.Tensor] = None) -> Dict[str, torch.Tensor]:
        """Means over the mixtures tried, per condition; NaN where there was none.

        Args:
            best: (R,) the best condition of each of R mixtures, if the objective looks for it.
        """
        stats = {}
        for index, name in enumerate(self.names):
            stats[f"loss_{name}"] = self.loss[index].nanmean()
            stats[f"si_sdr_{name}"] = self.si_sdr[index].nanmean()
            share = self.loss.new_full((), float("nan"))
            if best is not None and len(best) > 0:
                share = (best == index).to(self.loss.dtype).mean()
            stats[f"best_{name}"] = share
        return {**stats, **self.extra}


@torch.no_grad()
def best_order(
    criterion: Distance,
    sources: torch.Tensor,
    outputs: torch.Tensor,
    mixture: torch.Tensor,
    weights: Sequence[float],
) -> torch.Tensor:
    """The output of each source, all different, that together cost least: (R, S).

    Args:
        weights: of the first sources; the others cost nothing.

    Shape:
        sources (R, S, T), outputs (R, M, T), mixture (R, T)
    """
    cost = sources.new_zeros(*sources.shape[:2], outputs.shape[1])
    for source, weight in enumerate(weights):
        for output in range(outputs.shape[1]):
            cost[:, source, output] = weight * criterion.cost(
                sources[:, source], outputs[:, output], mixture
            )
    return assign(cost)


class TrialsObjective(AbsObjective):
    """Decides which conditions are tried.

    In evaluation mode every applicable condition is tried once, so that the validation log shows
    all of them.
    """

    other_weight = 1.0  # of D(other), beside D(target)

    def forward(
        self, separate, conditions, references, criterion, mixture_criterion=None
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        trials = Trials(
            separate, conditions, references, criterion, mixture_criterion, self.other_weight
        )
        if self.training:
            loss, best = self.train_loss(trials)
        else:
            trials.run_where(trials.applicable)
            loss, best = self.valid_loss(trials)
        return loss, trials.stats(best)

    @abstractmethod
    def train_loss(self, trials: Trials) -> Tuple[torch.Tensor, Optional[torch.Tensor]]:
        """The loss to back-propagate, and the best conditions if the objective looks for them."""

    @abstractmethod
    def valid_loss(self, trials: Trials) -> Tuple[torch.Tensor, Optional[torch.Tensor]]:
        """The same from ``trials.loss``, where every applicable pair has been tried."""

"""The base class of all objectives, and the trials that they choose from."""

from abc import ABC, abstractmethod
from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.criterion.si_sdr import si_sdr

Separate = Callable[[ConditionEmbedding, torch.Tensor], Tuple[torch.Tensor, torch.Tensor]]
Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Trials:
    """Tries (condition, mixture) pairs and keeps the loss and the SI-SDR of each.

    Pairs are given by ``choice`` (R,), indices of conditions, and ``rows`` (R,), indices of
    mixtures; all pairs of a call go through the extractor as one batch.

    Args:
        separate: ``(condition, rows) -> (target, other)``, waveforms (R, T).
        conditions: C conditions by name, each for the B mixtures of the batch.
        references: target and other, (B, T) each.
        criterion: D, ``(reference, estimate) -> (R,)``.
        other_weight: of D(other) in the loss; 0 leaves the target alone.
    """

    def __init__(
        self,
        separate: Separate,
        conditions: Mapping[str, ConditionEmbedding],
        references: Tuple[torch.Tensor, torch.Tensor],
        criterion: Criterion,
        other_weight: float = 1.0,
    ):
        self.names = tuple(conditions)
        self._unconditional = (*self.names, UNCONDITIONAL).index(UNCONDITIONAL)
        self._separate = separate
        self._references = references
        self._criterion = criterion
        self._other_weight = other_weight
        length = max(condition.mask.shape[1] for condition in conditions.values())
        padded = [condition.padded(length) for condition in conditions.values()]
        self._embedding = torch.stack([condition.embedding for condition in padded])
        self._mask = torch.stack([condition.mask for condition in padded])
        self.applicable = self._mask.any(dim=-1)  # (C, B)
        self.loss = references[0].new_full(self.applicable.shape, float("nan"))
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

        Without a condition the better order of the two estimates counts (Eq. 2).
        """
        estimates = self._separate(self.condition(choice, rows), rows)
        references = tuple(reference[rows] for reference in self._references)
        loss = self._distance(references, estimates)
        target = estimates[0].detach()
        unordered = choice == self._unconditional
        if unordered.any():
            swapped_loss = self._distance(references, estimates[::-1])
            swap = unordered & (swapped_loss < loss)
            loss = torch.where(swap, swapped_loss, loss)
            target = torch.where(swap.unsqueeze(1), estimates[1].detach(), target)
        self.loss[choice, rows] = loss.detach()
        self.si_sdr[choice, rows] = si_sdr(references[0], target)
        return loss

    def _distance(self, references, estimates) -> torch.Tensor:
        loss = self._criterion(references[0], estimates[0])
        if self._other_weight:
            loss = loss + self._other_weight * self._criterion(references[1], estimates[1])
        return loss

    def condition(self, choice: torch.Tensor, rows: torch.Tensor) -> ConditionEmbedding:
        """The embeddings of pairs."""
        return ConditionEmbedding(self._embedding[choice, rows], self._mask[choice, rows])

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


class AbsObjective(torch.nn.Module, ABC):
    """Decides which conditions are tried and what is back-propagated.

    In evaluation mode every applicable condition is tried once, so that the validation log shows
    all of them.

    Args:
        conditions: names of the model's conditions.
    """

    needs_refiner = False
    other_weight = 1.0  # of D(other), beside D(target)

    def __init__(self, conditions: Sequence[str]):
        super().__init__()
        self.conditions = tuple(conditions)

    def forward(
        self,
        separate: Separate,
        conditions: Mapping[str, ConditionEmbedding],
        references: Tuple[torch.Tensor, torch.Tensor],
        criterion: Criterion,
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """Loss of a batch, and what the log shows of it; arguments as in ``Trials``."""
        trials = Trials(separate, conditions, references, criterion, self.other_weight)
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

    def _check_name(self, name: str, option: str) -> str:
        return one_of(option, name, self.conditions)

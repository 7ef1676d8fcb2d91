"""Optimal condition training (OCT), and OCT++ with embedding refinement."""

from typing import Mapping, Optional, Sequence

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.distributed import mean
from tsx_espnet.objective.hct import HCTObjective
from tsx_espnet.objective.trials import Trials, TrialsObjective

STOP_GRADIENTS = (None, "best", "wanted")
PULLS = ("sum", "mean", "none")


class OCTObjective(TrialsObjective):
    r"""Eq. 4: back-propagate through the applicable condition of least loss, and, as section 3.4
    does, through the condition of interest.

    ``L = D(c*) + weight · D(c)``, ``c* = argmin D(c')`` over the candidates. The condition of
    interest c is tried with gradient; the other candidates once without; c* once more with
    gradient, unless it is c itself. A condition that is not applicable is never tried.

    Args:
        condition: the condition of interest, c.
        condition_weight: weight of its update; 0 leaves Eq. 4 alone.
        candidates: the conditions c* is chosen from; all of the model's by default.
        warmup_updates: number of updates at the start that are heterogeneous training (Eq. 3)
            instead: a condition that has not been learnt at all is never the best one.
        explore: share of the mixtures after the warm-up whose c* is drawn at random, so that
            conditions that lose every comparison are still trained. 0 in the paper.
        prior: of the warm-up, as in ``HCTObjective``.

    Reference: "Optimal condition training for target source separation", section 2.3.
    """

    def __init__(
        self,
        conditions: Sequence[str],
        condition: str = "text",
        condition_weight: float = 1.0,
        candidates: Optional[Sequence[str]] = None,
        warmup_updates: int = 0,
        explore: float = 0.0,
        prior: Optional[Mapping[str, float]] = None,
    ):
        super().__init__(conditions)
        self.condition = self._check_name(condition, "condition")
        self.condition_weight = condition_weight
        self.candidates = tuple(self.conditions if candidates is None else candidates)
        for name in self.candidates:
            self._check_name(name, "candidates")
        if not 0 <= explore <= 1:
            raise ValueError(f"explore: expected 0 to 1, found {explore}")
        self.warmup_updates = warmup_updates
        self.explore = explore
        self.warmup = HCTObjective(conditions, prior)
        # floating point, as ESPnet sums integers when it averages checkpoints
        self.register_buffer("updates", torch.zeros(()))

    def train_loss(self, trials: Trials):
        self.updates += 1
        if self.updates <= self.warmup_updates:
            return self.warmup.train_loss(trials)
        wanted, candidates = trials.among(self.condition), trials.among(*self.candidates)

        wanted_loss = trials.run_where(wanted)
        with torch.no_grad():
            trials.run_where(candidates & ~wanted)
        best, rows = trials.best(candidates)
        choice = self._explore(best, rows, candidates)

        repeated = wanted[choice, rows]  # c* is c, which has a graph already
        best_loss = wanted_loss[torch.isin(wanted.nonzero()[:, 1], rows[repeated])]
        if not repeated.all():
            other_loss = trials.run(choice[~repeated], rows[~repeated])
            best_loss = torch.cat([best_loss, other_loss])
        loss = mean(best_loss) + self.condition_weight * mean(wanted_loss)
        return loss + self.regularization(trials, choice, rows), best

    def regularization(
        self, trials: Trials, best: torch.Tensor, rows: torch.Tensor
    ) -> torch.Tensor:
        """A term that a subclass adds, given the ``best`` condition of each of ``rows`` (R,)."""
        return trials.loss.new_zeros(())

    def valid_loss(self, trials: Trials):
        wanted_loss = trials.loss[trials.among(self.condition)]
        best, rows = trials.best(trials.among(*self.candidates))
        best_loss = trials.loss[best, rows]
        return mean(best_loss) + self.condition_weight * mean(wanted_loss), best

    def _explore(self, best, rows, candidates):
        if self.explore == 0 or len(rows) == 0:
            return best
        drawn = torch.multinomial(candidates[:, rows].T.float(), num_samples=1).squeeze(1)
        return torch.where(torch.rand(len(rows), device=best.device) < self.explore, drawn, best)


class OCTPlusPlusObjective(OCTObjective):
    r"""Eq. 6: OCT on refined conditions, and a pull of ``r(x, c)`` towards ``r(x, c*)``.

    ``L = D(r(x, c)) + D(r(x, c*)) + weight · ‖r(x, c) - r(x, c*)‖²``. The model must have a
    refiner; c* is chosen among the refined conditions.

    The paper does not say whether the pull has a weight, or whether its gradient also reaches
    ``r(x, c*)``; as written, the weight is 1 and it does. As a squared norm it is a sum over the D
    dimensions, so D times what a mean square error would be.

    Args:
        consistency_weight: of the pull.
        pull: the ``sum`` over the dimensions as in Eq. 6, their ``mean``, or ``none`` at all.
        stop_gradient: None as in Eq. 6; ``best`` keeps r(x, c*) where it is, ``wanted`` r(x, c).
        others: as in ``OCTObjective``.

    Reference: "Optimal condition training for target source separation", section 2.4.
    """

    needs_refiner = True

    def __init__(
        self,
        conditions: Sequence[str],
        consistency_weight: float = 1.0,
        stop_gradient: Optional[str] = None,
        pull: str = "sum",
        **oct_options,
    ):
        super().__init__(conditions, **oct_options)
        self.consistency_weight = consistency_weight
        self.stop_gradient = one_of("stop_gradient", stop_gradient, STOP_GRADIENTS)
        self.pull = one_of("pull", pull, PULLS)

    def regularization(
        self, trials: Trials, best: torch.Tensor, rows: torch.Tensor
    ) -> torch.Tensor:
        """The third term: mean over the mixtures where both conditions are applicable."""
        if self.pull == "none":
            return super().regularization(trials, best, rows)
        wanted = torch.full_like(best, trials.index(self.condition))
        both = trials.applicable[wanted, rows]
        refined, ideal = (
            trials.condition(choice[both], rows[both]).vector() for choice in (wanted, best)
        )
        if self.stop_gradient == "best":
            ideal = ideal.detach()
        elif self.stop_gradient == "wanted":
            refined = refined.detach()
        squares = (refined - ideal).square()
        distance = squares.sum(dim=-1) if self.pull == "sum" else squares.mean(dim=-1)
        return self.consistency_weight * mean(distance)

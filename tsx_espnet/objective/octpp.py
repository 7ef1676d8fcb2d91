"""Optimal condition training with embedding refinement."""

from typing import Optional, Sequence

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.distributed import mean
from tsx_espnet.objective.abs_objective import Trials
from tsx_espnet.objective.oct import OCTObjective

STOP_GRADIENTS = (None, "best", "wanted")


class OCTPlusPlusObjective(OCTObjective):
    r"""Eq. 6: OCT on refined conditions, and a pull of ``r(x, c)`` towards ``r(x, c*)``.

    ``L = D(r(x, c)) + D(r(x, c*)) + weight · ‖r(x, c) - r(x, c*)‖²``. The model must have a
    refiner; c* is chosen among the refined conditions.

    The paper does not say whether the pull has a weight, or whether its gradient also reaches
    ``r(x, c*)``; as written, the weight is 1 and it does.

    Args:
        consistency_weight: of the pull.
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
        **oct_options,
    ):
        super().__init__(conditions, **oct_options)
        self.consistency_weight = consistency_weight
        self.stop_gradient = one_of("stop_gradient", stop_gradient, STOP_GRADIENTS)

    def regularization(
        self, trials: Trials, best: torch.Tensor, rows: torch.Tensor
    ) -> torch.Tensor:
        """The third term: mean over the mixtures where both conditions are applicable."""
        wanted = torch.full_like(best, trials.index(self.condition))
        both = trials.applicable[wanted, rows]
        refined, ideal = (
            trials.condition(choice[both], rows[both]).vector() for choice in (wanted, best)
        )
        if self.stop_gradient == "best":
            ideal = ideal.detach()
        elif self.stop_gradient == "wanted":
            refined = refined.detach()
        return self.consistency_weight * mean((refined - ideal).square().sum(dim=-1))

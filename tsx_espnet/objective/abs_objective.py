"""The base class of all objectives."""

from abc import ABC, abstractmethod
from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.objective.references import References

Separate = Callable[[ConditionEmbedding, torch.Tensor], Sequence[torch.Tensor]]


class AbsObjective(torch.nn.Module, ABC):
    """Decides what is tried on a batch and what is back-propagated.

    Args:
        conditions: names of the model's conditions.
    """

    needs_refiner = False

    def __init__(self, conditions: Sequence[str]):
        super().__init__()
        self.conditions = tuple(conditions)

    @abstractmethod
    def forward(
        self,
        separate: Separate,
        conditions: Mapping[str, ConditionEmbedding],
        references: References,
        criterion: Distance,
        mixture_criterion: Optional[Distance] = None,
    ) -> Tuple[torch.Tensor, Dict[str, torch.Tensor]]:
        """Loss of a batch of B items, and what the log shows of it.

        Args:
            separate: ``(condition, rows) -> waveforms (R, M, T)``, once for each iteration of the
                model; the condition is that of the ``rows`` (R,), indices of items.
            conditions: C conditions by name, each for all items.
            references: of all items.
            criterion: D.
            mixture_criterion: D_x, of the mixture and the sum of the outputs.
        """

    def _check_name(self, name: str, option: str) -> str:
        return one_of(option, name, self.conditions)

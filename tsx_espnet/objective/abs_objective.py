"""The base class of all objectives."""

from abc import ABC, abstractmethod
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.objective.references import References

Passes = List[Tuple[torch.Tensor, ConditionEmbedding]]
Separate = Callable[[ConditionEmbedding, torch.Tensor], Passes]


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
            separate: ``(condition, rows) -> [(waveforms (R, M, T), condition)]``, the outputs of
                each pass of the model and the condition that it had; the condition is that of
                the ``rows`` (R,), indices of items.
            conditions: C conditions by name, each for all items.
            references: of all items.
            criterion: D.
            mixture_criterion: D_x, of the mixture and the sum of the outputs.
        """

    def check_heard(self, passes: Sequence[Mapping[str, AbsConditioner]]) -> None:
        """For subclasses: raise ``TSXError`` if they cannot train what the passes of a model hear.

        Args:
            passes: the conditioners of each, by name of the condition.
        """

    def _check_name(self, name: str, option: str) -> str:
        return one_of(option, name, self.conditions)

"""The base class of all objectives."""

from abc import ABC, abstractmethod
from typing import Dict, Mapping, Optional, Sequence, Tuple

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.objective.trials import Criterion, Separate, Trials


class AbsObjective(torch.nn.Module, ABC):
    """Decides which conditions are tried and what is back-propagated.

    It knows no encoder and no corpus. In evaluation mode every applicable condition is tried once,
    so that the validation log shows all of them.

    Args:
        conditions: names of the model's conditions.
    """

    needs_refiner = False  # whether it makes sense only with refined conditions
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
        """The loss to back-propagate, and the best conditions if they were found out."""

    @abstractmethod
    def valid_loss(self, trials: Trials) -> Tuple[torch.Tensor, Optional[torch.Tensor]]:
        """The same from ``trials.loss``, where every applicable pair has been tried."""

    def _check_name(self, name: str, option: str) -> str:
        return one_of(option, name, self.conditions)

"""Training on one kind of condition."""

from typing import Sequence

from tsx_espnet.objective.abs_objective import AbsObjective, mean
from tsx_espnet.objective.trials import Trials


class SingleObjective(AbsObjective):
    """Eq. 3 with one named condition; mixtures where it is not applicable are passed over.

    Args:
        conditions: names of the model's conditions.
        condition: the one to train.
    """

    def __init__(self, conditions: Sequence[str], condition: str = "text"):
        super().__init__(conditions)
        self.condition = self._check_name(condition, "condition")

    def train_loss(self, trials: Trials):
        index = trials.index(self.condition)
        pairs = trials.applicable.clone()
        pairs[:index] = False
        pairs[index + 1 :] = False
        return mean(trials.run_where(pairs)), None

    def valid_loss(self, trials: Trials):
        index = trials.index(self.condition)
        return mean(trials.loss[index][trials.applicable[index]]), None

"""Training on one kind of condition, or on none."""

from typing import Sequence

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.distributed import mean
from tsx_espnet.objective.trials import Trials, TrialsObjective


class SingleObjective(TrialsObjective):
    """Eq. 3 with one named condition; mixtures where it is not applicable are skipped.

    Args:
        condition: the one to train.
        other_weight: of D(other), beside D(target); 0 in SoundBeam.
    """

    def __init__(
        self, conditions: Sequence[str], condition: str = "text", other_weight: float = 1.0
    ):
        super().__init__(conditions)
        self.condition = self._check_name(condition, "condition")
        self.other_weight = other_weight

    def train_loss(self, trials: Trials):
        return mean(trials.run_where(trials.among(self.condition))), None

    def valid_loss(self, trials: Trials):
        return mean(trials.loss[trials.among(self.condition)]), None


class PITObjective(SingleObjective):
    """Eq. 2: no condition, and the order of the two estimates that fits the references better.

    ``Trials`` finds the order, for the condition ``unconditional``, which the model must have.

    Reference: "Optimal condition training for target source separation", section 2.1; the same as
    ESPnet's ``pit`` loss wrapper, but for the factor of two of its mean over the sources.
    """

    def __init__(self, conditions: Sequence[str]):
        super().__init__(conditions, UNCONDITIONAL)

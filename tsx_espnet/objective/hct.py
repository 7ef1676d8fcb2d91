"""Heterogeneous condition training."""

from typing import Mapping, Optional, Sequence

import torch

from tsx_espnet.distributed import mean
from tsx_espnet.objective.trials import Trials, TrialsObjective


class HCTObjective(TrialsObjective):
    """Eq. 3: a condition is drawn for every mixture from a prior over the applicable ones.

    Args:
        prior: unnormalised weight of each condition, 0 for those that it leaves out; by default
            all are equal.
    """

    def __init__(self, conditions: Sequence[str], prior: Optional[Mapping[str, float]] = None):
        super().__init__(conditions)
        weights = dict.fromkeys(self.conditions, 1.0) if prior is None else dict(prior)
        for name, weight in weights.items():
            self._check_name(name, "prior")
            if not weight >= 0:
                raise ValueError(f"prior {name}: expected >= 0, found {weight}")
        if not sum(weights.values()) > 0:
            raise ValueError("prior: expected at least one weight above 0")
        self.prior = weights

    def train_loss(self, trials: Trials):
        weights = self._weights(trials)
        rows = (weights.sum(dim=0) > 0).nonzero(as_tuple=True)[0]
        if len(rows) == 0:
            return mean(trials.loss.new_zeros(0)), None
        choice = torch.multinomial(weights[:, rows].T, num_samples=1).squeeze(1)
        return mean(trials.run(choice, rows)), None

    def valid_loss(self, trials: Trials):
        weights = self._weights(trials)
        loss = (weights * trials.loss.nan_to_num()).sum(dim=0) / weights.sum(dim=0)
        return mean(loss[loss.isfinite()]), None

    def _weights(self, trials: Trials) -> torch.Tensor:
        """(C, B): the prior where a condition is applicable, else 0."""
        prior = trials.loss.new_tensor([self.prior.get(name, 0.0) for name in trials.names])
        return prior.unsqueeze(1) * trials.applicable

"""Permutation invariant training."""

from typing import Sequence

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.objective.single import SingleObjective


class PITObjective(SingleObjective):
    """Eq. 2: no condition, and the order of the two estimates that fits the references better.

    The order is found in ``Trials``, for every model that is asked for nothing.

    Args:
        conditions: names of the model's conditions, ``unconditional`` among them.

    Reference: "Optimal condition training for target source separation", section 2.1; the same as
    ESPnet's ``pit`` loss wrapper, but for the factor of two of its mean over the sources.
    """

    def __init__(self, conditions: Sequence[str]):
        super().__init__(conditions, UNCONDITIONAL)

"""The distance D between references and estimates: a weighted sum of criterions."""

import inspect
from typing import Any, Iterable, Mapping, Optional, Sequence, Tuple

import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.parts import make


class Distance(torch.nn.ModuleList):
    """D, the weighted sum of criterions of ESPnet's table.

    A criterion gets ``(ref, est)``, and ``(ref, est, mixture)`` if it has a parameter ``mixture``;
    the latter says what a silent reference costs. By any other criterion it costs nothing.

    A criterion may have a method ``cost``, with the same arguments, that decides in place of the
    loss which output is which source.

    Args:
        criterions: (weight, criterion) pairs.

    Shape:
        ref (R, T), est (R, T), mixture (R, T) -> (R,)
    """

    def __init__(self, criterions: Sequence[Tuple[float, torch.nn.Module]]):
        super().__init__(criterion for _, criterion in criterions)
        self.weights = [weight for weight, _ in criterions]
        self._with_mixture = [_takes_mixture(criterion) for criterion in self]

    def forward(
        self, ref: torch.Tensor, est: torch.Tensor, mixture: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        return self._sum(list(self), ref, est, mixture)

    def cost(
        self, ref: torch.Tensor, est: torch.Tensor, mixture: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        """What the assignment of outputs to sources minimises."""
        costs = [getattr(criterion, "cost", criterion) for criterion in self]
        return self._sum(costs, ref, est, mixture)

    def _sum(self, functions, ref, est, mixture) -> torch.Tensor:
        sounds = ref.any(dim=-1)
        some_silent = not sounds.all()
        total = 0.0
        for weight, function, with_mixture in zip(self.weights, functions, self._with_mixture):
            if with_mixture:
                value = function(ref, est, mixture)
            elif some_silent:
                value = est.new_zeros(len(est))
                value[sounds] = function(ref[sounds], est[sounds])
            else:
                value = function(ref, est)
            total = total + weight * value
        return total


def build_criterions(specs: Iterable[Mapping[str, Any]], option: str = "criterions") -> Distance:
    """The distance of ESPnet's ``--criterions`` list.

    The objective decides on the order of the sources, so the wrapper must be ``fixed_order``.
    """
    criterions = []
    for spec in specs:
        wrapper = spec.get("wrapper", "fixed_order")
        if wrapper != "fixed_order":
            raise TSXError(
                f"--{option} {spec['name']}: expected wrapper fixed_order (the objective decides "
                f"on the order of the sources), found {wrapper}"
            )
        weight = (spec.get("wrapper_conf") or {}).get("weight", 1.0)
        criterions.append((weight, make("criterion", spec["name"], spec.get("conf") or {})))
    return Distance(criterions)


def _takes_mixture(criterion: torch.nn.Module) -> bool:
    return "mixture" in inspect.signature(criterion.forward).parameters

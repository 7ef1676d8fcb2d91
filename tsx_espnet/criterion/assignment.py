"""Assignment of outputs to sources, where no query says which output is which source."""

import itertools

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

MAX_TRIED = 4  # outputs; of more, trying all orders takes longer than solving


def assign(cost: torch.Tensor) -> torch.Tensor:
    """The output of each source, all different, that together cost least.

    Shape:
        cost (..., S, M), M >= S, without gradient -> (..., S) int64 in [0, M)

    Raises:
        ValueError: if there are more sources than outputs.

    >>> assign(torch.tensor([[5.0, 1.0], [2.0, 4.0]]))
    tensor([1, 0])
    """
    num_sources, num_outputs = cost.shape[-2:]
    if num_sources > num_outputs:
        raise ValueError(f"expected at most {num_outputs} sources, found {num_sources}")
    cost = cost.detach()
    if num_outputs <= MAX_TRIED:
        orders = list(itertools.permutations(range(num_outputs), num_sources))
        orders = torch.tensor(orders, device=cost.device)
        total = cost[..., torch.arange(num_sources, device=cost.device), orders].sum(dim=-1)
        return orders[total.argmin(dim=-1)]
    finite = cost.double().nan_to_num(nan=1e30, posinf=1e30, neginf=-1e30).cpu()
    problems = finite.reshape(-1, num_sources, num_outputs).numpy()
    found = np.array([linear_sum_assignment(one)[1] for one in problems])
    return torch.from_numpy(found).to(cost.device).reshape(cost.shape[:-1])

"""Communication between processes that train together, and their shares of a loss."""

from typing import List, Optional, Sequence

import torch
from torch import distributed


def world_size() -> int:
    """How many processes train together; 1 outside of distributed training."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def mean(losses: torch.Tensor, number: Optional[int] = None) -> torch.Tensor:
    """Mean over the mixtures that count; zero, without gradients, if none does.

    With several processes, each gets its share of the mean over the mixtures of all of them: the
    shares add up to what a single process would get.

    Args:
        losses: to be summed.
        number: of mixtures they stand for; by default one each.
    """
    number = losses.numel() if number is None else number
    everywhere = _total(number, losses).item() if _training_together() else number
    if number == 0:
        # a copy, as ESPnet divides the loss in place, which a leaf does not allow
        return losses.new_zeros((), requires_grad=True).clone()
    return losses.sum() / everywhere


def weighed_by_espnet(loss: torch.Tensor, size: int, model: torch.nn.Module) -> torch.Tensor:
    """A loss made of shares (see ``mean``) that still add up once ESPnet weighs them.

    ESPnet weighs the loss of each process by the size of its batch. If no mixture of a process
    counts, its loss still depends on a parameter of ``model``: otherwise it would not take part in
    the exchange of gradients, and the others would wait forever.
    """
    if not _training_together():
        return loss
    anchor = next(weight for weight in model.parameters() if weight.requires_grad)
    return loss * (_total(size, loss) / size) + 0.0 * anchor.sum()


def _training_together() -> bool:
    """True in a training step of several processes; each one validates by itself."""
    return torch.is_grad_enabled() and world_size() > 1


def _total(number: float, like: torch.Tensor) -> torch.Tensor:
    """The sum of a number over all processes, a scalar on the device of ``like``."""
    number = torch.tensor(float(number), device=like.device)
    distributed.all_reduce(number)
    return number


def any_of(flags: Sequence[bool], device: str) -> List[bool]:
    """For each flag, whether it is True in any of the processes."""
    if world_size() == 1:
        return list(flags)
    found = torch.tensor([int(flag) for flag in flags], device=device)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return [bool(flag) for flag in found.tolist()]


def wait_for_all() -> None:
    """Wait until all processes have called it."""
    if world_size() > 1:
        distributed.barrier()

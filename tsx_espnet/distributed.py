"""What processes that train together tell each other, and their shares of a loss."""

import argparse
import os
from typing import List, Optional, Sequence

import torch
from torch import distributed


def is_first(args: argparse.Namespace) -> bool:
    """Whether a command with ESPnet's options is the only one, or the first of several processes.

    To be called before they have met.
    """
    rank = args.dist_rank
    if rank is None and args.dist_launcher == "slurm":
        rank = os.environ.get("SLURM_PROCID")
    elif rank is None and args.dist_launcher == "mpi":
        from mpi4py import MPI

        rank = MPI.COMM_WORLD.Get_rank()
    elif rank is None:
        rank = os.environ.get("RANK")
    return int(rank or 0) == 0


def world_size() -> int:
    """How many processes train together; 1 outside of distributed training."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def mean(losses: torch.Tensor, number: Optional[int] = None) -> torch.Tensor:
    """Mean over the mixtures that count; zero, with nothing to learn, if none does.

    Of processes that train together each gets its share of the mean over the mixtures of all of
    them, which may count by different numbers: the sum of the shares is what one process would get.

    Args:
        losses: to be summed.
        number: how many mixtures they stand for; by default one each.
    """
    number = losses.numel() if number is None else number
    everywhere = _total(number, losses).item() if _training_together() else number
    if number == 0:
        # a copy: ESPnet divides the loss in place, which a leaf of the graph does not allow
        return losses.new_zeros((), requires_grad=True).clone()
    return losses.sum() / everywhere


def weighed_by_espnet(loss: torch.Tensor, size: int, model: torch.nn.Module) -> torch.Tensor:
    """A loss made of shares (see ``mean``), so that they still add up once ESPnet weighs them.

    ESPnet weighs the loss of each process by the size of its batch. Where no mixture counts, the
    loss still has a way to a parameter of ``model``: without any, this process would not take part
    when gradients are exchanged, and the others would wait for ever.
    """
    if not _training_together():
        return loss
    anchor = next(weight for weight in model.parameters() if weight.requires_grad)
    return loss * (_total(size, loss) / size) + 0.0 * anchor.sum()


def _training_together() -> bool:
    """True in a step of several processes; in validation each one is by itself."""
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
    """Returns when all processes have come here."""
    if world_size() > 1:
        distributed.barrier()

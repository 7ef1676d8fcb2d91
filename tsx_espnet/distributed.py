"""What processes that train together tell each other."""

import argparse
import os
from typing import List, Sequence

import torch
from torch import distributed


def is_first(args: argparse.Namespace) -> bool:
    """Whether a command with ESPnet's options is the only one, or the first of several processes.

    To be asked before they have met.
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


def is_training_together() -> bool:
    """True in a step of several processes; validation is each one's own affair."""
    return torch.is_grad_enabled() and world_size() > 1


def total(number: float, like: torch.Tensor) -> torch.Tensor:
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

"""The state of a run between two batches of an epoch."""

import logging
import random
import time
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence

import numpy as np
import torch
from espnet2.train.reporter import Average, SubReporter, WeightedAverage

from tsx_espnet.distributed import wait_for_all, world_size
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import PREEMPTED
from tsx_espnet.training.checkpoint import check_fits, read_checkpoint

PARTS = (
    *("epoch", "position", "num_batches"),
    *("model", "optimizers", "schedulers", "scaler", "log", "random"),
)


class Learner(NamedTuple):
    """What training changes, by the names of ESPnet's arguments."""

    model: torch.nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    schedulers: Sequence[Any]
    scaler: Any
    reporter: SubReporter

    @property
    def bare_model(self) -> torch.nn.Module:
        """The model without its wrapper for data-parallel training."""
        parallel = (torch.nn.parallel.DistributedDataParallel, torch.nn.DataParallel)
        return self.model.module if isinstance(self.model, parallel) else self.model


def save(
    directory: Path, learner: Learner, position: int, num_batches: int, rank: int = 0
) -> None:
    """Write the state to ``preempted.pth``; all processes call it, the first one writes.

    Args:
        position: how many of the ``num_batches`` of the epoch are done.
    """
    generators = [random_states()] * world_size()
    if world_size() > 1:
        torch.distributed.all_gather_object(generators, random_states())
    if rank == 0:
        torch.save(
            {
                "epoch": learner.reporter.get_epoch(),
                "position": position,
                "num_batches": num_batches,
                "model": learner.bare_model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in learner.optimizers],
                "schedulers": [
                    None if scheduler is None else scheduler.state_dict()
                    for scheduler in learner.schedulers
                ],
                "scaler": None if learner.scaler is None else learner.scaler.state_dict(),
                "log": _log_state(learner.reporter),
                "random": generators,
            },
            directory / PREEMPTED,
        )
    wait_for_all()  # no process ends before the file is there


def read(directory: Path) -> Optional[Dict[str, Any]]:
    """What ``save`` wrote; None if it is missing or (logged) damaged."""
    path = directory / PREEMPTED
    if not path.is_file():
        return None
    try:
        return read_checkpoint(path, PARTS)
    except TSXError as error:
        logging.warning(f"{error}; starting the epoch again")
        return None


def restore(directory: Path, state: Dict[str, Any], learner: Learner) -> None:
    """Restore all but the random generators.

    Raises:
        TSXError: if the state is of another model or optimizer.
    """
    check_fits(directory / PREEMPTED, state, learner.bare_model, learner.optimizers)
    learner.bare_model.load_state_dict(state["model"])
    for optimizer, saved in zip(learner.optimizers, state["optimizers"]):
        optimizer.load_state_dict(saved)
    for scheduler, saved in zip(learner.schedulers, state["schedulers"]):
        if scheduler is not None and saved is not None:
            scheduler.load_state_dict(saved)
    if learner.scaler is not None and state["scaler"] is not None:
        learner.scaler.load_state_dict(state["scaler"])
    _set_log_state(learner.reporter, state["log"])


def random_states() -> Dict[str, Any]:
    """The states of all generators that ESPnet seeds, and of the GPU's."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def set_random_states(states: Dict[str, Any]) -> None:
    """Restore what ``random_states`` returned."""
    name, keys, *rest = states["numpy"]
    random.setstate(states["python"])
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(states["cuda"])


def _log_state(reporter: SubReporter) -> Dict[str, Any]:
    stats = {}
    for name, values in reporter.stats.items():
        weights = [getattr(value, "weight", None) for value in values]
        stats[name] = (
            torch.tensor([value.value for value in values], dtype=torch.float64),
            None if None in weights else torch.tensor(weights, dtype=torch.float64),
        )
    return {
        "stats": stats,
        "count": reporter.count,
        "total_count": reporter.total_count,
        "seconds": time.perf_counter() - reporter.start_time,
    }


def _set_log_state(reporter: SubReporter, state: Dict[str, Any]) -> None:
    for name, (values, weights) in state["stats"].items():
        if weights is None:
            reporter.stats[name] = [Average(value) for value in values.tolist()]
        else:
            pairs = zip(values.tolist(), weights.tolist())
            reporter.stats[name] = [WeightedAverage(value, weight) for value, weight in pairs]
    reporter.count, reporter.total_count = state["count"], state["total_count"]
    reporter.start_time -= state["seconds"]

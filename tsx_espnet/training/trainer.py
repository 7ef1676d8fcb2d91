"""ESPnet's trainer, for runs that are killed, preempted, or given bad batches."""

import contextlib
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.trainer import Trainer

from tsx_espnet.distributed import wait_for_all
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import CHECKPOINT, PREEMPTED
from tsx_espnet.training import mid_epoch
from tsx_espnet.training.batches import Batches
from tsx_espnet.training.checkpoint import check_fits, finish_epoch, recover
from tsx_espnet.training.mid_epoch import Learner
from tsx_espnet.training.preemption import PREEMPTION, REQUEUE


class ReliableTrainer(Trainer):
    """Trains as ESPnet does, and resumes runs that ended early.

    A killed run resumes after its last complete epoch, a preempted one after its last batch. To be
    used within ``safe_torch_files`` and ``PREEMPTION.watching()``.
    """

    # ESPnet only calls class methods; what one of them leaves for the next:
    _preempted: Optional[Dict[str, Any]] = None  # the state to resume from
    _stop: Callable[[], None]  # saves the state within this epoch, and ends the process

    @classmethod
    def run(cls, *, trainer_options, distributed_option: DistributedOption, **parts) -> None:
        directory = Path(trainer_options.output_dir)
        is_first = not distributed_option.distributed or distributed_option.dist_rank == 0
        if is_first:
            _tidy(directory, trainer_options, parts["model"], parts["optimizers"])
        wait_for_all()
        cls._preempted = mid_epoch.read(directory) if trainer_options.resume else None
        with PREEMPTION.deferred():
            super().run(
                trainer_options=trainer_options, distributed_option=distributed_option, **parts
            )
        if is_first:
            (directory / PREEMPTED).unlink(missing_ok=True)

    @staticmethod
    def resume(checkpoint, model, *args, **kwargs) -> None:
        try:
            Trainer.resume(checkpoint, model, *args, **kwargs)
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise TSXError(
                f"{checkpoint} does not fit the configuration ({reason:.200}); "
                "choose another --output_dir to start a new run"
            ) from error

    @classmethod
    def train_one_epoch(cls, *, iterator, options, distributed_option, **parts) -> bool:
        directory, rank = Path(options.output_dir), distributed_option.dist_rank or 0
        learner = Learner(*(parts[name] for name in Learner._fields))
        epoch = learner.reporter.get_epoch()
        for optimizer in learner.optimizers:  # the last batches may have been too few for a step
            optimizer.zero_grad()
        position, begin = 0, None
        state, cls._preempted = cls._preempted, None
        if state is not None and _goes_on(state, epoch, iterator):
            mid_epoch.restore(directory, state, learner)
            position = state["position"]
            generators = state["random"]

            def begin():
                mid_epoch.set_random_states(generators[rank % len(generators)])

            logging.info(f"Resuming after batch {position} of epoch {epoch}")

        def stop():
            if batches.position > 0:  # else the checkpoint has everything
                mid_epoch.save(directory, learner, batches.position, len(batches), rank)
            logging.warning(
                f"Stopped by a signal: saved after batch {batches.position} of epoch {epoch}; the "
                "same command resumes the run"
            )
            raise SystemExit(REQUEUE)

        cls._stop = stop
        batches = Batches(iterator, stop, position, begin, options.accum_grad, _device(options))
        done_before = "grad_norm" in learner.reporter.stats
        with contextlib.closing(batches):
            all_steps_are_invalid = super().train_one_epoch(
                iterator=batches, options=options, distributed_option=distributed_option, **parts
            )
        return all_steps_are_invalid and not done_before

    @classmethod
    def validate_one_epoch(cls, *, iterator, options, **parts) -> None:
        """As ESPnet's; if preempted, the next run validates again but does not train again."""
        batches = Batches(iterator, cls._stop, device=_device(options))
        with contextlib.closing(batches):
            super().validate_one_epoch(iterator=batches, options=options, **parts)


def _tidy(directory: Path, options, model, optimizers) -> None:
    """Clean up after an earlier run in the directory.

    Raises:
        TSXError: if it cannot be resumed.
    """
    for pattern in ("*.pth.tmp*", "*.tmp*.safetensors"):
        for leftover in directory.glob(pattern):
            leftover.unlink()
    if not options.resume:
        (directory / PREEMPTED).unlink(missing_ok=True)
    elif (directory / CHECKPOINT).exists():
        states = recover(directory)
        if not options.use_adapter:  # else the checkpoint holds only parts of the model
            check_fits(directory / CHECKPOINT, states, model, optimizers)
        finish_epoch(directory, states, options.best_model_criterion, options.keep_nbest_models)


def _goes_on(state: Dict[str, Any], epoch: int, iterator) -> bool:
    """Whether a run can resume from a state within an epoch; logs why not."""
    num_batches = len(iterator) if hasattr(iterator, "__len__") else 0
    if state["epoch"] < epoch:  # that epoch has been completed since
        return False
    if (state["epoch"], state["num_batches"]) == (epoch, num_batches):
        return True
    logging.warning(
        f"{PREEMPTED} is of epoch {state['epoch']} with {state['num_batches']} batches, this is "
        f"epoch {epoch} with {num_batches}: starting the epoch again"
    )
    return False


def _device(options) -> str:
    return "cuda" if options.ngpu > 0 else "cpu"

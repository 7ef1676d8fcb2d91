"""ESPnet's trainer, for runs that are killed, preempted, or fed with bad batches."""

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


class TSXTrainer(Trainer):
    """Trains as ESPnet does; what a run that ended early has done is not lost.

    Killed at any moment, it goes on from its last complete epoch; preempted, from the batch where
    it was. To be used within ``safe_torch_files`` and ``PREEMPTION.watching()``.
    """

    # ESPnet calls class methods alone; what one of them leaves for the next:
    _preempted: Optional[Dict[str, Any]] = None  # the state to go on from
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
                "choose another --output_dir to start anew"
            ) from error

    @classmethod
    def train_one_epoch(
        cls,
        model,
        iterator,
        optimizers,
        schedulers,
        scaler,
        reporter,
        summary_writer,
        options,
        distributed_option: DistributedOption,
    ) -> bool:
        directory, rank = Path(options.output_dir), distributed_option.dist_rank or 0
        learner = Learner(model, optimizers, schedulers, scaler, reporter)
        for optimizer in optimizers:  # of the last batches, if they were too few for a step
            optimizer.zero_grad()
        position, begin = 0, None
        state, cls._preempted = cls._preempted, None
        if state is not None and _goes_on(state, reporter.get_epoch(), iterator):
            mid_epoch.restore(directory, state, learner)
            position = state["position"]
            generators = state["random"]

            def begin():
                mid_epoch.set_random_states(generators[rank % len(generators)])

            logging.info(f"Going on after batch {position} of epoch {reporter.get_epoch()}")

        def stop():
            _save_and_exit(directory, learner, batches, rank)

        cls._stop = stop
        batches = Batches(iterator, stop, position, begin, options.accum_grad, _device(options))
        done_before = "grad_norm" in reporter.stats
        with contextlib.closing(batches):
            all_steps_are_invalid = super().train_one_epoch(
                model=model,
                iterator=batches,
                optimizers=optimizers,
                schedulers=schedulers,
                scaler=scaler,
                reporter=reporter,
                summary_writer=summary_writer,
                options=options,
                distributed_option=distributed_option,
            )
        return all_steps_are_invalid and not done_before

    @classmethod
    def validate_one_epoch(
        cls, model, iterator, reporter, options, distributed_option: DistributedOption
    ) -> None:
        """As ESPnet's; when preempted, validation begins again, but not the epoch's training."""
        batches = Batches(iterator, cls._stop, device=_device(options))
        with contextlib.closing(batches):
            super().validate_one_epoch(
                model=model,
                iterator=batches,
                reporter=reporter,
                options=options,
                distributed_option=distributed_option,
            )


def _save_and_exit(directory: Path, learner: Learner, batches: Batches, rank: int) -> None:
    """Save the state within the epoch and end the process."""
    epoch, position = learner.reporter.get_epoch(), batches.position
    if position > 0:  # else there is nothing that the checkpoint has not
        mid_epoch.save(directory, learner, position, len(batches), rank)
    logging.warning(
        f"Asked to stop by a signal: saved after batch {position} of epoch {epoch}; the same "
        "command goes on"
    )
    raise SystemExit(REQUEUE)


def _tidy(directory: Path, options, model, optimizers) -> None:
    """Put right what a run before left in a directory.

    Raises:
        TSXError: if it cannot be gone on with.
    """
    for pattern in ("*.pth.tmp*", "*.tmp*.safetensors"):  # of a killed run
        for leftover in directory.glob(pattern):
            leftover.unlink()
    if not options.resume:
        (directory / PREEMPTED).unlink(missing_ok=True)
    elif (directory / CHECKPOINT).exists():
        states = recover(directory)
        if not options.use_adapter:  # else it holds parts of the model
            check_fits(directory / CHECKPOINT, states, model, optimizers)
        finish_epoch(directory, states, options.best_model_criterion, options.keep_nbest_models)


def _goes_on(state: Dict[str, Any], epoch: int, iterator) -> bool:
    """Whether a run can go on from a state within an epoch; if not, that is logged."""
    num_batches = len(iterator) if hasattr(iterator, "__len__") else 0
    if state["epoch"] < epoch:  # finished since
        return False
    if (state["epoch"], state["num_batches"]) == (epoch, num_batches):
        return True
    logging.warning(
        f"{PREEMPTED} is of epoch {state['epoch']} with {state['num_batches']} batches, this is "
        f"epoch {epoch} with {num_batches}: the epoch begins at its beginning"
    )
    return False


def _device(options) -> str:
    return "cuda" if options.ngpu > 0 else "cpu"

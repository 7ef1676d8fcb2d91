"""ESPnet's trainer, with checkpoints that survive a kill."""

import contextlib
import datetime
import functools
import logging
import os
from pathlib import Path
from typing import Iterator, Sequence, Union

import numpy as np
import torch
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.reporter import Reporter
from espnet2.train.trainer import Trainer

from tsx_espnet.error import TSXError
from tsx_espnet.experiment import CHECKPOINT

# what ESPnet's reporter keeps in a checkpoint beside tensors and plain numbers
REPORTER_TYPES = [
    datetime.timedelta,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.float64(0).__reduce__()[0],  # numpy moved it between its versions
]


@contextlib.contextmanager
def safe_torch_files() -> Iterator[None]:
    """Within the block ``torch.save`` writes whole files or none, and ``torch.load`` only weights.

    ESPnet calls both by name from inside long methods, so they are replaced where it looks.
    """
    save, load = torch.save, torch.load

    @functools.wraps(save)
    def save_whole(obj, f, *args, **kwargs):
        if not isinstance(f, (str, os.PathLike)):
            return save(obj, f, *args, **kwargs)
        path = Path(f)
        temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
        try:
            save(obj, temporary, *args, **kwargs)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @functools.wraps(load)
    def load_weights(f, *args, **kwargs):
        try:
            return load(f, *args, **{**kwargs, "weights_only": True})
        except FileNotFoundError:
            raise TSXError(f"{f}: no such file") from None
        except Exception as error:  # torch raises anything from KeyError to UnpicklingError here
            reason = str(error).strip().split("\n")[0]
            raise TSXError(f"{f}: damaged, or more than weights: {reason}") from error

    torch.save, torch.load = save_whole, load_weights
    try:
        with torch.serialization.safe_globals(REPORTER_TYPES):
            yield
    finally:
        torch.save, torch.load = save, load


class TSXTrainer(Trainer):
    """Trains as ESPnet does; a run killed at any moment goes on from its last complete epoch.

    To be used within ``safe_torch_files``.
    """

    @classmethod
    def run(cls, *, trainer_options, distributed_option: DistributedOption, **parts) -> None:
        if not distributed_option.distributed or distributed_option.dist_rank == 0:
            output_dir = Path(trainer_options.output_dir)
            for leftover in output_dir.glob("*.pth.tmp*"):  # of a killed run
                leftover.unlink()
            if trainer_options.resume and (output_dir / CHECKPOINT).exists():
                finish_epoch(
                    output_dir,
                    trainer_options.best_model_criterion,
                    trainer_options.keep_nbest_models,
                )
        super().run(
            trainer_options=trainer_options, distributed_option=distributed_option, **parts
        )

    @staticmethod
    def resume(checkpoint, model, *args, **kwargs) -> None:
        try:
            Trainer.resume(checkpoint, model, *args, **kwargs)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise TSXError(
                f"{checkpoint} does not fit the configuration ({reason:.200}); "
                "choose another --output_dir to start anew"
            ) from error


def finish_epoch(
    output_dir: Path,
    best_model_criterion: Sequence[Sequence[str]],
    keep_nbest_models: Union[int, Sequence[int]],
) -> None:
    """Do what a killed run owes its last epoch.

    ESPnet saves the checkpoint, then the epoch's model, sets the links, and removes models that are
    no longer among the best. After a kill in between, the average of the best models would fail at
    the very end, or a link lag behind.

    Args:
        output_dir: an experiment with a checkpoint.
        best_model_criterion, keep_nbest_models: ESPnet's options.
    """
    checkpoint = output_dir / CHECKPOINT
    states = torch.load(checkpoint, map_location="cpu")
    reporter = Reporter()
    reporter.load_state_dict(states["reporter"])
    last = f"{reporter.get_epoch()}epoch.pth"
    if not (output_dir / last).exists():
        logging.warning(f"{output_dir / last} is missing: saved again from {checkpoint}")
        torch.save(states["model"], output_dir / last)
    _link(output_dir / "latest.pth", last)
    kept = {reporter.get_epoch()}
    for phase, key, mode in best_model_criterion:
        if reporter.has(phase, key):
            epochs = reporter.sort_epochs(phase, key, mode)
            _link(output_dir / f"{phase}.{key}.best.pth", f"{epochs[0]}epoch.pth")
            kept.update(epochs[: np.max(keep_nbest_models, initial=1)])
    for epoch in range(1, reporter.get_epoch()):
        if epoch not in kept:
            (output_dir / f"{epoch}epoch.pth").unlink(missing_ok=True)


def _link(path: Path, target: str) -> None:
    if not path.is_symlink() or os.readlink(path) != target:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

"""ESPnet's trainer, with checkpoints that survive a kill."""

import contextlib
import datetime
import functools
import logging
import os
from pathlib import Path
from typing import Iterator

import numpy as np
import torch
from espnet2.train.reporter import Reporter
from espnet2.train.trainer import Trainer

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

    ESPnet calls both by name from inside one long method, so they are replaced where it looks.
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
    def load_weights(*args, **kwargs):
        return load(*args, **{**kwargs, "weights_only": True})

    torch.save, torch.load = save_whole, load_weights
    try:
        with torch.serialization.safe_globals(REPORTER_TYPES):
            yield
    finally:
        torch.save, torch.load = save, load


class TSXTrainer(Trainer):
    """Trains as ESPnet does; a run killed at any moment goes on from its last complete epoch."""

    @classmethod
    def run(cls, *args, **kwargs) -> None:
        with safe_torch_files():
            super().run(*args, **kwargs)

    @staticmethod
    def resume(checkpoint, model, reporter: Reporter, *args, **kwargs) -> None:
        Trainer.resume(checkpoint, model, reporter, *args, **kwargs)
        # the checkpoint is saved before the epoch's model: a kill in between leaves no model, and
        # ESPnet would fail when it averages the best ones at the very end
        output_dir = Path(checkpoint).parent
        epoch_file = output_dir / f"{reporter.get_epoch()}epoch.pth"
        if reporter.get_epoch() > 0 and not epoch_file.exists():
            logging.warning(f"{epoch_file} is missing: saved again from {checkpoint}")
            torch.save(model.state_dict(), epoch_file)
        for leftover in output_dir.glob("*.pth.tmp*"):
            leftover.unlink()

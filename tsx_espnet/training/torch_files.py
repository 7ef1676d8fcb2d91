"""Torch's files: written whole or not at all, and read without running what is in them."""

import contextlib
import datetime
import functools
import os
import shutil
from pathlib import Path
from typing import Iterator

import numpy as np
import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import CHECKPOINT, PREVIOUS

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

    ESPnet calls both by name from inside long methods, so they are replaced where it looks. What
    was ``checkpoint.pth`` stays as ``checkpoint.previous.pth`` when a new one is saved.
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
            _flush(temporary)
            if path.name == CHECKPOINT and path.exists():
                put_in_place_of(path, path.with_name(PREVIOUS))
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


def put_in_place_of(source: Path, path: Path) -> None:
    """Let ``path`` be what ``source`` is, which stays; there is no moment without either."""
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, temporary)
        os.replace(temporary, path)
    finally:  # if the disk is full; links to one file are not replaced by each other, but left
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have the file on the disk before its name: a node may lose power."""
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())

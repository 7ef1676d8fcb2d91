"""Checkpoints: written whole or not at all, read without running what is in them, and repaired."""

import contextlib
import datetime
import functools
import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Union

import numpy as np
import torch
from espnet2.train.reporter import Reporter

from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import CHECKPOINT, PREVIOUS, differences

DAMAGED = "checkpoint.damaged.pth"
PARTS = ("model", "optimizers", "schedulers", "scaler", "reporter")
# in ESPnet's reporter, beside tensors and plain numbers
REPORTER_TYPES = [
    datetime.timedelta,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.float64(0).__reduce__()[0],  # a private name that differs between numpy versions
]


@contextlib.contextmanager
def safe_torch_files() -> Iterator[None]:
    """Within the block ``torch.save`` is atomic and ``torch.load`` reads nothing but weights.

    They are replaced in torch itself, as ESPnet calls them from inside long methods. A new
    ``checkpoint.pth`` leaves the one before as ``checkpoint.previous.pth``.
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
            with open(temporary, "rb") as stream:  # on disk before it has its name
                os.fsync(stream.fileno())
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
    """Atomically make ``path`` the file that ``source`` is, by a hard link where possible."""
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(source, temporary)
        os.replace(temporary, path)
    finally:  # the disk is full, or both names were links to one file already
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path, parts: Sequence[str] = PARTS) -> Dict[str, Any]:
    """The states in a file, inside ``safe_torch_files``.

    Raises:
        TSXError: if it is damaged, holds more than weights, or is no checkpoint.
    """
    states = _load(path)
    missing = [part for part in parts if not isinstance(states, dict) or part not in states]
    if missing:
        raise TSXError(f"{path}: damaged, or no checkpoint: {', '.join(missing)} missing")
    return states


def recover(directory: Path) -> Dict[str, Any]:
    """The states of ``checkpoint.pth``; if it is damaged, the previous one takes its place.

    The damaged file is kept as ``checkpoint.damaged.pth``.

    Raises:
        TSXError: if the previous one is missing or damaged too.
    """
    checkpoint, previous = directory / CHECKPOINT, directory / PREVIOUS
    try:
        return read_checkpoint(checkpoint)
    except TSXError as error:
        if not previous.is_file():
            raise
        try:
            states = read_checkpoint(previous)
        except TSXError as second:
            raise TSXError(f"{error}; and {second}") from None
        logging.warning(
            f"{error}; it is now {DAMAGED}, and {previous} takes its place: "
            f"resuming after epoch {states['reporter']['epoch']}"
        )
        os.replace(checkpoint, directory / DAMAGED)
        put_in_place_of(previous, checkpoint)
        return states


def check_fits(
    path: Path,
    states: Mapping[str, Any],
    model: torch.nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
) -> None:
    """Refuse states of another model or optimizer.

    Raises:
        TSXError: with the first three differences in names and sizes, and the number of others.
    """
    wrong = differences(model.state_dict(), states["model"])
    if not wrong:
        wrong = _optimizer_differences(optimizers, states["optimizers"])
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise TSXError(
            f"{path} does not fit the configuration: {'; '.join(wrong[:3])}{more}; "
            "choose another --output_dir to start a new run"
        )


def _optimizer_differences(
    optimizers: Sequence[torch.optim.Optimizer], saved: Sequence[Mapping[str, Any]]
) -> List[str]:
    """What torch does not check: it compares the number of parameters alone."""
    if len(optimizers) != len(saved):
        return [f"states of {len(saved)} optimizers, expected {len(optimizers)}"]
    wrong = []
    for optimizer, state in zip(optimizers, saved):
        name = type(optimizer).__name__
        groups, found = optimizer.state_dict()["param_groups"], state["param_groups"]
        if [len(group["params"]) for group in groups] != [len(group["params"]) for group in found]:
            wrong.append(f"the state of {name} has another number of parameters")
            continue
        options = {option for group in groups for option in group} - {"initial_lr"}
        others = {option for group in found for option in group} - {"initial_lr"}
        wrong += [f"the state of {name} lacks {option}" for option in sorted(options - others)]
        wrong += [f"the state of {name} has {option}" for option in sorted(others - options)]
    return wrong


def finish_epoch(
    output_dir: Path,
    states: Dict[str, Any],
    best_model_criterion: Sequence[Sequence[str]],
    keep_nbest_models: Union[int, Sequence[int]],
) -> None:
    """Complete the last epoch of a run that was killed.

    ESPnet saves the checkpoint, then the model of the epoch, sets the links, and removes models
    that are no longer among the best. After a kill in between, averaging the best models would fail
    at the very end, or a link lag behind.

    Args:
        states: of the checkpoint.
        best_model_criterion, keep_nbest_models: ESPnet's options.
    """
    reporter = Reporter()
    reporter.load_state_dict(states["reporter"])
    last = reporter.get_epoch()
    if not _is_readable(output_dir / f"{last}epoch.pth"):
        logging.warning(f"{last}epoch.pth is missing or damaged: saved again from {CHECKPOINT}")
        torch.save(states["model"], output_dir / f"{last}epoch.pth")
    _link(output_dir / "latest.pth", f"{last}epoch.pth")
    number = int(np.max(keep_nbest_models, initial=1))
    criteria = [entry for entry in best_model_criterion if reporter.has(*entry[:2])]
    lost = _forget_lost(output_dir, reporter, criteria, number)
    if lost:
        logging.warning(f"models of epochs {lost} are missing or damaged: left out of the average")
        torch.save({**states, "reporter": reporter.state_dict()}, output_dir / CHECKPOINT)
    kept = {last}
    for phase, key, mode in criteria:
        epochs = reporter.sort_epochs(phase, key, mode)
        _link(output_dir / f"{phase}.{key}.best.pth", f"{epochs[0]}epoch.pth")
        kept.update(epochs[:number])
    for epoch in range(1, last):
        if epoch not in kept:
            (output_dir / f"{epoch}epoch.pth").unlink(missing_ok=True)


def _forget_lost(
    output_dir: Path, reporter: Reporter, criteria: Sequence[Sequence[str]], number: int
) -> List[int]:
    """Take epochs without a model out of the reporter, if they are among the best ``number``.

    They are, for example, if a later epoch had displaced them, was damaged, and is trained again.
    """
    lost: List[int] = []
    while True:
        best = {
            epoch
            for phase, key, mode in criteria
            for epoch in reporter.sort_epochs(phase, key, mode)[:number]
        }
        more = [epoch for epoch in best if not _is_readable(output_dir / f"{epoch}epoch.pth")]
        if not more:
            return sorted(lost)
        for epoch in more:
            del reporter.stats[epoch]
        lost += more


def _is_readable(path: Path) -> bool:
    try:
        _load(path)
    except TSXError:
        return False
    return True


def _load(path: Path) -> Any:
    """``torch.load``, with the checksums that torch does not verify."""
    loaded = torch.load(path, map_location="cpu")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
        if wrong is not None:
            raise TSXError(f"{path}: damaged: wrong checksum of {wrong}")
    return loaded


def _link(path: Path, target: str) -> None:
    if not path.is_symlink() or os.readlink(path) != target:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

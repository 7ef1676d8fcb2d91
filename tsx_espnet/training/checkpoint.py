"""The checkpoint of the last complete epoch: read, or else the one before it, and made good."""

import logging
import os
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Union

import numpy as np
import torch
from espnet2.train.reporter import Reporter

from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import CHECKPOINT, PREVIOUS, differences
from tsx_espnet.training.torch_files import put_in_place_of

DAMAGED = "checkpoint.damaged.pth"
PARTS = ("model", "optimizers", "schedulers", "scaler", "reporter")


def read_checkpoint(path: Path, parts: Sequence[str] = PARTS) -> Dict[str, Any]:
    """The states in a file; to be called within ``safe_torch_files``.

    Raises:
        TSXError: if it is damaged, holds more than weights, or is no checkpoint.
    """
    states = _load(path)
    missing = [part for part in parts if not isinstance(states, dict) or part not in states]
    if missing:
        raise TSXError(f"{path}: damaged, or no checkpoint: {', '.join(missing)} missing")
    return states


def recover(directory: Path) -> Dict[str, Any]:
    """The states of ``checkpoint.pth``; if it is damaged the one before takes its place.

    The damaged file is kept as ``checkpoint.damaged.pth``.

    Raises:
        TSXError: if there is no other, or it is damaged too.
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
            f"going on after epoch {states['reporter']['epoch']}"
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
        TSXError: with the first differences in names and sizes, and how many more there are.
    """
    wrong = differences(model.state_dict(), states["model"])
    if not wrong:
        wrong = _optimizer_differences(optimizers, states["optimizers"])
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise TSXError(
            f"{path} does not fit the configuration: {'; '.join(wrong[:3])}{more}; "
            "choose another --output_dir to start anew"
        )


def _optimizer_differences(
    optimizers: Sequence[torch.optim.Optimizer], saved: Sequence[Mapping[str, Any]]
) -> List[str]:
    """torch compares the number of parameters alone, and fails later or never on the rest."""
    if len(optimizers) != len(saved):
        return [f"states of {len(saved)} optimizers, expected {len(optimizers)}"]
    wrong = []
    for optimizer, state in zip(optimizers, saved):
        name = type(optimizer).__name__
        groups, found = optimizer.state_dict()["param_groups"], state["param_groups"]
        if [len(group["params"]) for group in groups] != [len(group["params"]) for group in found]:
            wrong.append(f"the state of {name} is of another number of parameters")
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
    """Do what a killed run owes its last epoch.

    ESPnet saves the checkpoint, then the epoch's model, sets the links, and removes models that are
    no longer among the best. After a kill in between, the average of the best models would fail at
    the very end, or a link lag behind.

    Args:
        output_dir: an experiment with a checkpoint.
        states: the checkpoint's.
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

    So they are when an epoch that was damaged had displaced them, and is trained again.
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
    """``torch.load``, and every byte checked: torch takes weights as they come."""
    loaded = torch.load(path, map_location="cpu")
    if zipfile.is_zipfile(path):  # all that torch writes by itself
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
        if wrong is not None:
            raise TSXError(f"{path}: damaged: wrong checksum of {wrong}")
    return loaded


def _link(path: Path, target: str) -> None:
    if not path.is_symlink() or os.readlink(path) != target:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

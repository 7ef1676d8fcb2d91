"""Networks that were trained before the model that uses them, here or elsewhere."""

import functools
import hashlib
import logging
from abc import ABC
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

import torch

from tsx_espnet.tables import digest


class AbsPretrained(torch.nn.Module, ABC):
    """A network that was trained before the model that uses it.

    A subclass is made from a local directory and the options of its ``pretrained.json``, see
    ``tsx_espnet.pretrained.store``; a model holds it in a ``Frozen``.

    Attributes:
        files: patterns of the files that it is made from.
        fs: sampling rate in Hz of the waveforms that it hears, if it hears any.
        digest: ``digest_of_files`` of the directory.
        differentiable: whether gradients reach the waveforms.
    """

    files: Tuple[str, ...] = ()
    fs: Optional[int] = None
    digest: str = ""
    differentiable: bool = True

    def layers(self) -> Sequence[torch.nn.Module]:
        """The parts that can be trained further, from input to output; none by default."""
        return ()

    def heard(self, waveform: torch.Tensor, fs: Optional[int] = None) -> torch.Tensor:
        """A waveform (..., T) of rate ``fs`` in Hz, at the rate and in the type of the network."""
        waveform = waveform.to(next(self.parameters()).dtype)
        if fs in (None, self.fs):
            return waveform
        if fs < self.fs:
            _warn_of_rate(type(self).__name__, self.fs, fs)
        from torchaudio.functional import resample

        return resample(waveform, fs, self.fs)


@functools.lru_cache(maxsize=None)  # once in a process
def _warn_of_rate(network: str, fs: int, lower: int) -> None:
    logging.warning(
        f"{network} was trained at {fs} Hz: of sounds at {lower} Hz it hears nothing above "
        f"{lower / 2000:g} kHz; prefer one of that rate"
    )


def without_autocast(method: Callable) -> Callable:
    """A method of a network, computed in the type of its weights: that in which it was trained."""

    @functools.wraps(method)
    def precise(self, array: torch.Tensor, *args, **kwargs):
        with torch.autocast(array.device.type, enabled=False):
            return method(self, array, *args, **kwargs)

    return precise


def find_files(directory: Path, patterns: Sequence[str]) -> List[Path]:
    """The files of a directory whose names fit one of the patterns, sorted."""
    return sorted(
        {path for pattern in patterns for path in directory.glob(pattern) if path.is_file()}
    )


def digest_of_files(directory: Path, patterns: Sequence[str]) -> str:
    """SHA-256 over the names and the contents of ``find_files``, in hex.

    Raises:
        TSXError: if a file cannot be read.
    """
    found = hashlib.sha256()
    for path in find_files(directory, patterns):
        found.update(f"{path.name} {digest(path)}\n".encode())
    return found.hexdigest()

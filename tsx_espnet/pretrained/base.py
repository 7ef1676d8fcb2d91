"""Networks that were trained before the model that uses them, here or elsewhere."""

from abc import ABC
from typing import Sequence, Tuple

import torch


class AbsPretrained(torch.nn.Module, ABC):
    """A network that was trained before the model that uses it.

    It is made from a local directory (see ``tsx_espnet.pretrained.store``), and used through
    ``Frozen``. It computes in the type of its weights, outside autocast: half precision is not
    what it was trained with.

    Attributes:
        files: patterns of the files that it is made from.
        fs: sampling rate in Hz of the waveforms that it hears.
        digest: SHA-256 of these files, in hex.
        differentiable: whether gradients reach the waveforms.
    """

    files: Tuple[str, ...] = ()
    fs: int
    digest: str = ""
    differentiable: bool = True

    def layers(self) -> Sequence[torch.nn.Module]:
        """The parts that can be trained further, from input to output; none by default."""
        return ()

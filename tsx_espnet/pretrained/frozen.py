"""A pretrained network inside a model, and outside its training."""

import contextlib
import copy
from typing import Callable, Iterator

import torch

from tsx_espnet.pretrained.base import AbsPretrained


class Frozen(torch.nn.Module):
    """A pretrained network that stays as it is.

    Its weights get no gradient; its inputs do, where it is differentiable. It always is in
    evaluation mode, and in neither ``parameters()`` nor ``state_dict()``: no checkpoint holds it,
    no average and no distributed training touches it. It follows the model to other devices and
    types.

    Args:
        network: what to freeze.
        num_trainable: the last layers of ``network.layers()`` are trained further: their
            parameters are those of this module. Statistics of batch norms stay as they are.

    Attributes:
        network: the network itself; it is called through this attribute.

    Raises:
        ValueError: if the network has fewer layers.
    """

    network: AbsPretrained

    def __init__(self, network: AbsPretrained, num_trainable: int = 0):
        super().__init__()
        layers = list(network.layers())
        if not 0 <= num_trainable <= len(layers):
            raise ValueError(f"num_trainable: expected 0 to {len(layers)}, found {num_trainable}")
        self.__dict__["network"] = network.requires_grad_(False).eval()  # not a submodule
        for layer in layers[len(layers) - num_trainable :]:
            layer.requires_grad_(True)
        self._register()

    def with_trainable(self, num_trainable: int) -> "Frozen":
        """A copy whose last layers are trained; itself if there are none."""
        return Frozen(copy.deepcopy(self.network), num_trainable) if num_trainable else self

    def train(self, mode: bool = True) -> "Frozen":
        super().train(mode)
        self.network.eval()
        return self

    def _apply(self, fn: Callable, recurse: bool = True) -> "Frozen":
        """What ``to``, ``cuda`` and ``double`` do to the tensors of a module."""
        self.network._apply(fn, recurse)
        self._register()
        return self

    def _register(self) -> None:
        """The parameters that are trained, under the names that they have in the network."""
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                self.register_parameter(name.replace(".", "/"), parameter)


@contextlib.contextmanager
def pretrained_kept(model: torch.nn.Module) -> Iterator[None]:
    """After the block, pretrained parameters that are trained are what they were before it."""
    parameters = [p for m in model.modules() if isinstance(m, Frozen) for p in m.parameters()]
    before = [parameter.detach().clone() for parameter in parameters]
    yield
    with torch.no_grad():
        for parameter, value in zip(parameters, before):
            parameter.copy_(value)

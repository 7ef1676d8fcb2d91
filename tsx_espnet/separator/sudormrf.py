"""Unconditional Sudo rm -rf, for ESPnet's stock ``enh`` task."""

from collections import OrderedDict
from typing import Dict, List, Optional, Tuple

import torch
from espnet2.enh.separator.abs_separator import AbsSeparator

from tsx_espnet.layers.sudormrf import SudoRMRF


class SudoRMRFSeparator(AbsSeparator):
    """One mask a source, without a condition; train it with ESPnet's ``pit`` loss wrapper.

    Args:
        input_dim: N, number of encoder bases (given by ESPnet).
        num_spk: number of sources.
        others: see ``tsx_espnet.layers.sudormrf.SudoRMRF``.
    """

    def __init__(
        self,
        input_dim: int,
        num_spk: int = 2,
        num_blocks: int = 8,
        out_channels: int = 256,
        hidden_channels: int = 512,
        depth: int = 4,
        kernel_size: int = 5,
        activation: str = "prelu",
        nonlinear: str = "relu",
    ):
        super().__init__()
        self._num_spk = num_spk
        self.network = SudoRMRF(
            input_dim,
            num_masks=num_spk,
            num_blocks=num_blocks,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            depth=depth,
            kernel_size=kernel_size,
            activation=activation,
            nonlinear=nonlinear,
        )

    def forward(
        self, input: torch.Tensor, ilens: torch.Tensor, additional: Optional[Dict] = None
    ) -> Tuple[List[torch.Tensor], torch.Tensor, OrderedDict]:
        masks = self.network(input)
        others = OrderedDict(
            (f"mask_spk{index + 1}", masks[:, index]) for index in range(self._num_spk)
        )
        return [input * mask for mask in others.values()], ilens, others

    @property
    def num_spk(self) -> int:
        return self._num_spk

"""The base class of our separators: mask networks without a condition (ESPnet's task ``enh``)."""

from collections import OrderedDict
from typing import Dict, List, Optional, Tuple

import torch
from espnet2.enh.separator.abs_separator import AbsSeparator


class MaskSeparator(AbsSeparator):
    """One mask per source, without a condition; train it with ESPnet's ``pit`` loss wrapper.

    Args:
        network: from features (B, F, N) to masks (B, M, F, N).
        num_spk: M, number of sources.
    """

    def __init__(self, network: torch.nn.Module, num_spk: int):
        super().__init__()
        self._num_spk = num_spk
        self.network = network

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

"""Sudo rm -rf: an extractor with a condition, a separator without one (ESPnet's task ``enh``)."""

from typing import Any, Optional, Tuple

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.extractor.mask_separator import MaskSeparator
from tsx_espnet.layers.fusion import FiLM
from tsx_espnet.layers.sudormrf import SudoRMRF
from tsx_espnet.parts import with_options_of


class SudoRMRFExtractor(AbsTSXExtractor):
    """A mask for each output, from Sudo rm -rf with a FiLM layer before each block.

    The norms include padded frames: see ``tsx_espnet.layers.basic``.

    Args:
        input_dim: N, number of encoder bases (given by ESPnet).
        condition_dim: D, size of the condition embedding.
        num_outputs: M; the paper has two, target and rest.
        further_dim: K, see ``AbsTSXExtractor``.
        sizes: see ``tsx_espnet.layers.sudormrf.SudoRMRF``.

    Reference: "Optimal condition training for target source separation", section 3.2.
    """

    accepts = FiLM.accepts

    @with_options_of(SudoRMRF, "num_masks")
    def __init__(
        self,
        input_dim: int,
        condition_dim: int = 128,
        num_outputs: int = 2,
        further_dim: int = 0,
        **sizes: Any,
    ):
        super().__init__()
        self.num_outputs = num_outputs
        self.further_dim = further_dim
        self.network = SudoRMRF(
            input_dim,
            num_masks=num_outputs,
            condition_dim=condition_dim,
            further_dim=further_dim,
            **sizes,
        )

    def prepare(self, feature: torch.Tensor, lengths: torch.Tensor) -> Tuple[torch.Tensor]:
        """The bottleneck's output: (B, F, N) -> (B, out_channels, F)."""
        return (self.network.prepare(feature),)

    def extract(
        self,
        feature: torch.Tensor,
        lengths: torch.Tensor,
        condition: ConditionEmbedding,
        prepared: Optional[Tuple[torch.Tensor]] = None,
    ) -> torch.Tensor:
        masks = self.network(feature, condition, *(prepared or ()))
        return self.masked(feature).unsqueeze(1) * masks


class SudoRMRFSeparator(MaskSeparator):
    """One mask per source, without a condition; train it with ESPnet's ``pit`` loss wrapper.

    Args:
        input_dim: N, number of encoder bases (given by ESPnet).
        num_spk: number of sources.
        sizes: see ``tsx_espnet.layers.sudormrf.SudoRMRF``.
    """

    @with_options_of(SudoRMRF, "num_masks", "condition_dim", "further_dim")
    def __init__(self, input_dim: int, num_spk: int = 2, **sizes: Any):
        super().__init__(SudoRMRF(input_dim, num_masks=num_spk, **sizes), num_spk)

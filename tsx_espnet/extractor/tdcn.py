"""TDCN++: an extractor with a condition, a separator without one (ESPnet's task ``enh``)."""

from typing import Any

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.extractor.mask_separator import MaskSeparator
from tsx_espnet.layers.tdcn import TDCN
from tsx_espnet.parts import with_options_of


class TDCNExtractor(AbsTSXExtractor):
    """A mask for each output, from TDCN++ conditioned in its first block or in all of them.

    The norms include padded frames: see ``tsx_espnet.layers.basic``.

    Args:
        input_dim: N, number of encoder bases (given by ESPnet).
        condition_dim: D, size of the condition embedding.
        num_outputs: M.
        fusion: ``concat``, ``gate`` (D = ``bottleneck_channels``), or ``none`` for a model whose
            only condition is ``null``: it then has no parameters for a condition.
        everywhere: fuse the condition into the inputs of all blocks, not only of the first.
        further_dim: K, see ``AbsTSXExtractor``.
        sizes: see ``tsx_espnet.layers.tdcn.TDCN``.

    Reference: Tzinis et al., "Improving universal sound separation using sound classification",
    ICASSP 2020, section 3.
    """

    @with_options_of(TDCN, "num_masks")
    def __init__(
        self,
        input_dim: int,
        condition_dim: int = 128,
        num_outputs: int = 2,
        fusion: str = "concat",
        everywhere: bool = False,
        further_dim: int = 0,
        **sizes: Any,
    ):
        super().__init__()
        self.num_outputs = num_outputs
        self.further_dim = further_dim
        self.accepts = ("null",) if fusion == "none" else ("vector", "timed")
        self.network = TDCN(
            input_dim,
            num_masks=num_outputs,
            condition_dim=condition_dim,
            fusion=fusion,
            everywhere=everywhere,
            further_dim=further_dim,
            **sizes,
        )

    def extract(
        self,
        feature: torch.Tensor,
        lengths: torch.Tensor,
        condition: ConditionEmbedding,
        prepared: None = None,
    ) -> torch.Tensor:
        masks = self.network(feature, condition)
        return self.masked(feature).unsqueeze(1) * masks


class TDCNSeparator(MaskSeparator):
    """One mask per source, from TDCN++ without a condition.

    Args:
        input_dim: N, number of encoder bases (given by ESPnet).
        num_spk: number of sources.
        sizes: see ``tsx_espnet.layers.tdcn.TDCN``.
    """

    @with_options_of(TDCN, "num_masks", "condition_dim", "fusion", "everywhere", "further_dim")
    def __init__(self, input_dim: int, num_spk: int = 2, **sizes: Any):
        super().__init__(TDCN(input_dim, num_masks=num_spk, **sizes), num_spk)

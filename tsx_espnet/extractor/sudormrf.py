"""Conditional Sudo rm -rf."""

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.layers.sudormrf import SudoRMRF


class SudoRMRFExtractor(AbsTSXExtractor):
    """Masks for the target and for the rest, from Sudo rm -rf with a FiLM layer before each block.

    The global layer norms see all frames of a batch: see ``tsx_espnet.layers.norm`` for what that
    means for batches of unequal lengths.

    Args:
        input_dim: N, number of encoder bases (given by ESPnet).
        condition_dim: D, size of the condition embedding.
        others: see ``tsx_espnet.layers.sudormrf.SudoRMRF``.

    Reference: "Optimal condition training for target source separation", section 3.2.
    """

    def __init__(
        self,
        input_dim: int,
        condition_dim: int = 128,
        num_blocks: int = 8,
        out_channels: int = 256,
        hidden_channels: int = 512,
        depth: int = 4,
        kernel_size: int = 5,
        activation: str = "prelu",
        nonlinear: str = "relu",
    ):
        super().__init__()
        self.network = SudoRMRF(
            input_dim,
            num_masks=2,
            num_blocks=num_blocks,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            depth=depth,
            kernel_size=kernel_size,
            activation=activation,
            nonlinear=nonlinear,
            condition_dim=condition_dim,
        )

    def extract(
        self, feature: torch.Tensor, lengths: torch.Tensor, condition: ConditionEmbedding
    ):
        masks = self.network(feature, condition.vector())
        return feature * masks[:, 0], feature * masks[:, 1]

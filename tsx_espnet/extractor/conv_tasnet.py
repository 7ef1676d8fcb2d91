"""Conditional Conv-TasNet, the extraction network of SoundBeam."""

from typing import Optional, Tuple

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.layers.basic import magnitude
from tsx_espnet.layers.fusion import make_fusion
from tsx_espnet.layers.tcn import TemporalConvNet

NONLINEARS = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "linear": lambda mask: mask,
}


class ConvTasNetExtractor(AbsTSXExtractor):
    r"""Eq. 2: a mask for the target from Conv-TasNet, with the fusion after its first stack.

    ``z = stack_1(bottleneck(Y))``, ``mask = f(stack_R(... stack_2(e ⊙ z)))``, target ``mask ⊙ Y``;
    the rest is the mixture minus the target. ``z`` is computed once for all conditions that a
    mixture is queried by.

    Without skip paths from the stacks to the mask (the paper mentions none), all that the mask sees
    has been through the fusion. The norms include padded frames: see ``tsx_espnet.layers.basic``.

    Args:
        input_dim: N, number of encoder bases (given by ESPnet).
        condition_dim: D, size of the condition embedding.
        bottleneck_dim: B, width between the blocks.
        hidden_dim: H, width inside the blocks.
        kernel: P, frames of the dilated convolutions, odd.
        layer: X, blocks per stack; the dilation doubles from one to the next.
        stack: R, number of stacks.
        fusion: ``multiply`` (the paper; D is mapped to B first if it differs), ``film``,
            ``concat`` or ``attention``, see ``tsx_espnet.layers.fusion``.
        nonlinear: of the mask: ``relu``, ``sigmoid``, ``tanh`` or ``linear``.
        activation, norm_type: of the blocks, see ``tsx_espnet.layers.tcn``.
        further_dim: K, see ``AbsTSXExtractor``.

    Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", Interspeech 2021, sections 2 and 5.2.
    """

    def __init__(
        self,
        input_dim: int,
        condition_dim: int = 256,
        bottleneck_dim: int = 256,
        hidden_dim: int = 512,
        kernel: int = 3,
        layer: int = 8,
        stack: int = 4,
        fusion: str = "multiply",
        nonlinear: str = "relu",
        activation: str = "prelu",
        norm_type: str = "GN",
        further_dim: int = 0,
    ):
        super().__init__()
        self.further_dim = further_dim
        self.nonlinear = one_of("nonlinear", nonlinear, NONLINEARS)
        self.tcn = TemporalConvNet(
            input_dim + further_dim,
            input_dim,
            bottleneck_dim,
            hidden_dim,
            kernel,
            layer,
            stack,
            activation,
            norm_type,
        )
        self.fusion = make_fusion(fusion, condition_dim, bottleneck_dim)
        self.accepts = self.fusion.accepts

    def prepare(self, feature: torch.Tensor, lengths: torch.Tensor) -> Tuple[torch.Tensor]:
        """``z``: (B, F, N) -> (B, bottleneck_dim, F)."""
        x = self.tcn.norm(magnitude(feature).transpose(1, 2))
        return (self.tcn.run_stacks(self.tcn.bottleneck(x), last=1),)

    def extract(
        self,
        feature: torch.Tensor,
        lengths: torch.Tensor,
        condition: ConditionEmbedding,
        prepared: Optional[Tuple[torch.Tensor]] = None,
    ) -> torch.Tensor:
        (shared,) = self.prepare(feature, lengths) if prepared is None else prepared
        x = self.tcn.run_stacks(self.fusion(shared, condition), first=1)
        mask = NONLINEARS[self.nonlinear](self.tcn.output(self.tcn.activation(x)))
        return (self.masked(feature) * mask.transpose(1, 2)).unsqueeze(1)

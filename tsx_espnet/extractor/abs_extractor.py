"""The base class of our extractors, and an adapter for ESPnet's."""

from abc import abstractmethod
from collections import OrderedDict
from typing import Dict, Optional, Tuple

import torch
from espnet2.enh.extractor.abs_extractor import AbsExtractor

from tsx_espnet.conditioner.embedding import ConditionEmbedding, real_positions


class AbsTSXExtractor(AbsExtractor):
    """From features and a ``ConditionEmbedding`` to the features of M outputs.

    Output 0 is the target and output 1 the rest. With a single output, the rest is the mixture
    minus it.

    It is also an ESPnet extractor: stock ``enh_tse`` passes the embedding as ``enroll_ref1``.

    Attributes:
        num_outputs: M.
        accepts: what a condition may be, of ``vector``, ``timed`` and ``tokens``, see
            ``AbsConditioner.gives``.
        further_dim: K, number of channels beside the N of the mixture, such as those of the
            estimates of an earlier pass. An option ``further_dim`` says that there may be some.
    """

    num_outputs = 1
    accepts: Tuple[str, ...] = ("vector",)
    further_dim = 0

    def prepare(
        self, feature: torch.Tensor, lengths: torch.Tensor
    ) -> Optional[Tuple[torch.Tensor, ...]]:
        """What does not depend on the condition: tensors (B, ...), or None.

        The model computes it once per mixture and passes it to ``extract`` for every condition that
        is tried.
        """
        return None

    @abstractmethod
    def extract(
        self,
        feature: torch.Tensor,
        lengths: torch.Tensor,
        condition: ConditionEmbedding,
        prepared: Optional[Tuple[torch.Tensor, ...]] = None,
    ) -> torch.Tensor:
        """Features of all outputs.

        Args:
            prepared: what ``prepare`` returned for these mixtures; computed if there is none.

        Shape:
            feature (B, F, N + K), lengths (B,) frames -> (B, M, F, N)
        """

    def masked(self, feature: torch.Tensor) -> torch.Tensor:
        """What masks multiply, the features of the mixture: (B, F, N + K) -> (B, F, N)."""
        return feature[..., : -self.further_dim] if self.further_dim else feature

    def forward(
        self,
        input: torch.Tensor,
        ilens: torch.Tensor,
        input_aux: torch.Tensor,
        ilens_aux: torch.Tensor,
        suffix_tag: str = "",
        additional: Optional[Dict] = None,
    ) -> Tuple[torch.Tensor, torch.Tensor, OrderedDict]:
        """ESPnet's interface: ``input_aux`` is an embedding (B, D) or several (B, L, D)."""
        if input_aux.dim() == 2:
            input_aux = input_aux.unsqueeze(1)
        mask = real_positions(input_aux.shape[1], ilens_aux.to(input_aux.device))
        outputs = self.extract(input, ilens, ConditionEmbedding(input_aux, mask))
        return outputs[:, 0], ilens, OrderedDict()


class ESPnetExtractor(AbsTSXExtractor):
    """One of ESPnet's extractors, with the condition vector for a speaker embedding.

    It must be configured for embeddings of size D (``td_speakerbeam``: ``use_spk_emb: true``,
    ``spk_emb_dim: D``).
    """

    def __init__(self, extractor: AbsExtractor):
        super().__init__()
        self.extractor = extractor

    def extract(self, feature, lengths, condition, prepared=None):
        vector = condition.vector().unsqueeze(1)
        one = torch.ones(len(vector), dtype=torch.long, device=vector.device)
        target, _, _ = self.extractor(feature, lengths, vector, one)
        return target.unsqueeze(1)

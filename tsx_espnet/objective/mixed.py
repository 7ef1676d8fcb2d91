"""Training a shared embedding space."""

from typing import Sequence

import torch
from torch.nn import functional

from tsx_espnet.distributed import mean
from tsx_espnet.objective.trials import Trials, TrialsObjective


class MixedObjective(TrialsObjective):
    r"""Eq. 5: extraction through two conditions, and a pull of their embeddings towards each other.

    ``L = D(f(y, e¹)) + D(f(y, e²)) + alpha · (1 - cos(e¹, e²))``, the mean over the mixtures. Where
    one of the two is not applicable, a mixture trains through the other alone, without the pull.
    Both paths go through the extractor as one batch, on features that were computed once.

    Args:
        paths: the two.
        alpha: weight of the pull; 0 is "Mixed", 3 "Mixed + EL" in the paper.
        other_weight: of D(other), beside D(target). The paper trains the target alone.

    Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", Interspeech 2021, section 2.3.
    """

    def __init__(
        self,
        conditions: Sequence[str],
        paths: Sequence[str] = ("enrollment", "class"),
        alpha: float = 3.0,
        other_weight: float = 0.0,
    ):
        super().__init__(conditions)
        if isinstance(paths, str) or len(set(paths)) != 2 or len(paths) != 2:
            raise ValueError(f"paths: expected two conditions, found {paths!r}")
        self.paths = tuple(self._check_name(name, "paths") for name in paths)
        if not alpha >= 0:
            raise ValueError(f"alpha: expected >= 0, found {alpha}")
        self.alpha = alpha
        self.other_weight = other_weight

    def train_loss(self, trials: Trials):
        pairs = trials.among(*self.paths)
        return self._total(trials, pairs, trials.run_where(pairs)), None

    def valid_loss(self, trials: Trials):
        pairs = trials.among(*self.paths)
        return self._total(trials, pairs, trials.loss[pairs]), None

    def _total(self, trials: Trials, pairs: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """Eq. 5 of the ``losses`` (R,) of R ``pairs``."""
        num_mixtures = int(pairs.any(dim=0).sum())
        distance = self._distances(trials)
        trials.extra["embedding_distance"] = distance.detach().mean()  # NaN if there is none
        return mean(torch.cat([losses, self.alpha * distance]), num_mixtures)

    def _distances(self, trials: Trials) -> torch.Tensor:
        """Eq. 7, ``1 - cos``, of the mixtures where both paths are applicable."""
        first, second = (trials.index(name) for name in self.paths)
        rows = (trials.applicable[first] & trials.applicable[second]).nonzero(as_tuple=True)[0]
        vectors = [
            trials.condition(torch.full_like(rows, index), rows).vector()
            for index in (first, second)
        ]
        # a silent enrollment may be embedded as zero
        return 1 - functional.cosine_similarity(*vectors, dim=-1, eps=1e-4)

"""What the outputs of a model should be: the references of a batch."""

from typing import NamedTuple, Optional

import torch
from torch.nn import functional

from tsx_espnet.errors import TSXError


class Queries(NamedTuple):
    """What of its mixture each of Q queries wants, see ``tsx_espnet.mixing.query.Query``.

    Args:
        mixture: (Q,), rows of the mixtures of a batch.
        component, part, weight: (Q,).
    """

    mixture: torch.Tensor
    component: torch.Tensor
    part: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, queries: torch.Tensor, weight: torch.Tensor) -> "Queries":
        """From ``queries`` (Q, 3) and ``query_weight`` (Q,) of a batch."""
        return cls(*queries.unbind(dim=1), weight)


class References(NamedTuple):
    """The sources that a model should give for each of the Q queries of a batch.

    Args:
        sources: (Q, S, T); of a query, S = 2: target and other. S may be less than the number of
            outputs.
        active: (Q, S) bool: the sources that are there; the others are zeros.
        mixture: (Q, T).
        queries: None for one query a mixture, for a whole source.
        lengths: (Q,) samples, beyond which all is zero; None if nothing is padded.
    """

    sources: torch.Tensor
    active: torch.Tensor
    mixture: torch.Tensor
    queries: Optional[Queries] = None
    lengths: Optional[torch.Tensor] = None

    @classmethod
    def of(
        cls, sources: torch.Tensor, mixture: torch.Tensor, queries: Optional[Queries] = None
    ) -> "References":
        """A source is active if it is not all zeros."""
        return cls(sources, sources.any(dim=-1), mixture, queries)

    @classmethod
    def of_queries(
        cls, sources: torch.Tensor, mixture: torch.Tensor, queries: Queries
    ) -> "References":
        """Target and other of each query; of a negative one exchanged, of a part unknown.

        Shape:
            sources (B, C, T), mixture (B, T) -> (Q, 2, T)
        """
        mixture = mixture[queries.mixture]
        target = sources[queries.mixture, queries.component]
        both = torch.stack([target, mixture - target], dim=1)
        both = torch.where((queries.weight < 0)[:, None, None], both.flip(1), both)
        both = both.masked_fill((queries.part > 0)[:, None, None], 0.0)
        return cls.of(both, mixture, queries)

    def unqueried(self, sources: torch.Tensor, num_outputs: int) -> "References":
        """All sources of a mixture and silence, one for each output, for its first query alone.

        Shape:
            sources (B, C, T) -> (Q, num_outputs, T)

        Raises:
            TSXError: if there are more sources than outputs.
        """
        missing = num_outputs - sources.shape[1]
        if missing < 0:
            raise TSXError(
                f"expected mixtures of at most {num_outputs} sources, one for each output of the "
                f"model, found {sources.shape[1]}"
            )
        sources = functional.pad(sources, (0, 0, 0, missing))
        if self.queries is not None:
            rows = self.queries.mixture
            again = (rows.unsqueeze(1) == rows).tril(diagonal=-1).any(dim=1)
            sources = sources[rows].masked_fill(again[:, None, None], 0.0)
        return References.of(sources, self.mixture, self.queries)

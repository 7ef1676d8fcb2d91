"""Mixture consistency: estimates that add up to the mixture."""

import torch

from tsx_espnet.checks import one_of

KINDS = ("uniform", "energy", "predicted")


class MixtureConsistency(torch.nn.Module):
    r"""Distribute the residual over the estimates: ``ŝ_j + w_j (x - Σ ŝ_k)`` with ``Σ w_j = 1``.

    Args:
        kind: the weights: ``uniform`` (1/M); ``energy`` (in proportion to the estimates' energies);
            ``predicted`` (softmax of a linear map of the time-averaged masked features).
        feature_dim: N, the width of the features; needed for ``predicted`` only.
        num_sources: M.

    Shape:
        estimates (B, M, T), mixture (B, T), features (B, M, F, N) -> (B, M, T)

    Reference: Wisdom et al., "Differentiable consistency constraints for improved deep speech
    enhancement", ICASSP 2019, section 3.2.
    """

    def __init__(self, kind: str = "uniform", feature_dim: int = 0, num_sources: int = 2):
        super().__init__()
        self.kind = one_of("consistency", kind, KINDS)
        if kind == "predicted":
            self.weights = torch.nn.Linear(num_sources * feature_dim, num_sources)

    def forward(self, estimates, mixture, features=None):
        residual = mixture - estimates.sum(dim=1)
        return estimates + self._weights(estimates, features) * residual.unsqueeze(1)

    def _weights(self, estimates, features):
        num_sources = estimates.shape[1]
        if self.kind == "uniform":
            return 1.0 / num_sources
        if self.kind == "energy":
            # the floor gives silent estimates equal shares
            energy = estimates.square().mean(dim=-1, keepdim=True) + 1e-8
            return energy / energy.sum(dim=1, keepdim=True)
        pooled = torch.log1p(features.abs().mean(dim=2)).flatten(1)
        return torch.softmax(self.weights(pooled), dim=-1).unsqueeze(-1)

    def extra_repr(self) -> str:
        return f"kind={self.kind!r}"

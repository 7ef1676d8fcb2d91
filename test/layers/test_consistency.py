import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.layers.consistency import KINDS, MixtureConsistency


def draw(seed, size=2, num_sources=2, length=50, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    estimates = scale * torch.randn(size, num_sources, length, generator=generator)
    mixture = scale * torch.randn(size, length, generator=generator)
    features = torch.rand(size, num_sources, 7, 3, generator=generator)
    return estimates, mixture, features


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**31),
    num_sources=st.integers(1, 4),
    scale=st.sampled_from([1e-6, 1e-2, 1.0, 100.0]),
)
def test_estimates_add_up_to_the_mixture(kind, seed, num_sources, scale):
    estimates, mixture, features = draw(seed, 2, num_sources, scale=scale)
    consistency = MixtureConsistency(kind, feature_dim=3, num_sources=num_sources)
    total = consistency(estimates, mixture, features).sum(dim=1)
    torch.testing.assert_close(total, mixture, atol=1e-5 * scale, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_consistent_estimates_are_left_alone(kind):
    estimates, _, features = draw(0)
    consistent = MixtureConsistency(kind, 3)(estimates, estimates.sum(dim=1), features)
    torch.testing.assert_close(consistent, estimates)


def test_uniform_shares():
    estimates = torch.tensor([[[1.0, 0.0], [2.0, -1.0]]])
    mixture = torch.tensor([[5.0, 1.0]])  # two are missing of each sample
    expected = torch.tensor([[[2.0, 1.0], [3.0, 0.0]]])
    torch.testing.assert_close(MixtureConsistency("uniform")(estimates, mixture), expected)


def test_energy_shares():
    """Energies 8 and 2: the first takes 4/5 of what is missing."""
    estimates = torch.tensor([[[2.0, -2.0], [1.0, 1.0]]])
    mixture = torch.tensor([[8.0, -11.0]])  # 5 and -10 missing
    expected = torch.tensor([[[2 + 4.0, -2 - 8.0], [1 + 1.0, 1 - 2.0]]])
    consistent = MixtureConsistency("energy")(estimates, mixture)
    torch.testing.assert_close(consistent, expected, atol=1e-5, rtol=1e-6)


def test_a_silent_estimate_gets_no_energy_share_and_two_silent_ones_equal_shares():
    consistency = MixtureConsistency("energy")
    mixture = torch.tensor([[1.0, 3.0]])
    one = consistency(torch.tensor([[[1.0, 1.0], [0.0, 0.0]]]), mixture)
    torch.testing.assert_close(one[0, 1], torch.zeros(2), atol=1e-6, rtol=0)
    silent = torch.zeros(1, 2, 2, requires_grad=True)
    both = consistency(silent, mixture)
    torch.testing.assert_close(both, torch.tensor([[[0.5, 1.5], [0.5, 1.5]]]))
    both[:, 0].square().sum().backward()
    assert silent.grad.isfinite().all()


def test_predicted_shares_by_hand():
    estimates, mixture, features = draw(3)
    torch.manual_seed(0)
    consistency = MixtureConsistency("predicted", feature_dim=3, num_sources=2)
    weight, bias = (part.detach().numpy() for part in consistency.weights.parameters())
    consistent = consistency(estimates, mixture, features).detach().numpy()
    for row in range(2):
        pooled = np.log1p(np.abs(features[row].numpy()).mean(axis=1)).reshape(-1)
        shares = np.exp(weight @ pooled + bias)
        shares /= shares.sum()
        missing = mixture[row].numpy() - estimates[row].numpy().sum(axis=0)
        expected = estimates[row].numpy() + shares[:, None] * missing
        np.testing.assert_allclose(consistent[row], expected, atol=1e-5)


def test_predicted_shares_learn():
    estimates, mixture, features = draw(4)
    consistency = MixtureConsistency("predicted", feature_dim=3)
    consistency(estimates, mixture, features)[:, 0].square().sum().backward()
    assert consistency.weights.weight.grad.abs().sum() > 0


def test_the_callers_estimates_are_not_changed():
    estimates, mixture, _ = draw(5)
    before = estimates.clone()
    MixtureConsistency("uniform")(estimates, mixture)
    assert torch.equal(estimates, before)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="one of uniform, energy, predicted, found 'none'"):
        MixtureConsistency("none")
    assert "energy" in repr(MixtureConsistency("energy"))

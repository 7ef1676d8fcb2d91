import numpy as np
import pytest
import torch

from tsx_espnet.conditioner.tokens import TokensConditioner
from tsx_espnet.pretrained.frozen import Frozen
from tsx_espnet.pretrained.store import load


@pytest.fixture(scope="module", params=["tiny_clap", "tiny_bert"])
def encoder(request):
    """The text side of a joint encoder, and a language model."""
    return Frozen(load(request.getfixturevalue(request.param)))


def batch(encoder, phrases):
    """As ESPnet makes it: shorter rows filled up with 0, which is a token."""
    rows = [encoder.network.tokenize.one(phrase) if phrase else [] for phrase in phrases]
    lengths = torch.tensor([len(row) for row in rows])
    value = np.zeros((len(rows), max(lengths)), dtype=np.int64)
    for padded, row in zip(value, rows):
        padded[: len(row)] = row
    return torch.from_numpy(value), lengths


def test_states_of_the_encoder_through_a_linear_layer(encoder):
    conditioner = TokensConditioner(3, encoder)
    value, lengths = batch(encoder, ["a dog", None, "a dog bark rain meow"])
    found = conditioner(value, lengths)
    assert found.embedding.shape == (3, value.shape[1], 3)
    assert found.applicable.tolist() == [True, False, True]
    assert torch.equal(found.mask.sum(dim=1), lengths)
    weight, bias = (part.detach().numpy() for part in conditioner.linear.parameters())
    for row in (0, 2):
        length = int(lengths[row])
        states = encoder.network.text(value[row : row + 1, :length]).states[0].numpy()
        own = found.embedding[row, :length].detach().numpy()
        np.testing.assert_allclose(own, states @ weight.T + bias, atol=1e-5)


def test_a_batch_without_any_phrase(encoder):
    found = TokensConditioner(3, encoder)(torch.zeros(2, 0).long(), torch.zeros(2).long())
    assert found.embedding.shape == (2, 0, 3) and not found.applicable.any()
    assert torch.equal(found.vector(), torch.zeros(2, 3))


def test_the_linear_layer_alone_is_trained_and_saved(encoder):
    conditioner = TokensConditioner(3, encoder)
    assert set(conditioner.state_dict()) == {"linear.weight", "linear.bias"}
    value, lengths = batch(encoder, ["a dog"])
    conditioner.train()(value, lengths).embedding.sum().backward()
    assert all(parameter.grad is None for parameter in encoder.network.parameters())


def test_a_network_that_reads_no_text_is_refused(tiny_ast):
    with pytest.raises(ValueError, match="expected a text encoder, found AudioSpectrogramTransf"):
        TokensConditioner(3, Frozen(load(tiny_ast)))

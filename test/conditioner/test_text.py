import numpy as np
import pytest
import torch

from tsx_espnet.conditioner.text import TextConditioner


@pytest.fixture
def conditioner():
    torch.manual_seed(0)
    return TextConditioner(output_dim=4, input_dim=5)


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_linear_and_activation(activation):
    """Section 3.3: the baseline of Liu et al. has a ReLU, the stronger one a linear layer alone."""
    conditioner = TextConditioner(output_dim=4, input_dim=5, activation=activation)
    value = torch.randn(8, 1, 5)
    weight, bias = (part.detach().numpy() for part in conditioner.linear.parameters())
    expected = value.numpy() @ weight.T + bias
    assert (expected < 0).any()
    if activation == "relu":
        expected = np.maximum(expected, 0)
    embedding = conditioner(value, torch.ones(8).long()).embedding
    np.testing.assert_allclose(embedding.detach().numpy(), expected, atol=1e-6)


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="activation: expected one of none, relu, found 'gelu'"):
        TextConditioner(output_dim=4, input_dim=5, activation="gelu")


def test_length_zero_is_not_applicable_and_its_padding_is_not_looked_at(conditioner):
    """A collated batch pads a text of no vectors with zeros; their image is not zero."""
    value = torch.zeros(2, 1, 5)
    value[1] = 1
    condition = conditioner(value, torch.tensor([0, 1]))
    assert condition.mask.tolist() == [[False], [True]]
    assert condition.embedding[0].abs().sum() > 0  # of the bias
    assert torch.equal(condition.vector()[0], torch.zeros(4))


def test_a_whole_batch_without_text(conditioner):
    condition = conditioner(torch.zeros(3, 0, 5), torch.zeros(3).long())
    assert condition.embedding.shape == (3, 0, 4)
    assert condition.applicable.tolist() == [False] * 3
    assert torch.equal(condition.vector(), torch.zeros(3, 4))


def test_longer_texts_are_averaged_over_their_length(conditioner):
    value = torch.randn(1, 3, 5)
    vector = conditioner(value, torch.tensor([2])).vector()
    each = [conditioner(value[:, n : n + 1], torch.tensor([1])).vector() for n in range(2)]
    torch.testing.assert_close(vector, (each[0] + each[1]) / 2)


def test_vectors_of_another_language_model_are_refused(conditioner):
    with pytest.raises(ValueError, match=r"of size 5 .*text.input_dim.*, found 7"):
        conditioner(torch.zeros(1, 1, 7), torch.tensor([1]))

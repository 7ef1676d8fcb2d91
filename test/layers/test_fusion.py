import numpy as np
import pytest
import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.layers.fusion import CrossAttention, FiLM, make_fusion


def vector(values):
    return ConditionEmbedding(values.unsqueeze(1), torch.ones(len(values), 1).bool())


def timed(values):
    return ConditionEmbedding(values, torch.ones(values.shape[:2]).bool(), timed=True)


@pytest.mark.parametrize("dim", [4, 3])
def test_multiply_and_concat_by_hand(dim):
    torch.manual_seed(0)
    x, condition = torch.randn(2, 4, 7), torch.randn(2, dim)
    multiply = make_fusion("multiply", dim, 4)
    mapped = condition
    if dim != 4:
        mapped = condition @ multiply.linear.weight.T + multiply.linear.bias
    torch.testing.assert_close(multiply(x, vector(condition)), x * mapped[:, :, None])

    concat = make_fusion("concat", dim, 4)
    mapped = condition if dim == 4 else concat.linear(condition)
    ((weight, bias),) = [(layer.weight, layer.bias) for layer in concat.adapt.transform]
    expected = torch.einsum("oc,bcf->bof", weight[:, :4], x)
    expected = expected + (mapped @ weight[:, 4:].T + bias)[:, :, None]
    torch.testing.assert_close(concat(x, vector(condition)), expected)


def test_an_unknown_fusion_is_named():
    with pytest.raises(ValueError, match="fusion: expected one of .* found 'add'"):
        make_fusion("add", 4, 4)


def test_film_in_closed_form():
    """Every channel by loops: ``(1 + γ) x + β``, γ the first half of a linear map, β the second."""
    torch.manual_seed(0)
    film = FiLM(condition_dim=3, channels=4)
    torch.nn.init.normal_(film.linear.bias)
    x, condition = torch.randn(2, 4, 5), torch.randn(2, 3)
    weight, bias = film.linear.weight.detach().numpy(), film.linear.bias.detach().numpy()
    expected = np.empty((2, 4, 5))
    for example in range(2):
        both = weight @ condition[example].numpy() + bias
        for channel in range(4):
            scale, shift = both[channel], both[4 + channel]
            expected[example, channel] = (1 + scale) * x[example, channel].numpy() + shift
    np.testing.assert_allclose(film(x, vector(condition)).detach().numpy(), expected, atol=1e-5)


def test_the_null_condition_passes_everything_through_an_untrained_layer():
    x = torch.randn(2, 4, 5)
    torch.testing.assert_close(FiLM(3, 4)(x, vector(torch.zeros(2, 3))), x)


def test_the_condition_learns():
    film, condition = FiLM(3, 4), torch.randn(2, 3, requires_grad=True)
    film(torch.randn(2, 4, 5), vector(condition)).square().sum().backward()
    assert (condition.grad.abs().sum(dim=1) > 0).all()
    assert (film.linear.weight.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("kind", ["multiply", "film", "concat"])
@pytest.mark.parametrize("dim", [4, 3])
@pytest.mark.parametrize("num_frames, length", [(7, 7), (7, 3), (3, 7), (7, 1), (1, 5)])
def test_a_timed_condition_is_a_vector_of_its_own_at_each_frame(kind, dim, num_frames, length):
    torch.manual_seed(0)
    fusion = make_fusion(kind, dim, 4)
    x, values = torch.randn(2, 4, num_frames), torch.randn(2, length, dim)
    found = fusion(x, timed(values))
    for frame in range(num_frames):
        own = vector(values[:, frame * length // num_frames])
        expected = fusion(x[..., frame : frame + 1], own)
        torch.testing.assert_close(found[..., frame : frame + 1], expected)


def tokens(size=3, length=5, dim=6):
    """Of three mixtures, with five, two and no true tokens."""
    values = torch.randn(size, length, dim, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(length) < torch.tensor([length, 2, 0]).unsqueeze(1)
    return ConditionEmbedding(values, mask)


@pytest.fixture
def attention():
    torch.manual_seed(0)
    layer = CrossAttention(condition_dim=6, channels=8, heads=2)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def test_attention_by_hand(attention):
    """Softmax over the true tokens of q k / sqrt(4), head by head, in numpy."""
    x, condition = torch.randn(3, 8, 7), tokens()
    found = attention(x, condition).detach().numpy()
    state = {name: value.numpy() for name, value in attention.state_dict().items()}
    query_bias, key_bias, value_bias = np.split(state["attention.in_proj_bias"], 3)
    for row, count in enumerate([5, 2]):
        own = x[row].numpy()
        normed = (own - own.mean()) / np.sqrt(own.var() + 1e-8)
        normed = (normed * state["norm.weight"][:, None] + state["norm.bias"][:, None]).T
        true = condition.embedding[row, :count].numpy()
        query = normed @ state["attention.q_proj_weight"].T + query_bias
        key = true @ state["attention.k_proj_weight"].T + key_bias
        value = true @ state["attention.v_proj_weight"].T + value_bias
        heard = np.zeros((7, 8))
        for head in (slice(0, 4), slice(4, 8)):
            scores = np.exp(query[:, head] @ key[:, head].T / 2)
            heard[:, head] = scores / scores.sum(axis=1, keepdims=True) @ value[:, head]
        out = heard @ state["attention.out_proj.weight"].T + state["attention.out_proj.bias"]
        np.testing.assert_allclose(found[row], own + out.T, atol=1e-4, rtol=1e-4)


def test_attention_ignores_padding_and_the_number_of_tokens_is_free(attention):
    x, condition = torch.randn(3, 8, 7), tokens()
    loud = condition.embedding.masked_fill(~condition.mask.unsqueeze(-1), 1e4)
    found = attention(x, ConditionEmbedding(loud, condition.mask))
    torch.testing.assert_close(found, attention(x, condition))
    short = ConditionEmbedding(condition.embedding[1:2, :2], condition.mask[1:2, :2])
    torch.testing.assert_close(attention(x[1:2], short), found[1:2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", [True, False])
def test_without_a_true_token_attention_changes_nothing(attention, mode):
    x, condition = torch.randn(3, 8, 7).requires_grad_(), tokens()
    found = attention.train(mode)(x, condition)
    assert torch.equal(found[2], x[2])
    found.square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())


def test_the_tokens_learn(attention):
    condition = tokens()
    condition.embedding.requires_grad_()
    attention(torch.randn(3, 8, 7), condition).square().sum().backward()
    assert torch.equal(condition.embedding.grad.abs().sum(dim=-1) > 0, condition.mask)


def test_channels_must_divide_among_the_heads():
    with pytest.raises(ValueError, match="a multiple of 4 channels, found 6"):
        make_fusion("attention", 6, 6)

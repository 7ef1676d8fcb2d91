import numpy as np
import pytest
import torch

from tsx_espnet.layers.fusion import FiLM, make_fusion


@pytest.mark.parametrize("dim", [4, 3])
def test_multiply_and_concat_by_hand(dim):
    torch.manual_seed(0)
    x, condition = torch.randn(2, 4, 7), torch.randn(2, dim)
    multiply = make_fusion("multiply", dim, 4)
    mapped = condition
    if dim != 4:
        mapped = condition @ multiply.linear.weight.T + multiply.linear.bias
    torch.testing.assert_close(multiply(x, condition), x * mapped[:, :, None])

    concat = make_fusion("concat", dim, 4)
    mapped = condition if dim == 4 else concat.linear(condition)
    ((weight, bias),) = [(layer.weight, layer.bias) for layer in concat.adapt.transform]
    expected = torch.einsum("oc,bcf->bof", weight[:, :4], x)
    expected = expected + (mapped @ weight[:, 4:].T + bias)[:, :, None]
    torch.testing.assert_close(concat(x, condition), expected)


def test_an_unknown_fusion_is_named():
    with pytest.raises(ValueError, match="fusion: expected one of .* found 'attention'"):
        make_fusion("attention", 4, 4)


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
    np.testing.assert_allclose(film(x, condition).detach().numpy(), expected, atol=1e-5)


def test_the_null_condition_passes_everything_through_an_untrained_layer():
    x = torch.randn(2, 4, 5)
    torch.testing.assert_close(FiLM(3, 4)(x, torch.zeros(2, 3)), x)


def test_the_condition_learns():
    film, condition = FiLM(3, 4), torch.randn(2, 3, requires_grad=True)
    film(torch.randn(2, 4, 5), condition).square().sum().backward()
    assert (condition.grad.abs().sum(dim=1) > 0).all()
    assert (film.linear.weight.grad.abs().sum(dim=1) > 0).all()

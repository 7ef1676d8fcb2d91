import pytest
import torch

from tsx_espnet.layers.fusion import make_fusion


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
    with pytest.raises(ValueError, match="fusion must be one of .* found 'attention'"):
        make_fusion("attention", 4, 4)

import numpy as np
import pytest
import torch

from tsx_espnet.layers.basic import global_layer_norm


def example(*shape, seed=0):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) + 2


@pytest.fixture
def norm():
    norm = global_layer_norm(4)
    torch.manual_seed(1)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    return norm


def test_statistics_run_over_channels_and_frames_of_each_example(norm):
    x = example(3, 4, 7)
    array = x.double().numpy()
    mean = array.mean(axis=(1, 2), keepdims=True)
    variance = array.var(axis=(1, 2), keepdims=True)
    gain, bias = (part.detach().double().numpy()[:, None] for part in (norm.weight, norm.bias))
    expected = gain * (array - mean) / np.sqrt(variance + 1e-8) + bias
    np.testing.assert_allclose(norm(x).detach().numpy(), expected, atol=1e-5)


def test_padding_changes_an_example_and_a_batch_of_one_length_does_not(norm):
    x = example(1, 4, 7)
    other = example(1, 4, 7, seed=2)
    torch.testing.assert_close(norm(torch.cat([x, other]))[:1], norm(x))
    padded = torch.nn.functional.pad(x, (0, 3))
    assert (norm(padded)[..., :7] - norm(x)).abs().max() > 0.1


def test_silence_is_no_division_by_zero(norm):
    silent = torch.zeros(1, 4, 7, requires_grad=True)
    output = norm(silent)
    torch.testing.assert_close(output, norm.bias[:, None].expand(1, 4, 7))
    output.square().sum().backward()
    assert silent.grad.isfinite().all()

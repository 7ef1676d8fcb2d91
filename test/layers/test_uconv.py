"""The U-ConvBlock against loops over channels and frames, written from its description."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.layers.basic import ACTIVATIONS, get_activation
from tsx_espnet.layers.sudormrf import DepthwiseConv, UConvBlock

SLOPES = {"prelu": 0.25, "relu": 0.0, "leaky_relu": 0.25}


def numbers(parameter):
    return parameter.detach().double().numpy()


def slow_pointwise(x, conv):
    return numbers(conv.weight)[:, :, 0] @ x + numbers(conv.bias)[:, None]


def slow_norm(x, norm):
    standard = (x - x.mean()) / math.sqrt(x.var() + 1e-8)
    return numbers(norm.weight)[:, None] * standard + numbers(norm.bias)[:, None]


def slow_depthwise(x, conv, stride):
    """Each channel with its own kernel, zeros beyond the ends, every ``stride``-th frame."""
    weight, bias = numbers(conv.weight)[:, 0], numbers(conv.bias)
    num_channels, num_frames = x.shape
    size = weight.shape[1]
    rows = []
    for channel in range(num_channels):
        row = []
        for center in range(0, num_frames, stride):
            total = bias[channel]
            for tap in range(size):
                frame = center + tap - size // 2
                if 0 <= frame < num_frames:
                    total += weight[channel, tap] * x[channel, frame]
            row.append(total)
        rows.append(row)
    return np.array(rows)


def slow_nearest(x, num_frames):
    return np.stack([x[:, frame * x.shape[1] // num_frames] for frame in range(num_frames)], axis=1)


def slow_block(block, x, depth, slope):
    def activate(x):
        return np.where(x > 0, x, slope * x)

    expand, norm, _ = block.expand
    wide = activate(slow_norm(slow_pointwise(x, expand), norm))
    resolutions = []
    for level in range(depth):
        conv, norm = block.down[level]
        wide = slow_norm(slow_depthwise(wide, conv, 2 if level else 1), norm)
        resolutions.append(wide)
    merged = resolutions[-1]
    for finer in resolutions[-2::-1]:
        merged = finer + slow_nearest(merged, finer.shape[1])
    norm, _, contract = block.contract
    return x + slow_pointwise(activate(slow_norm(merged, norm)), contract)


@pytest.mark.parametrize("num_frames", [1, 2, 5, 8, 13])
@pytest.mark.parametrize(
    "depth, kernel_size, activation",
    [(1, 3, "prelu"), (2, 5, "relu"), (3, 1, "leaky_relu"), (4, 5, "prelu")],
)
def test_block_against_loops(num_frames, depth, kernel_size, activation):
    torch.manual_seed(depth)
    block = UConvBlock(3, 4, depth, kernel_size, activation).double()
    for parameter in block.parameters():
        if parameter.numel() > 1:  # not the slope of a PReLU
            torch.nn.init.normal_(parameter)
    x = torch.randn(2, 3, num_frames, dtype=torch.double)
    expected = [slow_block(block, row.numpy(), depth, SLOPES[activation]) for row in x]
    np.testing.assert_allclose(block(x).detach().numpy(), np.stack(expected), atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    num_frames=st.integers(1, 300),
    depth=st.integers(1, 6),
    kernel_size=st.sampled_from([1, 3, 5, 21]),
)
def test_any_number_of_frames_is_kept(num_frames, depth, kernel_size):
    block = UConvBlock(2, 3, depth, kernel_size)
    output = block(torch.randn(1, 2, num_frames))
    assert output.shape == (1, 2, num_frames)
    assert output.isfinite().all()


@given(
    num_frames=st.integers(1, 200),
    stride=st.integers(1, 4),
    kernel_size=st.sampled_from([1, 3, 5]),
)
def test_a_stride_divides_the_frames_rounding_up(num_frames, stride, kernel_size):
    output = DepthwiseConv(2, kernel_size, stride)(torch.randn(1, 2, num_frames))
    assert output.shape == (1, 2, math.ceil(num_frames / stride))


def test_channels_of_a_depthwise_convolution_do_not_mix():
    conv = DepthwiseConv(3, 5, 1)[0]
    x = torch.randn(1, 3, 9)
    changed = x.clone()
    changed[:, 1] += 1
    difference = (conv(changed) - conv(x)).abs().amax(dim=(0, 2))
    assert difference[1] > 0 and difference[0] == difference[2] == 0


def test_every_level_is_needed():
    block = UConvBlock(3, 4, depth=4)
    block(torch.randn(2, 3, 32)).square().sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        # a bias before a norm of one mean over all channels still shifts its own channel
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_what_they_are_called(name):
    x = torch.tensor([-2.0, 0.0, 3.0])
    expected = torch.tensor([-2 * SLOPES[name], 0.0, 3.0])
    torch.testing.assert_close(get_activation(name)(x), expected)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"depth": 0}, "expected depth >= 1 and an odd kernel_size, found 0 and 5"),
        ({"kernel_size": 4}, "expected depth >= 1 and an odd kernel_size, found 4 and 4"),
        ({"activation": "gelu"}, "activation: expected one of prelu, .* found 'gelu'"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UConvBlock(2, 3, **options)

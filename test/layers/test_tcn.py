"""ESPnet's network over the real frames: padding changes nothing, whatever is in it."""

import pytest
import torch

from tsx_espnet.layers.tcn import run_stack, temporal_conv_net

LENGTHS = [30, 1, 17, 2, 0]


def build():
    torch.manual_seed(0)
    network = temporal_conv_net(5, 4, 6, 8, kernel=3, layer=4, stack=1)
    for parameter in network.parameters():  # a norm's gain and bias start as one and zero
        torch.nn.init.normal_(parameter, std=0.5)
    return network


def batch(fill):
    x = torch.full((len(LENGTHS), 6, 30), fill)
    for row, length in enumerate(LENGTHS):
        generator = torch.Generator().manual_seed(row)
        x[row, :, :length] = torch.randn(6, length, generator=generator)
    real = torch.arange(30) < torch.tensor(LENGTHS).unsqueeze(1)
    return x, real.unsqueeze(1)


@pytest.mark.parametrize("fill", [0.0, 1e3])
def test_the_real_frames_are_those_of_espnets_blocks_on_each_signal_alone(fill):
    (stack,) = build().network[2]
    x, real = batch(fill)
    found = run_stack(stack, x, real)
    assert found.isfinite().all()
    for row, length in enumerate(LENGTHS[:-1]):
        alone = x[row : row + 1, :, :length]
        for block in stack:
            alone = alone + block(alone)
        torch.testing.assert_close(found[row, :, :length], alone[0], atol=1e-4, rtol=1e-4)


def test_gradients_are_finite_where_nothing_is_real():
    (stack,) = build().network[2]
    x, real = batch(3.0)
    x.requires_grad_()
    (run_stack(stack, x, real) * real).sum().backward()
    assert x.grad.isfinite().all() and x.grad[-1].abs().sum() == 0
    assert all(parameter.grad.isfinite().all() for parameter in stack.parameters())

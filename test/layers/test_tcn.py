"""Conv-TasNet's network is ESPnet's, weight for weight; and padding changes nothing in it."""

import pytest
import torch
from espnet2.enh.layers import tcn as espnet

from tsx_espnet.layers.tcn import NORMS, TemporalConvNet

LENGTHS = [30, 1, 17, 2, 0]
SIZES = {"bottleneck_dim": 6, "hidden_dim": 8, "kernel": 3, "layer": 4}


def build(seed=0, stack=1, **options):
    torch.manual_seed(seed)
    return TemporalConvNet(5, 4, **SIZES, stack=stack, **options)


def build_espnets(seed=0, stack=1, norm_type="GN"):
    torch.manual_seed(seed)
    return espnet.TemporalConvNet(
        *(5, 6, 8, 3, 4, stack, 1),
        out_channel=4,
        norm_type=norm_type,
        pre_mask_nonlinear="prelu",
        mask_nonlinear="linear",
    )


def shaken(network):
    """With no gain, bias or slope as it starts."""
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, mean=0.2, std=0.5)
    return network


def batch(fill):
    x = torch.full((len(LENGTHS), 6, 30), fill)
    for row, length in enumerate(LENGTHS):
        generator = torch.Generator().manual_seed(row)
        x[row, :, :length] = torch.randn(6, length, generator=generator)
    real = torch.arange(30) < torch.tensor(LENGTHS).unsqueeze(1)
    return x, real.unsqueeze(1)


@pytest.mark.parametrize("norm_type", NORMS)
def test_the_same_seed_draws_espnets_weights_in_espnets_order(norm_type):
    ours, theirs = build(7, 2, norm_type=norm_type), build_espnets(7, 2, norm_type)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("norm_type", NORMS)
@pytest.mark.parametrize("stack", [1, 3])
def test_with_espnets_weights_it_gives_what_espnets_gives(norm_type, stack):
    theirs = shaken(build_espnets(1, stack, norm_type))
    ours = build(2, stack, norm_type=norm_type)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 30)
    torch.testing.assert_close(ours(x), theirs(x)[:, 0], atol=1e-6, rtol=1e-6)
    again = build(2, stack, norm_type=norm_type)
    again.load_state_dict({**again.state_dict(), **theirs.state_dict()})  # as --init_param does
    assert torch.equal(again(x), ours(x))


def test_its_own_weights_come_back():
    ours, again = shaken(build()), build(1)
    again.load_state_dict(ours.state_dict())
    x = torch.randn(2, 5, 30)
    assert torch.equal(ours(x), again(x))


def test_weights_that_do_not_fit_are_named_as_they_are_called_here():
    weights = build_espnets().state_dict()
    del weights["network.2.0.1.net.3.net.0.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*\"stacks.0.1.depthwise.weight\""):
        build().load_state_dict(weights)


def test_the_first_norm_is_over_each_frame_and_those_of_the_blocks_over_all():
    network = build()
    loud = torch.randn(1, 5, 30)
    gains = torch.linspace(0.1, 10, 30)
    torch.testing.assert_close(network.norm(loud * gains), network.norm(loud), atol=1e-4, rtol=0)
    block = network.stacks[0][0]
    for norm in (block.norm1, block.norm2):
        changed = torch.randn(1, 8, 30)
        before = norm(changed)[..., 0]
        changed[..., 1:] *= 2
        assert (norm(changed)[..., 0] - before).abs().max() > 1e-2


@pytest.mark.parametrize("fill", [0.0, 1e3])
def test_the_real_frames_are_those_of_each_signal_alone(fill):
    network = shaken(build())
    x, real = batch(fill)
    found = network.run_stacks(x, real=real)
    assert found.isfinite().all()
    for row, length in enumerate(LENGTHS[:-1]):
        alone = network.run_stacks(x[row : row + 1, :, :length])
        torch.testing.assert_close(found[row, :, :length], alone[0], atol=1e-4, rtol=1e-4)


def test_gradients_are_finite_where_nothing_is_real():
    network = shaken(build())
    x, real = batch(3.0)
    x.requires_grad_()
    (network.run_stacks(x, real=real) * real).sum().backward()
    assert x.grad.isfinite().all() and x.grad[-1].abs().sum() == 0
    assert all(parameter.grad.isfinite().all() for parameter in network.stacks.parameters())

"""TDCN++ against its printed equations in NumPy, float64, frame by frame as (W, C)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.layers.tdcn import TDCN, ScalarNorm, TDCNBlock

SIZES = {"bottleneck_channels": 4, "hidden_channels": 6, "num_repeats": 3, "num_blocks": 2}
DIM = 4
CONCAT = {"condition_dim": DIM, "fusion": "concat"}


def network(input_dim=5, seed=0, **options):
    """A network in float64, none of whose weights is special."""
    torch.manual_seed(seed)
    model = TDCN(input_dim, **{**SIZES, **options}).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


def features(num_frames, channels, seed=1, size=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(size, num_frames, channels, generator=generator, dtype=torch.float64)


def timed(length, size=1, seed=2):
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(size, length, DIM, generator=generator, dtype=torch.float64)
    return ConditionEmbedding(embedding, torch.ones(size, length).bool(), timed=True)


def vector(size=1, seed=2):
    one = timed(1, size, seed)
    return ConditionEmbedding(one.embedding, one.mask)


# the network once more, from the equations


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def prelu(x, slope):
    return np.where(x > 0, x, slope * x)


def normalised(x, axis, gain, bias):
    mean = x.mean(axis=axis, keepdims=True)
    variance = np.square(x - mean).mean(axis=axis, keepdims=True)
    return gain * (x - mean) / np.sqrt(variance + 1e-3) + bias


def dilated(x, weight, bias, dilation):
    """Each channel by itself: three frames, ``dilation`` apart, zero outside of the signal."""
    num_frames, channels = x.shape
    y = np.zeros_like(x)
    for w in range(num_frames):
        for c in range(channels):
            for tap, at in enumerate((w - dilation, w, w + dilation)):
                if 0 <= at < num_frames:
                    y[w, c] += weight[c, 0, tap] * x[at, c]
    return y + bias


class Transcription:
    def __init__(self, model):
        self.weights = {name: value.numpy() for name, value in model.state_dict().items()}

    def dense(self, name, x):
        weight = self.weights[f"{name}.weight"][:, :, 0]
        return self.weights[f"{name}.scale"] * (
            x @ weight.T + self.weights.get(f"{name}.bias", 0.0)
        )

    def norm(self, name, x, axis):
        return normalised(x, axis, self.weights[f"{name}.gain"], self.weights[f"{name}.bias"])

    def block(self, number, u, dilation):
        name = f"blocks.{number}.layers"
        z = prelu(self.dense(f"{name}.0", u), self.weights[f"{name}.1.weight"])
        z = self.norm(f"{name}.2", z, axis=0)
        z = dilated(z, self.weights[f"{name}.3.weight"], self.weights[f"{name}.3.bias"], dilation)
        z = prelu(z, self.weights[f"{name}.4.weight"])
        return self.dense(f"{name}.6", self.norm(f"{name}.5", z, axis=0))

    def masks(self, seen, num_masks, condition=None, gate=False, everywhere=False):
        """seen (W, N + K), condition (W, D) -> (M, W, N)"""
        y = self.dense("bottleneck", self.norm("norm", seen, axis=(0, 1)))
        u = {}
        for i in range(6):
            for j in range(0, i, 2):
                if i % 2 == 0:
                    y = y + self.dense(f"skips.{j}_to_{i}", u[j])
            u[i] = y
            if condition is not None and (i == 0 or everywhere):
                u[i] = condition * y if gate else np.concatenate([y, condition], axis=1)
            y = y + self.block(i, u[i], dilation=[1, 2][i % 2])
        masks = sigmoid(y @ self.weights["mask.weight"][:, :, 0].T)
        masks = np.stack(np.split(masks, num_masks, axis=1))
        if "shares.weight" in self.weights:
            shares = np.exp(self.weights["shares.weight"] @ y.mean(axis=0))
            shares = shares / shares.sum()
            masks = masks + shares[:, None, None] * (1 - masks.sum(axis=0))
        return masks


@pytest.mark.parametrize("num_frames", [1, 2, 23])
@pytest.mark.parametrize("further", [0, 10])
@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("fusion", [None, "concat", "gate"])
def test_it_agrees_with_a_transcription_in_numpy(fusion, everywhere, further, num_frames):
    options = {"fusion": fusion, "everywhere": everywhere, "condition_dim": DIM} if fusion else {}
    model = network(num_masks=2, further_dim=further, **options)
    feature = features(num_frames, 5 + further)
    own = Transcription(model)
    for condition in (timed(7), timed(40), vector()):
        length = condition.embedding.shape[1]
        at = [w * length // num_frames for w in range(num_frames)]
        frames = condition.embedding[0].numpy()[at] if fusion else None
        expected = own.masks(feature[0].numpy(), 2, frames, fusion == "gate", everywhere)
        found = model(feature, condition if fusion else None)[0].detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
        assert expected.std() > 0.05


@pytest.mark.parametrize("num_masks", [2, 3, 4])
def test_consistent_masks_agree_too_and_add_up_to_one(num_masks):
    model = network(num_masks=num_masks, consistent_masks=True)
    feature = features(19, 5)
    found = model(feature).detach().numpy()[0]
    expected = Transcription(model).masks(feature[0].numpy(), num_masks)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=0, atol=1e-12)


def test_magnitudes_of_spectra_are_seen():
    model = network(num_masks=2)
    real, imaginary = features(19, 5), features(19, 5, seed=3)
    expected = Transcription(model).masks(np.hypot(real, imaginary)[0].numpy(), 2)
    found = model(torch.complex(real, imaginary))
    np.testing.assert_allclose(found[0].detach().numpy(), expected, rtol=0, atol=1e-9)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@settings(deadline=None, max_examples=20)
@given(
    bases=st.integers(1, 70),
    masks=st.integers(2, 4),
    width=st.integers(1, 30),
    hidden=st.integers(1, 40),
    repeats=st.integers(1, 4),
    blocks=st.integers(1, 4),
)
def test_number_of_parameters(bases, masks, width, hidden, repeats, blocks):
    options = (masks, width, hidden, repeats, blocks)
    formula = (
        (bases * width + width + 1)
        + repeats * blocks * (2 * width * hidden + 4 * hidden + 8)
        + repeats * (repeats - 1) // 2 * (width**2 + width + 1)
        + width * masks * bases
        + 2
    )
    assert count(TDCN(bases, *options)) == formula
    assert count(TDCN(bases, *options, consistent_masks=True)) == formula + width * masks


def test_sizes_of_the_papers():
    """5 ms windows at 16 kHz and two sources; the baseline of FUSS: 32 ms and four sources."""
    assert count(TDCN(65, 2, consistent_masks=True)) == 4_384_521
    assert count(TDCN(257, 4, bottleneck_channels=256, consistent_masks=True)) == 9_179_401


def test_twice_the_depth_is_twice_the_repeats():
    deep, long = network(depth_factor=2), network(num_repeats=6)
    assert torch.equal(deep(features(9, 5)), long(features(9, 5)))


def test_scalars_as_they_start():
    model = TDCN(5, bottleneck_channels=3, hidden_channels=4)
    assert len(model.blocks) == 32 and set(model.skips) == {
        *("0_to_8", "0_to_16", "0_to_24", "8_to_16", "8_to_24", "16_to_24")
    }
    scales = {name: one.item() for name, one in model.named_parameters() if "scale" in name}
    for index in range(32):
        assert scales.pop(f"blocks.{index}.layers.6.scale") == pytest.approx(0.9**index)
    assert len(scales) == 1 + 32 + 6 and set(scales.values()) == {1.0}
    modules = list(model.modules())
    slopes = [one.weight for one in modules if isinstance(one, torch.nn.PReLU)]
    assert len(slopes) == 64 and all(slope.item() == pytest.approx(0.1) for slope in slopes)
    assert {one.eps for one in modules if isinstance(one, ScalarNorm)} == {1e-3}
    convolutions = [block.layers[3] for block in model.blocks]
    assert [one.dilation[0] for one in convolutions] == 4 * [2**k for k in range(8)]


def test_a_mask_depends_on_1020_frames_before_and_after_and_on_no_others():
    """Apart from the norms, which see all frames: 4 (1 + 2 + .. + 128)."""
    torch.manual_seed(0)
    model = TDCN(2, bottleneck_channels=3, hidden_channels=4).double()
    model.norm = torch.nn.Identity()
    for block in model.blocks:
        block.layers[2] = block.layers[5] = torch.nn.Identity()
    feature = features(2 * 1020 + 41, 2).requires_grad_()
    middle = 1025
    (gradient,) = torch.autograd.grad(model(feature)[0, :, middle].sum(), feature)
    (seen,) = gradient[0].abs().sum(dim=1).nonzero(as_tuple=True)
    assert seen.tolist() == list(range(middle - 1020, middle + 1021))


@settings(deadline=None, max_examples=30)
@given(
    num_frames=st.integers(1, 50),
    channels=st.integers(1, 5),
    together=st.booleans(),
    level=st.floats(0, 1e3),
    offset=st.floats(-10, 10),
)
def test_norm_of_each_channel_over_time_or_of_all(num_frames, channels, together, level, offset):
    norm = ScalarNorm(channels, 1 if together else channels).double()
    with torch.no_grad():
        norm.gain.fill_(1.5)
        norm.bias.fill_(-0.5)
    x = level * features(num_frames, channels, size=2) + offset
    expected = [normalised(one.numpy(), (0, 1) if together else 0, 1.5, -0.5) for one in x]
    found = norm(x.transpose(1, 2)).transpose(1, 2).detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-6, atol=1e-6)


def test_silent_channels_are_not_blown_up():
    """With a small eps, noise of -100 dB beside a silent channel would become as loud as sounds."""
    norm = ScalarNorm(2, groups=2)
    x = torch.stack([torch.zeros(100), 1e-5 * torch.randn(100)]).unsqueeze(0).requires_grad_()
    y = norm(x)
    assert not y[0, 0].any() and y.abs().max() < 2e-3
    y.sum().backward()
    assert x.grad.isfinite().all()


def test_a_frame_of_silence_and_of_sound():
    """There is no variance over a single frame: the norms give their bias."""
    for options in ({}, CONCAT, {"num_masks": 3, "consistent_masks": True}):
        model = TDCN(5, **SIZES, **options)
        condition = ConditionEmbedding(torch.randn(1, 1, DIM), torch.ones(1, 1).bool())
        for feature in (torch.zeros(1, 1, 5), torch.rand(1, 1, 5)):
            feature.requires_grad_()
            masks = model.train()(feature, condition)
            masks.square().sum().backward()
            assert masks.isfinite().all() and feature.grad.isfinite().all()


@pytest.mark.parametrize("fusion", ["concat", "gate"])
def test_without_a_condition_nothing_is_added(fusion):
    """Concatenated zeros change nothing; a closed gate leaves what is carried past block 0."""
    model = network(condition_dim=DIM, fusion=fusion)
    plain = TDCN(5, **SIZES).double().eval()
    state = model.state_dict()
    for name in [name for name in state if state[name].shape != plain.state_dict()[name].shape]:
        state[name] = state[name][:, :4]  # without the weights of the condition
    plain.load_state_dict(state)
    if fusion == "gate":
        with torch.no_grad():
            plain.blocks[0].layers[0].weight.zero_()
            for index in (2, 4):
                plain.skips[f"0_to_{index}"].weight.zero_()
    feature = features(23, 5)
    null = ConditionEmbedding.null(feature, DIM)
    torch.testing.assert_close(model(feature, null), plain(feature), atol=1e-12, rtol=0)
    assert (model(feature, vector()) - plain(feature)).abs().max() > 1e-3


def test_a_timed_condition_acts_at_its_time():
    """Norms aside, the condition of a frame is heard as far as the convolutions reach."""
    model = network(**CONCAT, num_repeats=1, num_blocks=2)
    for block in model.blocks:
        block.layers[2] = block.layers[5] = torch.nn.Identity()
    feature, condition = features(40, 5), timed(40)
    before = model(feature, condition)
    condition.embedding[0, 20] += 1
    changed = (model(feature, condition) - before).abs().sum(dim=(0, 1, 3)) > 1e-12
    (frames,) = changed.nonzero(as_tuple=True)
    assert frames.tolist() == list(range(17, 24))  # 1 + 2 frames before and after


@settings(deadline=None, max_examples=30)
@given(num_frames=st.integers(1, 200), num_masks=st.integers(1, 4), size=st.integers(1, 3))
def test_masks_for_any_number_of_frames(num_frames, num_masks, size):
    masks = TDCN(5, num_masks, **SIZES)(torch.rand(size, num_frames, 5))
    assert masks.shape == (size, num_masks, num_frames, 5)
    assert masks.min() >= 0 and masks.max() <= 1


def test_gradients_are_those_of_finite_differences():
    model = network(2, **CONCAT, num_repeats=2, consistent_masks=True)
    parameters = dict(model.named_parameters())
    names = ("norm.gain", "bottleneck.scale", "skips.0_to_2.bias", "shares.weight")
    names += tuple(f"blocks.1.layers.{k}" for k in ("1.weight", "2.gain", "5.bias", "6.scale"))
    feature, condition = features(9, 2), timed(3)

    def masks(*values):
        given = (feature, condition)
        return torch.func.functional_call(model, dict(zip(names, values)), given)

    assert torch.autograd.gradcheck(masks, [parameters[name] for name in names])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_blocks": 0}, "at least 1 repeat and 1 block, found 3 and 0"),
        ({"activation": "tanh"}, "activation"),
        ({"nonlinear": "tanh"}, "nonlinear"),
        ({"fusion": "film"}, "fusion"),
        ({"everywhere": True}, "everywhere: expected fusion concat or gate, found none"),
        ({"fusion": "gate", "condition_dim": 3}, "embedding of 4 channels .* found 3"),
        ({"num_masks": 1, "consistent_masks": True}, "more than 1 output"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TDCN(5, **{**SIZES, **options})


def test_a_leaky_relu_starts_as_a_prelu():
    torch.manual_seed(0)
    block = TDCNBlock(4, 4, 6, dilation=2, scale=0.9)
    faster = TDCNBlock(4, 4, 6, dilation=2, scale=0.9, activation="leaky_relu")
    state = block.state_dict()
    faster.load_state_dict({name: state[name] for name in faster.state_dict()})
    x = torch.randn(2, 4, 11)
    torch.testing.assert_close(faster(x), block(x))

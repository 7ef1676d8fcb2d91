import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.layers.sudormrf import SudoRMRF


def network(**options):
    torch.manual_seed(0)
    sizes = {"num_blocks": 2, "out_channels": 4, "hidden_channels": 6, "depth": 3}
    return SudoRMRF(5, **{**sizes, **options}).eval()


def embedding(vector):
    return ConditionEmbedding(vector.unsqueeze(1), torch.ones(len(vector), 1).bool())


@settings(deadline=None, max_examples=40)
@given(num_frames=st.integers(1, 200), num_masks=st.integers(1, 3), size=st.integers(1, 3))
def test_masks_for_any_number_of_frames(num_frames, num_masks, size):
    masks = network(num_masks=num_masks)(torch.rand(size, num_frames, 5))
    assert masks.shape == (size, num_masks, num_frames, 5)
    assert masks.isfinite().all() and masks.min() >= 0


def test_the_rows_of_a_batch_do_not_see_each_other():
    torch.manual_seed(1)
    feature, condition = torch.rand(3, 17, 5), torch.randn(3, 2)
    model = network(condition_dim=2)
    together = model(feature, embedding(condition))
    for row in range(3):
        alone = model(feature[row : row + 1], embedding(condition[row : row + 1]))
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)


def test_masks_ignore_the_level():
    """The first norm takes it away."""
    model, feature = network(), torch.rand(1, 17, 5)
    torch.testing.assert_close(model(100 * feature), model(feature), atol=1e-4, rtol=1e-4)


def test_a_film_layer_stands_before_each_block():
    model = network(num_blocks=3, condition_dim=2)
    order = []
    for kind in ("films", "blocks"):
        for index, module in enumerate(getattr(model, kind)):
            module.register_forward_pre_hook(
                lambda module, inputs, kind=kind, index=index: order.append((kind, index))
            )
    model(torch.rand(1, 9, 5), embedding(torch.randn(1, 2)))
    assert order == [(kind, index) for index in range(3) for kind in ("films", "blocks")]


def test_each_film_layer_alone_lets_the_condition_through():
    feature = torch.rand(1, 9, 5)
    for kept in range(2):
        model = network(condition_dim=2)
        for index, film in enumerate(model.films):
            if index != kept:
                torch.nn.init.zeros_(film.linear.weight)
        one, two = (model(feature, embedding(torch.tensor([c]))) for c in ([1.0, 0.0], [0.0, 1.0]))
        assert (one - two).abs().max() > 1e-4


def test_without_condition_there_is_no_film():
    assert network().films is None
    assert not any("film" in name for name in network().state_dict())


@pytest.mark.parametrize("condition_dim", [None, 3])
def test_everything_learns(condition_dim):
    model = network(condition_dim=condition_dim)
    condition = None if condition_dim is None else embedding(torch.randn(4, condition_dim))
    model(torch.rand(4, 33, 5), condition).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("nonlinear", ["relu", "sigmoid", "softmax"])
def test_nonlinear_of_the_masks(nonlinear):
    """From the values before it, kept by a hook on the last convolution: (B, M N, F)."""
    model = network(num_masks=3, nonlinear=nonlinear)
    before = []
    model.mask.register_forward_hook(lambda module, inputs, output: before.append(10 * output))
    model.mask.register_forward_hook(lambda module, inputs, output: before[-1])
    masks = model(torch.rand(2, 9, 5))
    values = before[0].detach().reshape(2, 3, 5, 9).permute(0, 1, 3, 2)
    expected = {
        "relu": values.clamp(min=0),
        "sigmoid": 1 / (1 + torch.exp(-values)),
        "softmax": torch.exp(values) / torch.exp(values).sum(dim=1, keepdim=True),
    }
    torch.testing.assert_close(masks, expected[nonlinear])
    assert (values > 0.1).any() and (values < -0.1).any()


def test_an_unknown_nonlinear_is_refused():
    with pytest.raises(ValueError, match="nonlinear: expected one of .*softmax, found 'tanh'"):
        network(nonlinear="tanh")


def test_a_spectrum_is_masked_by_what_the_network_sees_of_its_magnitude():
    """ESPnet's STFT encoder gives complex features; the phase is no matter to the masks."""
    torch.manual_seed(0)
    network = SudoRMRF(9, 2, num_blocks=1, out_channels=4, hidden_channels=8, depth=2)
    spectrum = torch.randn(2, 20, 9, dtype=torch.complex64)
    turned = spectrum * torch.exp(1j * torch.rand(2, 20, 9))
    expected = network(torch.log(1 + (spectrum.real**2 + spectrum.imag**2).sqrt()))
    torch.testing.assert_close(network(spectrum), expected)
    torch.testing.assert_close(network(turned), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 4, 17])
def test_a_timed_condition_that_never_changes_is_a_vector(length):
    torch.manual_seed(1)
    feature, vector = torch.rand(3, 17, 5), torch.randn(3, 2)
    model = network(condition_dim=2)
    timed = ConditionEmbedding(
        vector.unsqueeze(1).expand(-1, length, -1), torch.ones(3, length).bool(), timed=True
    )
    torch.testing.assert_close(model(feature, timed), model(feature, embedding(vector)))


def test_further_channels_are_seen_but_not_masked():
    feature, further = torch.rand(2, 9, 5), torch.rand(2, 9, 10)
    model = network(num_masks=3, further_dim=10)
    masks = model(torch.cat([feature, further], dim=2))
    assert masks.shape == (2, 3, 9, 5)
    changed = model(torch.cat([feature, further.flip(1)], dim=2))
    assert (masks - changed).abs().max() > 1e-4

"""What a classifier hears, as a condition: against the equations in NumPy."""

import numpy as np
import pytest
import small_parts
import torch
from scipy.special import expit, logit
from torchaudio.functional import resample

from tsx_espnet.conditioner.classifier import ClassifierConditioner
from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.base import AbsPretrained
from tsx_espnet.pretrained.frozen import Frozen

DIM = 4
ALL = ["mixture", "estimates"]


@pytest.fixture
def ears(tmp_path):
    return Frozen(small_parts.Ears(tmp_path))


def make(ears, seed=0, **options):
    """A conditioner whose weights are all unlike 0 and 1."""
    torch.manual_seed(seed)
    conditioner = ClassifierConditioner(DIM, ears, **options)
    with torch.no_grad():
        for parameter in (*conditioner.norm.parameters(), *conditioner.activation.parameters()):
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return conditioner.eval()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def hear(conditioner, value, lengths=None):
    lengths = [value.shape[2]] * len(value) if lengths is None else lengths
    return conditioner(value, torch.tensor(lengths))


def heard_by(ears, value):
    """(B, S, F, J), each signal by itself."""
    with torch.no_grad():
        logits = [[ears.network(signal[None])[0] for signal in signals] for signals in value]
    return np.array([[one.double().numpy() for one in row] for row in logits])


def mapped(conditioner, x):
    """1x1 convolution and global layer norm of x (B, F, C): (B, F, D), in float64."""
    weights = {n: p.detach().double().numpy() for n, p in conditioner.named_parameters()}
    y = x @ weights["linear.weight"][..., 0].T + weights["linear.bias"]
    mean, variance = y.mean(axis=(1, 2), keepdims=True), y.var(axis=(1, 2), keepdims=True)
    return (y - mean) / np.sqrt(variance + 1e-8) * weights["norm.weight"] + weights["norm.bias"]


def activated(conditioner, logits):
    if not list(conditioner.activation.parameters()):
        return expit(logits)
    a, b, x0 = (p.item() for p in conditioner.activation.parameters())
    return a / (1 + np.exp(b * (x0 - logits)))


@pytest.mark.parametrize("activation", ["sigmoid", "trainable"])
@pytest.mark.parametrize("hears, number", [(["mixture"], 1), (ALL, 4), (["sources"], 3)])
def test_the_probabilities_of_all_signals_side_by_side(ears, hears, number, activation):
    conditioner = make(ears, hears=hears, activation=activation, num_outputs=3)
    value = noise(2, number, 810)
    found = hear(conditioner, value)
    assert found.timed and found.embedding.shape == (2, 11, DIM) and found.mask.all()
    x = activated(conditioner, heard_by(ears, value)).transpose(0, 2, 1, 3).reshape(2, 11, -1)
    expected = mapped(conditioner, x)
    np.testing.assert_allclose(found.embedding.detach(), expected, rtol=1e-4, atol=1e-5)


def test_raw_logits(ears):
    conditioner, value = make(ears, activation="none"), noise(2, 1, 800)
    expected = mapped(conditioner, heard_by(ears, value)[:, 0])
    np.testing.assert_allclose(
        hear(conditioner, value).embedding.detach(), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("hears", [["sources"], ALL])
def test_the_soft_or_of_several_signals(ears, hears):
    conditioner = make(ears, hears=hears, combine="soft_or")
    value = noise(2, 2 if hears == ["sources"] else 3, 800)
    either = 1 - (1 - expit(heard_by(ears, value))).prod(axis=1)
    np.testing.assert_allclose(
        hear(conditioner, value).embedding.detach(),
        mapped(conditioner, either),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize("activation", ["sigmoid", "trainable", "none"])
def test_the_mean_over_time_is_one_vector(ears, activation):
    conditioner = make(ears, average=True, hears=ALL, activation=activation)
    value = noise(2, 3, 800)
    found = hear(conditioner, value, [800, 400])
    assert conditioner.gives == "vector" and not found.timed
    assert found.embedding.shape == (2, 1, DIM) and found.mask.all()
    likely = expit(heard_by(ears, value))
    means = np.stack([likely[0].mean(axis=1), likely[1, :, :5].mean(axis=1)])  # (B, S, J)
    x = logit(means)
    if activation != "none":
        x = activated(conditioner, x)
    expected = mapped(conditioner, x.reshape(2, 1, -1))
    np.testing.assert_allclose(found.embedding.detach(), expected, rtol=1e-4, atol=1e-5)


def test_padding_is_not_real(ears):
    found = hear(make(ears), noise(3, 1, 800), [800, 721, 80])
    assert found.mask.sum(dim=1).tolist() == [10, 10, 1]


def test_signals_are_heard_at_the_gain_at_which_they_come(ears):
    """A nearly silent estimate must not sound like a loud one."""
    conditioner = make(ears, hears=ALL)
    value = noise(1, 3, 800)
    quiet = value * torch.tensor([1.0, 1.0, 1e-3]).reshape(1, 3, 1)
    loud, soft = (hear(conditioner, one).logits["estimates"] for one in (value, quiet))
    assert torch.equal(loud[:, 0], soft[:, 0])
    silent = heard_by(ears, torch.zeros(1, 1, 800))
    np.testing.assert_allclose(soft[:, 1].numpy(), silent[:, 0], atol=0.05)
    assert np.abs(loud[:, 1].numpy() - silent[:, 0]).max() > 0.2


def test_a_mixture_of_a_batch_is_heard_as_if_it_were_alone(ears):
    conditioner, value = make(ears, hears=ALL, combine="soft_or"), noise(3, 3, 800)
    both = hear(conditioner, value)
    for row in range(3):
        alone = hear(conditioner, value[row : row + 1])
        torch.testing.assert_close(both.embedding[row], alone.embedding[0])


@pytest.mark.parametrize("combine", ["all", "soft_or"])
def test_sources_that_a_mixture_does_not_have_are_silent(ears, combine):
    conditioner = make(ears, hears=["mixture", "sources"], combine=combine, num_outputs=3)
    value = noise(2, 3, 800)  # mixture and two sources
    silence = torch.cat([value, torch.zeros(2, 1, 800)], dim=1)
    found, expected = hear(conditioner, value), hear(conditioner, silence)
    assert torch.equal(found.embedding, expected.embedding)
    if combine == "soft_or":
        two = make(ears, hears=["mixture", "sources"], combine=combine)
        assert torch.equal(found.embedding, hear(two, value).embedding)
    with pytest.raises(TSXError, match="at most 3 sources, one for each output .*, found 4"):
        hear(conditioner, noise(2, 5, 800))


def test_a_single_source_and_silence(ears):
    """The soft-OR of one source is that source, and of nothing at all still a number."""
    conditioner = make(ears, hears=["sources"], combine="soft_or", num_outputs=4)
    one = noise(1, 1, 800)
    expected = mapped(conditioner, expit(heard_by(ears, one)[:, 0]))
    found = hear(conditioner, one).embedding.detach()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    nothing = torch.zeros(1, 4, 800, requires_grad=True)
    found = hear(conditioner, nothing).embedding
    (gradient,) = torch.autograd.grad(found[..., 0].sum(), nothing)
    assert found.isfinite().all() and gradient.isfinite().all()


def test_the_order_of_hears_is_that_of_the_signals(ears):
    first, second = (make(ears, hears=hears) for hears in (ALL, ALL[::-1]))
    assert first.hears == second.hears == ("mixture", "estimates")


def test_another_rate_is_resampled_to_that_of_the_classifier(ears):
    conditioner, value = make(ears, fs=16000), noise(2, 1, 1600)
    low = resample(value, 16000, 8000)
    expected = mapped(conditioner, expit(heard_by(ears, low)[:, 0]))
    found = hear(conditioner, value).embedding.detach()
    assert found.shape == (2, 10, DIM)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_logits_come_along_by_signal_and_row(ears):
    conditioner, value = make(ears, hears=ALL), noise(3, 3, 800)
    found = hear(conditioner, value)
    expected = torch.from_numpy(heard_by(ears, value)).float()
    torch.testing.assert_close(found.logits["mixture"], expected[:, :1])
    torch.testing.assert_close(found.logits["estimates"], expected[:, 1:])
    rows = torch.tensor([2, 0])
    for name, logits in found.select(rows).logits.items():
        assert torch.equal(logits, found.logits[name][rows])
    assert found.padded(10).logits is found.logits


def test_under_automatic_mixed_precision_the_logits_keep_theirs(ears):
    conditioner, value = make(ears, hears=ALL, combine="soft_or"), 3 * noise(2, 3, 800)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = hear(conditioner, value)
    expected = hear(conditioner, value)
    for name, logits in found.logits.items():
        assert logits.dtype == torch.float32 and torch.equal(logits, expected.logits[name])
    torch.testing.assert_close(found.embedding.float(), expected.embedding, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("combine", ["all", "soft_or"])
def test_gradients_reach_what_is_trained_and_the_signals(ears, combine, average):
    conditioner = make(
        ears, hears=ALL, combine=combine, activation="trainable", num_trainable=2, average=average
    )
    value = noise(2, 3, 800).requires_grad_()
    weights = noise(*hear(conditioner, value).embedding.shape, seed=1)
    (hear(conditioner, value).embedding * weights).sum().backward()
    assert value.grad.flatten(2).any(dim=2).all()
    names = {name.split("/")[0] for name, p in conditioner.named_parameters() if p.grad.any()}
    assert {"classifier.last", "classifier.second", "linear.weight", "activation.beta"} <= names


def test_a_trained_copy_is_its_own(ears):
    plain, tuned, other = (make(ears, num_trainable=number) for number in (0, 1, 1))
    assert plain.classifier is ears and not list(plain.classifier.parameters())
    value = noise(2, 1, 800)
    with torch.no_grad():
        tuned.classifier.get_parameter("last/weight").neg_()
    found = [hear(one, value).logits["mixture"] for one in (plain, tuned, other)]
    assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"hears": "mixture"}, "hears: expected some of .'mixture', 'estimates', 'sources'.*found"),
        ({"hears": []}, "hears: expected some of"),
        ({"hears": ["mixtures"]}, "hears: expected some of .* found .'mixtures'"),
        ({"combine": "or"}, "combine: expected one of all, soft_or, found 'or'"),
        ({"activation": "relu"}, "activation: expected one of sigmoid, trainable, none, found"),
        ({"num_trainable": 5}, "num_trainable: expected 0 to 4, found 5"),
    ],
)
def test_wrong_options_are_refused(ears, options, message):
    with pytest.raises(ValueError, match=message):
        ClassifierConditioner(DIM, ears, **options)


def test_a_network_that_is_no_classifier_is_refused():
    with pytest.raises(ValueError, match="pretrained: expected a classifier of sounds, found Abs"):
        ClassifierConditioner(DIM, Frozen(AbsPretrained()))

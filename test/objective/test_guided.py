"""Guidance of classifiers, computed by hand: their "logits" are the samples of the sounds."""

import numpy as np
import pytest
import torch
from espnet2.enh.loss.criterions.time_domain import TimeDomainMSE
from scipy.special import expit, logit, xlogy

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.objective.guided import GuidedObjective
from tsx_espnet.objective.references import References
from tsx_espnet.objective.single import PITObjective
from tsx_espnet.pretrained.classifier import AbsClassifier
from tsx_espnet.pretrained.frozen import Frozen

# two mixtures of unit RMS, (B, S, T)
SOURCES = torch.tensor(
    [
        [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]],
        [[2.0, -1.0, 0.5, 0.5], [-1.0, 2.0, 0.5, -1.5]],
    ]
)
DISTANCE = Distance([(1.0, TimeDomainMSE())])


class Samples(AbsClassifier):
    """Two classes, whose logits are the two samples of a frame."""

    labels = ("first", "second")
    hop = 2
    fs = 8000

    def __init__(self):
        super().__init__()
        self.unit = torch.nn.Parameter(torch.ones(()))

    def forward(self, waveform, fs=None):
        return self.unit * self.heard(waveform, fs).unflatten(1, (-1, 2))


def logits_of(signals):
    """(B, S, T) -> (B, S, F, J)"""
    return signals.unflatten(2, (-1, 2))


def either_of(signals):
    """The logits of "one of the sources", (B, 1, F, J)."""
    miss = expit(-logits_of(signals).double().numpy()).prod(axis=1, keepdims=True)
    return torch.from_numpy(-logit(miss)).float()


def cross_entropy(target, found):
    """``-p log2 q - (1 - p) log2 (1 - q)``: (..., F, J) -> (...)."""
    p, q = (expit(one.detach().double().numpy()) for one in (target, found))
    bits = -(xlogy(p, q) + xlogy(1 - p, 1 - q)) / np.log(2)
    return bits.mean(axis=(-2, -1))


def condition(size=2, **logits):
    embedding, mask = torch.zeros(size, 2, 1), torch.ones(size, 2).bool()
    return ConditionEmbedding(embedding, mask, True, logits)


def run(passes, sources=SOURCES, lengths=None, weight=1.0, training=True):
    """Loss and statistics of passes, [(outputs, logits of each signal)]."""
    objective = GuidedObjective((UNCONDITIONAL,), Frozen(Samples()), weight).train(training)
    first, *later = [(outputs, condition(**logits)) for outputs, logits in passes]

    def separate(tried, rows):
        assert tried.logits is None
        found = [(first[0][rows], tried)]
        return found + [(outputs[rows], heard.select(rows)) for outputs, heard in later]

    references = References.of(sources, sources.sum(dim=1))._replace(lengths=lengths)
    return objective(separate, {UNCONDITIONAL: first[1]}, references, DISTANCE)


def unguided(passes, training=True, sources=SOURCES):
    """The loss without guidance."""
    return PITObjective((UNCONDITIONAL,)).train(training)(
        lambda tried, rows: [(outputs[rows], tried) for outputs, _ in passes],
        {UNCONDITIONAL: condition()},
        References.of(sources, sources.sum(dim=1)),
        DISTANCE,
    )[0]


def passes(mixture1, mixture2, estimates, swapped=(False, True)):
    """Two passes whose first gives the sources, in some mixtures in the other order, and noise."""
    order = torch.tensor(swapped)[:, None, None]
    outputs = torch.where(order, SOURCES.flip(1), SOURCES) + 0.01
    return [
        (outputs, {"mixture": mixture1}),
        (outputs.flip(1), {"mixture": mixture2, "estimates": estimates}),
    ]


def test_of_a_classifier_that_knows_nothing_each_term_is_one_bit():
    nothing = torch.zeros(2, 1, 2, 2)
    both = torch.zeros(2, 2, 2, 2)
    for found, bits in (
        (passes(nothing, nothing, both), 3.0),
        (passes(nothing, nothing, both)[:1], 1.0),
    ):
        _, stats = run(found)
        assert stats["guidance"].item() == pytest.approx(bits, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_terms_of_both_passes_by_hand(training):
    generator = torch.Generator().manual_seed(0)
    mixture1, mixture2 = torch.randn(2, 2, 1, 2, 2, generator=generator)
    estimates = torch.randn(2, 2, 2, 2, generator=generator)
    found = passes(mixture1, mixture2, estimates)
    loss, stats = run(found, weight=3.0, training=training)
    either = either_of(SOURCES)
    expected = cross_entropy(either, mixture1)[:, 0] + cross_entropy(either, mixture2)[:, 0]
    # estimates of the second mixture are in the other order, whatever that of the second pass
    own = torch.stack([estimates[0], estimates[1].flip(0)])
    expected = expected + cross_entropy(logits_of(SOURCES), own).mean(axis=1)
    assert stats["guidance"].item() == pytest.approx(expected.mean(), rel=1e-5)
    plain = unguided(found, training)
    assert loss.item() == pytest.approx(plain.item() + 3 * expected.mean(), rel=1e-5)
    assert stats[f"loss_{UNCONDITIONAL}"].item() == pytest.approx(plain.item(), rel=1e-5)


def test_at_the_target_the_gradient_is_zero_and_the_targets_get_none():
    own = logits_of(torch.stack([SOURCES[0], SOURCES[1].flip(0)]))
    targets = [either_of(SOURCES), either_of(SOURCES), own]
    logits = [one.clone().requires_grad_() for one in targets]
    sources = SOURCES.clone().requires_grad_()
    loss, stats = run(passes(*logits), sources=sources)
    entropy = sum(cross_entropy(one, one).mean(axis=1) for one in targets).mean()
    assert stats["guidance"].item() == pytest.approx(entropy, rel=1e-5)
    *gradients, of_sources = torch.autograd.grad(loss, [*logits, sources])
    for gradient in gradients:
        assert gradient.abs().max() < 1e-7
    (expected,) = torch.autograd.grad(unguided(passes(*logits), sources=sources), sources)
    assert torch.equal(of_sources, expected)


def test_the_gradient_is_the_difference_of_probabilities():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 1, 2, 2, generator=generator).requires_grad_()
    loss, _ = run([(SOURCES.clone(), {"mixture": logits})], weight=2.0)
    (found,) = torch.autograd.grad(loss, logits)
    excess = logits.detach().sigmoid() - either_of(SOURCES).sigmoid()
    torch.testing.assert_close(found, 2.0 * excess / (np.log(2) * 4 * 2), atol=1e-7, rtol=1e-4)


def test_what_is_not_there_is_no_target():
    """A mixture of two sources and silence, for three outputs."""
    sources = torch.cat([SOURCES, torch.zeros(2, 1, 4)], dim=1)
    outputs = sources.flip(1) + 0.01
    estimates = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    mixture = torch.zeros(2, 1, 2, 2)
    second = {"mixture": mixture, "estimates": estimates}
    _, stats = run([(outputs, {"mixture": mixture}), (outputs, second)], sources=sources)
    own = estimates.flip(1)[:, :2]
    expected = 2.0 + cross_entropy(logits_of(SOURCES), own).mean()
    assert stats["guidance"].item() == pytest.approx(expected, rel=1e-5)


def test_the_sources_are_heard_at_the_level_of_the_passes_and_padding_is_not():
    """The second mixture is half as long; both are quieter than what the passes hear."""
    sources = SOURCES.clone()
    sources[1, :, 2:] = 0
    level = sources[1].sum(dim=0)[:2].square().mean().sqrt()
    logits = torch.randn(2, 1, 2, 2, generator=torch.Generator().manual_seed(3))
    outputs, lengths = 0.1 * sources, torch.tensor([4, 2])
    _, stats = run([(outputs, {"mixture": logits})], sources=0.1 * sources, lengths=lengths)
    first = cross_entropy(either_of(sources[:1]), logits[:1])
    second = cross_entropy(either_of(sources[1:] / level)[:, :, :1], logits[1:, :, :1])
    assert stats["guidance"].item() == pytest.approx((first + second).item() / 2, rel=1e-5)


@pytest.mark.parametrize(
    "conditions, options, message",
    [
        ((UNCONDITIONAL, "text"), {}, "expected unconditional alone, found unconditional, text"),
        (("text",), {}, "condition: expected one of text, found 'unconditional'"),
        ((UNCONDITIONAL,), {"weight": 0}, "weight: expected a number above 0, found 0"),
    ],
)
def test_wrong_options_are_refused(conditions, options, message):
    with pytest.raises(ValueError, match=message):
        GuidedObjective(conditions, Frozen(Samples()), **options)

"""Eq. 6 on one mixture of two sources, by hand: value and gradient of each of its three terms."""

import pytest
import torch
from espnet2.enh.loss.criterions.time_domain import TimeDomainMSE

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.objective.oct import OCTPlusPlusObjective
from tsx_espnet.objective.references import References

TARGET, OTHER = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
NAMES = ("energy", "text")
DISTANCE = Distance([(2.0, TimeDomainMSE())])  # the sum over two samples
REFERENCES = References.of(torch.stack([TARGET, OTHER], dim=1), TARGET + OTHER)


def separate(condition, rows):
    """The refined condition itself is the target; the rest of the mixture is the other."""
    target = condition.vector()
    return [(torch.stack([target, (TARGET + OTHER)[rows] - target], dim=1), condition)]


def loss_of(text, energy, applicable=(True, True), **options):
    objective = OCTPlusPlusObjective(NAMES, condition="text", **options)
    conditions = {
        name: ConditionEmbedding(vector[None, None], torch.tensor([[is_applicable]]))
        for name, vector, is_applicable in zip(NAMES, (energy, text), applicable)
    }
    return objective(separate, conditions, REFERENCES, DISTANCE)[0]


def vectors():
    text = torch.tensor([0.0, 1.0], requires_grad=True)  # r(x, c)
    energy = torch.tensor([2.0, 0.5], requires_grad=True)  # r(x, c*), nearer to the target
    return text, energy


def gradients(loss, *parameters):
    loss.backward()
    return [torch.zeros(2) if p.grad is None else p.grad for p in parameters]


def test_value():
    # the error of the target is that of the other: D(c) = 2 (2² + 1²), D(c*) = 2 · 0.5²
    loss = loss_of(*vectors())
    assert loss.item() == pytest.approx(10 + 0.5 + (2**2 + 0.5**2))


def test_gradients_of_the_three_terms():
    text, energy = vectors()
    found = gradients(loss_of(text, energy), text, energy)
    target = TARGET[0]
    pull = 2 * (text - energy)
    torch.testing.assert_close(found[0], 4 * (text - target) + pull)
    torch.testing.assert_close(found[1], 4 * (energy - target) - pull)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_weight_of_the_pull(weight):
    assert loss_of(*vectors(), consistency_weight=weight).item() == pytest.approx(
        10.5 + weight * 4.25
    )


@pytest.mark.parametrize("stopped", ["best", "wanted"])
def test_stop_gradient(stopped):
    text, energy = vectors()
    found = gradients(loss_of(text, energy, stop_gradient=stopped), text, energy)
    pull = 2 * (text - energy)
    target = TARGET[0]
    expected = [4 * (text - target), 4 * (energy - target)]
    if stopped == "best":
        expected[0] = expected[0] + pull
    else:
        expected[1] = expected[1] - pull
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other)


def test_no_pull_where_the_wanted_condition_is_not_applicable():
    text, energy = vectors()
    assert loss_of(text, energy, applicable=(True, False)).item() == pytest.approx(0.5)


def test_no_pull_where_the_wanted_condition_is_the_best():
    text, energy = vectors()
    assert loss_of(energy, text).item() == pytest.approx(0.5 + 0.5)


def test_unknown_option():
    with pytest.raises(ValueError, match="stop_gradient: expected one of .* found 'both'"):
        OCTPlusPlusObjective(NAMES, stop_gradient="both")


@pytest.mark.parametrize("pull, expected", [("sum", 4.25), ("mean", 4.25 / 2), ("none", 0.0)])
def test_the_pull_over_the_dimensions(pull, expected):
    text, energy = vectors()
    loss = loss_of(text, energy, pull=pull)
    assert loss.item() == pytest.approx(10.5 + expected)
    found, target = gradients(loss, text, energy), TARGET[0]
    slope = expected / 4.25 * 2 * (text - energy)
    torch.testing.assert_close(found[0], 4 * (text - target) + slope)
    torch.testing.assert_close(found[1], 4 * (energy - target) - slope)


def test_unknown_pull():
    with pytest.raises(ValueError, match="pull: expected one of sum, mean, none, found 'max'"):
        OCTPlusPlusObjective(NAMES, pull="max")

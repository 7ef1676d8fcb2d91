"""Eq. 5 on two mixtures by hand, and what is tried and back-propagated."""

import pytest
import torch
from espnet2.enh.loss.criterions.time_domain import TimeDomainMSE

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.objective.mixed import MixedObjective
from tsx_espnet.objective.references import References

NAMES = ("enrollment", "class")
TARGET, OTHER = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
LOSSES = {
    "enrollment": [1.0, None, 3.0, None],
    "energy": [7.0, 7.0, 7.0, 7.0],
    "class": [2.0, 4.0, None, None],
}
DISTANCE = Distance([(2.0, TimeDomainMSE())])  # the sum over two samples
REFERENCES = References.of(torch.stack([TARGET, OTHER], dim=1), TARGET + OTHER)


def separate(condition, rows):
    """The embedding itself is the target; the rest of the mixture is the other."""
    target = condition.vector()
    return [(torch.stack([target, (TARGET + OTHER)[rows] - target], dim=1), condition)]


class Example:
    """The second mixture has no enrollment; ``cos(e¹, e²)`` of the first is 24 / 25."""

    def __init__(self):
        self.enrollment = torch.tensor([[3.0, 4.0], [9.0, 9.0]], requires_grad=True)
        self.label = torch.tensor([[4.0, 3.0], [1.0, 2.0]], requires_grad=True)

    def loss(self, training=True, **options):
        masks = torch.tensor([[True], [False]]), torch.tensor([[True], [True]])
        conditions = {
            name: ConditionEmbedding(vectors.unsqueeze(1), mask)
            for name, vectors, mask in zip(NAMES, (self.enrollment, self.label), masks)
        }
        objective = MixedObjective(NAMES, **options).train(training)
        return objective(separate, conditions, REFERENCES, DISTANCE)


# squared errors: (1² + 4²) and (2² + 3²) in the first mixture, (1² + 1²) in the second
EXTRACTION = (17 + 13 + 2) / 2
PULL = (1 - 24 / 25) / 2


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
def test_value(alpha, training):
    loss, stats = Example().loss(training, alpha=alpha)
    assert loss.item() == pytest.approx(EXTRACTION + alpha * PULL, rel=1e-5)
    assert stats["embedding_distance"].item() == pytest.approx(0.04, rel=1e-4)
    assert stats["loss_enrollment"].item() == pytest.approx(17)
    assert stats["loss_class"].item() == pytest.approx((13 + 2) / 2)


def test_alpha_of_the_paper_is_the_default():
    assert Example().loss()[0].item() == pytest.approx(EXTRACTION + 3 * PULL, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_gradients(alpha):
    example = Example()
    example.loss(alpha=alpha)[0].backward()
    # of cos(a, b) in a: b / |a||b| - cos(a, b) a / |a|²; all lengths are 5
    towards_label = torch.tensor([4.0, 3.0]) / 25 - 24 / 25 * torch.tensor([3.0, 4.0]) / 25
    towards_enrollment = torch.tensor([3.0, 4.0]) / 25 - 24 / 25 * torch.tensor([4.0, 3.0]) / 25
    expected = torch.tensor([2 * 1.0, 2 * 4.0]) - alpha * towards_label
    torch.testing.assert_close(example.enrollment.grad[0], expected / 2)
    assert example.enrollment.grad[1].tolist() == [0.0, 0.0]
    expected = torch.tensor([2 * 2.0, 2 * 3.0]) - alpha * towards_enrollment
    torch.testing.assert_close(example.label.grad[0], expected / 2)
    torch.testing.assert_close(example.label.grad[1], torch.tensor([2 * 1.0, 2 * 1.0]) / 2)


def test_a_step_along_the_pull_alone_brings_the_embeddings_together():
    example = Example()
    loss, stats = example.loss(alpha=1e6)
    loss.backward()
    with torch.no_grad():
        for vectors in (example.enrollment, example.label):
            vectors -= 1e-6 * vectors.grad
    assert example.loss()[1]["embedding_distance"] < stats["embedding_distance"]


def test_the_rest_counts_if_it_is_asked_for():
    # the error of the rest is that of the target
    found = Example().loss(alpha=0.0, other_weight=0.5)[0].item()
    assert found == pytest.approx(1.5 * EXTRACTION, rel=1e-5)


def test_what_is_tried_and_what_learns(make_table):
    """Both paths as one batch, no other condition; the target alone."""
    table = make_table(LOSSES)
    loss, stats = table.evaluate(MixedObjective(tuple(LOSSES), alpha=0.0))
    pairs = [("enrollment", 0), ("enrollment", 2), ("class", 0), ("class", 1)]
    assert table.calls == [(*pair, True) for pair in pairs]
    # three mixtures have something to learn from; 3/4 of each loss are the target's
    assert loss.item() == pytest.approx(0.75 * (1 + 3 + 2 + 4) / 3, rel=1e-5)
    gradients = table.gradients(loss)
    assert set(gradients) == set(pairs)
    for pair in pairs:
        target, _ = table.expected_gradient(*pair, 1 / 3).expected
        assert gradients[pair] == pytest.approx([target, 0.0], rel=1e-5)
    assert stats["loss_energy"].isnan()


def test_validation_shows_every_condition(make_table):
    table = make_table(LOSSES)
    with torch.no_grad():
        loss, stats = table.evaluate(MixedObjective(tuple(LOSSES), alpha=0.0).eval())
    assert loss.item() == pytest.approx(0.75 * 10 / 3, rel=1e-5)
    assert stats["loss_energy"].item() == pytest.approx(0.75 * 7, rel=1e-5)


@pytest.mark.parametrize("only", NAMES)
def test_one_path_alone(make_table, only):
    losses = {name: [2.0, 3.0] if name == only else [None, None] for name in NAMES}
    table = make_table(losses)
    loss, stats = table.evaluate(MixedObjective(NAMES))
    assert loss.item() == pytest.approx(0.75 * 2.5, rel=1e-5)
    assert stats["embedding_distance"].isnan()
    assert {name for name, _, _ in table.calls} == {only}


@pytest.mark.parametrize("mode", [True, False])
def test_nothing_to_learn(make_table, mode):
    table = make_table({name: [None, None] for name in NAMES})
    loss, _ = table.evaluate(MixedObjective(NAMES).train(mode))
    loss /= 2
    loss.backward()
    assert loss.item() == 0 and table.calls == []


@pytest.mark.parametrize("vector", [[0.0, 0.0], [1e-30, 0.0], [1e20, 0.0]])
def test_the_pull_is_finite_at_any_length(vector):
    example = Example()
    with torch.no_grad():
        example.enrollment[0] = torch.tensor(vector)
    loss = example.loss(alpha=1.0)[0]
    loss.backward()
    assert example.enrollment.grad.isfinite().all() and example.label.grad.isfinite().all()
    assert example.label.grad.abs().max() < 1e5


@pytest.mark.parametrize(
    "options, message",
    [
        ({"paths": ["class"]}, r"^paths: expected two conditions, found \['class'\]"),
        ({"paths": ["class", "class"]}, "paths: expected two conditions"),
        ({"paths": "class"}, "paths: expected two conditions, found 'class'"),
        ({"paths": ["class", "text"]}, "^paths: .*enrollment, class.* 'text'"),
        ({"alpha": -1}, "^alpha: expected >= 0, found -1"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        MixedObjective(NAMES, **options)

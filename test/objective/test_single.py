import pytest
import torch

from tsx_espnet.objective.single import SingleObjective

NAMES = ("energy", "order", "text")


@pytest.mark.parametrize(
    "condition, rows, expected", [("text", (0, 1, 2, 3), 18 / 4), ("order", (0, 1, 2), 12 / 3)]
)
def test_one_condition_alone(table, condition, rows, expected):
    loss, found = table.evaluate(SingleObjective(NAMES, condition))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert table.calls == [(condition, row, True) for row in rows]
    gradients = table.gradients(loss)
    assert set(gradients) == {(condition, row) for row in rows}
    for row in rows:
        assert gradients[condition, row] == table.expected_gradient(condition, row, 1 / len(rows))
    assert found[f"loss_{condition}"].item() == pytest.approx(expected, rel=1e-5)
    assert found["loss_energy"].isnan() and found[f"best_{condition}"].isnan()


def test_the_target_alone(table):
    """SoundBeam with one path, Eq. 6; 3/4 of each loss are the target's."""
    loss, found = table.evaluate(SingleObjective(NAMES, "order", other_weight=0.0))
    assert loss.item() == pytest.approx(0.75 * 12 / 3, rel=1e-5)
    gradients = table.gradients(loss)
    assert all(target and not other for target, other in gradients.values())


def test_validation_shows_every_condition(table):
    with torch.no_grad():
        loss, found = table.evaluate(SingleObjective(NAMES, "order").eval())
    assert loss.item() == pytest.approx(4.0, rel=1e-5)
    assert len(table.calls) == 10
    assert found["loss_text"].item() == pytest.approx(4.5, rel=1e-5)


@pytest.mark.parametrize("mode", [True, False])
def test_not_applicable_anywhere(make_table, mode):
    table = make_table({"energy": [1.0, 2.0], "text": [None, None]})
    loss, _ = table.evaluate(SingleObjective(("energy", "text")).train(mode))
    assert loss.item() == 0
    loss.backward()
    assert len(table.calls) == (0 if mode else 2)


def test_a_condition_the_model_does_not_have_is_named():
    with pytest.raises(ValueError, match="^condition: expected one of energy, found 'text'"):
        SingleObjective(("energy",))

import collections

import pytest
import torch
from scipy import stats

from tsx_espnet.objective.hct import HCTObjective

NAMES = ("energy", "order", "text")


@pytest.mark.parametrize(
    "prior, weights",
    [
        (None, {"energy": 1, "order": 1, "text": 1}),
        ({"energy": 0.1, "order": 0.3, "text": 0.6}, {"energy": 1, "order": 3, "text": 6}),
        ({"order": 2, "text": 5}, {"energy": 0, "order": 2, "text": 5}),
    ],
)
def test_conditions_are_drawn_by_the_prior_over_those_that_apply(make_table, prior, weights):
    size = 2000
    table = make_table(
        {
            "energy": [1.0] * size + [None] * size,
            "order": [2.0] * size + [2.0] * size,
            "text": [3.0] * size + [3.0] * size,
        }
    )
    torch.manual_seed(0)
    table.evaluate(HCTObjective(NAMES, prior))
    assert len(table.calls) == 2 * size and all(gradient for *_, gradient in table.calls)
    assert sorted(row for _, row, _ in table.calls) == list(range(2 * size))
    for half in (0, 1):
        drawn = collections.Counter(name for name, row, _ in table.calls if row // size == half)
        allowed = {n: w for n, w in weights.items() if w and not (half == 1 and n == "energy")}
        assert set(drawn) == set(allowed)
        expected = [size * weight / sum(allowed.values()) for weight in allowed.values()]
        assert stats.chisquare([drawn[name] for name in allowed], expected).pvalue > 1e-3


def test_loss_and_gradient_are_of_what_was_drawn(table):
    torch.manual_seed(1)
    losses = {("energy", 0): 1, ("energy", 1): 5, ("energy", 4): 4, ("order", 0): 2}
    losses.update({("order", 1): 3, ("order", 2): 7})
    losses.update({("text", 0): 3, ("text", 1): 1, ("text", 2): 8, ("text", 3): 6})
    loss, found = table.evaluate(HCTObjective(NAMES))
    drawn = [(name, row) for name, row, _ in table.calls]
    assert [row for _, row in sorted(drawn, key=lambda pair: pair[1])] == [0, 1, 2, 3, 4]
    assert loss.item() == pytest.approx(sum(losses[pair] for pair in drawn) / 5, rel=1e-5)
    gradients = table.gradients(loss)
    assert set(gradients) == set(drawn)
    for name, row in drawn:
        assert gradients[name, row] == table.expected_gradient(name, row, 1 / 5)
    for name in NAMES:
        mine = [losses[pair] for pair in drawn if pair[0] == name]
        if mine:
            assert found[f"loss_{name}"].item() == pytest.approx(sum(mine) / len(mine), rel=1e-5)
        assert found[f"best_{name}"].isnan()


def test_mixtures_that_only_conditions_without_weight_fit_are_passed_over(table):
    """Mixture 3 has a text alone, mixture 4 an energy alone."""
    table.evaluate(HCTObjective(NAMES, {"energy": 1, "order": 1}))
    assert sorted(row for _, row, _ in table.calls) == [0, 1, 2, 4]


def test_validation_is_the_expected_loss(table):
    objective = HCTObjective(NAMES, {"energy": 1, "order": 1, "text": 2}).eval()
    with torch.no_grad():
        loss, found = table.evaluate(objective)
    rows = [(1 + 2 + 2 * 3) / 4, (5 + 3 + 2 * 1) / 4, (7 + 2 * 8) / 3, 6, 4]
    assert loss.item() == pytest.approx(sum(rows) / 5, rel=1e-5)
    assert len(table.calls) == 10
    assert found["loss_energy"].item() == pytest.approx(10 / 3, rel=1e-5)


@pytest.mark.parametrize("mode", [True, False])
def test_a_batch_without_anything_to_ask_by(make_table, mode):
    empty = make_table({"energy": [None], "text": [None]})
    loss, found = empty.evaluate(HCTObjective(("energy", "text")).train(mode))
    assert loss.item() == 0 and not empty.calls
    loss.backward()
    kinds = ("loss", "si_sdr", "best")
    assert set(found) == {f"{kind}_{name}" for kind in kinds for name in ("energy", "text")}


def test_bad_options_are_named():
    with pytest.raises(ValueError, match=r"^prior: expected one of energy, found 'text'"):
        HCTObjective(("energy",), {"text": 1.0})
    with pytest.raises(ValueError, match="^prior energy: expected >= 0, found nan"):
        HCTObjective(("energy",), {"energy": float("nan")})

"""Eq. 4 on losses chosen by hand: the loss, what is tried how often, and what learns."""

import collections
import math

import pytest
import torch
from scipy import stats

from tsx_espnet.objective.hct import HCTObjective
from tsx_espnet.objective.oct import OCTObjective

NAMES = ("energy", "order", "text")
BEST = {0: "energy", 1: "text", 2: "order", 3: "text", 4: "energy"}
BEST_LOSS = (1 + 1 + 7 + 6 + 4) / 5
TEXT_LOSS = (3 + 1 + 8 + 6) / 4


def counts(calls):
    return collections.Counter(calls)


def test_loss_is_the_best_conditions_and_the_texts(table):
    loss, _ = table.evaluate(OCTObjective(NAMES))
    assert loss.item() == pytest.approx(BEST_LOSS + TEXT_LOSS, rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_weight_of_the_condition_of_interest(table, weight):
    loss, _ = table.evaluate(OCTObjective(NAMES, condition_weight=weight))
    assert loss.item() == pytest.approx(BEST_LOSS + weight * TEXT_LOSS, rel=1e-5)


def test_what_is_tried(table):
    """Every candidate once; the best again with gradient, unless it is the text itself."""
    table.evaluate(OCTObjective(NAMES))
    expected = {("energy", r, False): 1 for r in (0, 1, 4)}
    expected.update({("order", r, False): 1 for r in (0, 1, 2)})
    expected.update({("text", r, True): 1 for r in (0, 1, 2, 3)})
    expected.update({("energy", 0, True): 1, ("order", 2, True): 1, ("energy", 4, True): 1})
    assert counts(table.calls) == expected


def test_only_best_and_text_learn(table):
    loss, _ = table.evaluate(OCTObjective(NAMES, condition_weight=0.5))
    found = table.gradients(loss)
    weights = {(name, row): 1 / 5 for row, name in BEST.items()}
    for row in range(4):
        weights["text", row] = weights.get(("text", row), 0) + 0.5 / 4
    assert set(found) == set(weights)
    for (name, row), weight in weights.items():
        assert found[name, row] == table.expected_gradient(name, row, weight)


def test_without_the_texts_weight_only_the_best_learns(table):
    loss, _ = table.evaluate(OCTObjective(NAMES, condition_weight=0))
    assert set(table.gradients(loss)) == {(name, row) for row, name in BEST.items()}


def test_another_condition_of_interest(table):
    loss, _ = table.evaluate(OCTObjective(NAMES, condition="order"))
    assert loss.item() == pytest.approx(BEST_LOSS + (2 + 3 + 7) / 3, rel=1e-5)
    assert counts(table.calls)["text", 1, True] == counts(table.calls)["text", 1, False] == 1


def test_candidates(table):
    """The text is tried for its own sake, and is never the best."""
    loss, found = table.evaluate(OCTObjective(NAMES, candidates=["energy", "order"]))
    assert loss.item() == pytest.approx((1 + 3 + 7 + 4) / 4 + TEXT_LOSS, rel=1e-5)
    assert found["best_text"] == 0
    loss, found = table.evaluate(OCTObjective(NAMES, candidates=["text"]))
    assert loss.item() == pytest.approx(2 * TEXT_LOSS, rel=1e-5)
    assert set(counts(table.calls)) == {("text", row, True) for row in range(4)}
    assert found["loss_energy"].isnan() and found["best_text"] == 1


def test_statistics(table):
    """Mean loss and SI-SDR of all that was tried, and the share of mixtures each was best in."""
    _, found = table.evaluate(OCTObjective(NAMES))
    expected = {
        "loss_energy": (1 + 5 + 4) / 3,
        "loss_order": (2 + 3 + 7) / 3,
        "loss_text": TEXT_LOSS,
        "best_energy": 2 / 5,
        "best_order": 1 / 5,
        "best_text": 2 / 5,
    }
    for name, losses in {"energy": (1, 5, 4), "order": (2, 3, 7), "text": (3, 1, 8, 6)}.items():
        ratios = [-10 * math.log10(0.75 * loss) for loss in losses]
        expected[f"si_sdr_{name}"] = sum(ratios) / len(ratios)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-4), name
        assert not found[name].requires_grad


def test_validation_tries_everything_once(table):
    objective = OCTObjective(NAMES, condition_weight=0.5, warmup_updates=100, explore=1.0).eval()
    with torch.no_grad():
        loss, found = table.evaluate(objective)
    assert loss.item() == pytest.approx(BEST_LOSS + 0.5 * TEXT_LOSS, rel=1e-5)
    applicable = {"energy": (0, 1, 4), "order": (0, 1, 2), "text": (0, 1, 2, 3)}
    expected = {(name, row, False): 1 for name, rows in applicable.items() for row in rows}
    assert counts(table.calls) == expected
    assert found["best_energy"].item() == pytest.approx(2 / 5)
    assert objective.updates == 0


@pytest.mark.parametrize("mode", [True, False])
def test_a_batch_without_anything_to_ask_by(make_table, mode):
    empty = make_table({"energy": [None, None], "text": [None, None]})
    loss, found = empty.evaluate(OCTObjective(("energy", "text")).train(mode))
    assert loss.item() == 0 and not empty.calls
    loss.backward()
    assert all(value.isnan() for value in found.values())


def test_a_batch_without_text(make_table):
    table = make_table({"energy": [2.0, 4.0], "text": [None, None]})
    loss, _ = table.evaluate(OCTObjective(("energy", "text")))
    assert loss.item() == pytest.approx(3.0, rel=1e-5)
    assert set(table.gradients(loss)) == {("energy", 0), ("energy", 1)}


def test_a_batch_where_text_is_best_everywhere_costs_one_separation_more_of_nothing(make_table):
    table = make_table({"energy": [2.0, 4.0], "text": [1.0, 1.0]})
    table.evaluate(OCTObjective(("energy", "text")))
    assert sum(gradient for _, _, gradient in table.calls) == 2


def test_names_of_statistics_do_not_depend_on_the_batch(table, make_table):
    empty = make_table({name: [None] for name in NAMES})
    objective = OCTObjective(NAMES, warmup_updates=1)
    keys = [set(one.evaluate(objective)[1]) for one in (table, table, empty)]
    keys += [set(one.evaluate(objective.eval())[1]) for one in (table, empty)]
    expected = {f"{kind}_{name}" for kind in ("loss", "si_sdr", "best") for name in NAMES}
    assert all(found == expected for found in keys)


def test_warm_up_is_heterogeneous_training(table):
    prior = {"energy": 1, "text": 2}
    objective = OCTObjective(NAMES, warmup_updates=2, prior=prior)
    reference = HCTObjective(NAMES, prior)
    for seed in range(2):
        torch.manual_seed(seed)
        loss, found = table.evaluate(objective)
        calls = table.calls
        torch.manual_seed(seed)
        expected, _ = table.evaluate(reference)
        assert loss.item() == expected.item() and calls == table.calls
        assert len(calls) == 5 and found["best_text"].isnan()
    loss, _ = table.evaluate(objective)
    assert loss.item() == pytest.approx(BEST_LOSS + TEXT_LOSS, rel=1e-5)


def test_warm_up_goes_on_after_a_resume(table):
    objective = OCTObjective(NAMES, warmup_updates=2)
    table.evaluate(objective)
    resumed = OCTObjective(NAMES, warmup_updates=2)
    resumed.load_state_dict(objective.state_dict())
    table.evaluate(resumed)
    assert len(table.calls) == 5
    table.evaluate(resumed)
    assert len(table.calls) == 13


def test_exploring_draws_among_what_is_applicable(make_table):
    torch.manual_seed(0)
    size = 3000
    losses = {"energy": 1.0, "order": None, "class": 2.0, "text": 3.0}
    table = make_table({name: [loss] * size for name, loss in losses.items()})
    loss, found = table.evaluate(OCTObjective(tuple(losses), explore=0.3, condition_weight=0))
    chosen = counts(name for name, row in table.gradients(loss))
    shares = {"energy": 0.7 + 0.1, "class": 0.1, "text": 0.1}
    assert set(chosen) == set(shares)
    expected = [size * share for share in shares.values()]
    assert stats.chisquare([chosen[name] for name in shares], expected).pvalue > 1e-3
    assert found["best_energy"] == 1  # the best is the best, whichever was explored


def test_without_exploring_nothing_is_drawn(table):
    state = torch.get_rng_state()
    table.evaluate(OCTObjective(NAMES))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"condition": "colour"}, "^condition: expected one of energy, .* found 'colour'"),
        ({"candidates": ["energy", "colour"]}, "^candidates: .* found 'colour'"),
        ({"explore": 1.5}, "^explore: expected 0 to 1, found 1.5"),
        ({"explore": float("nan")}, "^explore"),
        ({"prior": {"colour": 1}}, "^prior: .* found 'colour'"),
        ({"prior": {"text": -1}}, "^prior text: expected >= 0, found -1"),
        ({"prior": {"text": 0}}, "^prior: expected at least one weight above 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        OCTObjective(NAMES, **options)

import pytest
import torch

from tsx_espnet.objective.abs_objective import Trials


def trials_of(table):
    return Trials(table.separate, table.conditions, table.references, table.criterion)


def test_applicable(table):
    expected = [[1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 0, 0]]
    assert trials_of(table).applicable.int().tolist() == expected


def test_pairs_of_a_call_go_through_the_extractor_as_one_batch(table):
    batches = []

    def separate(condition, rows):
        batches.append(rows.tolist())
        return table.separate(condition, rows)

    trials = Trials(separate, table.conditions, table.references, table.criterion)
    loss = trials.run(torch.tensor([2, 0, 0]), torch.tensor([3, 4, 0]))
    assert batches == [[3, 4, 0]]
    assert loss.tolist() == pytest.approx([6, 4, 1], rel=1e-5) and loss.requires_grad
    assert not trials.loss.requires_grad and not trials.si_sdr.requires_grad
    assert trials.loss.isfinite().sum() == 3
    assert trials.loss[2, 3].item() == pytest.approx(6, rel=1e-5)


def test_the_best_is_among_the_candidates_that_were_tried(table):
    trials = trials_of(table)
    everything = torch.ones(3, 6).bool()
    assert [part.tolist() for part in trials.best(everything)] == [[], []]
    trials.run_where(trials.applicable)
    choice, rows = trials.best(everything)
    assert rows.tolist() == [0, 1, 2, 3, 4] and choice.tolist() == [0, 2, 1, 2, 0]
    everything[0] = False
    choice, rows = trials.best(everything)
    assert rows.tolist() == [0, 1, 2, 3] and choice.tolist() == [1, 2, 1, 2]


def test_a_loss_that_is_not_a_number_is_never_the_best(table):
    with torch.no_grad():
        table.amplitude[0, 0] = float("nan")
    trials = trials_of(table)
    trials.run_where(trials.applicable)
    choice, rows = trials.best(trials.applicable)
    assert (int(rows[0]), int(choice[0])) == (0, 1)


def test_nothing_to_try_calls_nobody(table):
    assert trials_of(table).run_where(torch.zeros(3, 6).bool()).shape == (0,)
    assert table.calls == []

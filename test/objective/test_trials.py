import pytest
import torch
from espnet2.enh.loss.criterions.time_domain import SNRLoss, TimeDomainMSE

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.objective.references import Queries, References
from tsx_espnet.objective.trials import Trials


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


def test_a_query_without_a_reference_is_not_tried(table):
    sources = table.references.sources.clone()
    sources[1] = 0
    queries = Queries.of(torch.zeros(6, 3).long(), torch.ones(6))
    references = References.of(sources, table.references.mixture, queries)
    assert references.active.tolist() == [[True] * 2, [False] * 2, *[[True] * 2] * 4]
    trials = Trials(table.separate, table.conditions, references, table.criterion)
    assert trials.applicable.int().sum(dim=0).tolist() == [3, 0, 2, 1, 1, 0]


def test_a_silent_source_of_two_costs_nothing(table):
    sources = table.references.sources.clone()
    sources[:, 1] = 0
    references = References.of(sources, table.references.mixture)
    trials = Trials(table.separate, table.conditions, references, table.criterion)
    loss = trials.run(torch.tensor([0]), torch.tensor([0]))
    assert loss.item() == pytest.approx(0.75, rel=1e-5)


def test_the_distance_of_the_sum_of_the_outputs_from_the_mixture_is_added(table):
    """Of noise of amplitudes a and b the mean square of the sum is (a + b)²."""
    trials = Trials(
        *(table.separate, table.conditions, table.references, table.criterion),
        mixture_criterion=Distance([(2.0, TimeDomainMSE())]),
    )
    loss = trials.run(torch.tensor([2, 0]), torch.tensor([3, 4]))
    expected = [6 + 2 * (4.5**0.5 + 1.5**0.5) ** 2, 4 + 2 * (3**0.5 + 1) ** 2]
    assert loss.tolist() == pytest.approx(expected, rel=1e-5)


def test_outputs_that_add_up_to_the_mixture_get_no_gradient_from_it(table):
    sources = table.references.sources
    error = torch.tensor([1.0, -1.0, 1.0, -1.0])
    outputs = (sources + torch.stack([error, -error])).requires_grad_()

    def gradient(mixture_criterion):
        trials = Trials(
            lambda condition, rows: [(outputs[rows], condition)],
            *(table.conditions, table.references, table.criterion, mixture_criterion),
        )
        (grad,) = torch.autograd.grad(trials.run_where(trials.applicable).sum(), outputs)
        return grad

    without = gradient(None)
    assert without.any() and torch.equal(gradient(Distance([(1.0, SNRLoss())])), without)


def test_a_timed_condition_reaches_the_extractor_as_one(table):
    """Without its frames it would be a mean over time, which trains and extracts something else."""
    frames = torch.arange(12.0).reshape(6, 2, 1)
    timed = ConditionEmbedding(frames, torch.ones(6, 2).bool(), timed=True)
    found = []

    def separate(condition, rows):
        found.append(condition)
        return [(table.references.sources[rows], condition)]

    trials = Trials(separate, {"unconditional": timed}, table.references, table.criterion)
    trials.run(torch.tensor([0, 0]), torch.tensor([4, 1]))
    assert found[0].timed and torch.equal(found[0].at(4)[0, :, 0], torch.tensor([8.0, 8, 9, 9]))


def test_outputs_beyond_the_sources_are_parts_of_the_rest(table):
    """Of three outputs, the rest is what the target leaves, as it is where a set is extracted."""
    parts = torch.randn(6, 4)

    def separate(condition, rows):
        target, other = table.references.sources[rows].unbind(dim=1)
        return [(torch.stack([target, other - parts[rows], parts[rows]], dim=1), condition)]

    trials = Trials(separate, table.conditions, table.references, table.criterion)
    loss = trials.run(torch.tensor([0, 2]), torch.tensor([0, 3]))
    torch.testing.assert_close(loss, torch.zeros(2), atol=1e-6, rtol=0)

"""Eq. 2 of the OCT paper, against ESPnet's own permutation solver."""

import itertools

import pytest
import torch
from espnet2.enh.loss.criterions.time_domain import SISNRLoss
from espnet2.enh.loss.wrappers.pit_solver import PITSolver

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.criterion.si_sdr import si_sdr
from tsx_espnet.objective.hct import HCTObjective
from tsx_espnet.objective.references import References
from tsx_espnet.objective.single import PITObjective

BATCH, SAMPLES = 6, 200


@pytest.fixture
def signals():
    """Two references and, of each mixture in an order of its own, two noisy estimates of them."""
    generator = torch.Generator().manual_seed(3)
    references = torch.randn(2, BATCH, SAMPLES, generator=generator)
    noise = 0.3 * torch.randn(2, BATCH, SAMPLES, generator=generator)
    swapped = torch.tensor([0, 1, 1, 0, 1, 0], dtype=torch.bool)
    ordered = references + noise
    estimates = torch.where(swapped[None, :, None], ordered.flip(0), ordered)
    return references, estimates.requires_grad_(), swapped


def evaluate(objective, references, estimates, criterion):
    null = ConditionEmbedding.null(references[0], 4)
    return objective(
        lambda condition, rows: [(estimates[:, rows].transpose(0, 1), condition)],
        {UNCONDITIONAL: null},
        References.of(references.transpose(0, 1), references.sum(dim=0)),
        Distance([(1.0, criterion)]),
    )


@pytest.mark.parametrize("training", [True, False])
def test_loss_and_gradient_are_those_of_espnets_solver(signals, training):
    references, estimates, swapped = signals
    criterion = SISNRLoss()
    loss, stats = evaluate(
        PITObjective((UNCONDITIONAL,)).train(training), references, estimates, criterion
    )
    expected, _, others = PITSolver(criterion)(list(references), list(estimates))
    # ESPnet takes the mean over the sources, Eq. 2 their sum
    torch.testing.assert_close(loss, torch.tensor(2 * expected.item()))
    assert torch.equal(others["perm"][:, 0] == 1, swapped)
    assert stats[f"loss_{UNCONDITIONAL}"].item() == pytest.approx(loss.item())
    if training:
        (ours,) = torch.autograd.grad(loss, estimates, retain_graph=True)
        (theirs,) = torch.autograd.grad(expected, estimates)
        torch.testing.assert_close(ours, 2 * theirs)


def test_the_logged_si_sdr_is_that_of_the_output_that_fits_the_target(signals):
    references, estimates, swapped = signals
    _, stats = evaluate(PITObjective((UNCONDITIONAL,)), references, estimates, SISNRLoss())
    fitting = torch.where(swapped[:, None], estimates[1], estimates[0])
    expected = si_sdr(references[0], fitting).mean()
    torch.testing.assert_close(stats[f"si_sdr_{UNCONDITIONAL}"], expected.detach())


def test_an_order_that_was_asked_for_is_not_changed(signals):
    """Only without a condition may the outputs be swapped: a condition names its target."""
    references, estimates, _ = signals
    criterion = SISNRLoss()
    objective = HCTObjective(("energy",))
    null = ConditionEmbedding.null(references[0], 4)
    loss, _ = objective(
        lambda condition, rows: [(estimates[:, rows].transpose(0, 1), condition)],
        {"energy": null},
        References.of(references.transpose(0, 1), references.sum(dim=0)),
        Distance([(1.0, criterion)]),
    )
    fixed = sum(criterion(ref, est) for ref, est in zip(references, estimates)).mean()
    torch.testing.assert_close(loss, fixed)


def test_a_model_without_the_condition_unconditional_is_refused():
    with pytest.raises(ValueError, match="condition: expected one of text, found 'unconditional'"):
        PITObjective(("text",))


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_any_number_of_sources_in_any_order(number):
    """The least of all orders; of the references too the order does not matter."""
    generator = torch.Generator().manual_seed(number)
    sources = torch.randn(BATCH, number, SAMPLES, generator=generator)
    outputs = sources[:, torch.randperm(number, generator=generator)]
    outputs = outputs + 0.5 * torch.randn(outputs.shape, generator=generator)
    criterion = SISNRLoss()

    def loss_of(sources):
        loss, _ = PITObjective((UNCONDITIONAL,))(
            lambda condition, rows: [(outputs[rows], condition)],
            {UNCONDITIONAL: ConditionEmbedding.null(sources, 4)},
            References.of(sources, sources.sum(dim=1)),
            Distance([(1.0, criterion)]),
        )
        return loss

    least = torch.stack(
        [
            sum(criterion(sources[:, s], outputs[:, m]) for s, m in enumerate(order))
            for order in itertools.permutations(range(number))
        ]
    ).amin(dim=0)
    torch.testing.assert_close(loss_of(sources), least.mean())
    moved = torch.randperm(number, generator=generator)
    torch.testing.assert_close(loss_of(sources[:, moved]), least.mean())


def test_iterations_have_an_order_each_and_their_losses_are_added(signals):
    references, estimates, swapped = signals
    criterion = SISNRLoss()
    both = [estimates.transpose(0, 1), estimates.flip(0).transpose(0, 1)]
    arguments = (
        {UNCONDITIONAL: ConditionEmbedding.null(references[0], 4)},
        References.of(references.transpose(0, 1), references.sum(dim=0)),
        Distance([(1.0, criterion)]),
    )
    objective = PITObjective((UNCONDITIONAL,))
    once, _ = objective(lambda _, rows: [(both[0][rows], None)], *arguments)
    twice, stats = objective(lambda _, rows: [(one[rows], None) for one in both], *arguments)
    torch.testing.assert_close(twice, 2 * once)
    last = both[1].gather(1, (~swapped).long()[:, None, None].expand(-1, 1, SAMPLES))[:, 0]
    expected = si_sdr(references[0], last.detach()).mean()
    torch.testing.assert_close(stats[f"si_sdr_{UNCONDITIONAL}"], expected)

"""D: a weighted sum; who knows the mixture, and what silence costs."""

import pytest
import torch
from espnet2.enh.loss.criterions.time_domain import SNRLoss, TimeDomainMSE

from tsx_espnet.criterion.distance import Distance


class Share(torch.nn.Module):
    """The energy of the estimate, in that of the mixture."""

    def forward(self, ref, est, mixture):
        return est.square().sum(dim=-1) / mixture.square().sum(dim=-1)


def noise(seed, size=3):
    return torch.randn(size, 50, generator=torch.Generator().manual_seed(seed))


def test_a_criterion_gets_the_mixture_if_it_wants_it():
    ref, est, mixture = noise(0), noise(1), noise(2)
    found = Distance([(2.0, Share()), (0.5, TimeDomainMSE())])(ref, est, mixture)
    share = est.square().sum(dim=1) / mixture.square().sum(dim=1)
    torch.testing.assert_close(found, 2 * share + 0.5 * (ref - est).square().mean(dim=1))


def test_a_silent_reference_costs_nothing_by_a_criterion_that_does_not_know_the_mixture():
    ref, est, mixture = noise(0), noise(1).requires_grad_(), noise(2)
    ref[1] = 0
    found = Distance([(1.0, SNRLoss())])(ref, est, mixture)
    expected = SNRLoss()(ref, est)
    assert found.tolist() == [expected[0].item(), 0.0, expected[2].item()]
    found.sum().backward()
    assert est.grad.isfinite().all()
    assert est.grad.abs().sum(dim=1).gt(0).tolist() == [True, False, True]
    both = Distance([(1.0, SNRLoss()), (3.0, Share())])(ref, est, mixture)
    assert both[1].item() == pytest.approx(3 * Share()(ref, est, mixture)[1].item())


def test_if_all_are_silent_the_loss_still_has_a_graph():
    est = noise(1).requires_grad_()
    found = Distance([(1.0, SNRLoss())])(torch.zeros(3, 50), est)
    found.sum().backward()
    assert found.tolist() == [0.0] * 3 and not est.grad.any()


def test_a_criterion_may_decide_on_the_order_by_something_else():
    class Both(TimeDomainMSE):
        def cost(self, ref, est):
            return (ref - est).abs().amax(dim=-1)

    ref, est = noise(0), noise(1)
    distance = Distance([(1.0, Both()), (2.0, TimeDomainMSE())])
    square = (ref - est).square().mean(dim=1)
    torch.testing.assert_close(distance(ref, est), 3 * square)
    expected = (ref - est).abs().amax(dim=1) + 2 * square
    torch.testing.assert_close(distance.cost(ref, est), expected)

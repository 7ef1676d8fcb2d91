"""A separation whose losses are chosen by hand, and that counts what is asked of it."""

import pytest
import torch
from espnet2.enh.loss.criterions.time_domain import TimeDomainMSE

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.criterion.distance import Distance
from tsx_espnet.objective.references import References

SOURCE = torch.tensor([1.0, 1.0, -1.0, -1.0])
NOISE = torch.tensor([1.0, -1.0, 1.0, -1.0])  # orthogonal to it, both without mean


class Table:
    """``separate`` of a model with a given loss for every condition and mixture.

    The criterion is the mean square. The estimates are the references plus noise of amplitude
    ``sqrt(0.75 loss)`` in the target and ``sqrt(0.25 loss)`` in the other, so that D(target) +
    D(other) is the loss and the SI-SDR of the target is ``-10 log10(0.75 loss)``.

    Args:
        losses: condition -> loss in each mixture, None where the condition is not applicable.
    """

    def __init__(self, losses):
        self.names = tuple(losses)
        self.num_rows = len(losses[self.names[0]])
        filled = [[loss or 99.0 for loss in row] for row in losses.values()]
        shares = torch.tensor([0.75, 0.25])
        self.amplitude = (torch.tensor(filled).unsqueeze(-1) * shares).sqrt().requires_grad_()
        sources = torch.stack([SOURCE, 2 * SOURCE]).expand(self.num_rows, 2, 4)
        self.references = References.of(sources, sources.sum(dim=1))
        self.conditions = {}
        for index, (name, row) in enumerate(losses.items()):
            mask = torch.tensor([[loss is not None] for loss in row])
            keys = torch.stack(
                [torch.full((self.num_rows,), float(index)), torch.arange(self.num_rows).float()], 1
            ).unsqueeze(1)
            if name == "text":  # a sequence, as long as no other condition's
                mask = torch.cat([mask, torch.zeros_like(mask)], dim=1)
                keys = torch.cat([keys, torch.full_like(keys, -7.0)], dim=1)
            self.conditions[name] = ConditionEmbedding(keys, mask)
        self.calls = []  # (condition, mixture, with gradient?)

    def separate(self, condition, rows):
        assert condition.applicable.all(), "a condition that is not applicable was tried"
        choice, own_rows = condition.vector().long().unbind(dim=1)
        assert torch.equal(own_rows, rows), "conditions and mixtures went out of step"
        gradient = torch.is_grad_enabled()
        self.calls += [(self.names[c], int(r), gradient) for c, r in zip(choice, rows)]
        noise = self.amplitude[choice, rows].unsqueeze(-1) * NOISE
        return [(self.references.sources[rows] + noise, condition)]

    criterion = Distance([(1.0, TimeDomainMSE())])

    def evaluate(self, objective):
        self.calls = []
        return objective(self.separate, self.conditions, self.references, self.criterion)

    def gradients(self, loss):
        """{(condition, mixture): gradient of both amplitudes}, where it is not zero."""
        self.amplitude.grad = None
        loss.backward()
        grad = self.amplitude.grad
        if grad is None:
            return {}
        return {
            (self.names[c], r): grad[c, r].tolist()
            for c in range(len(self.names))
            for r in range(self.num_rows)
            if grad[c, r].abs().sum() > 0
        }

    def expected_gradient(self, name, row, weight):
        """Of ``weight`` times the loss of a pair."""
        amplitude = self.amplitude[self.names.index(name), row]
        return pytest.approx((2 * weight * amplitude).tolist(), rel=1e-5)


@pytest.fixture
def make_table():
    return Table


@pytest.fixture
def table():
    """Best: energy, text, order, text, energy, none."""
    return Table(
        {
            "energy": [1.0, 5.0, None, None, 4.0, None],
            "order": [2.0, 3.0, 7.0, None, None, None],
            "text": [3.0, 1.0, 8.0, 6.0, None, None],
        }
    )

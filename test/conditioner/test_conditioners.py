"""What every conditioner must do; they are found in the table of parts."""

import io

import pytest
import torch

from tsx_espnet.conditioner.embedding import AbsConditioner
from tsx_espnet.parts import OURS, find
from tsx_espnet.pretrained.frozen import Frozen
from tsx_espnet.pretrained.joint import AbsTextEncoder, EncodedText

DIM = 6


def onehot_batch():
    return {"num_values": 3}, torch.tensor([[2], [-1], [0], [2]]), torch.ones(4).long()


def text_batch():
    value = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
    return {"input_dim": 5}, value, torch.tensor([1, 0, 3, 2])


def enrollment_batch():
    value = torch.randn(4, 90, generator=torch.Generator().manual_seed(0))
    bases = {"channel": 5, "kernel_size": 8, "stride": 4}
    sizes = {"encoder_conf": bases, "bottleneck_dim": 4, "hidden_dim": 6, "layer": 2}
    return sizes, value, torch.tensor([90, 0, 3, 41])


def tokens_batch():
    value = torch.tensor([[3, 5, 2], [0, 0, 0], [6, 7, 8], [4, 2, 0]])
    return {"pretrained": Frozen(States())}, value, torch.tensor([3, 0, 3, 2])


class States(AbsTextEncoder):
    """A text encoder that looks its states up."""

    state_dim = 5
    tokenizer = None

    def __init__(self):
        torch.nn.Module.__init__(self)
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(9, 5)

    def text(self, tokens):
        mask = tokens >= 0
        states = self.table(tokens.clamp(min=0))
        return EncodedText(states, mask, states.mean(dim=1))


# options and a batch of four, the second of which is not applicable
BATCHES = {
    "onehot": onehot_batch,
    "text": text_batch,
    "enrollment": enrollment_batch,
    "tokens": tokens_batch,
}
ONE_VECTOR_OF_ALL = {"enrollment"}  # whatever the length of the value
# "null" asks for nothing; what is heard is always applicable
QUERIED = {name for name in OURS["conditioner"] if not find("conditioner", name).hears} - {"null"}


@pytest.fixture(params=sorted(QUERIED))
def case(request):
    assert request.param in BATCHES, f"give the conditioner {request.param} a batch to be tested on"
    options, value, lengths = BATCHES[request.param]()
    torch.manual_seed(0)
    return find("conditioner", request.param), options, value, lengths


def test_contract(case, request):
    name = request.node.callspec.params["case"]
    kind, options, value, lengths = case
    conditioner = kind(DIM, **options)
    assert isinstance(conditioner, AbsConditioner)
    condition = conditioner(value, lengths)
    length = 1 if name in ONE_VECTOR_OF_ALL else value.shape[1]
    assert condition.embedding.shape == (4, length, DIM)
    assert condition.mask.shape == (4, length) and condition.mask.dtype == torch.bool
    assert condition.applicable.tolist() == [True, False, True, True]
    assert condition.embedding.isfinite().all()
    assert torch.equal(condition.vector()[1], torch.zeros(DIM))


def test_asking_for_nothing_is_zero_everywhere_and_learns_nothing():
    conditioner = find("conditioner", "null")(DIM)
    condition = conditioner(torch.zeros(4, 1).long(), torch.ones(4).long())
    assert condition.applicable.all() and torch.equal(condition.embedding, torch.zeros(4, 1, DIM))
    assert not conditioner.state_dict()


def test_one_by_one_and_twice(case):
    kind, options, value, lengths = case
    conditioner = kind(DIM, **options)
    together = conditioner(value, lengths)
    again = conditioner(value, lengths)
    assert torch.equal(together.embedding, again.embedding)
    for row in range(4):
        alone = conditioner(value[row : row + 1], lengths[row : row + 1])
        torch.testing.assert_close(alone.vector()[0], together.vector()[row])
        assert torch.equal(alone.mask[0], together.mask[row])


def test_save_and_load(case):
    kind, options, value, lengths = case
    conditioner, loaded = kind(DIM, **options), kind(DIM, **options)
    file = io.BytesIO()
    torch.save(conditioner.state_dict(), file)
    loaded.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    expected = conditioner(value, lengths).embedding
    assert torch.equal(loaded(value, lengths).embedding, expected)


def test_it_learns_from_what_is_applicable_alone(case):
    kind, options, value, lengths = case
    conditioner = kind(DIM, **options)
    conditioner(value, lengths).vector().square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in conditioner.parameters())
    conditioner.zero_grad()
    conditioner(value[1:2], lengths[1:2]).vector().square().sum().backward()
    assert all(parameter.grad.abs().sum() == 0 for parameter in conditioner.parameters())

"""A frozen network stays what it is, bit for bit, whatever happens to the model around it."""

import copy
import hashlib
import io

import pytest
import torch
from espnet2.main_funcs.average_nbest_models import average_nbest_models
from espnet2.torch_utils.initialize import initialize
from espnet2.train.reporter import Reporter

from tsx_espnet.pretrained.base import AbsPretrained
from tsx_espnet.pretrained.frozen import Frozen, pretrained_kept
from tsx_espnet.pretrained.store import load


class Listener(AbsPretrained):
    """All that training could change: weights, statistics of a batch norm, dropout, a buffer."""

    fs = 8000

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(4, 6)
        self.norm = torch.nn.BatchNorm1d(6)
        self.dropout = torch.nn.Dropout(0.5)
        self.second = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.BatchNorm1d(6))
        self.last = torch.nn.Linear(6, 3)
        self.register_buffer("gain", torch.tensor([2.0]))

    def layers(self):
        return [self.first, self.norm, self.second, self.last]

    def forward(self, waveform):
        x = self.dropout(self.norm(self.first(self.heard(waveform) * self.gain)))
        return self.last(torch.tanh(self.second(x)))


class Model(torch.nn.Module):
    def __init__(self, num_trainable=0):
        super().__init__()
        torch.manual_seed(0)
        self.front = torch.nn.Linear(4, 4)
        self.listener = Frozen(Listener(), num_trainable)

    def forward(self, x):
        return self.listener.network(self.front(x))


def fingerprint(network):
    """Name -> SHA-256 of every weight and buffer."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return {n: hashlib.sha256(t.detach().numpy().tobytes()).hexdigest() for n, t in tensors}


def train(model, steps=3):
    """Steps of an optimizer that decays whatever it is given."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        model.train()  # as ESPnet's trainer does at every epoch
        optimizer.zero_grad()
        model(torch.randn(5, 4, generator=generator)).square().sum().backward()
        optimizer.step()
    return model


def test_nothing_changes_in_training():
    model = Model()
    before, front = fingerprint(model.listener.network), model.front.weight.detach().clone()
    train(model)
    assert fingerprint(model.listener.network) == before
    assert not torch.equal(model.front.weight, front)


def test_it_is_in_no_list_of_the_model():
    model = Model()
    names = {"front.weight", "front.bias"}
    assert set(model.state_dict()) == names == {name for name, _ in model.named_parameters()}
    assert not list(model.named_buffers())
    assert not any(module is model.listener.network for module in model.modules())


@pytest.mark.parametrize("number, trained", [(1, ["last"]), (2, ["last", "second"])])
def test_the_last_layers_alone_are_trained(number, trained):
    model = Model(number)
    before = fingerprint(model.listener.network)
    train(model)
    after = fingerprint(model.listener.network)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        name
        for name, _ in Listener().named_parameters()  # so the statistics of batch norms are not
        if name.split(".")[0] in trained
    }
    held = {name.replace(".", "/") for name in changed}
    parameters = {name.removeprefix("listener.") for name, _ in model.named_parameters()}
    assert {name for name in parameters if not name.startswith("front")} == held
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    assert not list(model.named_buffers())


def test_too_many_layers_are_refused():
    with pytest.raises(ValueError, match="num_trainable: expected 0 to 4, found 5"):
        Frozen(Listener(), 5)


def test_weights_are_saved_and_loaded_into_the_network():
    trained, other = train(Model(2)), Model(2)
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert fingerprint(other.listener.network) == fingerprint(trained.listener.network)


@pytest.mark.parametrize("number", [0, 2])
def test_the_mean_of_checkpoints(tmp_path, number):
    """Five equal float32 numbers average to other bits in one case of ten."""
    model, reporter = Model(number), Reporter()
    kept = {
        name: value
        for name, value in fingerprint(model.listener.network).items()
        if number == 0 or not name.startswith(("second", "last")) or "running" in name
    }
    for epoch in range(1, 6):
        reporter.set_epoch(epoch)
        with reporter.observe("valid") as observed:
            observed.register({"loss": torch.tensor(1.0 / epoch)})
            observed.next()
        train(model, steps=1)
        torch.save(model.state_dict(), tmp_path / f"{epoch}epoch.pth")
    average_nbest_models(tmp_path, reporter, [("valid", "loss", "min")], [5])
    model.load_state_dict(torch.load(tmp_path / "valid.loss.ave.pth", weights_only=True))
    after = fingerprint(model.listener.network)
    assert {name: after[name] for name in kept} == kept


def test_it_is_always_in_evaluation_mode():
    model = Model(4).train()
    assert model.listener.training and not any(m.training for m in model.listener.network.modules())
    x = torch.randn(2, 4)
    assert torch.equal(model(x), model(x))
    assert torch.equal(model(x), model.eval()(x))


@pytest.mark.parametrize("number", [0, 2])
def test_it_follows_to_another_type_and_back(number):
    model = Model(number)
    before = fingerprint(model.listener.network)
    model.double()
    tensors = [*model.listener.network.parameters(), *model.listener.network.buffers()]
    assert {t.dtype for t in tensors if t.is_floating_point()} == {torch.double}
    assert model(torch.randn(2, 4).double()).dtype == torch.double
    assert fingerprint(model.to(torch.float32).listener.network) == before


def test_it_follows_to_another_device():
    model = Model(1).to("meta")
    tensors = model.listener.network.state_dict().values()
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert model.listener.state_dict().keys() == {"last/weight", "last/bias"}


def test_a_copy_is_a_copy():
    model = Model(2)
    twin = copy.deepcopy(model)
    before = fingerprint(model.listener.network)
    train(twin)
    assert fingerprint(model.listener.network) == before != fingerprint(twin.listener.network)
    own = dict(twin.listener.network.named_parameters())
    assert twin.listener.get_parameter("last/weight") is own["last.weight"]
    assert not own["first.weight"].requires_grad


def test_of_one_network_one_part_can_be_trained_and_one_not():
    frozen = Frozen(Listener())
    tuned = frozen.with_trainable(1)
    assert frozen.with_trainable(0) is frozen and not list(frozen.parameters())
    before = fingerprint(frozen.network)
    train(torch.nn.Sequential(torch.nn.Linear(4, 4), tuned.network))
    assert fingerprint(frozen.network) == before != fingerprint(tuned.network)


def test_gradients_pass_to_the_input_by_finite_differences():
    frozen = Frozen(Listener()).double()
    waveform = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(frozen.network, waveform)
    assert all(parameter.grad is None for parameter in frozen.network.parameters())


@pytest.mark.parametrize("init", ["xavier_uniform", "normal"])
def test_a_new_start_of_the_model_is_none_of_what_was_pretrained(init):
    model = Model(2)
    before, front = fingerprint(model.listener.network), model.front.weight.detach().clone()
    with pretrained_kept(model):
        initialize(model, init)
    assert fingerprint(model.listener.network) == before
    assert not torch.equal(model.front.weight, front)


def test_several_processes_do_not_exchange_it(tmp_path):
    """Nor is it checked for parameters that got no gradient."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = Model(1)
        before = fingerprint(model.listener.network)
        parallel = torch.nn.parallel.DistributedDataParallel(model)
        train(parallel)
        after = fingerprint(model.listener.network)
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"last.weight", "last.bias"}
        held = {name.removeprefix("module.") for name in parallel.state_dict()}
        assert held == {"front.weight", "front.bias", "listener.last/weight", "listener.last/bias"}
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("kind", ["tiny_clap", "tiny_ast", "tiny_bert"])
def test_real_ones_stay_as_they_are(request, kind):
    frozen = Frozen(load(request.getfixturevalue(kind)))
    before = fingerprint(frozen.network)
    frozen.train()
    front = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW([*front.parameters(), *frozen.parameters()], 0.1)
    network = frozen.network
    if kind == "tiny_bert":
        tokens = torch.from_numpy(network.tokenize(["a dog bark"]))
        loss = (network.text(tokens).states[..., 0] * front.weight).sum()
    else:
        waveform = front(torch.randn(2, 8000, 1, generator=torch.Generator().manual_seed(0)))
        hear = network.audio if kind == "tiny_clap" else network
        loss = hear(waveform.squeeze(-1)).square()[:, :1].sum()
    loss.backward()
    assert front.weight.grad.abs() > 0
    optimizer.step()
    assert fingerprint(frozen.network) == before and not frozen.state_dict()

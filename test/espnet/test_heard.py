"""A model of two passes, each with a classifier of its own that is guided and trained further.

From training on mixtures of three sources, in one process and in two, stopped and resumed, to
estimates, and the control that hears other mixtures.
"""

import csv
import json
import shutil
import socket
import zipfile

import numpy as np
import pytest
import small_parts
import soundfile
import torch
import yaml

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.bin import pack
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.pretrained.frozen import Frozen
from tsx_espnet.tables import read_table
from tsx_espnet.training.preemption import REQUEUE

TRAIN = "tsx_espnet.bin.train"
LATER = "later.0.conditioners.unconditional.classifier"
PLUGIN = """
import pytest, small_parts
from tsx_espnet import parts
small_parts.register(pytest.MonkeyPatch())
parts.register()
"""
# a note of all that the classifiers hold at each step, and the signal at the n-th
NOTES = """
import hashlib, os
from tsx_espnet.model import ESPnetTSXModel

forward, left = ESPnetTSXModel.forward, {number}

def digest(tensors):
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().numpy().tobytes())
    return found.hexdigest()[:16]

def forward_and_note(self, *args, **batch):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), {signal})
    frozen, trained = [], []
    for each in (self, *self.later):
        network = each.conditioners["unconditional"].classifier.network
        frozen += [p for p in network.parameters() if not p.requires_grad]
        frozen += [*network.buffers(), *self.objective.classifier.network.parameters()]
        trained += [p for p in network.parameters() if p.requires_grad]
    if self.training:
        with open({log!r} + os.environ.get("RANK_OF_TEST", "0"), "a") as stream:
            stream.write(digest(frozen) + " " + digest(trained) + "\\n")
    return forward(self, *args, **batch)

ESPnetTSXModel.forward = forward_and_note
"""
SIZES = {"bottleneck_channels": 6, "hidden_channels": 8, "num_repeats": 2, "num_blocks": 2}


def hearing(**options):
    return {UNCONDITIONAL: {"conditioner": "classifier", "pretrained": "ears", **options}}


@pytest.fixture
def args(data, tiny, targets, tmp_path):
    """The arguments of the training command: two steps an epoch, of two mixtures each."""
    config = {
        **tiny.config,
        "extractor": "tdcn",
        "extractor_conf": {**SIZES, "num_outputs": 3},
        "conditions": hearing(num_trainable=1),
        "later": [{"conditions": hearing(hears=["mixture", "estimates"], num_trainable=3)}],
        **{"objective": "guided", "objective_conf": {"pretrained": "ears"}},
        "criterions": [{"name": "thresholded_snr"}],
        **{"mixtures_per_epoch": 4, "batch_size": 2, "max_epoch": 2},
        **{"optim": "sgd", "optim_conf": {"lr": 0.01}, "grad_clip": 1000.0},
    }
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    ears = small_parts.write_ears(tmp_path / "ears")
    return [
        *("--config", tmp_path / "train.yaml"),
        *("--mixing_config", targets.mixing_config),
        *("--train_clips", data.clips),
        *("--valid_mixtures", targets.mixtures),
        *("--pretrained", f"{{ears: {ears}}}"),
    ]


@pytest.fixture
def train(start, args, tmp_path):
    """Train in ``tmp_path / name``, in one process or two; the status of the first."""

    def run_training(name, *more, world_size=1, number=0, signal=0):
        notes = NOTES.format(number=number, signal=int(signal), log=str(tmp_path / f"{name}.log"))
        more = [*more, "--output_dir", tmp_path / name]
        if world_size > 1:
            with socket.socket() as free:
                free.bind(("localhost", 0))
                port = free.getsockname()[1]
            more += ["--dist_backend", "gloo", "--dist_world_size", world_size]
            more += ["--dist_master_addr", "localhost", "--dist_master_port", port]
        ranks = [["--dist_rank", rank] if world_size > 1 else [] for rank in range(world_size)]
        commands = [
            start(TRAIN, *args, *more, *own, hook=PLUGIN + notes, env={"RANK_OF_TEST": str(rank)})
            for rank, own in enumerate(ranks)
        ]
        statuses = [command.wait() for command in commands]
        assert "Traceback" not in commands[0].err, commands[0].err
        return statuses[0]

    return run_training


@pytest.fixture
def notes(tmp_path):
    """What a run wrote down: (of what is frozen, of what is trained) at each step."""

    def read(name, rank=0):
        lines = (tmp_path / f"{name}.log{rank}").read_text().splitlines()
        return [tuple(line.split()) for line in lines]

    return read


def weights(path):
    return torch.load(path, weights_only=True)


def rows(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_what_is_frozen_stays_and_is_in_no_checkpoint(train, notes, tmp_path):
    assert train("exp") == 0
    frozen, trained = zip(*notes("exp"))
    assert len(set(frozen)) == 1 and len(set(trained)) == 4
    ears = small_parts.Ears("any")
    expected = {}
    for place, number in (("", 1), ("later.0.", 3)):
        for name, value in Frozen(ears, number).named_parameters():
            expected[f"{place}conditioners.unconditional.classifier.{name}"] = value.detach()
    files = [*(tmp_path / "exp").glob("*.pth")]
    assert {"1epoch.pth", "valid.loss.ave.pth", "checkpoint.pth"} <= {path.name for path in files}
    for path in files:
        state = torch.load(path, weights_only=False)
        state = state["model"] if path.name.startswith("checkpoint") else state
        held = {name: value for name, value in state.items() if "classifier" in name}
        assert held.keys() == expected.keys()
        assert not any(value.equal(expected[name]) for name, value in held.items())


def test_stopped_and_resumed_without_the_place_that_the_classifier_came_from(
    train, notes, assert_same_experiment, tmp_path
):
    """Preempted, killed, and with workers: the same to the last bit."""
    assert train("whole", "--max_epoch", 3, "--resume", "true") == 0
    more = ["--max_epoch", 3, "--resume", "true"]
    assert train("exp", *more, number=4 + 2, signal=15) == REQUEUE  # in the second epoch
    shutil.rmtree(tmp_path / "ears")
    assert train("exp", *more, number=2, signal=9) == -9
    assert train("exp", *more, "--num_workers", 4) == 0
    assert_same_experiment(tmp_path / "exp", tmp_path / "whole")
    assert notes("exp")[-1] == notes("whole")[-1]


def test_two_processes_exchange_what_is_trained(train, notes, tmp_path):
    assert train("one") == 0
    assert train("two", "--use_amp", "true", world_size=2) == 0
    assert notes("two", 0) == notes("two", 1) and len(notes("two")) == 4
    one, two = (weights(tmp_path / name / "latest.pth") for name in ("one", "two"))
    for name, value in one.items():
        assert (two[name] - value).abs().max() <= 1e-5 * max(1.0, value.abs().max()), name


def test_a_new_start_of_the_weights_is_none_of_the_classifiers(train, tmp_path):
    options = ["--init", "xavier_uniform", "--optim_conf", "{lr: 0.0}", "--max_epoch", 1]
    assert train("exp", *options) == 0
    ears = dict(small_parts.Ears("any").named_parameters())
    found = weights(tmp_path / "exp" / "latest.pth")
    held = {n: value for n, value in found.items() if "classifier" in n}
    for name, value in held.items():
        assert value.equal(ears[name.split("classifier.")[1].replace("/", ".")]), name
    assert not found["conditioners.unconditional.linear.bias"].any()  # ESPnet's: zero


def test_another_classifier_is_refused_when_it_is_resumed(train, start, args, tmp_path):
    assert train("exp", "--max_epoch", 1) == 0
    small_parts.write_ears(tmp_path / "ears", seed=1)
    more = ["--resume", "true", "--output_dir", tmp_path / "exp"]
    command = start(TRAIN, *args, *more, hook=PLUGIN)
    assert command.wait() == 1
    last = command.err.strip().splitlines()[-1]
    assert last.startswith(f"error: {tmp_path}/exp: this run was begun with the pretrained network")


def test_a_recording_is_separated_by_what_was_trained(train, targets, monkeypatch, tmp_path):
    """Also where the classifier came from is gone, and packed into another directory."""
    assert train("exp") == 0
    shutil.rmtree(tmp_path / "ears")
    small_parts.register(monkeypatch)
    pack.main(["--exp", str(tmp_path / "exp"), "--out", str(tmp_path / "exp.zip")])
    with zipfile.ZipFile(tmp_path / "exp.zip") as archive:
        archive.extractall(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "exp")
    tsx = TargetSoundExtractor.load(tmp_path / "elsewhere")
    held = weights(tsx.experiment.model_file)
    for name, parameter in tsx.model.named_parameters():
        assert parameter.equal(held[name])
    network = tsx.model.later[0].conditioners[UNCONDITIONAL].classifier.network
    assert network.last.weight.equal(held[f"{LATER}.last/weight"])
    assert not network.last.weight.equal(small_parts.Ears("any").last.weight)
    mixture, fs = soundfile.read(read_table(targets.mixtures / "wav.scp")["mix00001"])
    target, rest = tsx(mixture, fs, unconditional=True)
    np.testing.assert_allclose(target + rest, mixture, atol=1e-5)
    assert np.abs(target).max() > 0


def test_estimates_scores_and_the_control(train, run, targets, tmp_path):
    assert train("exp") == 0
    exp, table = tmp_path / "exp", {}
    for name, more in (("test", []), ("shuffled", ["--shuffle_heard"])):
        out = exp / "infer" / name
        where = ["--exp", exp, "--mixtures", targets.mixtures, "--out", out]
        run("tsx_espnet.bin.infer", *where, *more, hook=PLUGIN)
        where = ["--mixtures", targets.mixtures, "--estimates", out]
        command = run("tsx_espnet.bin.score", *where, "--skip_bss")
        assert ("shuffled: the model hears other mixtures" in command.out) == bool(more)
        assert json.loads((out / ".done").read_text()).get("shuffled", False) == bool(more)
        scores = [row for row in rows(out / "scores.csv") if row["condition"] == UNCONDITIONAL]
        table[name] = {row["mixture"]: row["si_sdr"] for row in scores}
    assert table["test"].keys() == table["shuffled"].keys() and len(table["test"]) == 12
    assert all(table["test"][name] != value for name, value in table["shuffled"].items())
    where = ["--exp", exp, "--mixtures", targets.mixtures, "--set", "shuffled"]
    command = run("tsx_espnet.bin.report", *where)
    assert command.out.startswith("exp (shuffled) on shuffled\n")
    assert "made from another mixture each" in (exp / "RESULTS.md").read_text()

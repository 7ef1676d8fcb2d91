"""Training on mixtures as a corpus ships them: of one to four sources, a silent one among them."""

import contextlib
import io
import json
from types import SimpleNamespace

import pytest
import torch
import yaml
from fuss_as_shipped import FS, write_fuss

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.corpora.fuss import prepare
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.mixing.set_writer import rebuild
from tsx_espnet.mixing.shipped import format_shipped
from tsx_espnet.training.preemption import REQUEUE

TRAIN = "tsx_espnet.bin.train"
# id and number of sources of each mixture of training
NOTE = """
import json
from tsx_espnet.model import ESPnetTSXModel

forward = ESPnetTSXModel.forward

def forward_and_note(self, *args, **batch):
    if self.training:
        for name, sources in zip(batch["utt_id"], batch["sources"]):
            active = sources.any(dim=0).tolist()
            with open({notes!r}, "a") as stream:
                stream.write(json.dumps([name, active]) + "\\n")
    return forward(self, *args, **batch)

ESPnetTSXModel.forward = forward_and_note
"""
STOP = """
import os, torch

step, left = torch.optim.Adam.step, {step}

def step_and_stop(*args, **kwargs):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), {signal})
    return step(*args, **kwargs)

torch.optim.Adam.step = step_and_stop
"""


@pytest.fixture(scope="module")
def shipped(tiny, tmp_path_factory):
    """A small FUSS after stage 3, and the arguments of a training on it."""
    root = tmp_path_factory.mktemp("shipped")
    write_fuss(root / "fuss", counts={"train": 6, "validation": 4, "eval": 1})
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        prepare(root / "fuss", root / "data")
        for name in ("train", "valid"):
            format_shipped(root / "data" / name, root / name, FS)
        rebuild(root / "valid", ClipSet(root / "valid"), root / "mixtures")
    config = {
        **tiny.config,
        "extractor_conf": {**tiny.sudormrf, "num_outputs": 4},
        "conditions": {"unconditional": {"conditioner": "null"}},
        "objective": "pit",
        "criterions": [{"name": "thresholded_snr"}],
        "batch_size": 2,
    }
    (root / "train.yaml").write_text(yaml.safe_dump(config))
    args = ["--config", root / "train.yaml", "--valid_mixtures", root / "mixtures"]
    args += ["--train_clips", root / "train", "--train_mixtures", root / "train"]
    plans = read_plans(root / "train" / "mixtures.jsonl")
    return SimpleNamespace(root=root, args=args, plans={plan.id: plan for plan in plans})


@pytest.fixture
def train(run, shipped, tmp_path):
    """Train for two epochs: name and active sources of each mixture, and the last weights."""

    def run_training(*args):
        exp, notes = tmp_path / "exp", tmp_path / "notes"
        args = [*shipped.args, *args, "--max_epoch", 2, "--output_dir", exp]
        run(TRAIN, *args, hook=NOTE.format(notes=str(notes)))
        played = [json.loads(line) for line in notes.read_text().splitlines()]
        return played, torch.load(exp / "2epoch.pth", weights_only=True)

    return run_training


def test_every_mixture_is_trained_on_once_an_epoch_with_all_its_sources(train, shipped):
    played, weights = train()
    names = [name for name, _ in played]
    assert sorted(names[:6]) == sorted(names[6:]) == sorted(shipped.plans)
    assert names[:6] != names[6:]
    for name, active in played:
        number = int(name[-1])  # of the example; one source of one example is silent
        count = len(shipped.plans[name].sources)
        assert count == number % 4 + 1
        assert active == [n < count and not (number == 2 and n == 2) for n in range(len(active))]
    assert all(value.isfinite().all() for value in weights.values())


def test_backgrounds_meet_other_foregrounds(train, shipped):
    played, _ = train("--remix", "true")
    epochs = [name for name, _ in played[:6]], [name for name, _ in played[6:]]
    for names in epochs:
        for place in (0, 1):
            assert sorted(name.split("+")[place] for name in names) == sorted(shipped.plans)
    pairs = [name.split("+") for names in epochs for name in names]
    assert any(first != further for first, further in pairs)
    assert sorted(epochs[0]) != sorted(epochs[1])


@pytest.mark.parametrize("signal, status", [(9, -9), (15, REQUEUE)], ids=["killed", "preempted"])
def test_a_stopped_run_goes_on_with_the_same_mixtures(
    start, shipped, assert_same_experiment, tmp_path, signal, status
):
    args = [*shipped.args, "--remix", "true", "--max_epoch", 2, "--resume", "true", "--output_dir"]
    # the signal at a step of the run, of three an epoch
    for name, steps in (("whole", (0,)), ("parts", (2, 4, 0))):
        for step in steps:
            hook = STOP.format(step=step, signal=signal)
            command = start(TRAIN, *args, tmp_path / name, hook=hook)
            assert command.wait() == (status if step else 0), command.err
    assert_same_experiment(tmp_path / "parts", tmp_path / "whole")

"""Training on every target of a mixture, from the options of a run to its gradients."""

import json

import numpy as np
import pytest
import torch
from espnet2.train.dataset import ESPnetDataset

from tsx_espnet.build import build_model
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.mixing.data_table import FURTHER, MIXTURE, path_name_type
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.mixing.planned import PlannedMixtures
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.training.examples import Collate, TSXPreprocessor, values_of
from tsx_espnet.training.iterator import MixtureIterFactory
from tsx_espnet.training.preemption import REQUEUE
from tsx_espnet.vocabulary import Vocabulary

TRAIN = "tsx_espnet.bin.train"
CONDITIONS = {name: {} for name in ("energy", "harmonicity", "order", "class", "text")}
# ids and queries of each batch, in training and validation
NOTE = """
import json
from tsx_espnet.model import ESPnetTSXModel

forward = ESPnetTSXModel.forward

def forward_and_note(self, *args, **batch):
    with open({notes!r}, "a") as stream:
        noted = ("train" if self.training else "valid", batch["utt_id"], batch["queries"].tolist())
        stream.write(json.dumps(noted) + "\\n")
    return forward(self, *args, **batch)

ESPnetTSXModel.forward = forward_and_note
"""
SIGNAL = """
import os, signal, torch

step, left = torch.optim.Adam.step, {step}

def step_and_signal(*args, **kwargs):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGTERM)
    return step(*args, **kwargs)

torch.optim.Adam.step = step_and_signal
"""


@pytest.fixture(scope="module")
def vocabulary(data):
    return Vocabulary(data.classes, TextTable.read(data.text), 8000)


@pytest.fixture
def train(run, tmp_path):
    """Train for two epochs; (phase, ids, queries) of each batch, and the directory."""

    def run_training(name, *args):
        exp, notes = tmp_path / name, tmp_path / f"{name}.notes"
        args = [*args, "--max_epoch", 2, "--output_dir", exp]
        run(TRAIN, *args, hook=NOTE.format(notes=str(notes)))
        return [json.loads(line) for line in notes.read_text().splitlines()], exp

    return run_training


def own_queries(queries, row):
    return {component for mixture, component, _ in queries if mixture == row}


def test_every_target_is_trained_and_validated(train, targets_args, targets):
    seen, exp = train("exp", *targets_args)
    for _, ids, queries in seen:
        for row in range(len(ids)):
            assert own_queries(queries, row) == {0, 1, 2}
    plans = {plan.id for plan in read_plans(targets.mixtures / "mixtures.jsonl")}
    valid = [name for phase, ids, _ in seen if phase == "valid" for name in ids]
    assert set(valid) == plans and len(valid) == 2 * len(plans)
    first, second = (torch.load(exp / f"{n}epoch.pth", weights_only=True) for n in (1, 2))
    assert all(value.isfinite().all() for value in second.values())
    assert not second["encoder.conv1d.weight"].equal(first["encoder.conv1d.weight"])


def test_the_plans_of_a_set_are_trained_on(train, data, targets, targets_args):
    """All of them in each epoch, and nothing else; another set is another setup."""
    at = targets_args.index("--mixing_config")
    args = [*targets_args[:at], *targets_args[at + 2 :], "--train_mixtures", targets.mixtures]
    seen, exp = train("exp", *args)
    ids = [name for phase, ids, _ in seen if phase == "train" for name in ids]
    plans = [plan.id for plan in read_plans(targets.mixtures / "mixtures.jsonl")]
    assert sorted(ids[:4]) == sorted(ids[4:]) == plans
    assert all(len(queries) >= 3 * len(ids) for _, ids, queries in seen)


def test_the_plans_of_a_set_go_on_after_a_preemption(
    start, targets, targets_args, assert_same_experiment, tmp_path
):
    """Within the first epoch, and within the second: none is played twice, none is left out."""
    at = targets_args.index("--mixing_config")
    args = [*targets_args[:at], *targets_args[at + 2 :], "--train_mixtures", targets.mixtures]
    args += ["--batch_size", 1, "--max_epoch", 2, "--resume", "true", "--output_dir"]
    # the signal at a step of the run, of four an epoch
    for name, steps in (("whole", (0,)), ("parts", (2, 5, 0))):
        for step in steps:
            command = start(TRAIN, *args, tmp_path / name, hook=SIGNAL.format(step=step))
            assert command.wait() == (REQUEUE if step else 0), command.err
    assert_same_experiment(tmp_path / "parts", tmp_path / "whole")


def test_streams_have_their_shares_of_each_batch(train, streams_args):
    seen, _ = train("exp", *streams_args)
    batches = [(ids, queries) for phase, ids, queries in seen if phase == "train"]
    assert len(batches) == 4
    for ids, queries in batches:
        assert [name.partition("-")[0] for name in ids] == ["stream1"] * 2 + ["stream2"] * 2
        targets = [len(own_queries(queries, row)) for row in range(4)]
        assert targets == [1, 1, 3, 3]


def test_what_is_on_disk_is_what_is_drawn(data, targets, vocabulary):
    """The set as ESPnet loads it, and its plans mixed again, are the same examples."""
    preprocess = TSXPreprocessor(False, (*CONDITIONS, "enrollment"), vocabulary)
    loaded = ESPnetDataset(
        path_name_type(str(targets.mixtures), (), queries=True), preprocess=preprocess
    )
    plans = read_plans(targets.mixtures / "mixtures.jsonl")
    draws = PlannedMixtures(plans, ClipSet(data.clips))
    for plan in plans:
        _, found = loaded[plan.id]
        expected = preprocess(plan.id, values_of(draws.render(plan)))
        assert found.keys() == expected.keys() > {row.name for row in (MIXTURE, *FURTHER)}
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=f"{plan.id} {name}")


def test_data_without_a_target_is_refused(start, data, targets):
    args = ["--config", data.train_config, "--valid_mixtures", targets.mixtures]
    args += ["--text_embeddings", data.text, "--class_list", data.clips / "classes.txt"]
    args += ["--train_shape_file", targets.mixtures / "wav.scp"]
    for row in (MIXTURE, FURTHER[0]):
        given = f"{targets.mixtures / row.file},{row.name},{row.type}"
        args += ["--train_data_path_and_name_and_type", given]
    command = start(TRAIN, *args, "--output_dir", targets.root / "exp")
    assert command.wait() == 1
    assert command.err.splitlines()[-1] == (
        "error: --train_data_path_and_name_and_type: expected a row named speech_ref1, or sources "
        "and queries; found speech_mix, sources"
    )


@pytest.mark.parametrize(
    "objective", [("single", {"condition": "text"}), ("oct", {"condition": "text"})]
)
def test_a_step_is_the_mean_over_all_targets(objective, tiny, targets, vocabulary):
    """Its gradient is that of as many mixtures with a single target, two sources each."""
    name, conf = objective
    config = {**tiny.model, "conditions": CONDITIONS, "objective": name, "objective_conf": conf}
    config.update(extractor_conf=tiny.sudormrf, consistency="uniform")
    config["criterions"] = [{"name": "si_sdr", "conf": {}, "wrapper": "fixed_order"}]
    config["criterions"][0]["wrapper_conf"] = {}
    torch.manual_seed(0)
    model = build_model(config, vocabulary).train()
    preprocess = TSXPreprocessor(True, tuple(CONDITIONS), vocabulary)
    factory = MixtureIterFactory(
        targets.sampler, preprocess, Collate(), num_mixtures=3, batch_size=3
    )
    ((ids, batch),) = factory.build_iter(1)
    rows, components, _ = batch["queries"].T
    assert len(rows) == 9

    target = batch["sources"][rows, :, components]
    alone = {"speech_mix": batch["speech_mix"][rows], "speech_ref1": target}
    alone["speech_ref2"] = alone["speech_mix"] - target
    for condition in CONDITIONS:
        alone[condition] = batch[condition]
        alone[f"{condition}_lengths"] = batch[f"{condition}_lengths"]

    gradients = []
    for arrays in (batch, alone):
        model.zero_grad()
        loss, stats, weight = model(**arrays)
        assert weight == 9 and loss.isfinite()
        loss.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    found, expected = gradients
    assert found.keys() == expected.keys()
    scale = max(grad.abs().max() for grad in expected.values())
    for parameter, grad in expected.items():
        torch.testing.assert_close(found[parameter], grad, rtol=0, atol=1e-5 * scale)

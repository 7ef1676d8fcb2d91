"""Two processes on the CPU (gloo): what they train is what one trains on the same batches.

Through ESPnet's own machinery, by its options for an external launcher (as ``torchrun`` sets them):
its DistributedDataParallel, its weighing of losses, its exchange of the end of an epoch. Only its
spawning of a process for each GPU (``--multiprocessing_distributed``) wants GPUs.
"""

import socket

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet.tables import read_table, write_table
from tsx_espnet.training.preemption import REQUEUE

TRAIN = "tsx_espnet.bin.train"
SGD = ["--optim", "sgd", "--optim_conf", "lr=0.05", "--grad_clip", 1000]
# ids of the batches of training, and gradients of each step
NOTE = """
import os, signal, torch
from tsx_espnet.model import ESPnetTSXModel

forward, step, steps = ESPnetTSXModel.forward, torch.optim.SGD.step, 0

def forward_and_note(self, *args, **batch):
    if self.training:
        with open({notes!r} + ".ids", "a") as stream:
            stream.write(" ".join(batch["utt_id"]) + "\\n")
    return forward(self, *args, **batch)

def step_and_note(self, *args, **kwargs):
    global steps
    steps += 1
    grads = [p.grad for group in self.param_groups for p in group["params"]]
    torch.save(grads, {notes!r} + f".grads{{steps}}")
    if steps == {stop}:
        os.kill(os.getpid(), signal.SIGTERM)
    return step(self, *args, **kwargs)

ESPnetTSXModel.forward, torch.optim.SGD.step = forward_and_note, step_and_note
"""


class Run:
    """A run of one process or several: its directory, and what each process logged."""

    def __init__(self, exp, world_size):
        self.exp = exp
        self.notes = [exp.with_name(f"{exp.name}.rank{rank}") for rank in range(world_size)]

    def batches(self, rank):
        lines = self.notes[rank].with_name(f"{self.notes[rank].name}.ids").read_text().splitlines()
        return [line.split() for line in lines]

    def grads(self, step, rank=0):
        return torch.load(self.notes[rank].with_name(f"{self.notes[rank].name}.grads{step}"))

    def weights(self, name="latest.pth"):
        return torch.load(self.exp / name, weights_only=True)


@pytest.fixture
def train(start, tmp_path):
    """``(name, world_size, args, stop, statuses)``: train; all processes must end with these."""

    def run_training(name, world_size, args, stop=None, status=0):
        run = Run(tmp_path / name, world_size)
        args = [*args, "--output_dir", run.exp, "--valid_batch_size", 4]
        if world_size > 1:
            with socket.socket() as free:
                free.bind(("localhost", 0))
                port = free.getsockname()[1]
            args += ["--dist_backend", "gloo", "--dist_world_size", world_size]
            args += ["--dist_master_addr", "localhost", "--dist_master_port", port]
        commands = []
        for rank, notes in enumerate(run.notes):
            more = ["--dist_rank", rank] if world_size > 1 else []
            hook = NOTE.format(notes=str(notes), stop=(stop or {}).get(rank, 0))
            commands.append(start(TRAIN, *args, *more, hook=hook))
        for command in commands:
            assert command.wait() == status, command.err
        return run

    return run_training


def assert_close(found, expected):
    """To 1e-5 of the largest number of all (``nan``: no gradient)."""
    if isinstance(found, dict):
        assert found.keys() == expected.keys()
        found, expected = found.values(), [expected[name] for name in found]
    found, expected = ([x for x in xs if x is not None] for xs in (found, expected))
    assert len(found) == len(expected) > 0
    scale = max(tensor.abs().max().item() for tensor in expected)
    assert scale > 0
    for one, other in zip(found, expected):
        assert (one - other).abs().max().item() <= 1e-5 * scale


@pytest.mark.parametrize(
    "objective",
    [
        ("--objective", "single", "--objective_conf", "condition=order"),  # not always applicable
        ("--objective", "oct", "--objective_conf", "condition=harmonicity"),
        ("--objective", "octpp", "--refiner", "mixture"),
        (
            *("--objective", "mixed", "--objective_conf", "paths=[order,class]"),
            *("--objective_conf", "other_weight=1.0"),
        ),
    ],
    ids=lambda options: options[1],
)
def test_two_processes_are_one(objective, train, train_args):
    """Gradients and weights, mixtures once each, over two epochs whose last batch is smaller."""
    assert_two_are_one(train, [*train_args, *objective])


@pytest.mark.parametrize("objective", ["single", "mixed"])
@pytest.mark.parametrize("mixtures", ["targets_args", "streams_args"])
def test_two_processes_are_one_with_several_targets(objective, mixtures, train, request):
    """However many of the queries of a batch fall to each."""
    args = [*request.getfixturevalue(mixtures), "--objective", objective, "--objective_conf"]
    option = {"single": "condition=class", "mixed": "paths=[text,class]"}[objective]
    assert_two_are_one(train, [*args, option])


def assert_two_are_one(train, args):
    args = [*args, *SGD, "--mixtures_per_epoch", 14, "--max_epoch", 2]
    one, two = (train(f"exp{number}", number, args) for number in (1, 2))

    shares = [two.batches(rank) for rank in range(2)]
    whole = one.batches(0)
    assert len(whole) == len(shares[0]) == len(shares[1]) == 8
    for batch, first, second in zip(whole, *shares):
        assert first and second and not set(first) & set(second)
        assert sorted(first + second) == sorted(batch)
    assert len({name for batch in whole for name in batch}) == 28

    assert_close(two.grads(1), one.grads(1))
    for step in (1, 8):
        for mine, theirs in zip(two.grads(step, 0), two.grads(step, 1)):
            assert (mine is None) == (theirs is None) and (mine is None or mine.equal(theirs))
    before = one.weights("1epoch.pth")
    assert any(not value.equal(before[name]) for name, value in one.weights().items())
    for name in ("1epoch.pth", "2epoch.pth"):
        assert_close(two.weights(name), one.weights(name))


@pytest.fixture
def uneven(data, train_args, tmp_path):
    """A fixed training set; only every other mixture has an order, so only one process has any.

    The labels are of no mixture, so that the parameters of the class condition are never used.
    """
    names = list(read_table(data.mixtures / "wav.scp"))
    order = {name: "first" if n % 2 == 0 else "n/a" for n, name in enumerate(names)}
    write_table(tmp_path / "utt2order", order)
    write_table(tmp_path / "utt2class", dict.fromkeys(names, "n/a"))
    files = {
        "speech_mix": (data.mixtures / "wav.scp", "sound"),
        "speech_ref1": (data.mixtures / "spk1.scp", "sound"),
        "speech_ref2": (data.mixtures / "spk2.scp", "sound"),
        "order": (tmp_path / "utt2order", "text"),
        "class": (tmp_path / "utt2class", "text"),
    }
    args = ["--config", data.train_config, "--class_list", data.clips / "classes.txt"]
    args += ["--valid_mixtures", data.mixtures, "--text_embeddings", data.text]
    args += ["--train_shape_file", data.mixtures / "wav.scp"]
    for name, (path, kind) in files.items():
        args += ["--train_data_path_and_name_and_type", f"{path},{name},{kind}"]
    return [*args, "--max_epoch", 2, "--batch_size", 2]


@pytest.mark.parametrize(
    "objective",
    [
        ("single", "condition=order"),
        ("oct", "condition=order", "candidates=[order,class]"),
        ("mixed", "paths=[order,class]", "other_weight=1.0"),
        ("single", "condition=class"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_a_process_whose_mixtures_have_no_condition(objective, train, uneven):
    """Neither waits forever, and the gradients are still those of one process."""
    args = [*uneven, *SGD, "--objective", objective[0]]
    for option in objective[1:]:
        args += ["--objective_conf", option]
    one, two = (train(f"exp{number}", number, args) for number in (1, 2))
    assert all(len(batch) == 1 for rank in range(2) for batch in two.batches(rank))
    assert_close(two.weights(), one.weights())
    if objective[1] == "condition=class":  # nothing was learnt at all
        assert all(grad is None or not grad.any() for grad in two.grads(1))
    else:
        assert any(grad is not None and grad.any() for grad in two.grads(1))
        assert any(grad is None or not grad.any() for grad in two.grads(1))


def test_preempted_together(train, train_args, assert_same_experiment):
    """The signal reaches one of them; both stop at the same batch, and go on there."""
    args = [*train_args, *SGD, "--objective", "hct", "--mixtures_per_epoch", 20]
    args += ["--max_epoch", 2, "--resume", "true"]
    whole = train("whole", 2, args)
    for stop in ({1: 3}, {0: 2}, {0: 1, 1: 2}):
        run = train("exp", 2, args, stop, REQUEUE)
        assert (run.exp / "preempted.pth").is_file()
    run = train("exp", 2, args)
    for rank in range(2):
        assert run.batches(rank) == whole.batches(rank)
    assert_same_experiment(run.exp, whole.exp)


def test_bad_audio_of_one_process(train, data, uneven, tmp_path):
    """The other leaves out its share of the batch too, and both see the same number of batches."""
    table = read_table(data.mixtures / "wav.scp")
    third = list(table)[2]
    samples, fs = soundfile.read(table[third], dtype="float32")
    samples[10] = np.nan
    soundfile.write(tmp_path / "bad.wav", samples, fs, subtype="FLOAT")
    write_table(tmp_path / "wav.scp", {**table, third: tmp_path / "bad.wav"})
    given = f"{data.mixtures / 'wav.scp'},speech_mix,sound"
    args = [f"{tmp_path / 'wav.scp'},speech_mix,sound" if arg == given else arg for arg in uneven]
    two = train("exp", 2, [*args, "--objective", "single", "--objective_conf", "condition=order"])
    first, second = (two.batches(rank) for rank in range(2))
    assert len(first) == len(second) == 4  # two of three, in two epochs
    assert [third] not in first and [list(table)[3]] not in second
    assert all(value.isfinite().all() for value in two.weights().values())

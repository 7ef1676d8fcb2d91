"""A run whose node is taken away: SIGTERM or SIGUSR1, status 99, resumed at that batch."""

import random

import pytest

from tsx_espnet.training.preemption import REQUEUE

TASKS = ["extraction", "streams", "regression", "classifier"]
pytestmark = pytest.mark.parametrize("task", TASKS, indirect=True)
# the signal at the n-th batch, of training or validation, and a note of each that is trained on
SIGNAL = """
import multiprocessing, os, subprocess
from {module} import {model}

forward, left = {model}.forward, {number}

def forward_and_note(self, *args, **batch):
    global left
    left -= 1
    if self.training:
        with open({log!r}, "a") as stream:
            stream.write(" ".join(batch["utt_id"]) + "\\n")
    if left == 0:
        # from a stranger, to the workers too, as Slurm does
        pids = [child.pid for child in multiprocessing.active_children()] + [os.getpid()]
        subprocess.run(["kill", "-{name}", *map(str, pids)])
    return forward(self, *args, **batch)

{model}.forward = forward_and_note
"""
# five batches an epoch, whose loss draws at random (conditions, dropout), a learning rate that
# changes with every step
OPTIONS = [
    *("--max_epoch", 3, "--keep_nbest_models", 2, "--valid_batch_size", 2, "--resume", "true"),
    *("--scheduler", "warmuplr", "--scheduler_conf", "warmup_steps=9"),
]


@pytest.fixture
def train(start, task):
    """Train in a directory until the n-th batch of this run; 0: to the end."""

    def run_training(exp, number=0, signal="SIGTERM", more=()):
        module, model = task.model
        log = str(exp.with_suffix(".log"))
        hook = SIGNAL.format(module=module, model=model, number=number, name=signal[3:], log=log)
        args = [*task.args, *OPTIONS, *task.many_batches, "--output_dir", exp, *more]
        command = start(task.command, *args, hook=hook)
        command.status = command.wait()
        return command

    return run_training


def trained(exp):
    """The batches that were trained on, in order, in all runs."""
    return exp.with_suffix(".log").read_text().splitlines()


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--accum_grad", 2),  # and a batch that is left over
        ("--num_workers", 2),
        ("--num_iters_per_epoch", 3),
    ],
    ids=lambda more: more[0] if more else "plain",
)
def test_preempted_again_and_again(more, train, assert_same_experiment, tmp_path):
    reference, exp = tmp_path / "reference", tmp_path / "exp"
    assert train(reference, more=more).status == 0
    seed = random.randrange(1000)
    draw = random.Random(seed)
    statuses = []
    while not statuses or statuses[-1] == REQUEUE:
        name = draw.choice(["SIGTERM", "SIGUSR1"])
        command = train(exp, draw.randint(1, 7), name, more)
        statuses.append(command.status)
        assert "Traceback" not in command.err, f"seed {seed}: {command.err}"
        assert len(statuses) < 40
    assert statuses[-1] == 0 and len(statuses) > 2, f"seed {seed}: {statuses}"
    assert trained(exp) == trained(reference), f"seed {seed}"  # no batch twice, none left out
    assert_same_experiment(exp, reference)


def test_preempted_then_killed(train, assert_same_experiment, tmp_path):
    """The state within the epoch serves again, until the epoch is complete."""
    reference, exp = tmp_path / "reference", tmp_path / "exp"
    assert train(reference).status == 0
    assert train(exp, 11).status == REQUEUE  # the third batch of the second epoch
    for number in (1, 2, 3):
        assert train(exp, number, "SIGKILL").status == -9
    assert train(exp, 2, "SIGUSR1").status == REQUEUE
    assert train(exp, 6, "SIGKILL").status == -9  # in the third epoch
    command = train(exp)
    assert command.status == 0
    assert "3/3epoch started" in command.err and "2/3epoch started" not in command.err
    assert_same_experiment(exp, reference)


def test_preempted_before_it_trains(start, task, tmp_path):
    hook = """
import os, signal
from tsx_espnet.training.trainer import ReliableTrainer
ReliableTrainer.build_options = lambda args: os.kill(os.getpid(), signal.SIGUSR1)
"""
    command = start(task.command, *task.args, "--output_dir", tmp_path / "exp", hook=hook)
    assert command.wait() == REQUEUE
    assert sorted(path.name for path in (tmp_path / "exp").iterdir()) == task.written


@pytest.mark.parametrize("change", ["damaged", "batch size"])
def test_a_state_that_is_of_no_use_costs_an_epoch(change, train, assert_same_experiment, tmp_path):
    exp = tmp_path / "exp"
    assert train(exp, 8 + 3).status == REQUEUE
    path, more = exp / "preempted.pth", ()
    if change == "damaged":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        more = ("--batch_size", 2)
    command = train(exp, more=more)
    assert command.status == 0
    warning = next(line for line in command.err.splitlines() if "preempted.pth" in line)
    assert "starting the epoch again" in warning
    assert not path.exists()
    if change == "damaged":
        assert train(tmp_path / "reference").status == 0
        assert_same_experiment(exp, tmp_path / "reference")


def test_a_new_training_does_not_go_on_with_an_old_state(train, assert_same_experiment, tmp_path):
    reference, exp = tmp_path / "reference", tmp_path / "exp"
    assert train(exp, 2).status == REQUEUE
    assert train(exp, more=("--resume", "false")).status == 0
    assert train(reference).status == 0
    assert_same_experiment(exp, reference)


def test_a_state_of_another_model_is_refused(train, task, tmp_path):
    exp = tmp_path / "exp"
    assert train(exp, 2).status == REQUEUE
    (exp / "config.yaml").unlink()  # else that is what refuses
    command = train(exp, more=task.another_model)
    assert command.status == 1
    last = command.err.splitlines()[-1]
    assert last.startswith(f"error: {exp}/preempted.pth does not fit the configuration: ")
    assert "has shape" in last and "Traceback" not in command.err

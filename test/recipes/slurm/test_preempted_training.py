"""A training whose node Slurm takes away within an epoch, and gives back: nothing is lost."""

import os
import re
import shutil
import signal
import subprocess

import pytest
import torch

from tsx_espnet.training.lock import LOCK
from tsx_espnet.training.preemption import REQUEUE

EPOCHS, BATCHES = 3, 60
# with a process that loads, which gets Slurm's signals too; a line of the log for each batch
TRAINING = f"--max_epoch {EPOCHS} --mixtures_per_epoch {4 * BATCHES} --num_workers 1"
TRAINING += " --log_interval 1"
PREEMPTIBLE = "command sbatch --export=ALL\noption name=* --job-name $0\ndefault gpu=0\n"
PREEMPTIBLE += "option num_threads=* --cpus-per-task $0\noption gpu=0 -p preempt --requeue\n"


@pytest.fixture
def recipe(tiny_mini, tmp_path):
    """A copy of the mini recipe whose sets are made and whose jobs may be preempted."""
    none = shutil.ignore_patterns("exp")
    egs = tmp_path / "preempted - 1"
    shutil.copytree(tiny_mini.directory.parent, egs, symlinks=True, ignore=none)
    config = egs / "mini/conf/slurm.conf"
    config.unlink(missing_ok=True)  # a link to that of all recipes
    config.write_text(PREEMPTIBLE)
    return egs / "mini"


@pytest.fixture
def words(tiny_mini):
    """The command that trains, but for its tag."""
    train_args = f"{TRAINING} {tiny_mini.model}"
    stages = ["--stage", "5", "--stop_stage", "5"]
    return ["./run.sh", *tiny_mini.options, *stages, "--train_args", train_args]


@pytest.fixture
def training(recipe, words, environment, node):
    """The recipe, as it trains through Slurm."""
    with open(recipe / "said", "w") as said:
        process = subprocess.Popen(
            [*words, "--tag", "preempted"],
            cwd=recipe,
            env={**environment, "cmd_backend": "slurm"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
    node.run("scancel", *node.queue())  # of a test that failed


def trained(log):
    """Epoch and number of the batches that were trained on, in order."""
    text = log.read_text() if log.exists() else ""
    return [
        (int(epoch), int(batch))
        for epoch, batch in re.findall(r"(\d+)epoch:train:(\d+)-\2batch:", text)
    ]


def test_a_preempted_training_is_as_one_that_was_not(recipe, words, training, run, node, wait_for):
    exp, reference = recipe / "exp/preempted", recipe / "exp/reference"
    log = exp / "train.log"
    in_second = BATCHES + 2  # batches
    wait_for(lambda: len(trained(log)) >= in_second or training.poll() is not None, 240, pause=0.02)
    assert training.poll() is None, (recipe / "said").read_text()
    # It stands still until Slurm, which sends SIGCONT before SIGTERM, has made up its mind; the
    # epoch would be over else on a fast machine.
    os.kill(int(os.readlink(exp / LOCK).split(":")[1]), signal.SIGSTOP)
    urgent = node.run("sbatch", "-p", "cpu", "--exclusive", "-o", "/dev/null", "--wrap", "true")
    assert urgent.returncode == 0, urgent.stderr
    # meanwhile, on this machine
    result = run(recipe, *words, "--tag", "reference", timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert training.wait(300) == 0, (recipe / "said").read_text()

    text = log.read_text()
    saved = re.findall(r"saved after batch (\d+) of epoch (\d+)", text)
    assert len(saved) == 1 and "DUE TO PREEMPTION" in (exp / "q/train.log").read_text()
    ends = re.findall(r"with status (\d+)$", text, re.M)
    assert ends == [str(REQUEUE), "0"]
    batch, epoch = saved[0]
    assert f"Resuming after batch {batch} of epoch {epoch}\n" in text
    every = [(epoch, batch) for epoch in range(1, EPOCHS + 1) for batch in range(1, BATCHES + 1)]
    assert trained(log) == every  # none twice, none left out
    assert_same_weights(exp, reference)


def assert_same_weights(found, expected):
    names = sorted(path.name for path in expected.glob("*.pth"))
    assert sorted(path.name for path in found.glob("*.pth")) == names
    assert f"{EPOCHS}epoch.pth" in names and "valid.loss.ave.pth" in names
    for name in names:
        if not name.startswith("checkpoint"):  # they hold times
            one, two = (torch.load(path / name, weights_only=True) for path in (found, expected))
            assert list(one) == list(two)
            assert all(torch.equal(one[key], two[key]) for key in one), name

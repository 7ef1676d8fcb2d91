"""A real Slurm node for these tests; ``make test-slurm`` runs them."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[3]
UTILS = ROOT / "egs/TEMPLATE/utils"
SLURM_NODE = ROOT / "tools/slurm_node.sh"
COUNTS = pytest.StashKey()

SETS = ["--clips_per_class", "10", "--num_valid", "8", "--num_test", "12", "--num_threads", "1"]
MODEL = "--batch_size 4 --encoder_conf channel=32 --decoder_conf channel=32"
MODEL += " --extractor_conf num_blocks=1 --extractor_conf depth=2"
MODEL += " --extractor_conf out_channels=16 --extractor_conf hidden_channels=16"


class Node:
    """The node and the directory it lives in."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.environment = {**os.environ, "SLURM_CONF": str(self.directory / "slurm.conf")}

    def control(self, *words):
        return self.run(SLURM_NODE, *words, "--dir", self.directory)

    def run(self, *words):
        return subprocess.run(
            [str(word) for word in words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def queue(self, column="%A"):
        """One column of the queue."""
        return self.run("squeue", "-h", "-r", "-o", column).stdout.split()

    def ended(self):
        """How the jobs ended, by job id: what Slurm itself wrote down."""
        log = self.directory / "jobs.log"
        text = log.read_text() if log.exists() else ""
        return dict(re.findall(r"^JobId=(\d+) .*? JobState=(\S+) ", text, re.M))

    def submitted(self):
        """Number of jobs so far; every member of an array is one."""
        text = self.run("scontrol", "show", "config").stdout
        return int(re.search(r"NEXT_JOB_ID\s*=\s*(\d+)", text)[1]) - 1

    def wait_until_empty(self, seconds=60):
        wait_for(lambda: not self.queue(), seconds)


def wait_for(condition, seconds=60, pause=0.1):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(pause)


@pytest.fixture(name="wait_for")
def _wait_for():
    return wait_for


@pytest.fixture(scope="session")
def node(tmp_path_factory, request):
    if not os.environ.get("TSX_TEST_SLURM"):
        pytest.skip("needs a Slurm: run 'make test-slurm'")
    for name in ("munged", "slurmctld", "slurmd"):
        if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin"):
            pytest.skip(f"Slurm is not installed (no {name}): apt-get install slurm-wlm munge")
    node = Node(tmp_path_factory.mktemp("slurm"))
    started = node.control("start", "--cpus", 4, "--gpus", 2)
    assert started.returncode == 0, started.stderr
    yield node
    left = node.queue()
    request.config.stash[COUNTS] = (node.submitted(), node.ended(), left)
    node.control("stop")
    assert not left


def pytest_terminal_summary(terminalreporter, config):
    if COUNTS in config.stash:
        submitted, ended, left = config.stash[COUNTS]
        states = sorted(set(ended.values()))
        counts = [f"{list(ended.values()).count(state)} {state.lower()}" for state in states]
        lost = submitted - len(ended) - len(left)
        line = ", ".join([f"Slurm: {submitted} jobs submitted", *counts, f"{lost} lost"])
        terminalreporter.write_line(line)


@pytest.fixture
def environment(environment, node):
    """The recipes' environment, in which Slurm's commands reach the node."""
    environment["SLURM_CONF"] = node.environment["SLURM_CONF"]
    environment["PATH"] = f"{UTILS}:{environment['PATH']}"
    return environment


@pytest.fixture(scope="session")
def tiny_mini(node, finished_mini):
    """The mini recipe after stages 1 to 4 on this machine.

    Its directory, the recipe's options that made its sets, and the sizes of a model of no use, for
    ``--train_args``.
    """
    directory = finished_mini(*SETS, "--nj", "2", "--stop_stage", "4")[0]
    return SimpleNamespace(directory=directory, options=SETS, model=MODEL)


@pytest.fixture
def work(tmp_path, node):
    """A directory with a name that needs care, and with our slurm.conf."""
    directory = tmp_path / "my 50% work - 1"
    (directory / "conf").mkdir(parents=True)
    shutil.copy(ROOT / "egs/TEMPLATE/conf/slurm.conf", directory / "conf")
    yield directory
    node.run("scancel", *node.queue())  # of a test that failed


@pytest.fixture
def start(environment, work):
    """``start(*words)``: slurm.pl in a process group of its own, which is ended after the test."""
    processes = []

    def start(*words):
        process = subprocess.Popen(
            ["slurm.pl", *map(str, words)],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        process.stderr.close()

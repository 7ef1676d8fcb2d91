"""follow.py shows the progress that is in the logs, and its command never outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FOLLOW = Path(__file__).parents[2] / "egs/TEMPLATE/utils/follow.py"

TRAINING = """\
[host] 2026-01-02 03:04:05,678 (abs_task:1234) INFO: Model structure: ...
[host] 2026-01-02 03:04:05,678 (trainer:754) INFO: 2epoch:train:41-60batch: iter_time=1.2e-4, \
forward_time=0.145, loss=-3.210best_text=nan, si_snr_text=4.5, grad_norm=2.1, clip=0.0, \
optim0_lr0=1.0e-03, train_time=0.5
[host] 2026-01-02 03:04:05,678 (trainer:338) INFO: 2epoch results: [train] iter_time=0.1, \
loss=-3.4, optim0_lr0=1.0e-03, train_time=0.5, time=12 seconds, total_count=60, \
gpu_max_cached_mem_GB=0.000, [valid] loss=-3.5, time=2 seconds, total_count=10
"""


def test_shows_batches_and_epochs_without_their_noise(run, tmp_path):
    (tmp_path / "said").write_text(TRAINING)
    result = run(tmp_path, sys.executable, FOLLOW, "train.log", "--", "cp", "said", "train.log")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "  2epoch:train:41-60batch: loss=-3.210, si_snr_text=4.5",
        "  2epoch results: [train] loss=-3.4, time=12 seconds, [valid] loss=-3.5, time=2 seconds",
    ]


def test_bars_of_an_array_are_summed(run, tmp_path):
    script = tmp_path / "job.sh"
    script.write_text(
        r"printf 'format x 1/2:   0%%|  | 0/30\rformat x 1/2:  33%%|# | 10/30 [00:01<00:02]\r'"
        r" >x.1.log"
        "\n"
        r"printf '\nformat x 2/2: 100%%|#####| 20/20 [00:01<00:00]\n' >x.2.log"
    )
    result = run(tmp_path, sys.executable, FOLLOW, "x.*.log", "--", "bash", script)
    assert result.stdout == "  format x: 30/50 (60 %)\n"


def test_a_log_of_an_earlier_run_is_not_shown_again(run, tmp_path):
    (tmp_path / "train.log").write_text(TRAINING)
    result = run(tmp_path, sys.executable, FOLLOW, "train.log", "--", "true")
    assert result.stdout == ""
    (tmp_path / "new").write_text(TRAINING)
    result = run(tmp_path, sys.executable, FOLLOW, "train.log", "--", "mv", "new", "train.log")
    assert result.stdout.count("2epoch results") == 1


def test_status_and_output_of_the_command(run, tmp_path):
    words = [sys.executable, FOLLOW, "none.log", "--output", "said", "--"]
    assert run(tmp_path, *words, "bash", "-c", "echo hello; exit 5").returncode == 5
    assert (tmp_path / "said").read_text() == "hello\n"
    assert run(tmp_path, *words, "bash", "-c", "kill -9 $$").returncode == 128 + 9
    missing = run(tmp_path, *words, "no-such-program")
    assert missing.returncode == 127 and "no-such-program" in missing.stderr


@pytest.mark.parametrize(
    "victims, number",
    [
        (["follower"], signal.SIGTERM),
        (["follower"], signal.SIGKILL),
        (["recipe"], signal.SIGKILL),
        (["recipe", "follower"], signal.SIGKILL),
    ],
)
def test_the_command_ends_with_follow_or_with_its_parent(tmp_path, environment, victims, number):
    """A recipe killed by SIGKILL leaves no training behind that would disturb the next."""
    script = tmp_path / "recipe.sh"
    job = "bash -c 'echo $$ >pid; sleep 300; true'"
    script.write_text(f"'{sys.executable}' '{FOLLOW}' x.log -- {job}\ntrue\n")
    recipe = subprocess.Popen(["bash", script], cwd=tmp_path, env=environment)
    pid_file = tmp_path / "pid"
    limit = time.monotonic() + 20
    while not (pid_file.is_file() and pid_file.read_text().strip()):
        assert time.monotonic() < limit
        time.sleep(0.05)
    pid = int(pid_file.read_text())
    follower = int(Path(f"/proc/{recipe.pid}/task/{recipe.pid}/children").read_text())
    for victim in victims:
        os.kill({"recipe": recipe.pid, "follower": follower}[victim], number)
    recipe.wait(20)
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < limit
        time.sleep(0.05)

"""slurm.pl against a stand-in for Slurm: what it submits, waits for, notices and cancels.

The stand-in's ``sbatch`` runs the script at once; ``squeue`` lists what is in the file ``queue``.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

UTILS = Path(__file__).parents[2] / "egs/TEMPLATE/utils"

SBATCH = r"""#!/usr/bin/env bash
printf '%s\n' "$@" >"$SLURM_DIR/arguments"
[ ! -e "$SLURM_DIR/refuse" ] || { echo "sbatch: error: invalid partition" >&2; exit 1; }
script=${!#}
while [ $# -gt 0 ]; do
    case $1 in
    --array) range=${2%%%*}; shift ;;
    -o) output=$2; shift ;;
    esac
    shift
done
echo "Submitted batch job 17"
[ ! -e "$SLURM_DIR/lose" ] || exit 0
if [ -n "${range:-}" ]; then
    for task in $(seq "${range%-*}" "${range#*-}"); do
        export SLURM_ARRAY_TASK_ID=$task
        SLURM_JOB_ID=17 setsid bash "$script" >>"$output" 2>&1 </dev/null &
    done
else
    SLURM_JOB_ID=17 setsid bash "$script" >>"$output" 2>&1 </dev/null &
fi
"""
SQUEUE = '#!/bin/sh\ncat "$SLURM_DIR/queue"\n'
SCANCEL = '#!/bin/sh\necho "$@" >"$SLURM_DIR/cancelled"\n'


@pytest.fixture
def slurm(tmp_path, environment):
    """A directory with the stand-in; ``slurm.pl`` in it waits two seconds for lost jobs."""
    for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    text = (UTILS / "slurm.pl").read_text()
    assert "my $patience = 60;" in text
    (tmp_path / "slurm.pl").write_text(text.replace("my $patience = 60;", "my $patience = 2;"))
    (tmp_path / "slurm.pl").chmod(0o755)
    shutil.copy(UTILS / "Jobs.pm", tmp_path)
    (tmp_path / "queue").write_text("")
    environment["SLURM_DIR"] = str(tmp_path)
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    (tmp_path / "my work - 1").mkdir()
    return tmp_path / "my work - 1"


def arguments(slurm):
    return (slurm.parent / "arguments").read_text().splitlines()


def test_one_job(slurm, run):
    command = ["echo", "two  words", "|", "cat"]
    result = run(slurm, "slurm.pl", "--name", "a - b", "log dir/x.log", *command)
    assert (result.returncode, result.stderr) == (0, "")
    text = (slurm / "log dir/x.log").read_text()
    header = r'# Running on .*\n# Started at .*\n(# SLURM_.*\n)*# echo "two  words" \| cat\n'
    assert re.match(header, text)
    assert "\ntwo  words\n# Accounting: begin_time=" in text
    assert re.search(r"# Accounting: time=\d+ threads=1\n# Finished at .* with status 0\n$", text)
    assert not list((slurm / "log dir/q").glob("done*"))
    words = arguments(slurm)
    assert words[words.index("--job-name") + 1] == "a - b"


def test_array(slurm, run):
    command = ["echo", 'say "NR" now', "and NR", "NR.x"]
    result = run(slurm, "slurm.pl", "--max-jobs-run", "2", "NR=2:4", "l/x.NR.log", *command)
    assert (result.returncode, result.stderr) == (0, "")
    assert '\nsay "3" now and 3 3.x\n' in (slurm / "l/x.3.log").read_text()
    words = arguments(slurm)
    assert words[words.index("--array") + 1] == "2-4%2"


def test_a_failing_member_fails_the_array(slurm, run):
    (slurm / "job.sh").write_text('[ "$1" != 2 ] || { echo "error: no clip"; exit 3; }\n')
    result = run(slurm, "slurm.pl", "JOB=1:3", "x.JOB.log", "bash", "job.sh", "JOB")
    assert result.returncode == 1
    assert "slurm.pl: 1 / 3 failed, log is in x.*.log" in result.stderr
    assert "error: no clip" in result.stderr
    assert "with status 3" in (slurm / "x.2.log").read_text()


def test_a_vanished_job_is_noticed(slurm, run):
    (slurm.parent / "lose").write_text("")
    result = run(slurm, "slurm.pl", "x.log", "true")
    assert result.returncode == 1
    assert "job 17 vanished from the queue" in result.stderr


def test_a_killed_job_has_failed(slurm, run):
    result = run(slurm, "slurm.pl", "x.log", "bash", "-c", "'kill -9 $$'")
    assert result.returncode == 1
    assert "slurm.pl: job failed, log is in x.log" in result.stderr


def test_a_refused_submission_is_told(slurm, run):
    (slurm.parent / "refuse").write_text("")
    result = run(slurm, "slurm.pl", "x.log", "true")
    assert result.returncode == 1
    assert "cannot submit" in result.stderr and "invalid partition" in result.stderr


def test_path_sh_is_sourced(slurm, run):
    (slurm / "path.sh").write_text("export FROM_PATH_SH=yes\n")
    assert run(slurm, "slurm.pl", "x.log", "echo", "found:${FROM_PATH_SH}").returncode == 0
    assert "\nfound:yes\n" in (slurm / "x.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_stopping_cancels_the_job(slurm, environment, number):
    (slurm.parent / "queue").write_text("17\n")
    process = subprocess.Popen(
        ["slurm.pl", "x.log", "sleep", "3"], cwd=slurm, env=environment, stderr=subprocess.DEVNULL
    )
    limit = time.monotonic() + 20
    while not (slurm / "x.log").exists():
        assert time.monotonic() < limit
        time.sleep(0.05)
    os.kill(process.pid, number)
    assert process.wait(20) == -number
    limit = time.monotonic() + 20
    while not (slurm.parent / "cancelled").exists() or not (slurm.parent / "cancelled").read_text():
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert (slurm.parent / "cancelled").read_text() == "17\n"


CONFIG = """
command sbatch --comment "two words"  # the command
option mem=* --mem=$0
option mem=0
option gpu=0 -p cpu
option gpu=* -p gpu --gres=gpu:$0
option foo-bar=*
default gpu=0
"""


@pytest.mark.parametrize(
    "options, expected",
    [
        ([], ["--comment", "two words", "-p", "cpu"]),
        (["--mem", "4G"], ["--comment", "two words", "-p", "cpu", "--mem=4G"]),
        (["--mem", "0", "--gpu", "2"], ["--comment", "two words", "-p", "gpu", "--gres=gpu:2"]),
        (["--foo_bar", "x", "-A", "acc"], ["--comment", "two words", "-p", "cpu", "-A", "acc"]),
    ],
)
def test_grammar_of_the_configuration(slurm, run, options, expected):
    (slurm / "my.conf").write_text(CONFIG)
    result = run(slurm, "slurm.pl", "--config", "my.conf", *options, "x.log", "true")
    assert result.returncode == 0, result.stderr
    words = arguments(slurm)
    assert words[: words.index("--open-mode=append")] == expected


@pytest.mark.parametrize(
    "text, options, message",
    [
        (CONFIG, ["--time", "1:0:0"], "my.conf does not describe --time 1:0:0"),
        ("option a=* b\n", [], "my.conf: no line 'command ...'"),
        ("command sbatch\noption a\n", [], "my.conf:2: expected command, option NAME=VALUE"),
        (None, [], "cannot read my.conf"),
    ],
)
def test_wrong_configuration(slurm, run, text, options, message):
    if text is not None:
        (slurm / "my.conf").write_text(text)
    result = run(slurm, "slurm.pl", "--config", "my.conf", *options, "x.log", "true")
    assert result.returncode == 1
    assert message in result.stderr


def test_our_configuration_describes_what_recipes_ask_for(slurm, run):
    shutil.copytree(UTILS.parent / "conf", slurm / "conf")
    options = ["--name", "a", "--mem", "4G", "--time", "1:0:0", "--num_threads", "2"]
    options += ["--num_nodes", "1", "--gpu", "1"]
    assert run(slurm, "slurm.pl", *options, "x.log", "true").returncode == 0
    assert "--gres=gpu:1" in arguments(slurm)

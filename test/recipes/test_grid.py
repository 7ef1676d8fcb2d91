"""``grid.sh``: which experiments it starts, leaves alone, and reports; ``run.sh`` stands aside."""

import os
import re
import signal
import subprocess
import time

import pytest

# says what it was asked, and does what a finished or a broken experiment leaves behind
STAND_IN = r"""#!/usr/bin/env bash
set -eu
words="$*"
. ./lib.sh
while [ $# -gt 0 ]; do printf -v "${1#--}" '%s' "$2"; shift 2; done
echo "${words}" >>asked
[ "${stop_stage}" = 8 ] || exit 0
exp=exp/$(experiment_tag "${train_config}" "${method}" "${mixing}_${difficulty}" "${train_seed}")
touch "running.$$"
[ "$(ls running.* | wc -l)" -le 2 ] || echo "${exp}" >>too_many
sleep "${SLEEP:-0.3}"
rm "running.$$"
if [ "${method}" = hct ]; then echo "no memory left"; exit 1; fi
touch "${exp}/RESULTS.md"
"""


@pytest.fixture
def grid(recipes, run):
    """``start(*words)``: the grid in a copy of ``egs/fsd50k`` with the stand-in."""
    directory = recipes / "fsd50k"
    (directory / "run.sh").write_text(STAND_IN)

    def start(*words):
        (directory / "asked").unlink(missing_ok=True)
        return run(directory, "./grid.sh", "--python", "true", *words)

    start.directory = directory
    return start


def trained(grid):
    lines = (grid.directory / "asked").read_text().splitlines()
    return [line for line in lines if "--stop_stage 8" in line]


def tags(directory):
    return {path.parent.name for path in directory.glob("exp/*/RESULTS.md")}


def test_every_cell_once_and_done_cells_not_again(grid):
    words = ["--methods", "oct pit", "--mixings", "random same", "--difficulties", "hard"]
    words += ["--seeds", "0 2", "--fsd50k", "a dir", "--parallel", 2]
    result = grid(*words)
    assert result.returncode == 0, result.stderr
    assert tags(grid.directory) == {
        f"{method}_{mixing}_hard{seed}"
        for method in ("oct", "pit")
        for mixing in ("random", "same")
        for seed in ("", "_seed2")
    }
    assert len(trained(grid)) == 8
    assert all("--fsd50k a dir" in line for line in trained(grid))  # handed on
    assert not (grid.directory / "too_many").exists()
    assert "8 of 8 experiments are done" in result.stdout

    (grid.directory / "exp/oct_same_hard/RESULTS.md").unlink()
    result = grid(*words)
    assert [line for line in trained(grid) if "--method oct --mixing same" in line]
    assert len(trained(grid)) == 1
    assert len(re.findall("done already", result.stdout)) == 7


def test_one_that_fails_does_not_stop_the_others_and_is_named_at_the_end(grid):
    words = ["--methods", "hct oct", "--mixings", "random", "--difficulties", "hard"]
    result = grid(*words, "--train_config", "conf/train_small.yaml")
    assert result.returncode == 3
    assert tags(grid.directory) == {"small_oct_random_hard"}
    assert "small_hct_random_hard: FAILED: no memory left" in result.stdout
    assert result.stderr == "grid.sh: not done: small_hct_random_hard\n"


@pytest.mark.parametrize(
    "words, message",
    [
        (["--methods", "oct3"], "no file conf/method_oct3.yaml; there are: conf/method_hct.yaml"),
        (["--mixings", "rnadom"], "no file conf/mix_rnadom_hard.yaml; there are: conf/mix_"),
        (["--method", "oct"], "--method is chosen here: see --methods"),
        (["--tag", "mine"], "--tag is chosen here"),
        (["--share", "2"], "--share is chosen here"),
        (["--methods", " "], "option --methods is empty"),
        (["--mixings="], "option --mixings is empty"),
        (["--seeds", "0 1,2"], "option --seeds: expected whole numbers, found '1,2'"),
        (["--seeds", "-1"], "option --seeds: expected whole numbers, found '-1'"),
        (["--train_config", "small.yaml"], "no file small.yaml; there are: none"),
        (["--options_elsewhere", "x"], "no option --options_elsewhere"),
        (["--train-seed", "3"], "--train_seed is chosen here"),
        (["--parallel", "0"], "--parallel must be at least 1"),
        (["--paralel", "2"], "no option --paralel (did you mean --parallel?)"),
        (["3"], "unexpected argument '3'"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_made(grid, words, message):
    result = grid(*words)
    assert result.returncode == 2
    assert result.stderr.startswith(f"grid.sh: {message}") and result.stderr.count("\n") == 1
    assert not (grid.directory / "asked").exists()


def test_run_methods_makes_the_tables_of_every_seed(recipes, run):
    """It compared seed 0 alone: with ``--seeds 1`` there was no table, and the status was 0."""
    directory = recipes / "mini"
    script = (directory / "grid.sh").read_text()  # --help and options are read from it
    (directory / "grid.sh").unlink()  # a link
    scores = "infer/test_random_demo/scores.csv"
    (directory / "grid.sh").write_text(
        '#!/bin/sh\necho "$@" >asked\n'
        "for method in oct pit; do for seed in '' _seed2; do\n"
        f"exp=exp/short_${{method}}_random_demo${{seed}}/{scores}\n"
        'mkdir -p "${exp%/*}" && touch "${exp}"\ndone; done; exit\n' + script
    )
    (directory / "grid.sh").chmod(0o755)
    (directory / "python").write_text('#!/bin/sh\necho "$@" >>compared\n')
    (directory / "python").chmod(0o755)
    words = ["--methods", "oct pit", "--seeds", "0 2", "--python", "./python"]
    result = run(directory, "./run_methods.sh", *words)
    assert result.returncode == 0, result.stderr
    assert "--seeds 0 2 " in (directory / "asked").read_text()
    assert (directory / "compared").read_text().splitlines() == [
        f"-m tsx_espnet.bin.compare exp/short_oct_random_demo{seed} "
        f"exp/short_pit_random_demo{seed} exp/short_oct_random_demo{seed}:oracle "
        "--set test_random_demo "
        f"--out exp/METHODS_random_demo{seed}.md"
        for seed in ("", "_seed2")
    ]


@pytest.fixture
def begin(grid, environment):
    """``begin(count, *words)``: a grid in the background, once ``count`` of its trainings run."""
    started = []

    def run_in_background(count, *words):
        process = subprocess.Popen(
            ["./grid.sh", "--python", "true", *words],
            cwd=grid.directory,
            env={**environment, "SLEEP": "987"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        wait_for(lambda: len(sleepers(grid.directory)) == count or process.poll() is not None)
        assert process.poll() is None
        return process

    yield run_in_background
    for process in started:
        process.terminate()
        process.wait(20)


def wait_for(condition, seconds=30):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def test_stopping_it_stops_what_it_started(grid, begin):
    """Ctrl-C, or kill: no training is left behind, and no further one begins."""
    words = ["--methods", "oct pit hct", "--mixings", "random", "--difficulties", "hard"]
    process = begin(2, *words, "--parallel", "2")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    wait_for(lambda: not sleepers(grid.directory))
    assert len(trained(grid)) == 2


def test_two_grids_do_not_train_the_same_experiment(grid, begin):
    words = ["--methods", "oct", "--mixings", "random", "--difficulties", "hard"]
    begin(1, *words)
    result = grid(*words)
    assert result.returncode == 3
    assert "oct_random_hard: another process works on it" in result.stdout


def sleepers(directory):
    """The processes that stand for a training in this directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                words = stream.read().split(b"\0")
            where = os.readlink(f"/proc/{pid}/cwd")
            if words[:2] == [b"sleep", b"987"] and where == str(directory):
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("status, shown", [(0, True), (3, True), (2, False), (130, False)])
def test_the_table_is_made_of_what_there_is_but_not_after_a_mistake(recipes, run, status, shown):
    """Also where the environment of ``make install`` was not activated: path.sh finds it."""
    directory = recipes / "fsd50k"
    (directory / "grid.sh").write_text(f"#!/bin/sh\nexit {status}\n")
    python = directory.parents[1] / ".venv" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    words = ["--train_config", "conf/train_same_time.yaml"]
    result = run(directory, "./run_table1.sh", *words, VIRTUAL_ENV="")
    assert result.returncode == status
    assert ("-m tsx_espnet.bin.table1 --exp exp --size same_time" in result.stdout) == shown

"""``egs/mini`` through Slurm: the same results as on this machine with another number of jobs."""

import os
import shutil
import signal
import subprocess
import time

import pytest
import torch

TRAINING = "--max_epoch 1 --mixtures_per_epoch 8 --num_workers 0"
EXP = "exp/oct_class_random_demo"
# format of three sets, mix of two, text embeddings, training of two steps, infer and score of one
JOBS = 3 * 3 + 2 * 3 + 3 + 1 + 3 + 3


@pytest.fixture(scope="module")
def options(tiny_mini):
    train_args = f"{TRAINING} {tiny_mini.model}"
    return [*tiny_mini.options, "--train_args", train_args, "--bss_eval", "false"]


@pytest.fixture(scope="module")
def here(tiny_mini, options, finished_mini):
    """The recipe's directory after stages 1 to 7 on this machine, with two jobs."""
    words = [*options, "--nj", "2", "--stage", "5", "--stop_stage", "7"]
    return finished_mini(*words, directory=tiny_mini.directory)[0]


@pytest.fixture(scope="module")
def made(here, tmp_path_factory):
    """A copy of it after stage 1."""
    directory = tmp_path_factory.mktemp("through Slurm - 1") / "egs"
    shutil.copytree(here.parent, directory, symlinks=True)
    for name in ("dump", "exp"):
        shutil.rmtree(directory / "mini" / name)
    return directory / "mini"


def files_of(directory, patterns):
    paths = {path for pattern in patterns for path in directory.glob(pattern) if path.is_file()}
    return {str(path.relative_to(directory)): path for path in sorted(paths)}


def test_stages_2_to_7(here, made, options, run, node):
    before, ended = node.submitted(), set(node.ended())
    words = [*options, "--nj", "3", "--stage", "2", "--stop_stage", "7"]
    result = run(made, "./run.sh", *words, timeout=1800, cmd_backend="slurm")
    assert result.returncode == 0, result.stdout + result.stderr
    assert node.submitted() - before == JOBS
    states = [state for job, state in node.ended().items() if job not in ended]
    assert states == ["COMPLETED"] * JOBS
    assert "1epoch results" in result.stdout  # shown while the job runs elsewhere
    assert "# Running on " in (made / EXP / "train.log").read_text()


def test_results_are_those_without_slurm(here, made):
    patterns = ["dump/8k/*/wav/**/*", "dump/8k/*/utt2*", "dump/8k/*/wav.scp", "dump/8k/*/*.txt"]
    patterns += ["dump/8k/*/energies.f32"]
    patterns += ["dump/8k/mix/**/*", f"{EXP}/infer/**/*.wav", f"{EXP}/infer/**/*.scp"]
    patterns += [f"{EXP}/infer/**/scores.csv"]
    expected, found = files_of(here, patterns), files_of(made, patterns)
    assert len(expected) > 200 and list(found) == list(expected)
    for name, path in expected.items():
        if not name.endswith(".done"):
            assert found[name].read_bytes() == path.read_bytes(), name
    one, two = (
        torch.load(path / EXP / "valid.loss.ave.pth", weights_only=True) for path in (here, made)
    )
    assert list(one) == list(two)
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopping_the_recipe_cancels_its_training(made, options, environment, node, number):
    log = made / "exp/stopped/train.log"
    log.unlink(missing_ok=True)
    words = [*options, "--stage", "5", "--stop_stage", "5", "--tag", "stopped"]
    train_args = options[options.index("--train_args") + 1].replace("epoch 8 ", "epoch 8000 ")
    recipe = subprocess.Popen(
        ["./run.sh", *words, "--train_args", train_args],
        cwd=made,
        env={**environment, "cmd_backend": "slurm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    limit = time.monotonic() + 120
    while not (log.exists() and "1epoch started" in log.read_text()):
        assert recipe.poll() is None and time.monotonic() < limit
        time.sleep(0.2)
    os.killpg(recipe.pid, number)
    assert recipe.wait(60) != 0
    node.wait_until_empty()


def test_a_stage_says_what_failed(made, options, run):
    (made / "data/test/wav.scp").write_text("nowhere /no where/at all.wav\n")
    words = ["--stage", "2", "--stop_stage", "2", "--test_sets", "test", "--dumpdir", "dump_failed"]
    result = run(made, "./run.sh", *words, timeout=300, cmd_backend="slurm")
    assert result.returncode != 0
    assert "slurm.pl: " in result.stderr and "failed, log is in" in result.stderr

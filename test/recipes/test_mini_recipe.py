"""``egs/mini`` from the first stage to the last, at a tiny size; then again, stopped and broken."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

SMALL = ["--clips_per_class", "10", "--num_valid", "8", "--num_test", "12"]
MODEL = "--mixtures_per_epoch 24 --batch_size 4 --num_workers 0 --encoder_conf channel=32"
MODEL += " --decoder_conf channel=32 --extractor_conf num_blocks=1 --extractor_conf depth=2"
MODEL += " --extractor_conf out_channels=16 --extractor_conf hidden_channels=16"
EXP = "exp/oct_class_random_demo"
TEST = "test_random_demo"


def train_args(max_epoch):
    return ["--train_args", f"--max_epoch {max_epoch} {MODEL}"]


@pytest.fixture(scope="module")
def finished(finished_mini):
    """The recipe's directory after all stages, and what they printed."""
    return finished_mini(*SMALL, *train_args(1))


@pytest.fixture
def mini(finished, tmp_path):
    """A copy of the finished recipe that a test may spoil."""
    shutil.copytree(finished[0].parent, tmp_path / "egs", symlinks=True)
    return tmp_path / "egs" / "mini"


def contents(directory, pattern):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.glob(pattern)}


def test_every_stage_ran_and_its_output_is_there(finished):
    mini, result = finished
    stages = re.findall(r"stage (\d): ", result.stdout)
    assert stages == list("123456789")
    for name in [
        *["data/train/wav.scp", "data/valid/utt2labels", "dump/8k/test/.done"],
        *["dump/8k/mix/valid_random_demo/mixtures.jsonl", f"dump/8k/mix/{TEST}/wav.scp"],
        *["dump/text/all-MiniLM-L6-v2.safetensors", f"{EXP}/config.yaml"],
        *[f"{EXP}/valid.loss.ave.pth", f"{EXP}/train.log", f"{EXP}/infer/{TEST}/text/spk1.scp"],
        *[f"{EXP}/infer/{TEST}/scores.csv", f"{EXP}/RESULTS.md"],
    ]:
        assert (mini / name).exists(), name
    with zipfile.ZipFile(mini / EXP / "oct_class_random_demo.zip") as archive:
        assert archive.testzip() is None


def test_progress_is_visible_and_the_table_comes_last(finished):
    shown = finished[1].stdout
    assert re.search(r"^  1epoch results: \[train\] .*loss=.*\[valid\] .*loss=", shown, re.M)
    assert re.search(r"^  format train: 108/108 \(100 %\)", shown, re.M)
    end = shown[shown.index("stage 9: ") :]
    for condition in ("energy", "harmonicity", "order", "text"):
        assert re.search(rf"^{condition} .*\d", end, re.M)
    assert "Listen" in end


def test_validation_and_test_mixtures_are_other_draws(finished):
    """With one seed for both, they were of the same classes at the same levels, one by one."""
    drawn = []
    for name in ("valid_random_demo", TEST):
        with open(finished[0] / "dump/8k/mix" / name / "mixtures.jsonl") as stream:
            plans = [json.loads(line) for line in stream]
        drawn.append([[source["label"] for source in plan["sources"]] for plan in plans])
    valid, test = drawn
    assert sum(one == two for one, two in zip(valid, test)) < len(valid) / 2


def test_scores_have_a_row_for_each_mixture_and_condition(finished):
    with open(finished[0] / EXP / "infer" / TEST / "scores.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    asked = {(row["mixture"], row["condition"]) for row in rows}
    assert len({mixture for mixture, _ in asked}) == 12
    assert {"energy", "harmonicity", "order", "text"} <= {condition for _, condition in asked}
    assert all(np.isfinite(float(row["si_sdr"])) for row in rows if row["condition"] == "text")


def test_estimates_sum_to_the_mixture(finished):
    mini = finished[0]

    def read(scp):
        lines = (mini / scp).read_text().splitlines()
        return {
            name: soundfile.read(mini / path, dtype="float32")[0]
            for name, path in (line.split(maxsplit=1) for line in lines)
        }

    mixtures = read(f"dump/8k/mix/{TEST}/wav.scp")
    targets = read(f"{EXP}/infer/{TEST}/text/spk1.scp")
    others = read(f"{EXP}/infer/{TEST}/text/spk2.scp")
    assert targets and set(targets) == set(others) <= set(mixtures)
    for name, target in targets.items():
        np.testing.assert_allclose(target + others[name], mixtures[name], atol=2e-6)


def test_a_second_run_leaves_finished_work_alone(finished, run):
    mini, _ = finished
    kept = ["downloads/**/*.wav", "dump/**/*.wav", "dump/**/*.f32", "dump/text/*.safetensors"]
    kept += [f"{EXP}/infer/**/*.wav", f"{EXP}/infer/**/scores.csv", f"{EXP}/*epoch.pth"]
    files = [path for pattern in kept for path in mini.glob(pattern)]
    before = {path: path.stat().st_mtime_ns for path in files}
    result = run(mini, "./run.sh", *SMALL, *train_args(1), timeout=300)
    assert result.returncode == 0, result.stderr
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_results_do_not_depend_on_the_number_of_jobs(mini, finished, run):
    outputs = ["dump/8k/mix/**/*", f"{EXP}/infer/**/*.wav", f"{EXP}/infer/**/scores.csv"]
    shutil.rmtree(mini / "dump/8k/mix")
    shutil.rmtree(mini / EXP / "infer")
    for stage in ((3, 3), (6, 7)):
        words = ["--stage", stage[0], "--stop_stage", stage[1], "--nj", 3]
        result = run(mini, "./run.sh", *SMALL, *words, timeout=300)
        assert result.returncode == 0, result.stderr
    for pattern in outputs:
        for path in finished[0].glob(pattern):
            if path.is_file() and path.name != ".done":
                again = mini / path.relative_to(finished[0])
                assert again.read_bytes() == path.read_bytes(), path.name


def test_a_file_size_limit_ends_the_stage_and_a_rerun_completes_it(mini, finished, run):
    """Stands for a full disk: writing fails in the middle of a file."""
    shutil.rmtree(mini / "dump")
    stage = ["--stage", "2", "--stop_stage", "2"]
    limited = run(mini, "bash", "-c", f"ulimit -f 30; ./run.sh {' '.join([*SMALL, *stage])}")
    assert limited.returncode != 0
    errors = [line for line in limited.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "File too large" in errors[0], limited.stderr
    assert not (mini / "dump/8k/train/.done").exists()
    assert run(mini, "./run.sh", *SMALL, *stage).returncode == 0
    for pattern in ("dump/8k/t*/**/*.wav", "dump/8k/t*/utt2*"):
        assert contents(mini, pattern) == contents(finished[0], pattern)


def test_a_wrong_training_option_is_told_at_the_end(mini, run):
    words = ["--stage", "5", "--stop_stage", "5", "--train_args", "--max_epochs 3"]
    result = run(mini, "./run.sh", *SMALL, *words, timeout=300)
    assert result.returncode == 1
    assert "training failed" in result.stderr and "max_epochs" in result.stderr
    assert len(result.stderr.splitlines()) <= 20


def test_methods_side_by_side(finished, run):
    """run_paper.sh on two of the methods, one of which is queried by nothing."""
    mini, _ = finished
    words = ["--methods", "text_sbert pit", "--train_config", "conf/train.yaml", *SMALL]
    words += ["--expdir", "exp_methods"]
    result = run(mini, "./run_paper.sh", *words, *train_args(1), timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 of 2 runs done" in result.stdout
    page = (mini / "exp_methods" / "PAPER.md").read_text()
    for name in ("text_sbert", "pit"):
        assert re.search(rf"^\| {name} \|.*\d", page, re.M), page
    compared = ["exp_methods/text_sbert_random_demo", "exp_methods/pit_random_demo"]
    result = run(mini, "python3", "-m", "tsx_espnet.bin.compare", *compared)
    assert result.returncode == 0 and "oracle ensemble" in result.stdout, result.stderr


@pytest.mark.parametrize("victim", ["recipe", "training"])
def test_killed_training_goes_on_where_it_was(mini, run, environment, victim):
    """SIGKILL of the recipe or of the training process; the same command finishes the epochs."""
    exp = mini / "exp" / "killed"
    words = [*SMALL, "--stage", "5", "--stop_stage", "5", "--tag", "killed", *train_args(3)]
    recipe = subprocess.Popen(
        ["./run.sh", *words],
        cwd=mini,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: (exp / "checkpoint.pth").exists() or recipe.poll() is not None, 200)
    assert recipe.poll() is None, (exp / "train.log").read_text()
    training = processes_of(exp.name)
    assert training
    if victim == "recipe":
        os.killpg(recipe.pid, signal.SIGKILL)
    else:
        os.kill(training[-1], signal.SIGKILL)
    assert recipe.wait(60) != 0
    wait_for(lambda: not processes_of(exp.name), 60)
    assert not (exp / "3epoch.pth").exists()  # it did stop, rather than come to its end

    assert run(mini, "./run.sh", *words, timeout=300).returncode == 0
    logs = "".join(path.read_text() for path in exp.glob("train*.log"))
    epochs = re.findall(r"INFO: (\d+)epoch results", logs)
    assert sorted(set(epochs)) == ["1", "2", "3"] and len(epochs) <= 4
    assert (exp / "3epoch.pth").exists() and not (exp / "4epoch.pth").exists()


def processes_of(tag):
    """Process ids of the training commands of an experiment."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"tsx_espnet.bin.train" in words and f"exp/{tag}".encode() in words:
            found.append(int(directory.name))
    return sorted(found)


def wait_for(condition, seconds):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)

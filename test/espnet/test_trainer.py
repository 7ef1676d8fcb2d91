"""A run that is killed at certain moments, and what it refuses to resume from."""

import random
import shutil
import time
from pathlib import Path

import pytest
import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.text_table import TextTable

TRAIN = "tsx_espnet.bin.train"
EPOCHS = ["--max_epoch", 4, "--keep_nbest_models", 2, "--resume", "true"]  # as the reference
# the n-th file of a name is written by half, and then nothing happens any more
STUCK = """
import io, os, time, torch

save, left = torch.save, {number}

def save_by_half(obj, f, *args, **kwargs):
    global left
    left -= os.path.basename(f).startswith("{name}")
    whole = io.BytesIO()
    save(obj, whole, *args, **kwargs)
    data = whole.getvalue()
    with open(f, "wb") as stream:
        stream.write(data if left else data[: len(data) // 2])
    while not left:
        time.sleep(1.0)

torch.save = save_by_half
"""
SLOW = """
import time, torch

step = torch.optim.Adam.step

def step_slowly(*args, **kwargs):
    time.sleep(0.1)
    return step(*args, **kwargs)

torch.optim.Adam.step = step_slowly
"""


@pytest.fixture
def kill_at(start):
    """Kill a run while it writes the n-th file of a name."""

    def start_and_kill(args, name, number=1):
        command = start(TRAIN, *args, hook=STUCK.format(name=name, number=number))
        exp = Path(args[-1])
        deadline = time.monotonic() + 60
        while not (list(exp.glob(f"{name}.tmp*")) and number_of_epochs(exp) >= number - 1):
            assert command.running and time.monotonic() < deadline, command.err
            time.sleep(0.01)
        command.kill()

    return start_and_kill


def number_of_epochs(exp):
    """Epochs that a checkpoint holds."""
    path = exp / "checkpoint.pth"
    return torch.load(path, weights_only=False)["reporter"]["epoch"] if path.exists() else 0


@pytest.mark.parametrize("epoch", [1, 2])
def test_killed_three_times(
    epoch, kill_at, start, run, train_args, reference, assert_same_experiment, tmp_path
):
    """While a checkpoint is written, between it and the epoch's model, and at a random moment."""
    exp = tmp_path / "exp"
    args = [*train_args, *EPOCHS, "--output_dir", exp]

    kill_at(args, "checkpoint.pth", epoch + 1)
    assert number_of_epochs(exp) == epoch and not (exp / f"{epoch + 1}epoch.pth").exists()

    kill_at(args, "3epoch.pth")
    assert number_of_epochs(exp) == 3 and not (exp / "3epoch.pth").exists()

    command = start(TRAIN, *args, hook=SLOW)
    moment = random.uniform(0.0, 0.7)
    time.sleep(moment)
    command.kill()

    run(TRAIN, *args)
    try:
        assert_same_experiment(exp, reference)
    except AssertionError as error:
        raise AssertionError(f"killed after {moment} s: {error}") from error


@pytest.mark.parametrize("name", ["checkpoint.pth", "1epoch.pth", "4epoch.pth"])
def test_killed_once(
    name, kill_at, run, train_args, reference, assert_same_experiment, tmp_path
):
    """Before there is any checkpoint, in the first epoch, and when all epochs have been trained."""
    args = [*train_args, *EPOCHS, "--output_dir", tmp_path / "exp"]
    kill_at(args, name)
    run(TRAIN, *args)
    assert_same_experiment(tmp_path / "exp", reference)


def test_the_number_of_workers_changes_nothing(
    run, train_args, reference, assert_same_experiment, tmp_path
):
    more = ["--num_workers", 2, "--output_dir", tmp_path / "exp"]
    run(TRAIN, *train_args, *EPOCHS, *more)
    assert_same_experiment(tmp_path / "exp", reference)


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    from tsx_espnet.training.checkpoint import safe_torch_files

    path = tmp_path / "1epoch.pth"
    torch.save({"a": torch.ones(2)}, path)

    def fail(obj, f, *args, **kwargs):
        with open(f, "wb") as stream:
            stream.write(b"half of")
        raise OSError(28, "No space left on device", str(f))

    monkeypatch.setattr(torch, "save", fail)
    with safe_torch_files(), pytest.raises(OSError, match="No space left"):
        torch.save({"a": torch.zeros(2)}, path)
    assert torch.save is fail
    assert torch.load(path, weights_only=True)["a"].tolist() == [1, 1]
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_as_torch_writes_them(tmp_path):
    from tsx_espnet.training.checkpoint import safe_torch_files

    with safe_torch_files():
        torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
        with open(tmp_path / "b.pth", "wb") as stream:  # an open file is not ours to replace
            torch.save({"a": torch.ones(2)}, stream)
        for name in ("a.pth", "b.pth"):
            assert torch.load(tmp_path / name, weights_only=False)["a"].tolist() == [1, 1]


def test_a_truncated_checkpoint_is_named(tmp_path):
    from tsx_espnet.training.checkpoint import safe_torch_files

    path = tmp_path / "checkpoint.pth"
    torch.save({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:200])
    with safe_torch_files(), pytest.raises(TSXError, match="checkpoint.pth: damaged"):
        torch.load(path)


@pytest.mark.parametrize(
    "more, message",
    [
        (["--objective", "hct"], 'objective "oct", now it is "hct"'),
        (["--embedding_dim", 9], "embedding_dim 8, now it is 9"),
        (["--refiner", "mixture"], 'refiner null, now it is "mixture"'),
        (["--mixing_config", "other.yaml"], "mixing_conf "),
        (["--text_variants", "false"], "mixing_conf "),
    ],
)
def test_another_setup_is_refused_before_it_is_written_over_the_first(
    start, train_args, reference, tmp_path, more, message
):
    """All epochs were done, so nothing was trained, but the results were said to be of the new."""
    exp = tmp_path / "exp"
    shutil.copytree(reference, exp, symlinks=True)
    before = (exp / "config.yaml").read_bytes()
    (tmp_path / "other.yaml").write_text("duration: 0.4\nmin_overlap: 0.5\nmin_sounding: 0.1\n")
    more = [tmp_path / word if word == "other.yaml" else word for word in more]
    command = start(TRAIN, *train_args, *EPOCHS, "--output_dir", exp, *more)
    assert command.wait() == 1
    last = command.err.splitlines()[-1]
    assert last.startswith(f"error: {exp}: this run was begun with {message}")
    assert "--output_dir" in last and (exp / "config.yaml").read_bytes() == before


def test_texts_of_another_language_model_are_another_setup(
    start, data, train_args, reference, tmp_path
):
    """The vectors in the experiment were exchanged, and the model went on with others."""
    exp = tmp_path / "exp"
    shutil.copytree(reference, exp, symlinks=True)
    texts = TextTable.read(data.text)
    TextTable(list(texts), texts.embeddings + 1, "another", "first").write(tmp_path / "other")
    before = (exp / "text_embeddings.safetensors").read_bytes()
    more = ["--text_embeddings", tmp_path / "other", "--output_dir", exp]
    command = start(TRAIN, *train_args, *EPOCHS, *more)
    assert command.wait() == 1
    last = command.err.splitlines()[-1]
    assert "begun with text embeddings of made-up (pooling mean), now it is another" in last
    assert (exp / "text_embeddings.safetensors").read_bytes() == before


def test_other_epochs_and_learning_rates_are_no_other_setup(run, train_args, reference, tmp_path):
    exp = tmp_path / "exp"
    shutil.copytree(reference, exp, symlinks=True)
    more = ["--max_epoch", 5, "--optim_conf", "lr=0.0001", "--num_workers", 0]
    run(TRAIN, *train_args, *EPOCHS, "--output_dir", exp, *more)
    assert (exp / "5epoch.pth").is_file()

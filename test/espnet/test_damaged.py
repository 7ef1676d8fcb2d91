"""Checkpoints that are damaged, do not fit, or are programs."""

import pickle
import shutil

import pytest
import torch
import yaml

TRAIN = "tsx_espnet.bin.train"
EPOCHS = ["--max_epoch", 4, "--keep_nbest_models", 2, "--resume", "true"]  # as the reference


class Hostile:
    """Its pickle creates a file as soon as it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def truncated(share):
    def damage(path):
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return damage


def flipped(path):
    """One bit of a weight."""
    data = bytearray(path.read_bytes())
    states = torch.load(path, weights_only=False)
    weight = states.get("model", states)["encoder.conv1d.weight"]
    data[bytes(data).index(weight.numpy().tobytes()) + 10] ^= 1
    path.write_bytes(bytes(data))


def zeros(path):
    """What a file system may have after a loss of power."""
    path.write_bytes(bytes(path.stat().st_size))


def weights_alone(path):
    torch.save(torch.load(path, weights_only=False)["model"], path)


def a_program(path):
    states = torch.load(path, weights_only=False)
    torch.save({**states, "scaler": Hostile(path.with_name("executed"))}, path)


def a_plain_pickle(path):
    path.write_bytes(pickle.dumps({"model": Hostile(path.with_name("executed"))}))


DAMAGES = {
    "empty": truncated(0),
    "100 bytes": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "half": truncated(0.5),
    "all but a percent": truncated(0.99),
    "a bit": flipped,
    "zeros": zeros,
    "text": lambda path: path.write_text("No space left on device\n"),
    "weights alone": weights_alone,
    "a program": a_program,
    "a plain pickle": a_plain_pickle,
}


@pytest.fixture
def exp(reference, tmp_path):
    """A copy of the uninterrupted training."""
    shutil.copytree(reference, tmp_path / "exp", symlinks=True)
    return tmp_path / "exp"


def refused(command):
    """The last line of a command that ended on one."""
    assert command.wait() == 1, command.err
    assert "Traceback" not in command.err
    last = command.err.splitlines()[-1]
    assert last.startswith("error: ")
    return last


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checkpoint_before_takes_its_place(
    damage, exp, run, train_args, reference, assert_same_experiment
):
    DAMAGES[damage](exp / "checkpoint.pth")
    damaged = (exp / "checkpoint.pth").read_bytes()
    command = run(TRAIN, *train_args, *EPOCHS, "--output_dir", exp)
    (warning,) = [line for line in command.err.splitlines() if "takes its place" in line]
    assert f"WARNING: {exp}/checkpoint.pth: damaged" in warning
    assert "resuming after epoch 3" in warning and "4/4epoch started" in command.err
    assert (exp / "checkpoint.damaged.pth").read_bytes() == damaged
    (exp / "checkpoint.damaged.pth").unlink()
    assert_same_experiment(exp, reference)  # nothing was "executed"


def test_both_are_damaged(exp, start, train_args):
    for name in ("checkpoint.pth", "checkpoint.previous.pth"):
        truncated(0.5)(exp / name)
    before = {path.name: path.read_bytes() for path in exp.glob("*.pth")}
    last = refused(start(TRAIN, *train_args, *EPOCHS, "--output_dir", exp))
    for name in ("checkpoint.pth", "checkpoint.previous.pth"):
        assert f"{exp}/{name}: damaged" in last
    assert {path.name: path.read_bytes() for path in exp.glob("*.pth")} == before


@pytest.mark.parametrize("damage", ["missing", "half", "a bit", "a plain pickle"])
@pytest.mark.parametrize("which", ["last", "best"])
def test_the_model_of_an_epoch_is_lost(damage, which, exp, run, train_args, reference):
    """The last is in the checkpoint too; without another, the average is of those that are left.

    So are the epochs that one which was damaged had displaced.
    """
    best = (reference / "valid.loss.best.pth").resolve().name
    name = best
    if which == "last":
        name = "4epoch.pth"
    elif best == "4epoch.pth":
        models = {path.name for path in reference.glob("?epoch.pth")}
        (name,) = models - {best}
    path = exp / name
    path.unlink() if damage == "missing" else DAMAGES[damage](path)
    command = run(TRAIN, *train_args, *EPOCHS, "--output_dir", exp, "--max_epoch", 5)
    assert "Traceback" not in command.err and not (exp / "executed").exists()
    state = torch.load(exp / "valid.loss.ave.pth", weights_only=True)
    assert all(value.isfinite().all() for value in state.values())
    if which == "last":
        found, expected = (torch.load(one / name, weights_only=True) for one in (exp, reference))
        if (exp / name).exists():
            torch.testing.assert_close(found, expected, rtol=0, atol=0)
    else:
        assert f"{name[0]}] are missing or damaged: left out of the average" in command.err


@pytest.mark.parametrize("option", ["--resume", "--init_param"])
def test_a_hostile_checkpoint_is_not_executed(option, start, train_args, tmp_path):
    exp, proof = tmp_path / "exp", tmp_path / "executed"
    exp.mkdir()
    torch.save({"model": {}, "reporter": Hostile(proof)}, exp / "checkpoint.pth")
    value = "true" if option == "--resume" else exp / "checkpoint.pth"
    last = refused(start(TRAIN, *train_args, "--output_dir", exp, option, value))
    assert not proof.exists()
    assert last.startswith(f"error: {exp}/checkpoint.pth: damaged, or more than weights")
    torch.load(exp / "checkpoint.pth", weights_only=False)
    assert proof.exists()  # it would have been, as ESPnet loads it


def test_a_hostile_file_is_not_executed_by_a_stock_command(start, tiny, data, tmp_path):
    """ESPnet's own training, started through us, loads as safely."""
    proof = tmp_path / "executed"
    torch.save({"encoder.conv1d.weight": Hostile(proof)}, tmp_path / "weights.pth")
    config = {**tiny.quiet, "batch_type": "unsorted", "separator": "sudormrf"}
    config.update({f"{part}coder": "conv" for part in ("en", "de")})
    config.update({f"{part}coder_conf": tiny.conv for part in ("en", "de")})
    config["separator_conf"] = {**tiny.sudormrf, "num_spk": 2}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    args = ["--config", tmp_path / "train.yaml", "--output_dir", tmp_path / "exp"]
    args += ["--init_param", tmp_path / "weights.pth"]
    mixtures = data.mixtures
    for mode in ("train", "valid"):
        args += [f"--{mode}_shape_file", mixtures / "wav.scp"]
        for name, file in (("speech_mix", "wav"), ("speech_ref1", "spk1"), ("speech_ref2", "spk2")):
            option = f"--{mode}_data_path_and_name_and_type"
            args += [option, f"{mixtures / file}.scp,{name},sound"]
    command = start("tsx_espnet.bin.espnet", "enh_train", *args)
    last = refused(command)
    assert last.startswith(f"error: {tmp_path}/weights.pth: damaged, or more than weights")
    assert not proof.exists()


def test_a_checkpoint_of_another_model(start, train_args, reference, tmp_path):
    (tmp_path / "checkpoint.pth").write_bytes((reference / "checkpoint.pth").read_bytes())
    more = ["--output_dir", tmp_path, "--resume", "true", "--embedding_dim", 9]
    last = refused(start(TRAIN, *train_args, *more))
    assert last.startswith(f"error: {tmp_path}/checkpoint.pth does not fit the configuration: ")
    assert "conditioners.energy.table.weight has shape (2, 8), expected (2, 9)" in last
    assert " more; choose another --output_dir" in last


def test_a_checkpoint_with_other_names(start, train_args, reference, tmp_path):
    states = torch.load(reference / "checkpoint.pth", weights_only=False)
    states["model"]["encoder.conv2d.weight"] = states["model"].pop("encoder.conv1d.weight")
    torch.save(states, tmp_path / "checkpoint.pth")
    more = ["--output_dir", tmp_path, "--resume", "true"]
    last = refused(start(TRAIN, *train_args, *more))
    assert "encoder.conv1d.weight is missing; encoder.conv2d.weight is unknown; choose" in last


@pytest.mark.parametrize("optim", ["sgd", "adamw"])
def test_a_checkpoint_of_another_optimizer(optim, start, train_args, exp):
    """torch takes over the state of Adam for that of SGD."""
    more = ["--optim", optim, "--optim_conf", "lr=0.1", "--max_epoch", 5]
    command = start(TRAIN, *train_args, *EPOCHS, "--output_dir", exp, *more)
    if optim == "sgd":
        last = refused(command)
        assert "the state of SGD lacks dampening" in last and "--output_dir" in last
    else:  # the same state; no reason to refuse
        assert command.wait() == 0


def test_initial_weights_that_do_not_fit(start, train_args, reference, tmp_path):
    path = reference / "4epoch.pth"
    more = ["--output_dir", tmp_path / "exp", "--embedding_dim", 9, "--init_param", path]
    last = refused(start(TRAIN, *train_args, *more))
    assert last.startswith(f"error: --init_param {path} does not fit: ")
    assert "size mismatch for conditioners.energy.table.weight" in last


def test_two_runs_in_one_directory(start, run, task, tmp_path):
    """The second is refused before it writes anything; the first continues."""
    exp = tmp_path / "exp"
    wait = """
import time
from pathlib import Path
from tsx_espnet.training.trainer import ReliableTrainer

train_one_epoch = ReliableTrainer.train_one_epoch.__func__

def train_later(cls, **parts):
    Path({go!r} + "?").touch()
    while not Path({go!r}).exists():
        time.sleep(0.02)
    return train_one_epoch(cls, **parts)

ReliableTrainer.train_one_epoch = classmethod(train_later)
"""
    args = [task.command, *task.args, "--max_epoch", 2, "--output_dir", exp]
    first = start(*args, hook=wait.format(go=str(tmp_path / "go")))
    while not (tmp_path / "go?").exists():
        assert first.running, first.err
    before = (exp / "config.yaml").stat().st_mtime_ns
    last = refused(start(*args, *task.another_model))
    assert last.startswith(
        f"error: {exp}: a training run is using this directory: process {first.pid} on "
    )
    assert (exp / "config.yaml").stat().st_mtime_ns == before
    (tmp_path / "go").touch()
    assert first.wait() == 0
    run(*args)

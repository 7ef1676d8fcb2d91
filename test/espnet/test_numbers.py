"""Audio that is not finite, and audio that is nothing."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet.tables import read_table, write_table

TRAIN = "tsx_espnet.bin.train"
SILENT = {
    "all": ("speech_ref1", "speech_ref2", "enrollment"),
    "target": ("speech_ref1",),
    "other": ("speech_ref2",),
}


@pytest.fixture
def mixtures(data, tmp_path):
    """``(number of copies of the six mixtures, {id: value}) -> directory``.

    The values take the place of one sample of the mixture.
    """

    def make(name, copies=1, bad=()):
        directory = shutil.copytree(data.mixtures, tmp_path / name)
        for path in directory.glob("*.scp"):
            table = read_table(path)
            write_table(path, {f"{key}.{n}": table[key] for key in table for n in range(copies)})
        for path in directory.glob("utt2*"):
            table = read_table(path)
            write_table(path, {f"{key}.{n}": table[key] for key in table for n in range(copies)})
        table = read_table(directory / "wav.scp")
        for key, value in dict(bad).items():
            samples, fs = soundfile.read(table[key], dtype="float32")
            samples[len(samples) // 2] = value
            table[key] = str(directory / f"{key}.wav")
            soundfile.write(table[key], samples, fs, subtype="FLOAT")
        write_table(directory / "wav.scp", table)
        return directory

    return make


@pytest.fixture
def train(start, data, tmp_path):
    """Train on fixed mixtures, in their order, one or two a batch."""

    def run_training(train_set, valid_set, batch_size, *more):
        args = ["--config", data.train_config, "--class_list", data.clips / "classes.txt"]
        args += ["--valid_mixtures", valid_set, "--text_embeddings", data.text]
        args += ["--train_shape_file", train_set / "wav.scp"]
        files = {
            **{name: f"{name},sound" for name in ("speech_mix", "speech_ref1", "speech_ref2")},
            **{
                name: f"{name},text" for name in ("energy", "harmonicity", "order", "class", "text")
            },
        }
        scp = {"speech_mix": "wav.scp", "speech_ref1": "spk1.scp", "speech_ref2": "spk2.scp"}
        for name, rest in files.items():
            path = train_set / scp.get(name, f"utt2{name}")
            args += ["--train_data_path_and_name_and_type", f"{path},{rest}"]
        args += ["--batch_size", batch_size, "--output_dir", tmp_path / "exp", *more]
        command = start(TRAIN, *args)
        command.status = command.wait()
        return command

    return run_training


def names(directory):
    return list(read_table(directory / "wav.scp"))


def left_out(command):
    return [line for line in command.err.splitlines() if "is left out" in line]


@pytest.mark.parametrize("where", ["train", "valid"])
def test_one_bad_mixture(where, train, data, mixtures, tmp_path):
    """Named in each epoch; everything else is as if its batch were not there."""
    keys = [f"{key}.0" for key in names(data.mixtures)]
    bad = mixtures("bad", bad={keys[1]: np.nan, keys[4]: np.inf})
    good = mixtures("good")
    sets = (bad, good) if where == "train" else (good, bad)
    command = train(*sets, 2, "--valid_batch_size", 2)
    assert command.status == 0, command.err
    found = left_out(command)
    assert len(found) == 4  # two batches, in two epochs
    for number, line in enumerate(found):
        assert "ERROR" in line
        assert f"is left out ({number % 2 + 1} in this epoch so far): not finite" in line
    text = "".join(found)
    assert text.count(f"speech_mix of {keys[1]}") == text.count(f"speech_mix of {keys[4]}") == 2
    for name, value in torch.load(tmp_path / "exp" / "2epoch.pth", weights_only=True).items():
        assert value.isfinite().all(), name
    reporter = torch.load(tmp_path / "exp" / "checkpoint.pth", weights_only=False)["reporter"]
    for epoch in (1, 2):
        assert np.isfinite(reporter["stats"][epoch][where]["loss"])
        assert reporter["stats"][epoch]["train"]["total_count"] == epoch * (
            1 if where == "train" else 3
        )


def test_ten_bad_batches_in_a_row(train, mixtures, data):
    keys = [f"{key}.{copy}" for key in names(data.mixtures) for copy in range(2)]
    bad = mixtures("bad", 2, dict.fromkeys(keys, np.nan))
    command = train(bad, mixtures("good"), 1)
    assert command.status == 1 and "Traceback" not in command.err
    last = command.err.splitlines()[-1]
    assert last.startswith(
        "error: 10 batches in a row have audio that is not finite: speech_mix of"
    )
    assert len(left_out(command)) == 10


def test_an_epoch_of_bad_batches(train, mixtures, data):
    """Fewer than ten, so that no epoch would ever see the tenth."""
    bad = mixtures("bad", 1, {f"{key}.0": np.inf for key in names(data.mixtures)})
    command = train(bad, mixtures("good"), 2)
    assert command.status == 1
    assert "error: all 3 batches have audio that is not finite" in command.err.splitlines()[-1]


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "single", "objective_conf": {"condition": "class"}},
        {"objective": "hct"},
        {"objective": "oct"},
        {"objective": "octpp", "refiner": "mixture", "refiner_conf": {}},
        {"objective": "mixed"},
        {"objective": "pit", "conditions": {"unconditional": {}}},
    ],
    ids=lambda changes: changes["objective"],
)
@pytest.mark.parametrize("silent", SILENT)
@pytest.mark.parametrize("training", [True, False], ids=["train", "valid"])
def test_loss_and_gradients_on_silence_are_finite(changes, silent, training, make_model):
    """So is every statistic that there would be without the silence."""
    model = make_model(**changes)
    model.train(training)
    without = forward(model, ())[1]
    loss, stats = forward(model, SILENT[silent])
    assert loss.isfinite().all()
    assert stats.keys() == without.keys() and any("si_sdr" in name for name in stats)
    for name, value in stats.items():
        assert value.isfinite().all() or without[name].isnan().all(), name
    if training:
        loss.mean().backward()
        grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
        assert grads and all(grad.isfinite().all() for grad in grads)


def forward(model, silent):
    """Loss and statistics of three mixtures; some arrays of the last two are nothing but zeros."""
    torch.manual_seed(0)
    batch = {
        name: 0.1 * torch.randn(3, 400) for name in ("speech_ref1", "speech_ref2", "enrollment")
    }
    for name in silent:
        batch[name][1:] = 0
    batch["speech_mix"] = batch["speech_ref1"] + batch["speech_ref2"]
    batch["text"] = torch.randn(3, 1, 8)
    batch["unconditional"] = torch.zeros(3, 1).long()
    for name in ("energy", "harmonicity", "order", "class"):
        batch[name] = torch.tensor([[1], [0], [1]])
    loss, stats, _ = model(**batch)
    return loss, stats

"""The command that adds classes: what it writes, what it does not do twice, what it refuses."""

import json
import os
import shutil

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.bin.add_classes import main
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import load_experiment
from tsx_espnet.few_shot.classes import average_embedding
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.tables import read_table

FS = 8000
MIXING = {"duration": 0.4, "snr": [0.0, 5.0], "min_overlap": 0.3, "min_sounding": 0.1}
SHORT = ("--num_mixtures", "8", "--num_epochs", "2", "--lr", "0.01", "--batch_size", "4")


@pytest.fixture(scope="module")
def clips(tmp_path_factory, format_clips):
    directory = tmp_path_factory.mktemp("clips")
    return {
        "train": format_clips(directory / "train", {"Bark": 2, "Meow": 2, "Rain": 2}),
        "new": format_clips(directory / "new", {"Siren": 2, "Gong": 3}),
        "16k": format_clips(directory / "16k", {"Siren": 1, "Bark": 1}, 2 * FS),
    }


@pytest.fixture(scope="module")
def exp(tmp_path_factory, make_experiment):
    return make_experiment(tmp_path_factory.mktemp("exp") / "exp", mixing_conf=MIXING)


@pytest.fixture
def add(exp, tmp_path):
    def add(*options, out="grown", exp=exp):
        main([str(part) for part in ("--exp", exp, "--out", tmp_path / out, *options)])
        return tmp_path / out

    return add


def rows(directory):
    model = load_experiment(directory).model
    return model.conditioners["class"].new.weight.detach()


def same_but_the_new_rows(grown, exp):
    before, after = (load_experiment(one).model.state_dict() for one in (exp, grown))
    del after["conditioners.class.new.weight"]
    return before.keys() == after.keys() and all(
        torch.equal(after[name], value) for name, value in before.items()
    )


def test_every_label_of_a_set_is_a_class(add, exp, clips, capsys):
    grown = add("--clips", clips["new"])
    assert f"{grown}: 2 new classes (Gong, Siren)" in capsys.readouterr().out
    assert load_experiment(grown).vocabulary.classes == ("Bark", "Meow", "Rain", "Gong", "Siren")
    wavs = read_table(clips["new"] / "wav.scp")
    given = load_experiment(exp)
    for row, label in zip(rows(grown), ("Gong", "Siren")):
        own = [path for name, path in wavs.items() if label in name]
        torch.testing.assert_close(row, average_embedding(given, own))
    assert same_but_the_new_rows(grown, exp)
    assert not (grown / "adaptation.json").exists()


def test_one_class_of_recordings(add, exp, tmp_path):
    paths = [tmp_path / "a dog.wav", tmp_path / "another.flac"]
    for number, path in enumerate(paths):
        soundfile.write(path, 0.1 * np.random.default_rng(number).standard_normal(6000), 11025)
    grown = add("--label", "my_dog", "--recordings", *paths)
    tsx, before = (TargetSoundExtractor.load(directory) for directory in (grown, exp))
    mixture = 0.1 * np.random.default_rng(5).standard_normal(3000)
    found = tsx(mixture, FS, class_label="my_dog")[0]
    np.testing.assert_allclose(found, before(mixture, FS, enrollment=paths)[0], atol=1e-6)


def test_a_random_start_is_that_of_its_seed(add, clips):
    one, same, other = (
        rows(add("--clips", clips["new"], "--init", "random", "--seed", seed, out=out))
        for seed, out in ((1, "a"), (1, "b"), (2, "c"))
    )
    assert torch.equal(one, same) and (one - other).abs().min() > 0
    assert (one[0] - one[1]).abs().min() > 0


def test_adapted_with_drawn_and_with_fixed_mixtures(add, exp, clips, tmp_path, capsys):
    """The same mixtures, rendered in memory and read from files, give the same rows."""
    drawn = add("--clips", clips["new"], "--adapt_clips", clips["train"], *SHORT, out="drawn")
    config = MixingConfig.from_dict(MIXING)
    both = ClipSet([clips["train"], clips["new"]])
    sampler = Sampler(both, config, new_classes=["Siren", "Gong"], target="new")
    write_mixtures(sampler, 8, 0, tmp_path / "mix")
    fixed = add("--clips", clips["new"], "--adapt_mixtures", tmp_path / "mix", *SHORT, out="fixed")
    assert torch.equal(rows(drawn), rows(fixed))
    start = add("--clips", clips["new"], out="start")
    assert (rows(drawn) - rows(start)).abs().min() > 0
    assert same_but_the_new_rows(drawn, exp)
    report = json.loads((drawn / "adaptation.json").read_text())
    assert report["classes"] == ["Gong", "Siren"] and len(report["loss"]) == 2
    assert f"adapt, epoch 2/2: mean loss {report['loss'][1]:.3f}" in capsys.readouterr().out


def test_recordings_are_mixed_with_training_clips(add, clips, tmp_path):
    path = tmp_path / "gong.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    given = ("--label", "my_gong", "--recordings", path)
    grown = add(*given, "--adapt_clips", clips["train"], *SHORT)
    assert (rows(grown) - rows(add(*given, out="start"))).abs().min() > 0


def test_finished_work_is_left_alone_and_other_work_is_refused(add, exp, clips, tmp_path, capsys):
    grown = add("--clips", clips["new"])
    made = {path: path.stat().st_mtime_ns for path in grown.iterdir()}
    moved = tmp_path / "moved"
    shutil.copytree(clips["new"], moved)
    for same in (clips["new"], moved):
        capsys.readouterr()
        add("--clips", same)
        assert "already done (2 new classes" in capsys.readouterr().out
    shutil.copytree(exp, tmp_path / "exp")
    state = torch.load(exp / "valid.loss.ave.pth")
    torch.save({name: 2 * value for name, value in state.items()}, tmp_path / "exp" / "latest.pth")
    others = {
        ("--seed", "1"): "seed",
        ("--init", "random"): "init",
        ("--adapt_clips", clips["train"]): "adaptation",
        ("--model_file", "latest.pth"): "model",
    }
    for options, name in others.items():
        with pytest.raises(TSXError, match=rf"holds classes made differently \({name}: "):
            add("--clips", clips["new"], *options, exp=tmp_path / "exp")
    with pytest.raises(TSXError, match="holds an experiment already; choose another directory"):
        add("--clips", clips["new"], out=exp)
    assert made == {path: path.stat().st_mtime_ns for path in grown.iterdir()}


class Killed(BaseException):
    """What a command does not survive."""


def after(renames):
    """An ``os.replace`` that works so many times."""
    effects = [os.replace] * renames

    def replace(*paths):
        if not effects:
            raise Killed
        effects.pop()(*paths)

    return replace


def test_interrupted_work_is_taken_up_again(add, clips, tmp_path, monkeypatch, capsys):
    """Once an end between the configuration and ``.done`` left what had to be removed by hand."""
    given = ("--clips", clips["new"], "--adapt_clips", clips["train"], *SHORT)
    undisturbed, grown = add(*given), tmp_path / "again"
    names = {path.name for path in undisturbed.iterdir()}
    for number in range(1, len(names) + 1):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(os, "replace", after(number))
            add(*given, out=grown)
        assert len(list(grown.iterdir())) == number
        capsys.readouterr()
        add(*given, out=grown)
        assert "already done" not in capsys.readouterr().out
        assert {path.name for path in grown.iterdir()} == names
        assert torch.equal(rows(grown), rows(undisturbed))
        shutil.rmtree(grown)


@pytest.mark.parametrize(
    "options, message",
    [
        ("", "expected --clips, or --label and --recordings"),
        ("--label dog", "expected --clips, or --label and --recordings"),
        ("--clips {new} --label dog", "--clips and --label exclude each other"),
        ("--clips {new} --recordings a.wav", "--clips and --recordings exclude each other"),
        ("--clips {new} --adapt_clips {train} --adapt_mixtures x", "not allowed with"),
        ("--clips {new} --num_epochs 0", "num_epochs: expected at least 1, found 0"),
        ("--clips {new} --lr 0.1", "--lr needs --adapt_mixtures or --adapt_clips"),
        ("--clips {new} --seed -1", "seed: expected at least 0, found -1"),
        ("--clips {train}", "the model knows the class 'Bark' already"),
        ("--clips {16k}", "expected 8000 Hz as the model, found 16000 Hz"),
        ("--clips {new} --adapt_clips {16k}", "expected 8000 Hz as the model, found 16000 Hz"),
        ("--clips {new} --adapt_mixtures none", "none: not a complete mixture set"),
        ("--clips {new} --adapt_clips none", "none"),
        ("--clips {new} --adapt_clips {train} --lr -1", "lr: expected a positive number"),
        ("--label dog --recordings gone.wav", "gone.wav: cannot be read: No such file"),
    ],
)
def test_what_cannot_be(add, clips, tmp_path, options, message):
    with pytest.raises(TSXError, match=message):
        add(*options.format(**clips).split())
    assert not (tmp_path / "grown" / "config.yaml").exists()


def test_models_that_cannot_learn_classes(add, make_experiment, clips, tmp_path):
    without = make_experiment(tmp_path / "energy", conditions={"energy": {}})
    with pytest.raises(TSXError, match="expected a model with the condition class"):
        add("--clips", clips["new"], "--init", "random", exp=without)
    onehot = make_experiment(tmp_path / "onehot", conditions={"class": {}}, mixing_conf=MIXING)
    with pytest.raises(TSXError, match="expected a model that takes enrollments, found one that"):
        add("--clips", clips["new"], exp=onehot)
    adapt = ("--init", "random", "--adapt_clips", clips["train"], *SHORT)
    assert same_but_the_new_rows(add("--clips", clips["new"], *adapt, exp=onehot), onehot)

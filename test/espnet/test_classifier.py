"""Training a sound classifier: what it leaves for others, and what it refuses."""

import json
import shutil
import socket
from pathlib import Path

import pytest
import torch
import yaml

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.inference import TargetSoundExtractor
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.presence import presence
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.pretrained.mobilenet import MobileNet
from tsx_espnet.pretrained.store import digest_of, load
from tsx_espnet.training.classifier import ClassifierModel, ClassifierTask

TRAIN = "tsx_espnet.bin.train_classifier"
EGS = Path(__file__).parents[2] / "egs"
CONFIGS = sorted(EGS.glob("*/conf/train_classifier.yaml"))
LEFT = ("labels.txt", "pretrained.json", "weights.safetensors")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tmp_path_factory.mktemp("trained") / "exp"


@pytest.fixture
def exp(trained, run, classifier_args):
    """A trained classifier; not to be changed."""
    if not trained.exists():
        run(TRAIN, *classifier_args, "--output_dir", trained, "--resume", "true")
    return trained


def test_the_experiment_is_a_pretrained_network(exp, data):
    classifier = load(exp)
    assert classifier.labels == tuple(data.classes) and classifier.fs == 8000
    best = torch.load(exp / "valid.loss.ave.pth", weights_only=True)
    for name, tensor in classifier.state_dict().items():
        assert torch.equal(tensor, best[f"classifier.{name}"]), name
    assert json.loads((exp / "pretrained.json").read_text()) == {
        "kind": "mobilenet", "fs": 8000, "channels": [2] * 11
    }


def test_an_extractor_is_trained_with_it(exp, run, data, train_args, tiny, tmp_path):
    """Its digest is kept with the experiment, and only its own files are."""
    options = ["--pretrained", f"{{classifier: {exp}}}", "--max_epoch", 1]
    run("tsx_espnet.bin.train", *train_args, *options, "--output_dir", tmp_path / "exp")
    config = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    kept = tmp_path / "exp" / "pretrained" / "classifier"
    assert config["pretrained_digest"] == {"classifier": digest_of(exp)} == {
        "classifier": digest_of(kept)
    }
    assert sorted(path.name for path in kept.iterdir()) == list(LEFT)
    assert TargetSoundExtractor.load(tmp_path / "exp")


def test_killed_while_it_writes_the_network_and_run_again(
    exp, start, run, classifier_args, tmp_path
):
    hook = """
import os, signal
from tsx_espnet.pretrained import mobilenet
mobilenet.json = type("json", (), {"dumps": lambda _: os.kill(os.getpid(), signal.SIGKILL)})
"""
    args = [TRAIN, *classifier_args, "--output_dir", tmp_path / "exp", "--resume", "true"]
    assert start(*args, hook=hook).wait() == -9
    assert not (tmp_path / "exp" / "pretrained.json").exists()
    run(*args)
    assert digest_of(tmp_path / "exp") == digest_of(exp)


def test_other_seeds_train_on_other_mixtures_and_validate_on_the_same(
    exp, run, classifier_args, tmp_path
):
    run(TRAIN, *classifier_args, "--output_dir", tmp_path / "again")
    assert digest_of(tmp_path / "again") == digest_of(exp)
    run(TRAIN, *classifier_args, "--output_dir", tmp_path / "other", "--seed", 1)
    assert digest_of(tmp_path / "other") != digest_of(exp)


def test_two_processes_train_one_network(start, classifier_args, data, tmp_path):
    """Each on its half of every batch; the first writes it."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    args = [TRAIN, *classifier_args, "--output_dir", tmp_path / "exp", "--dist_backend", "gloo"]
    args += ["--dist_world_size", 2, "--dist_master_addr", "localhost", "--dist_master_port", port]
    commands = [start(*args, "--dist_rank", rank) for rank in (0, 1)]
    for command in commands:
        assert command.wait() == 0, command.err
    assert "2epoch results" in commands[0].err and "2epoch results" not in commands[1].err
    assert load(tmp_path / "exp").labels == tuple(data.classes)


def test_the_loss_is_the_cross_entropy_of_what_sounds(data, classifier_args):
    """Of the mixtures at unit RMS, written out, and the same for a louder recording."""
    config = MixingConfig.from_yaml(classifier_args[3])
    sampler = Sampler(ClipSet(data.clips), config)
    drawn = [sampler.render(sampler.draw(0, 0, number)) for number in range(3)]
    torch.manual_seed(0)
    network = MobileNet(data.classes, 8000, [4] * 11)
    model = ClassifierModel(network).eval()
    targets = torch.stack(
        [torch.from_numpy(presence(one, data.classes, network.hop)) for one in drawn]
    )
    mixtures = torch.stack([torch.from_numpy(one.mixture) for one in drawn])
    scaled = torch.stack([x / x.square().mean().sqrt() for x in mixtures])
    p = network(scaled).sigmoid().double()
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).sum(dim=2).mean()
    for gain in (1.0, 5.0):
        loss, stats, weight = model(speech_mix=gain * mixtures, presence=targets)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        assert weight == 3 and stats["loss"] == loss


def test_validation_mixtures_are_the_same_in_every_epoch_and_training_mixtures_are_not(
    classifier_args, tmp_path
):
    from espnet2.train.distributed_utils import DistributedOption

    argv = [*map(str, classifier_args), "--output_dir", str(tmp_path)]
    args = ClassifierTask.get_parser().parse_args(argv)
    ClassifierTask.check_required_command_args(args)
    for mode, same in (("train", False), ("valid", True)):
        factory = ClassifierTask.build_iter_factory(args, DistributedOption(), mode)
        epochs = [list(factory.build_iter(epoch)) for epoch in (1, 2)]
        (_, first), (_, second) = (epoch[0] for epoch in epochs)
        assert torch.equal(first["speech_mix"], second["speech_mix"]) == same
        assert first["presence"].shape == (4, 10, len(args.class_list))


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("--mixing_config", None, "--mixing_config, a yaml of how mixtures are drawn, is missing"),
        ("--train_clips", None, "--train_clips is missing"),
        ("--valid_clips", "no/where", "--valid_clips no/where: no such directory; run format"),
        ("--mixing_config", "no/where", "no/where: no such mixing config"),
        ("--num_valid", 0, "num_valid"),
        ("--network_conf", "{channels: [3]}", "--network_conf: channels: expected 11, found [3]"),
        ("--network_conf", "{chanels: [3]}", "network_conf of mobilenet: no option 'chanels'"),
    ],
)
def test_a_mistake_is_one_line(start, classifier_args, tmp_path, option, value, message):
    args = list(classifier_args)
    if option in args:
        place = args.index(option)
        del args[place : place + 2]
    args += [] if value is None else [option, value]
    command = start(TRAIN, *args, "--output_dir", tmp_path / "exp")
    assert command.wait() == 1 and "Traceback" not in command.err
    last = command.err.strip().splitlines()[-1]
    assert last.startswith("error: ") and message in last
    assert not (tmp_path / "exp" / "pretrained.json").exists()


def test_clips_without_labels_are_refused(start, classifier_args, data, tmp_path):
    bare = shutil.copytree(data.clips, tmp_path / "bare")
    (bare / "classes.txt").unlink()
    args = list(classifier_args)
    args[args.index("--train_clips") + 1] = bare
    command = start(TRAIN, *args, "--output_dir", tmp_path / "exp")
    assert command.wait() == 1
    assert "classes.txt: no such file; format writes" in command.err.strip().splitlines()[-1]


def test_other_labels_do_not_resume_a_run(exp, start, classifier_args, data, tmp_path):
    other = shutil.copytree(data.clips, tmp_path / "other")
    (other / "classes.txt").write_text("Bark\nRain\n")
    args = list(classifier_args)
    args[args.index("--train_clips") + 1] = other
    copied = shutil.copytree(exp, tmp_path / "exp", symlinks=True)
    command = start(TRAIN, *args, "--output_dir", copied, "--resume", "true")
    assert command.wait() == 1
    last = command.err.strip().splitlines()[-1]
    assert last.startswith(f"error: {copied}: this run was begun with class_list")
    assert digest_of(copied) == digest_of(exp)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: "/".join(path.parts[-3:]))
def test_a_dry_run_of_every_recipe_needs_no_clips(run, config, tmp_path):
    (mixing,) = config.parent.glob("mix_*_classifier.yaml")
    configs = ["--config", config, "--mixing_config", mixing]
    run(TRAIN, *configs, "--dry_run", "true", "--output_dir", tmp_path / "exp")
    assert [path.name for path in (tmp_path / "exp").iterdir()] == ["config.yaml"]

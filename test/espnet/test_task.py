"""``TSXTask`` does all that a task of ESPnet does."""

import os
import re
import socket
from pathlib import Path

import pytest
import torch
import yaml
from pretrained_networks import write_mobilenet

TRAIN = "tsx_espnet.bin.train"
EGS = Path(__file__).parents[2] / "egs"


def names_extractor(path):
    return "extractor" in yaml.safe_load(path.read_text())


# either the sizes are those of one extractor, or the method names it
CONFIGS = [
    (train, method)
    for train in sorted(EGS.glob("*/conf/train*.yaml"))
    if train.stem != "train_classifier"  # of another task
    for method in sorted(train.parent.glob("method_*.yaml"))
    if names_extractor(train) != names_extractor(method)
]


def weights(path):
    return torch.load(path, weights_only=True)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, msg=name)


def test_keeps_every_option_of_espnet():
    from espnet2.tasks.abs_task import AbsTask

    from tsx_espnet.training.task import TSXTask

    class Bare(AbsTask):
        @classmethod
        def add_task_arguments(cls, parser):
            pass

    def options(parser):
        return {name for action in parser._actions for name in action.option_strings}

    theirs, ours = options(Bare.get_parser()), options(TSXTask.get_parser())
    assert len(theirs) > 100
    assert theirs <= ours
    assert {"--conditions", "--objective", "--train_clips"} <= ours - theirs


def test_print_config_can_be_fed_back(run, data, train_args, tmp_path):
    printed = run(TRAIN, "--config", data.train_config, "--print_config", fresh=True).out
    config = yaml.safe_load(printed)  # not one line of what ESPnet's imports print
    given = yaml.safe_load(data.train_config.read_text())
    for name, value in given.items():
        if name.endswith("_conf"):
            assert config[name] == {**config[name], **value}  # and the defaults of the part
        else:
            assert config[name] == value
    (tmp_path / "printed.yaml").write_text(printed)
    more = ["--mixtures_per_epoch", 4, "--max_epoch", 1, "--output_dir", tmp_path / "exp"]
    run(TRAIN, *train_args, "--config", tmp_path / "printed.yaml", *more)
    written = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    assert written["extractor_conf"] == config["extractor_conf"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return write_mobilenet(tmp_path_factory.mktemp("classifier"))


@pytest.mark.parametrize("train, method", CONFIGS, ids=lambda path: "/".join(path.parts[-3:]))
def test_dry_run_of_every_recipe(train, method, run, classifier, tmp_path):
    configs = ["--config", train, "--method_config", method]
    configs += ["--pretrained", f"classifier={classifier}"]
    run(TRAIN, *configs, "--dry_run", "true", "--output_dir", tmp_path / "exp")
    assert [entry.name for entry in (tmp_path / "exp").iterdir()] == ["config.yaml"]


def test_resume_and_average(run, train_args, tmp_path):
    """Three epochs at once, or one and then two: the same to the last bit; the average by hand."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    log = run(TRAIN, *train_args, "--max_epoch", 3, "--output_dir", whole).err
    run(TRAIN, *train_args, "--max_epoch", 1, "--output_dir", parts)
    more = ["--max_epoch", 3, "--resume", "true"]
    run(TRAIN, *train_args, "--output_dir", parts, *more)
    assert_same(weights(parts / "3epoch.pth"), weights(whole / "3epoch.pth"))
    assert_same(weights(parts / "valid.loss.ave.pth"), weights(whole / "valid.loss.ave.pth"))

    losses = re.findall(r"epoch results.*\[valid\].*, loss=([-\d.]+)", log)
    best = sorted(range(1, 4), key=lambda epoch: float(losses[epoch - 1]))[:2]
    assert len(losses) == 3
    first, second = (weights(whole / f"{epoch}epoch.pth") for epoch in best)
    averaged = {name: (value + second[name]) / 2 for name, value in first.items()}
    assert os.readlink(whole / "valid.loss.ave.pth") == "valid.loss.ave_2best.pth"
    assert_same(weights(whole / "valid.loss.ave.pth"), averaged)
    assert os.readlink(whole / "valid.loss.best.pth") == f"{best[0]}epoch.pth"
    kept = {path.name for path in whole.glob("*epoch.pth")}
    assert kept == {f"{epoch}epoch.pth" for epoch in {3, *best}}

    again = run(TRAIN, *train_args, "--output_dir", parts, *more)  # nothing is left to do
    assert "already reached at max_epoch" in again.err
    assert_same(weights(parts / "valid.loss.ave.pth"), averaged)


def test_init_param(run, train_args, tmp_path):
    """A model that starts from another's weights and learns nothing has these weights."""
    run(TRAIN, *train_args, "--max_epoch", 1, "--output_dir", tmp_path / "first")
    source = tmp_path / "first" / "1epoch.pth"
    still = ["--optim_conf", "lr=0.0", "--max_epoch", 1, "--seed", 5, "--init_param"]
    run(TRAIN, *train_args, "--output_dir", tmp_path / "all", *still, source)
    part = f"{source}:encoder:encoder"
    run(TRAIN, *train_args, "--output_dir", tmp_path / "part", *still, part)
    expected = weights(source)
    found = weights(tmp_path / "all" / "1epoch.pth")
    del found["objective.updates"], expected["objective.updates"]
    assert_same(found, expected)
    found = weights(tmp_path / "part" / "1epoch.pth")
    same = {name for name, value in expected.items() if torch.equal(value, found[name])}
    assert {name for name in expected if name.startswith("encoder.")} <= same
    assert "extractor.network.bottleneck.1.weight" not in same


class Ear(torch.nn.Module):
    takes, hears = "index", ("mixture",)


def test_a_condition_that_is_heard_has_no_array(monkeypatch):
    from tsx_espnet.parts import OURS
    from tsx_espnet.training.task import TSXTask

    monkeypatch.setitem(OURS["conditioner"], "ear", f"{__name__}:Ear")
    args = TSXTask.get_parser().parse_args([])
    args.conditions = {"energy": {}, "unconditional": {"conditioner": "ear"}}
    preprocess = TSXTask.build_preprocess_fn(args, True)
    assert set(preprocess("mix1", {"energy": "high"})) == {"energy"}


def test_options_of_the_iterator(run, train_args, tmp_path):
    """Seven mixtures are two batches of four, or one if the smaller one is dropped."""
    epoch = ["--max_epoch", 1, "--mixtures_per_epoch", 7, "--log_interval", 1]
    for more, expected in (
        ([], 2), (["--drop_last_iter", "true"], 1), (["--num_iters_per_epoch", 1], 1)
    ):
        log = run(TRAIN, *train_args, *epoch, *more, "--output_dir", tmp_path / "exp").err
        assert len(re.findall(r"1epoch:train:", log)) == expected


def test_log_shows_every_condition(run, tiny, train_args, tmp_path):
    names = list(tiny.model["conditions"])
    more = ["--log_interval", 1, "--max_epoch", 1]
    log = run(TRAIN, *train_args, "--output_dir", tmp_path / "exp", *more).err
    (epoch,) = re.findall(r"1epoch results: (.*)", log)
    train, valid = epoch.split("[valid]")
    steps = re.findall(r"1epoch:train:.*?: (.*)", log)
    assert len(steps) == 2
    for block in (*steps, train, valid):
        for name in names:
            for key in ("loss", "si_sdr", "best"):
                assert re.search(rf"{key}_{name}=(-?[\d.]+(e[-+]\d+)?|nan)\b", block), (key, name)
    shares = [float(re.search(rf"best_{name}=([-+.\de]+)", valid)[1]) for name in names]
    assert sum(shares) == pytest.approx(1.0, abs=2e-3)


def test_two_processes_learn_what_one_learns(start, run, train_args, tmp_path):
    """DDP with gloo on the CPU. Text applies to every mixture, so that the mean over two halves of
    a batch is the mean over the batch; the seventh mixture makes the last batch an odd one."""
    common = [
        *(*train_args, "--max_epoch", 1, "--mixtures_per_epoch", 7, "--batch_size", 3),
        *("--objective", "single", "--objective_conf", "condition=text", "--ngpu", 0),
    ]
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    network = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    ddp = ["--multiprocessing_distributed", "false", "--dist_backend", "gloo"]
    args = [*common, *ddp, "--output_dir", tmp_path / "two"]
    ranks = [start(TRAIN, *args, env={**network, "RANK": str(rank)}) for rank in range(2)]
    assert [rank.wait() for rank in ranks] == [0, 0], [rank.err for rank in ranks]
    assert "1epoch results" in ranks[0].err and "epoch results" not in ranks[1].err
    for name in ("checkpoint.pth", "1epoch.pth", "valid.loss.ave.pth", "config.yaml"):
        assert (tmp_path / "two" / name).is_file()
    assert not list((tmp_path / "two").glob("*.tmp*"))

    # in one process the mixtures of the two batches of DDP: 3 and, not leaving one alone, 4
    hook = (
        "from tsx_espnet.training.iterator import MixtureIterFactory as factory\n"
        "build = factory.build_iter\n"
        "def build_iter(self, epoch, shuffle=None):\n"
        "    self.batches = [list(range(3)), list(range(3, 7))]\n"
        "    return build(self, epoch)\n"
        "factory.build_iter = build_iter\n"
    )
    run(TRAIN, *common, "--output_dir", tmp_path / "one", hook=hook)
    found, expected = (weights(tmp_path / name / "1epoch.pth") for name in ("two", "one"))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)

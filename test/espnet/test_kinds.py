"""A condition of every kind and an extractor of three outputs, from mixtures to a user's query.

Three models on mixtures of three sources of which each is a target: one that is queried by an
index, a vector, tokens and samples; one that hears the mixture, frame by frame; and an oracle,
which hears the sources.
"""

import csv
import socket

import numpy as np
import pytest
import small_parts
import soundfile
import torch
import yaml

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.tables import read_table

TRAIN = "tsx_espnet.bin.train"
# commands get the parts as a plugin would bring them
PLUGIN = """
import pytest, small_parts
from tsx_espnet import parts
small_parts.register(pytest.MonkeyPatch())
parts.register()
"""
QUERIED = {
    "energy": {"conditioner": "numbers"},
    "class": {"conditioner": "meanings"},
    "text": {"conditioner": "words", "pretrained": "bert"},
    "enrollment": {"conditioner": "levels"},
}
SOURCES = {"conditioner": "loudness", "hears": ["mixture", "sources"], "number": 4}
KINDS = {
    "queried": {"conditions": QUERIED, "objective": "oct", "fusion": "attention"},
    "timed": {"conditions": {"unconditional": {"conditioner": "envelopes"}}, "objective": "pit"},
    "oracle": {"conditions": {"unconditional": SOURCES}, "objective": "pit"},
}


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    small_parts.register(monkeypatch)
    return request.param


@pytest.fixture
def args(kind, data, tiny, targets, tiny_bert, tmp_path):
    """The arguments of the training command: two steps an epoch, of two mixtures each."""
    options = dict(KINDS[kind])
    config = {
        **tiny.config,
        "extractor": "threeoutputs",
        "extractor_conf": {"fusion": options.pop("fusion", "film")},
        **options,
        **{"mixtures_per_epoch": 4, "batch_size": 2, "max_epoch": 2},
        **{"optim": "sgd", "optim_conf": {"lr": 0.05}, "grad_clip": 1000.0},
    }
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    return [
        *("--config", tmp_path / "train.yaml"),
        *("--mixing_config", targets.mixing_config),
        *("--train_clips", data.clips),
        *("--valid_mixtures", targets.mixtures),
        *("--text_embeddings", data.text),
        *("--pretrained", f"{{bert: {tiny_bert}}}"),
    ]


@pytest.fixture
def train(start, args, tmp_path):
    """Train in one process or two; the weights of the last epoch, by name."""

    def run_training(name, world_size=1, *more):
        exp = tmp_path / name
        more = [*more, "--output_dir", exp]
        if world_size > 1:
            with socket.socket() as free:
                free.bind(("localhost", 0))
                port = free.getsockname()[1]
            more += ["--dist_backend", "gloo", "--dist_world_size", world_size]
            more += ["--dist_master_addr", "localhost", "--dist_master_port", port]
        ranks = [["--dist_rank", rank] if world_size > 1 else [] for rank in range(world_size)]
        commands = [start(TRAIN, *args, *more, *rank, hook=PLUGIN) for rank in ranks]
        for command in commands:
            assert command.wait() == 0, command.err
        return torch.load(exp / "latest.pth", weights_only=True)

    return run_training


def rows(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_from_mixtures_to_a_query(kind, train, run, targets, data, tmp_path):
    whole = train("whole")
    before = torch.load(tmp_path / "whole" / "1epoch.pth", weights_only=True)
    moved = {name.split(".")[0] for name in whole if not whole[name].equal(before[name])}
    assert {"encoder", "decoder", "extractor", "conditioners"} <= moved

    train("parts", 1, "--max_epoch", 1)
    resumed = train("parts", 1, "--resume", "true")
    assert all(resumed[name].equal(value) for name, value in whole.items())

    two = train("two", 2)
    scale = max(value.abs().max() for value in whole.values())
    for name, value in whole.items():
        assert (two[name] - value).abs().max() <= 1e-5 * scale, name

    out = tmp_path / "estimates"
    run(
        *("tsx_espnet.bin.infer", "--exp", tmp_path / "whole", "--mixtures", targets.mixtures),
        *("--out", out),
        hook=PLUGIN,
    )
    run("tsx_espnet.bin.score", "--mixtures", targets.mixtures, "--estimates", out, "--skip_bss")
    scores = [row for row in rows(out / "scores.csv") if row["condition"] != "oracle"]
    mixtures = MixtureSet(targets.mixtures)
    for name in KINDS[kind]["conditions"]:
        found = {row["mixture"] for row in scores if row["condition"] == name}
        queried = mixtures.targets if name == UNCONDITIONAL else mixtures.applicable(name)
        assert found == set(queried) and len(found) >= 4
    assert all(row["si_sdr"] for row in scores)

    mixture, fs = soundfile.read(read_table(targets.mixtures / "wav.scp")["mix00001"])
    if kind == "oracle":
        with pytest.raises(TSXError, match="hears the sources"):
            TargetSoundExtractor.load(tmp_path / "whole")
        return
    tsx = TargetSoundExtractor.load(tmp_path / "whole")
    recording = next(iter(read_table(data.clips / "wav.scp").values()))
    queries = [{"unconditional": True}]
    if kind == "queried":
        queries = [
            {"energy": "high"},
            {"class_label": "Bark"},
            {"text": "a dog barking"},
            {"enrollment": recording},
        ]
    found = [tsx(mixture, fs, **query) for query in queries]
    for target, rest in found:
        np.testing.assert_allclose(target + rest, mixture, atol=1e-5)
        assert np.isfinite(target).all() and np.abs(target).max() > 0
    if kind == "queried":  # no two queries are the same to the model
        assert len({target.tobytes() for target, _ in found}) == len(found)

"""Training with a pretrained network: what is saved, resumed and refused."""

import shutil

import pytest
import torch
import yaml

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.pretrained.store import digest_of

TRAIN = "tsx_espnet.bin.train"


@pytest.fixture
def args(data, tiny, tiny_clap, tmp_path):
    """Of a run that is queried by tokens of CLAP; no text vectors are needed."""
    tokens = {"conditioner": "tokens", "pretrained": "clap"}
    conditions = {"energy": {}, "text": tokens, "class": tokens}
    config = {**tiny.config, "conditions": conditions, "objective": "hct", "num_workers": 1}
    sizes = {"bottleneck_dim": 8, "hidden_dim": 8, "layer": 1, "stack": 1}
    config.update(extractor="conv_tasnet", extractor_conf={"fusion": "attention", **sizes})
    (tmp_path / "tokens.yaml").write_text(yaml.safe_dump(config))
    return [
        *("--config", tmp_path / "tokens.yaml"),
        *("--mixing_config", data.mixing_config),
        *("--train_clips", data.clips),
        *("--valid_mixtures", data.mixtures),
        *("--pretrained", f"{{clap: {tiny_clap}}}"),
    ]


def weights(path):
    return torch.load(path, weights_only=True)


def test_a_run_is_resumed_to_the_same_bits_and_holds_no_network(run, args, tiny_clap, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(TRAIN, *args, "--output_dir", whole)
    run(TRAIN, *args, "--max_epoch", 1, "--output_dir", parts)
    run(TRAIN, *args, "--resume", "true", "--output_dir", parts)
    kept = whole / "pretrained" / "clap"
    assert digest_of(kept) == digest_of(tiny_clap)
    for name in ("2epoch.pth", "valid.loss.ave.pth"):
        found, expected = weights(parts / name), weights(whole / name)
        assert found.keys() == expected.keys()
        held = {key for key in found if key.startswith(("conditioners.text", "conditioners.class"))}
        assert {key.split(".", 2)[2] for key in held} == {"linear.weight", "linear.bias"}
        for key, value in expected.items():
            assert torch.equal(found[key], value), key
    config = yaml.safe_load((whole / "config.yaml").read_text())
    assert config["pretrained"] == {"clap": str(kept)}
    assert config["pretrained_digest"] == {"clap": digest_of(tiny_clap)}
    mixture = torch.randn(900, generator=torch.Generator().manual_seed(0)).numpy()
    target, rest = TargetSoundExtractor.load(whole)(mixture, 8000, text="a dog barking")
    assert abs(target + rest - mixture).max() < 1e-5


def test_another_network_is_refused_in_one_line(run, start, args, tiny_clap, tmp_path):
    run(TRAIN, *args, "--max_epoch", 1, "--output_dir", tmp_path / "exp")
    other = shutil.copytree(tiny_clap, tmp_path / "other")
    (other / "added_tokens.json").write_text("{}")
    more = ["--pretrained", f"clap={other}", "--resume", "true"]
    command = start(TRAIN, *args, *more, "--output_dir", tmp_path / "exp")
    assert command.wait() == 1
    error = command.err.strip().splitlines()[-1]
    assert error.startswith(f"error: {tmp_path}/exp: this run was begun with the pretrained")


@pytest.mark.parametrize(
    "option, message",
    [
        ("{clap: no/where}", "error: no/where: no such directory; expected a pretrained network"),
        ("{other: }", "error: --pretrained: expected a directory for other, found None"),
    ],
)
def test_a_mistake_is_one_line(start, args, tmp_path, option, message):
    command = start(TRAIN, *args, "--pretrained", option, "--output_dir", tmp_path / "exp")
    assert command.wait() == 1
    assert command.err.strip().splitlines()[-1] == message

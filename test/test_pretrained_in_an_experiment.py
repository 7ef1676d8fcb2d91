"""An experiment whose text condition is read by a pretrained network, from training to the zip."""

import os
import shutil
import zipfile

import numpy as np
import pytest
import torch
import yaml

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.bin import pack
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import load_experiment
from tsx_espnet.pretrained.store import digest_of, keep

TOKENS = {"conditioner": "tokens", "pretrained": "clap"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, make_experiment, tiny_clap):
    directory = make_experiment(
        tmp_path_factory.mktemp("exp") / "tokens",
        conditions={"text": TOKENS, "class": TOKENS},
        extractor="conv_tasnet",
        extractor_conf={"fusion": "attention", "bottleneck_dim": 8, "layer": 1, "stack": 1},
        pretrained={"clap": str(tiny_clap)},
        pretrained_digest={"clap": digest_of(tiny_clap)},
    )
    (directory / "text_embeddings.safetensors").unlink()  # nothing here takes vectors
    keep(tiny_clap, directory / "pretrained" / "clap")
    config = yaml.safe_load((directory / "config.yaml").read_text())
    config["pretrained"] = {"clap": "where/it/was/trained"}
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    return directory


@pytest.fixture
def directory(trained, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(trained, tmp_path / "exp")


def extracted(directory, **asked):
    mixture = np.random.default_rng(0).standard_normal(900)
    return TargetSoundExtractor.load(directory)(mixture, 8000, **asked)[0]


def test_any_phrase_queries_it(trained):
    found = [extracted(trained, text=phrase) for phrase in ("a dog barking", "rain", "a dog bark")]
    assert np.abs(found[0] - found[1]).max() > 1e-6
    np.testing.assert_array_equal(found[0], extracted(trained, text="a  dog barking"))
    assert np.isfinite(extracted(trained, class_label="Rain")).all()
    vocabulary = load_experiment(trained).vocabulary
    assert vocabulary.text_table is None
    by_class, by_text = vocabulary.encode("class", "Rain"), vocabulary.encode("text", "rain")
    np.testing.assert_array_equal(by_class, by_text)


def test_the_network_counts_for_nothing_in_the_weights(trained):
    held = torch.load(trained / "valid.loss.ave.pth", weights_only=True)
    assert {name for name in held if name.startswith("conditioners")} == {
        f"conditioners.{name}.linear.{part}"
        for name in ("text", "class")
        for part in ("weight", "bias")
    }


def test_saved_again_it_takes_its_network_along(directory, tmp_path):
    expected = extracted(directory, text="rain")
    TargetSoundExtractor.load(directory).save(tmp_path / "again")
    shutil.rmtree(directory)
    np.testing.assert_array_equal(extracted(tmp_path / "again", text="rain"), expected)


def test_packed_and_unpacked_elsewhere_it_is_the_same(directory, tmp_path):
    left = directory / "pretrained" / "clap.tmp0123abcd"  # by a run that was killed
    left.mkdir()
    (left / "config.json").write_text("{}")
    pack.main(["--exp", str(directory), "--out", str(tmp_path / "exp.zip")])
    with zipfile.ZipFile(tmp_path / "exp.zip") as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "unpacked")
    kept = directory / "pretrained" / "clap"
    packed = {name for name in names if name.startswith("pretrained/")}
    assert packed == {f"pretrained/clap/{path.name}" for path in kept.iterdir()}
    expected = extracted(directory, text="a dog")
    np.testing.assert_array_equal(extracted(tmp_path / "unpacked", text="a dog"), expected)


def damaged(directory):
    path = directory / "pretrained" / "clap" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def gone(directory):
    shutil.rmtree(directory / "pretrained")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (damaged, "pretrained/clap: expected the network with SHA-256 [0-9a-f]{64}, found "),
        (gone, "pretrained/clap: no such directory; expected a pretrained network"),
    ],
)
def test_another_network_or_none_is_refused_in_one_line(directory, spoil, message):
    spoil(directory)
    with pytest.raises(TSXError, match=message) as error:
        TargetSoundExtractor.load(directory)
    assert "\n" not in str(error.value)


def test_without_its_network_it_is_not_packed(directory, tmp_path):
    gone(directory)
    with pytest.raises(TSXError, match="pretrained/clap: no such directory"):
        pack.main(["--exp", str(directory), "--out", str(tmp_path / "exp.zip")])
    assert not (tmp_path / "exp.zip").exists()


def test_a_network_that_lies_elsewhere_is_not_packed(directory, tmp_path):
    os.rename(directory / "pretrained", tmp_path / "elsewhere")
    (directory / "pretrained").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TSXError, match="leads out of the experiment; pack a copy of it"):
        pack.main(["--exp", str(directory), "--out", str(tmp_path / "exp.zip")])

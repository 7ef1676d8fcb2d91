"""The archive of an experiment: what it holds, and that it is an experiment again elsewhere."""

import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import yaml
from espnet2.main_funcs.pack_funcs import unpack

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.bin.pack import main
from tsx_espnet.errors import TSXError


@pytest.fixture
def recipe(tiny_experiment, tmp_path, monkeypatch):
    """The current directory, with exp/oct as training leaves it, weights behind a link."""
    experiment = tmp_path / "recipe" / "exp" / "oct"
    shutil.copytree(tiny_experiment, experiment)
    (experiment / "valid.loss.ave.pth").rename(experiment / "valid.loss.ave_5best.pth")
    (experiment / "valid.loss.ave.pth").symlink_to("valid.loss.ave_5best.pth")
    (experiment / "1epoch.pth").write_bytes(b"not to be packed")
    (experiment / "checkpoint.pth").write_bytes(b"not to be packed")
    (experiment / "RESULTS.md").write_text("# Results\n")
    config = yaml.safe_load((experiment / "config.yaml").read_text())
    config["text_embeddings"] = "exp/oct/text_embeddings.safetensors"
    (experiment / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    monkeypatch.chdir(tmp_path / "recipe")
    return tmp_path / "recipe"


def pack(*options):
    main([str(option) for option in options])


def names_in(archive):
    if str(archive).endswith("zip"):
        with zipfile.ZipFile(archive) as stream:
            return sorted(stream.namelist())
    with tarfile.open(archive) as stream:
        return sorted(stream.getnames())


HELD = [
    "RESULTS.md",
    "config.yaml",
    "meta.yaml",
    "text_embeddings.safetensors",
    "valid.loss.ave_5best.pth",
]


@pytest.mark.parametrize("suffix", ["zip", "tgz", "tar"])
@pytest.mark.parametrize("place", ["here", "elsewhere", "linked"])
def test_unpacked_it_is_an_experiment_again(recipe, tmp_path, monkeypatch, suffix, place):
    """Wherever it is packed from; no path of this machine goes with it."""
    experiment, out = "exp/oct", f"exp/oct/oct.{suffix}"
    if place == "elsewhere":
        monkeypatch.chdir(tmp_path)
        experiment, out = recipe / experiment, f"oct.{suffix}"
    elif place == "linked":
        (recipe / "exp").rename(tmp_path / "scratch")
        (recipe / "exp").symlink_to(tmp_path / "scratch")
    pack("--exp", experiment, "--out", out)
    assert names_in(out) == HELD
    expected = TargetSoundExtractor.load(experiment)

    unpacked = tmp_path / "unpacked"
    shutil.unpack_archive(out, unpacked, "gztar" if suffix == "tgz" else suffix)
    assert str(tmp_path) not in (unpacked / "meta.yaml").read_text()
    mixture = np.random.default_rng(0).standard_normal(900)
    for asked in ({"text": "rain"}, {"class_label": "Bark"}):
        found = TargetSoundExtractor.load(unpacked)(mixture, 16000, **asked)[0]
        np.testing.assert_array_equal(found, expected(mixture, 16000, **asked)[0])

    files = unpack(out, tmp_path / "espnet")
    assert files == {
        "model_file": str(tmp_path / "espnet" / "valid.loss.ave_5best.pth"),
        "train_config": str(tmp_path / "espnet" / "config.yaml"),
    }
    assert all(shutil.os.path.isfile(path) for path in files.values())


def test_weights_by_name_and_only_what_there_is(recipe):
    (recipe / "exp/oct/RESULTS.md").unlink()
    pack("--exp", "exp/oct", "--out", "oct.zip", "--model_file", "1epoch.pth")
    expected = ["1epoch.pth", "config.yaml", "meta.yaml", "text_embeddings.safetensors"]
    assert names_in("oct.zip") == expected
    assert sorted(path.name for path in recipe.iterdir()) == ["exp", "oct.zip"]


def test_packing_again_replaces_the_archive(recipe):
    (recipe / "oct.zip").write_text("old")
    pack("--exp", "exp/oct", "--out", "oct.zip")
    assert names_in("oct.zip") == HELD


@pytest.mark.parametrize(
    "options, message",
    [
        (("--exp", "exp/oct", "--out", "oct.rar"), "--out oct.rar: expected a name ending in .zip"),
        (("--exp", "exp/none", "--out", "oct.zip"), "exp/none/config.yaml: no such file"),
        (("--exp", "exp/oct", "--out", "o.zip", "--model_file", "9epoch.pth"), "named 9epoch.pth"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(recipe, options, message):
    with pytest.raises(TSXError, match=message):
        pack(*options)
    assert sorted(path.name for path in recipe.iterdir()) == ["exp"]


def test_a_failure_while_packing_leaves_nothing_half_written(recipe, monkeypatch):
    def full(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", full)
    with pytest.raises(TSXError, match="oct.zip: cannot be written: No space left on device"):
        pack("--exp", "exp/oct", "--out", "oct.zip")
    assert sorted(path.name for path in recipe.iterdir()) == ["exp"]

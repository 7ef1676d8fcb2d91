"""``egs/mini/run_uss.sh`` at a tiny size: a classifier, a model of two passes that hears by it,
controls, the binary mask, and the page that compares them."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

EGS = Path(__file__).parents[2] / "egs"
TEST = "infer/test_random_pairs"
MODEL = "exp/stft_short_itdcn_all_ft_random_pairs"
MASK = "exp/stft_short_ideal_mask_random_pairs"
SMALL = "--mixtures_per_epoch 16 --max_epoch 1 --num_workers 0 --extractor_conf num_blocks=2"
SMALL += " --extractor_conf bottleneck_channels=16 --extractor_conf hidden_channels=16"


@pytest.fixture(scope="module")
def finished(finished_mini, tmp_path_factory):
    """The recipe's directory after the run, and what that printed."""
    classifier = yaml.safe_load((EGS / "mini/conf/train_classifier.yaml").read_text())
    classifier.update(mixtures_per_epoch=32, num_valid=16, max_epoch=1, num_workers=0)
    config = tmp_path_factory.mktemp("conf") / "train_tiny.yaml"
    config.write_text(yaml.safe_dump(classifier))
    return finished_mini(
        *("--methods", "itdcn_all_ft ideal_mask", "--clips_per_class", "10"),
        *("--num_valid", "4", "--num_test", "6", "--test_sets", "test"),
        *("--classifier_config", str(config), "--train_args", SMALL),
        script="./run_uss.sh",
    )


def scores(path):
    with open(path / "scores.csv", newline="") as stream:
        return {row["mixture"]: row for row in csv.DictReader(stream)}


def test_the_classifier_is_trained_first_and_kept_with_the_model(finished):
    mini, _ = finished
    table = (mini / "exp/classifier_8k/RESULTS.md").read_text()
    assert re.search(r"^\| valid .*\d\.\d", table, re.M), table
    files = {path.name for path in (mini / MODEL / "pretrained/classifier").iterdir()}
    assert "pretrained.json" in files and any(name.endswith(".safetensors") for name in files)


def test_both_sources_of_each_mixture_count_in_every_control(finished):
    mini, _ = finished
    found = {control: scores(mini / MODEL / f"{TEST}{control}") for control in ("", "_first")}
    found["_shuffled"] = scores(mini / MODEL / f"{TEST}_shuffled")
    found["mask"] = scores(mini / MASK / TEST)
    assert all(len(rows) == 12 for rows in found.values())
    means = {
        name: np.mean([float(row["si_sdri"]) for row in rows.values()])
        for name, rows in found.items()
    }
    del means["_shuffled"]  # a classifier of two steps hears little, so it may make no difference
    assert len(set(means.values())) == 3
    assert means["mask"] == max(means.values()) > 3


def test_the_outputs_of_a_model_add_up_to_the_mixture(finished):
    mini, _ = finished

    def read(scp):
        lines = (mini / scp).read_text().splitlines()
        pairs = (line.split(maxsplit=1) for line in lines)
        return {name: soundfile.read(mini / path, dtype="float32")[0] for name, path in pairs}

    mixtures = read("dump/8k/mix/test_random_pairs/wav.scp")
    outputs = [read(f"{MODEL}/{TEST}/unconditional/spk{number}.scp") for number in (1, 2)]
    assert len(mixtures) == 6
    for name, mixture in mixtures.items():
        np.testing.assert_allclose(sum(one[name] for one in outputs), mixture, atol=2e-6)


def test_the_page_marks_oracles_and_has_the_papers_numbers(finished):
    mini, result = finished
    assert "2 of 2 runs done" in result.stdout
    page = (mini / "exp/PAPER_USS.md").read_text()
    assert re.search(r"^\| iTDCN\+\+, all, fine-tuned \|.*10\.1", page, re.M), page
    assert re.search(r"^\| STFT binary mask \(oracle\) \|.*16\.2", page, re.M), page

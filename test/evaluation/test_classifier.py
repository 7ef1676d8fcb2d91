"""Average precision against its definition and another library, and the table of a classifier."""

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.bin.score_classifier import main
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.classifier import average_precision, score_classifier, shared_labels
from tsx_espnet.pretrained.classifier import AbsClassifier
from tsx_espnet.pretrained.mobilenet import MobileNet, save

BANDS = ("Deep", "Middle", "Shrill")  # noise of the fixture ``format_clips``, by pitch
SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=40)


@given(SCORES.filter(lambda rows: any(truth for truth, _ in rows)))
def test_average_precision_is_the_area_under_the_steps(rows):
    """For every threshold: precision there, times the recall that it adds."""
    truth, scores = (np.array(column) for column in zip(*rows))
    expected, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        hits = (truth & chosen).sum()
        expected += (hits / truth.sum() - recall) * hits / chosen.sum()
        recall = hits / truth.sum()
    assert average_precision(truth, scores / 8) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_torchmetrics(seed):
    from torchmetrics.functional.classification import binary_average_precision

    rng = np.random.default_rng(seed)
    truth, scores = rng.random(200) < 0.2, rng.integers(0, 30, 200) / 30
    expected = binary_average_precision(torch.from_numpy(scores), torch.from_numpy(truth).int())
    assert average_precision(truth, scores) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    truth, scores = rng.random(300) < 0.1, rng.integers(0, 50, 300) / 50
    expected = metrics.average_precision_score(truth, scores)
    assert average_precision(truth, scores) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ("Acoustic_guitar", "Acoustic guitar"),
        ("Chewing_and_mastication", "Chewing, mastication"),
        ("Dishes_and_pots_and_pans", "Dishes, pots, and pans"),
        ("Bark", "bark"),
    ],
)
def test_names_of_audioset_are_recognised(ours, theirs):
    assert shared_labels(["Other", ours], ["Music", theirs]) == {ours: 1}


class Ear(AbsClassifier):
    """Hears the share of each band in the power of a 40 ms frame; one of its labels is unknown."""

    labels = ("Shrill", "Unheard", "Deep", "Middle")
    fs, hop = 8000, 320
    digest = "0123456789abcdef"
    # the filters of the fixture are cosines of these radians a sample
    centres = {"Deep": 0.3, "Middle": 0.7, "Shrill": 1.1}

    def __init__(self, deaf=False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.deaf = deaf

    def forward(self, waveform, fs=None):
        assert fs == 8000
        level = waveform.square().mean(dim=1)
        torch.testing.assert_close(level, torch.ones_like(level))  # unit RMS
        frames = waveform.unfold(1, 320, 320)
        power = torch.fft.rfft(frames).abs().square()
        radians = torch.linspace(0, torch.pi, power.shape[-1])
        bands = {
            name: power[..., (radians - centre).abs() < 0.1].sum(dim=-1)
            for name, centre in self.centres.items()
        }
        logits = torch.stack([bands.get(name, 0 * power[..., 0]) for name in self.labels], dim=-1)
        return 0 * logits if self.deaf else logits


@pytest.fixture(scope="module")
def clips(format_clips, tmp_path_factory):
    return format_clips(tmp_path_factory.mktemp("ear") / "train", dict.fromkeys(BANDS, 3))


@pytest.fixture
def mixing_config(tmp_path):
    mixing = {"duration": 0.4, "num_sources": [1, 2], "min_overlap": 0.3, "min_sounding": 0.1}
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump(mixing))
    return tmp_path / "mix.yaml"


def rows(text):
    """The cells of a printed table, by the first of each row."""
    lines = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_who_hears_all_has_one_and_who_is_deaf_the_prevalence(
    clips, mixing_config, tmp_path, monkeypatch
):
    for deaf, singles, pairs in ((False, "1.000", None), (True, "0.333", "0.667")):
        monkeypatch.setattr("tsx_espnet.evaluation.classifier.load", lambda _, d=deaf: Ear(d))
        out = tmp_path / "map.md"
        printed = score_classifier("ear", [clips], mixing_config, num_mixtures=30, out=out)
        found = rows(out.read_text())
        assert "Mean average precision of ear" in printed and "SHA-256 0123456789ab" in printed
        assert found["set of clips"] == ["single sounds", "pairs", "labels"]
        assert found[clips.name][2] == "3"
        assert found[clips.name][0] == singles
        if pairs:
            assert found[clips.name][1] == pairs
        else:
            assert float(found[clips.name][1]) > 0.9
        counts = [int(found[name][0].split("(")[1].rstrip(")")) for name in BANDS]
        assert sum(counts) == 30  # a single sound each


def test_other_labels_and_other_networks_are_refused(
    clips, mixing_config, tmp_path, tiny_bert, capsys
):
    save(MobileNet(["Sonar", "Gavel"], 8000, [2] * 11), tmp_path / "other")
    args = ["--clips", str(clips), "--mixing_config", str(mixing_config)]
    with pytest.raises(TSXError, match="expected labels of the classifier .*Sonar.*found Deep"):
        main([*args, "--classifier", str(tmp_path / "other")])
    with pytest.raises(TSXError, match="expected a classifier, found a LanguageModelEncoder"):
        main([*args, "--classifier", str(tiny_bert)])
    save(MobileNet(BANDS, 8000, [2] * 11), tmp_path / "own")
    main([*args, "--classifier", str(tmp_path / "own"), "--num_mixtures", "5"])
    assert "single sounds" in capsys.readouterr().out

"""Models that hear the sources: fed in experiments, marked in every table, refused in use."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.audio import write_float_wav
from tsx_espnet.bin import extract, infer, report, score
from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.estimates import Estimates
from tsx_espnet.evaluation.compare import compare
from tsx_espnet.experiment import load_experiment
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.parts import OURS
from tsx_espnet.tables import read_table

FS = 8000


class Levels(AbsConditioner):
    """The level of each source, at most four; it would do for a classifier of them."""

    hears = ("sources",)

    def __init__(self, output_dim: int):
        super().__init__()
        self.output_dim = output_dim

    def forward(self, value, lengths):
        levels = value.square().mean(dim=2).sqrt()
        embedding = torch.nn.functional.pad(levels, (0, self.output_dim - levels.shape[1]))
        return ConditionEmbedding(embedding[:, None], embedding.new_ones(len(value), 1).bool())


@pytest.fixture
def oracle(make_experiment, tmp_path, monkeypatch):
    """The directory of such an experiment."""
    monkeypatch.setitem(OURS["conditioner"], "levels", f"{__name__}:Levels")
    conditions = {UNCONDITIONAL: {"conditioner": "levels"}}
    options = {"conditions": conditions, "objective": "pit", "objective_conf": {}}
    return make_experiment(tmp_path / "exp" / "heard", **options)


@pytest.fixture
def mixtures(corpus, tmp_path):
    """``(name, **options of the mixing) -> MixtureSet`` of four mixtures."""

    def make(name, **options):
        config = MixingConfig(duration=0.4, **options)
        write_mixtures(Sampler(corpus, config), 4, 0, tmp_path / "mix" / name)
        return MixtureSet(tmp_path / "mix" / name)

    return make


def separated(experiment, mixture, sources):
    """What the model says of a mixture (T,) and sources (S, T)."""
    with torch.no_grad():
        return experiment.model.extract(
            torch.from_numpy(mixture)[None], UNCONDITIONAL, sources=torch.from_numpy(sources)[None]
        )[0]


@pytest.mark.parametrize(
    "options", [{"num_sources": [1, 4], "num_targets": "all"}, {"write_sources": True}, {}]
)
def test_it_hears_the_sources_of_the_set(oracle, mixtures, tmp_path, options):
    """Target and other are the sources of sets that have no others."""
    experiment, found = load_experiment(oracle), mixtures("test", **options)
    out = tmp_path / "infer"
    Estimates(experiment, found, (UNCONDITIONAL,), out, batch_size=3).write()
    assert json.loads((out / ".done").read_text())["oracle"] is True
    tables = [read_table(out / UNCONDITIONAL / f"spk{k}.scp") for k in (1, 2)]
    files = ["sources"] if options else ["spk1", "spk2"]
    assert len({found.count(name) for name in found.ids}) > ("num_sources" in options)
    for name in found.ids:
        paths = [read_table(found.directory / f"{file}.scp")[name] for file in files]
        heard = np.column_stack([soundfile.read(path, dtype="float32")[0] for path in paths]).T
        mixture = soundfile.read(read_table(found.directory / "wav.scp")[name], dtype="float32")[0]
        expected = separated(experiment, mixture, heard.copy())
        for table, samples in zip(tables, expected):
            np.testing.assert_allclose(soundfile.read(table[name])[0], samples, atol=1e-6)
        others = separated(experiment, mixture, 0 * heard)
        assert (others - expected).abs().max() > 1e-5


def test_it_is_marked_wherever_its_scores_are_shown(
    oracle, make_experiment, mixtures, tmp_path, capsys
):
    found = mixtures("test", num_sources=2, num_targets="all")
    options = {"conditions": {UNCONDITIONAL: {}}, "objective": "pit", "objective_conf": {}}
    plain = make_experiment(tmp_path / "exp" / "plain", **options)
    shown = {}
    for exp in (oracle, plain):
        out = exp / "infer" / "test"
        infer.main(["--exp", str(exp), "--mixtures", str(found.directory), "--out", str(out)])
        capsys.readouterr()
        score.main(["--mixtures", str(found.directory), "--estimates", str(out), "--skip_bss"])
        scored = capsys.readouterr().out
        report.main(["--exp", str(exp), "--mixtures", str(found.directory)])
        shown[exp] = (scored, capsys.readouterr().out, (exp / "RESULTS.md").read_text())
    for text in shown[oracle]:
        assert "oracle" in text
    assert shown[oracle][1].startswith("heard (oracle) on test\n")
    assert shown[oracle][2].startswith("# heard (oracle) on test\n")
    assert "made from the true sources" in shown[oracle][2]
    assert not any("(oracle)" in text or "true sources" in text for text in shown[plain])
    assert json.loads((oracle / "infer/test/scores.json").read_text())["oracle"] is True
    assert "oracle" not in json.loads((plain / "infer/test/scores.json").read_text())
    table = compare([str(plain), str(oracle)])
    assert "heard (oracle)" in table and "plain (oracle)" not in table


def test_nobody_can_use_it(oracle, tmp_path, monkeypatch):
    with pytest.raises(TSXError, match="exp/heard: an oracle: it hears the sources"):
        TargetSoundExtractor.load(oracle)
    monkeypatch.chdir(tmp_path)
    write_float_wav("mixture.wav", 0.1 * np.ones(900), FS)
    argv = ["mixture.wav", "--model", str(oracle), "--unconditional", "-o", "out.wav"]
    monkeypatch.setattr("sys.argv", ["tsx-extract", *argv])
    with pytest.raises(SystemExit) as error:
        extract.entry()
    assert error.value.code.startswith(f"error: {oracle}: an oracle: it hears")
    assert not Path("out.wav").exists()

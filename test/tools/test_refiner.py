"""``tools/refiner.py`` on refiners of which it is known what they look at."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from tsx_espnet.audio import write_float_wav
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.metrics import si_sdr
from tsx_espnet.experiment import load_experiment
from tsx_espnet.inference import TargetSoundExtractor
from tsx_espnet.mixing.data_table import MIXTURE, TARGET
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.tables import write_table

TOOL = Path(__file__).parents[2] / "tools" / "refiner.py"
CHANNELS = 8
FS = 8000


@pytest.fixture
def mixtures(mixture_set):
    """With a target in each mixture."""
    rng = np.random.default_rng(1)
    found, paths = MixtureSet(mixture_set.directory), {}
    for name in found.ids:
        mixture = found.read(MIXTURE, name)
        target = mixture / 2 + 0.05 * rng.standard_normal(len(mixture)).astype(np.float32)
        paths[name] = str(mixture_set.directory / f"{name}-1.wav")
        write_float_wav(paths[name], target, FS)
    write_table(mixture_set.directory / TARGET.file, paths)
    return MixtureSet(mixture_set.directory)


@pytest.fixture
def look(make_experiment, mixtures, tmp_path, capsys):
    """``look(blind)``: the deviations over texts and over mixtures that are printed, and the
    SI-SDR with φ of the mixture and of another one."""
    main = runpy.run_path(str(TOOL))["main"]

    def run(blind=None, **options):
        exp = make_experiment(tmp_path / "exp", **options)
        weights = torch.load(exp / "valid.loss.ave.pth", weights_only=True)
        if blind is not None:
            weights["refiner.map.0.weight"][:, blind] = 0
            torch.save(weights, exp / "valid.loss.ave.pth")
        main(["--exp", str(exp), "--mixtures", str(mixtures.directory), "--count", "3"])
        printed = capsys.readouterr().out
        numbers = re.findall(r"(?:deviation|SI-SDR) .* (-?[\d.]+)(?: dB)?$", printed, re.M)
        return [float(number) for number in numbers]

    return run


REFINED = {"refiner": "mixture", "refiner_conf": {"channels": CHANNELS, "depth": 2}}


def test_a_refiner_looks_at_both(look):
    texts, mixtures, own, shuffled = look(**REFINED)
    assert texts > 0 and mixtures > 0
    assert own != shuffled


@pytest.mark.parametrize(
    "blind, unseen", [(slice(CHANNELS), 1), (slice(CHANNELS, None), 0)], ids=["mixture", "text"]
)
def test_what_it_is_blind_to_changes_nothing(look, blind, unseen):
    *deviations, own, shuffled = look(blind, **REFINED)
    assert deviations[unseen] == 0 and deviations[1 - unseen] > 0
    assert (own == shuffled) == (unseen == 1)


def test_the_score_is_that_of_the_model(look, tmp_path, mixtures):
    own = look(**REFINED)[2]
    tsx = TargetSoundExtractor(load_experiment(tmp_path / "exp"))
    values = mixtures.applicable("text")
    expected = []
    for name in list(values)[:3]:
        audio = mixtures.read(MIXTURE, name)
        estimate, _ = tsx(audio, FS, text=values[name])
        target = mixtures.read(TARGET, name, dtype="float64")
        expected.append(si_sdr(target, estimate))
    assert own == pytest.approx(np.mean(expected), abs=2e-3)


def test_a_model_without_a_refiner(look):
    with pytest.raises(TSXError, match="expected a refiner and the condition text"):
        look()

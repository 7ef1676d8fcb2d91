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
from tsx_espnet.mixing.plan import Placement, Plan, write_plans
from tsx_espnet.tables import write_table

TOOL = Path(__file__).parents[2] / "tools" / "refiner.py"
CHANNELS = 8
FS = 8000
COUNT = ("--count", "3")
OWN, OTHER = "SI-SDR by text (dB)", "with φ of another mixture (dB)"


@pytest.fixture
def mixtures(mixture_set):
    """With a target in each mixture, and what they were made from."""
    rng = np.random.default_rng(1)
    found, paths, plans = MixtureSet(mixture_set.directory), {}, []
    for name in found.ids:
        mixture = found.read(MIXTURE, name)
        target = mixture / 2 + 0.05 * rng.standard_normal(len(mixture)).astype(np.float32)
        paths[name] = str(mixture_set.directory / f"{name}-1.wav")
        write_float_wav(paths[name], target, FS)
        length, number = len(mixture), len(plans)
        sources = tuple(
            Placement(f"clip{number}_{k}", "Sound", ("Sound",), 0, length, 0, 1.0) for k in range(2)
        )
        plans.append(Plan(name, FS, length, sources, 0, {}, 0.0, 1.0, 1, 0, number))
    write_table(mixture_set.directory / TARGET.file, paths)
    write_plans(mixture_set.directory / "mixtures.jsonl", plans)
    return MixtureSet(mixture_set.directory)


@pytest.fixture
def look(make_experiment, mixtures, tmp_path, capsys):
    """``look(blind)``: a row of the table, by column."""
    main = runpy.run_path(str(TOOL))["main"]

    def run(blind=None, bias=None, **options):
        exp = make_experiment(tmp_path / "exp", **options)
        weights = torch.load(exp / "valid.loss.ave.pth", weights_only=True)
        if blind is not None or bias is not None:
            weights["refiner.map.0.weight"] *= 100  # what it sees is to be heard
        if blind is not None:
            weights["refiner.map.0.weight"][:, blind] = 0
        if bias is not None:
            weights["refiner.map.0.bias"] = bias
        torch.save(weights, exp / "valid.loss.ave.pth")
        main(["--exp", str(exp), str(exp), "--mixtures", str(mixtures.directory), *COUNT])
        table = [re.findall(r"\| ([^|]*) ", line) for line in capsys.readouterr().out.splitlines()]
        header, _, row, again = table
        assert row == again and row[:2] == ["exp", "3"]
        return dict(zip(header, row))

    return run


REFINED = {"refiner": "mixture", "refiner_conf": {"channels": CHANNELS, "depth": 2}}


def test_a_refiner_looks_at_both(look):
    row = look(**REFINED)
    assert float(row["r over texts"]) > 0 and float(row["r over mixtures"]) > 0
    assert row[OWN] != row[OTHER] and 0 < float(row["difference (dB)"]) + 20 < 40
    assert row["95 % interval (dB)"] == "–"  # of three mixtures


@pytest.mark.parametrize(
    "blind, unseen",
    [(slice(CHANNELS), "r over mixtures"), (slice(CHANNELS, None), "r over texts")],
)
def test_what_it_is_blind_to_changes_nothing(look, blind, unseen):
    row = look(blind, **REFINED)
    assert float(row.pop(unseen)) == 0
    assert all(float(number) > 0 for name, number in row.items() if name.startswith("r over"))
    assert (row[OWN] == row[OTHER]) == (row["difference (dB)"] == "0.00") == ("mix" in unseen)


def test_the_score_is_that_of_the_model(look, tmp_path, mixtures):
    own = float(look(**REFINED)[OWN])
    tsx = TargetSoundExtractor(load_experiment(tmp_path / "exp"))
    values = mixtures.applicable("text")
    expected = []
    for name in list(values)[:3]:
        audio = mixtures.read(MIXTURE, name)
        estimate, _ = tsx(audio, FS, text=values[name])
        target = mixtures.read(TARGET, name, dtype="float64")
        expected.append(si_sdr(target, estimate))
    assert own == pytest.approx(np.mean(expected), abs=6e-3)


def test_dead_units_are_counted(look, make_experiment, tmp_path):
    """Half of them by a bias that no input can outweigh, all by that of the others."""
    exp = make_experiment(tmp_path / "exp", **REFINED)
    bias = torch.load(exp / "valid.loss.ave.pth", weights_only=True)["refiner.map.0.bias"]

    def dead(number):
        values = torch.full_like(bias, 1e6)
        values[:number] = -1e6
        return look(bias=values, **REFINED)["dead units"]

    assert [dead(number) for number in (0, len(bias) // 2, len(bias))] == ["0.00", "0.50", "1.00"]


def test_a_model_without_a_refiner(look):
    with pytest.raises(TSXError, match="expected a refiner and the condition text"):
        look()

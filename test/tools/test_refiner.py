"""``tools/refiner.py`` on refiners of which it is known what they look at."""

import re
import runpy
from pathlib import Path

import pytest
import torch

from tsx_espnet.errors import TSXError

TOOL = Path(__file__).parents[2] / "tools" / "refiner.py"
CHANNELS = 8


@pytest.fixture
def look(make_experiment, mixture_set, tmp_path, capsys):
    """``look(blind)``: the deviations over texts and over mixtures that are printed."""
    main = runpy.run_path(str(TOOL))["main"]

    def run(blind=None, **options):
        exp = make_experiment(tmp_path / "exp", **options)
        weights = torch.load(exp / "valid.loss.ave.pth", weights_only=True)
        if blind is not None:
            weights["refiner.map.0.weight"][:, blind] = 0
            torch.save(weights, exp / "valid.loss.ave.pth")
        main(["--exp", str(exp), "--mixtures", str(mixture_set.directory), "--count", "3"])
        printed = capsys.readouterr().out
        return [float(number) for number in re.findall(r"deviation .* ([\d.]+)$", printed, re.M)]

    return run


REFINED = {"refiner": "mixture", "refiner_conf": {"channels": CHANNELS, "depth": 2}}


def test_a_refiner_looks_at_both(look):
    texts, mixtures = look(**REFINED)
    assert texts > 0 and mixtures > 0


@pytest.mark.parametrize(
    "blind, unseen", [(slice(CHANNELS), 1), (slice(CHANNELS, None), 0)], ids=["mixture", "text"]
)
def test_what_it_is_blind_to_changes_nothing(look, blind, unseen):
    deviations = look(blind, **REFINED)
    assert deviations[unseen] == 0 and deviations[1 - unseen] > 0


def test_a_model_without_a_refiner(look):
    with pytest.raises(TSXError, match="expected a refiner and the condition text"):
        look()

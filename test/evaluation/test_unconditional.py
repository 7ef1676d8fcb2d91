"""Models without a query: the references decide which output is the target."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torchmetrics.functional.audio import permutation_invariant_training
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as si_sdr

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.evaluation.metrics import fitting_outputs
from tsx_espnet.evaluation.report import report
from tsx_espnet.evaluation.score import Scores
from tsx_espnet.evaluation.scores import ORACLE, read_scores
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.tables import read_table, write_table

SWAPPED = {"mix00001", "mix00004"}


@pytest.fixture
def separated(make_experiment):
    """An experiment whose only estimates are of no condition, two mixtures the wrong way round."""
    experiment = make_experiment(conditions=("text",))
    made = experiment.estimates / UNCONDITIONAL
    (experiment.estimates / "text").rename(made)
    streams = []
    for table in ("spk1.scp", "spk2.scp"):
        paths = read_table(made / table).items()
        streams.append({name: str(made / Path(path).name) for name, path in paths})
    for name in SWAPPED:
        streams[0][name], streams[1][name] = streams[1][name], streams[0][name]
    for table, paths in zip(("spk1.scp", "spk2.scp"), streams):
        write_table(made / table, paths)
    return experiment


def read(table, name):
    return torch.from_numpy(soundfile.read(read_table(table)[name])[0])


def test_the_si_sdr_is_that_of_the_best_order_as_torchmetrics_finds_it(separated):
    Scores(MixtureSet(separated.mixtures), separated.estimates, skip_bss=True).write()
    scores = read_scores(separated.estimates / "scores.csv")
    assert [row.condition for row in scores] == [UNCONDITIONAL] * 6  # and nothing for an oracle
    for row in scores:
        made = separated.estimates / UNCONDITIONAL
        outputs = [read(made / f"{n}.scp", row.mixture) for n in ("spk1", "spk2")]
        references = [read(separated.mixtures / f"{n}.scp", row.mixture) for n in ("spk1", "spk2")]
        _, order = permutation_invariant_training(
            torch.stack(outputs)[None], torch.stack(references)[None], si_sdr, zero_mean=True
        )
        stream = order[0, 0].item()
        assert row.value == ("spk1", "spk2")[stream]
        assert (row.value == "spk2") == (row.mixture in SWAPPED)
        expected = si_sdr(outputs[stream], references[0], zero_mean=True)
        assert row.si_sdr == pytest.approx(expected.item(), abs=2e-4)


def test_the_report_shows_the_output_that_was_taken_for_the_target(separated):
    Scores(MixtureSet(separated.mixtures), separated.estimates, skip_bss=True).write()
    printed = report(separated.exp, separated.mixtures, num_examples=6)
    assert UNCONDITIONAL in printed and ORACLE not in printed
    for name in read_table(separated.mixtures / "wav.scp"):
        folder = separated.exp / "examples" / name
        target, estimate, rest = (
            soundfile.read(folder / f"{kind}.wav")[0]
            for kind in ("target", f"estimate_{UNCONDITIONAL}", "rest")
        )
        assert np.corrcoef(target, estimate)[0, 1] > 0.5 > np.corrcoef(target, rest)[0, 1]
    text = (separated.exp / "RESULTS.md").read_text()
    assert "oracle PIT" in text


def test_silence_decides_nothing():
    rng = np.random.default_rng(0)
    one, two, silence = rng.standard_normal(100), rng.standard_normal(100), np.zeros(100)
    assert fitting_outputs([one, two], [two, one]) == [1, 0]
    assert fitting_outputs([one, two], [one, two]) == [0, 1]
    assert fitting_outputs([one, silence], [two, one]) == [1, 0]
    assert fitting_outputs([one, two], [silence, silence]) == [0, 1]
    assert fitting_outputs([one, silence], [silence, two, one]) == [2, 0]


@pytest.mark.parametrize("num_outputs", [3, 6])
def test_outputs_that_are_the_sources_in_another_order_are_found(num_outputs):
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((3, 200))
    outputs = np.concatenate([sources, 1e-3 * rng.standard_normal((num_outputs - 3, 200))])
    order = rng.permutation(num_outputs)
    expected = [int(np.flatnonzero(order == number)[0]) for number in range(3)]
    assert fitting_outputs(sources, 2 * outputs[order]) == expected

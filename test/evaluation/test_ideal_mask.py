"""The ideal binary mask: what it separates, what it cannot, and how it is scored."""

import json

import numpy as np
import pytest
import soundfile
import yaml

from tsx_espnet.bin import ideal_mask, score
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.evaluation.scores import read_scores
from tsx_espnet.mixing.plan import Placement, Plan, write_plans
from tsx_espnet.tables import mark_done, read_table, write_table

FS = 8000
STFT = {"encoder": "stft", "decoder": "stft"}
CONF = {"n_fft": 256, "hop_length": 64}


def bands(number, length, rng):
    """Noises in bands that do not touch, (number, length)."""
    spectra = np.fft.rfft(rng.standard_normal((number, length)))
    edges = np.linspace(0, spectra.shape[1], number + 1)
    bins = np.arange(spectra.shape[1])
    for spectrum, low, high in zip(spectra, edges, edges[1:]):
        margin = 0.3 * (high - low)
        spectrum[(bins < low + margin) | (bins > high - margin)] = 0
    return 0.1 * np.fft.irfft(spectra, length)


def write_set(directory, mixtures):
    """A mixture set of ``name -> sources (S, T)``, all sources in ``sources.scp``."""
    tables, plans = {n: {} for n in ("wav", "spk1", "spk2", "sources")}, []
    for name, sources in mixtures.items():
        signals = (sources.sum(axis=0), sources[0], sources[1:].sum(axis=0), sources.T)
        for table, signal in zip(tables, signals):
            path = tables[table][name] = str(directory / "wav" / f"{name}_{table}.wav")
            (directory / "wav").mkdir(parents=True, exist_ok=True)
            soundfile.write(path, signal.astype(np.float32), FS, subtype="FLOAT")
        length = sources.shape[1]
        placed = tuple(
            Placement(f"{name}_clip{number}", "Sound", ("Sound",), 0, length, 0, 1.0)
            for number in range(len(sources))
        )
        plans.append(Plan(name, FS, length, placed, 0, {}, None, None, 0, 0, 0))
    write_plans(directory / "mixtures.jsonl", plans)
    for table, paths in tables.items():
        write_table(directory / f"{table}.scp", paths)
    write_table(directory / "utt2queries", dict.fromkeys(mixtures, "[]"))
    mark_done(directory)
    return directory


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump({**STFT, "encoder_conf": CONF, "decoder_conf": CONF}))
    return str(path)


def masked(conf, mixtures, exp, *options):
    ideal_mask.main(["--config", conf, "--mixtures", str(mixtures), "--exp", str(exp), *options])
    out = exp / "infer" / mixtures.name
    score.main(["--mixtures", str(mixtures), "--estimates", str(out), "--skip_bss"])
    return read_scores(out / "scores.csv")


def test_sounds_in_bands_of_their_own_are_separated(conf, tmp_path):
    rng = np.random.default_rng(0)
    sizes = {"a": 2, "b": 3, "c": 4}
    sounds = {name: bands(size, FS, rng) for name, size in sizes.items()}
    rows = masked(conf, write_set(tmp_path / "mix" / "test", sounds), tmp_path / "exp")
    assert len(rows) == 9 and all(row.si_sdr > 50 - 4 * row.count for row in rows)
    assert {row.value for row in rows if row.mixture_id == "b"} == {"spk1", "spk2", "spk3"}
    assert {row.active_outputs - row.count for row in rows} == {0}
    text = json.loads((tmp_path / "exp/infer/test/.done").read_text())
    assert text["oracle"] is True


def test_it_agrees_with_scipy_and_no_order_of_whole_masks_does_better(conf, tmp_path):
    """In an STFT of torch's conventions: centred, reflected, a periodic Hann window."""
    rng = np.random.default_rng(1)
    sources = rng.standard_normal((3, 2000)).astype(np.float32)
    masked(conf, write_set(tmp_path / "test", {"a": sources}), tmp_path / "exp")
    window, padded = np.hanning(257)[:-1], np.pad(sources, ((0, 0), (128, 128)), mode="reflect")
    starts = range(0, padded.shape[1] - 255, 64)
    spectra = np.fft.rfft(np.stack([padded[:, s : s + 256] * window for s in starts], axis=1))
    loudest = np.abs(spectra).argmax(axis=0)
    for number in range(3):
        frames = np.fft.irfft(spectra.sum(axis=0) * (loudest == number), 256) * window
        expected, weight = np.zeros(padded.shape[1]), np.zeros(padded.shape[1])
        for start, frame in zip(starts, frames):
            expected[start : start + 256] += frame
            weight[start : start + 256] += window**2
        expected = (expected / np.maximum(weight, 1e-9))[128:-128]
        path = read_table(tmp_path / f"exp/infer/test/{UNCONDITIONAL}/spk{number + 1}.scp")["a"]
        found = soundfile.read(path)[0]
        np.testing.assert_allclose(found[: len(expected) - 64], expected[:-64], atol=2e-6)

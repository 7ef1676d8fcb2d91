"""Metrics against torchmetrics, mir_eval and closed forms."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation import metrics

TIME = np.arange(8000) / 8000
SINE, COSINE = np.sin(2 * np.pi * 50 * TIME), np.cos(2 * np.pi * 50 * TIME)  # orthogonal


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("error", [10.0, 1.0, 0.1, 1e-3])
def test_orthogonal_error_has_the_ratio_of_the_energies(error):
    expected = -20 * np.log10(error)
    assert metrics.si_sdr(SINE, SINE + error * COSINE) == pytest.approx(expected)
    assert metrics.snr(SINE, SINE + error * COSINE) == pytest.approx(expected)


def test_snr_minds_the_scale_and_si_sdr_does_not():
    assert metrics.snr(SINE, 0.5 * SINE) == pytest.approx(20 * np.log10(2))
    assert metrics.si_sdr(SINE, 0.5 * SINE) == pytest.approx(metrics.LIMIT)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), offset=st.floats(-1, 1), seed=st.integers(0, 99))
def test_si_sdr_ignores_scale_and_mean(scale, offset, seed):
    reference, error = noise((2, 400), seed)
    plain = metrics.si_sdr(reference, reference + error)
    assert metrics.si_sdr(reference - offset, scale * (reference + error) + offset) == (
        pytest.approx(plain, abs=1e-6)
    )


@pytest.mark.parametrize("level", [3.0, 0.3, 0.01])
def test_si_sdr_and_snr_agree_with_torchmetrics(level):
    import torch
    from torchmetrics.functional.audio import (
        scale_invariant_signal_distortion_ratio,
        signal_noise_ratio,
    )

    reference, error = noise((2, 4000))
    reference, estimate = reference + 0.2, 0.7 * (reference + level * error) - 0.1
    tensors = torch.from_numpy(estimate), torch.from_numpy(reference)
    theirs = scale_invariant_signal_distortion_ratio(*tensors, zero_mean=True).item()
    assert metrics.si_sdr(reference, estimate) == pytest.approx(theirs, abs=1e-4)
    theirs = signal_noise_ratio(*tensors).item()
    assert metrics.snr(reference, estimate) == pytest.approx(theirs, abs=1e-4)


def test_bss_eval_agrees_with_mir_eval():
    from mir_eval.separation import bss_eval_sources

    target, other, error = noise((3, 4000))
    mixture = target + other
    estimates = np.stack([mixture, target + 0.3 * other + 0.1 * error, np.roll(target, 7) + error])
    ours = metrics.bss_eval(target, other, estimates)
    for index in (1, 2):  # the mixture itself has no artefacts: infinite SAR
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = bss_eval_sources(
                np.stack([target, other]),
                np.stack([estimates[index], mixture]),
                compute_permutation=False,
            )
        for name, values in zip(("sdr", "sir", "sar"), theirs):
            assert getattr(ours, name)[index] == pytest.approx(values[0], abs=1e-3), name


def test_bss_eval_forgives_a_short_filter_and_nothing_else():
    target, other = noise((2, 4000))
    delayed = np.concatenate([np.zeros(20), target[:-20]])
    result = metrics.bss_eval(target, other, np.stack([delayed, target + 0.1 * other]))
    assert result.sdr[0] > 20  # all but the edge
    assert result.sir[1] == pytest.approx(20, abs=1.5)
    assert metrics.si_sdr(target, delayed) < -20


def test_bss_eval_of_tones_is_finite():
    """512 shifts of a tone span two dimensions; solving for the filter as it stands gave NaN."""
    target, other = np.sin(2 * np.pi * 440 * TIME), np.sin(2 * np.pi * 500 * TIME)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = metrics.bss_eval(target, other, np.stack([target + other, target + 0.1 * other]))
    assert np.all(np.isfinite(result))
    assert result.sir[1] == pytest.approx(20, abs=0.5)


def test_bss_eval_takes_signals_shorter_than_its_filter():
    target, other = noise((2, 100))
    assert np.all(np.isfinite(metrics.bss_eval(target, other, target + 0.1 * other)))


def test_ratios_are_limited():
    assert metrics.si_sdr(SINE, SINE) == pytest.approx(metrics.LIMIT)
    assert metrics.snr(SINE, SINE) == metrics.LIMIT
    assert metrics.si_sdr(SINE[:160], COSINE[:160]) == pytest.approx(-metrics.LIMIT)
    assert np.all(np.abs(metrics.bss_eval(*noise((2, 2000)), noise((3, 2000)))) <= metrics.LIMIT)


@pytest.mark.parametrize(
    "signal, silent",
    [
        (np.zeros(100), True),
        (np.full(100, 0.3), True),  # an offset is not a sound
        (np.zeros(0), True),
        (1e-7 * SINE, True),
        (SINE / 32768, False),  # one step of 16 bits
    ],
)
def test_silence(signal, silent):
    assert metrics.is_silent(signal) is silent


@pytest.mark.parametrize("metric", [metrics.si_sdr, metrics.snr])
def test_signals_of_different_shapes_are_refused(metric):
    with pytest.raises(TSXError, match=r"\(8000,\) and \(7999,\)"):
        metric(SINE, SINE[1:])
    with pytest.raises(TSXError, match=r"\(1, 8000\)"):
        metric(SINE[None], SINE[None])

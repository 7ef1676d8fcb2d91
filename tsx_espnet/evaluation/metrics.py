"""Two signals to decibels: SI-SDR, SI-SNR, SNR and BSS-eval's SDR, SIR, SAR: none is another.

Values are limited to +-``LIMIT`` dB: an estimate that equals its reference, or is orthogonal to it,
has an infinite ratio that rounding turns into some large number, and one such mixture would decide
the mean of a test set. A silent signal (``is_silent``) has no ratio at all: ask first.
"""

from typing import List, NamedTuple, Sequence

import numpy as np
import torch

from tsx_espnet.criterion.assignment import assign
from tsx_espnet.errors import TSXError

LIMIT = 100.0  # dB; float32 audio resolves about 140 dB
SILENCE = 1e-6  # RMS re full scale, mean removed: -120 dB, far under one step of 16 bits
FILTER_LENGTH = 512  # taps of the distortion filter that BSS-eval forgives
# A tone or a low-passed sound has a singular autocorrelation matrix and NaN as its SDR. This much,
# relative to the signal's energy, on the diagonal makes it regular; SDRs move by less than 0.1 dB.
DIAGONAL = 1e-12
EPS = 1e-8  # of SI-SNR, relative to the energy of the estimate: +-80 dB


class BSSEval(NamedTuple):
    """BSS-eval of E estimates of one target, in dB, each ``(E,)``."""

    sdr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray


def is_silent(signal: np.ndarray) -> bool:
    """True if nothing is left of ``signal`` ``(T,)`` above -120 dB RMS once its mean is removed."""
    return signal.size == 0 or float(np.std(signal)) < SILENCE


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB, the means removed [Le Roux 2019, Eq. 5].

    Shape: ``(T,), (T,)`` -> a number.

    >>> tone, other = np.sin(0.1 * np.pi * np.arange(200)), np.cos(0.1 * np.pi * np.arange(200))
    >>> round(si_sdr(tone, 3 * (tone + 0.1 * other)), 6)
    20.0
    """
    import fast_bss_eval.numpy as fast

    _check(reference, estimate)
    loss = fast.si_sdr_loss(estimate[None], reference[None], zero_mean=True, clamp_db=LIMIT)
    return -float(loss[0])


def si_snr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant SNR in dB as the FUSS baseline measures it, the means not removed.

    ``10 log10((c^2 + eps) / (1 - c^2 + eps))``, c being the cosine between the two: within +-80 dB.
    A silent signal has c = 0.

    Reference: Wisdom et al., "What's all the FUSS about free universal sound separation data?",
    ICASSP 2021, and its code.

    Shape: ``(T,), (T,)`` -> a number.

    >>> round(si_snr(np.array([1.0, 0.0]), np.array([30.0, 3.0])), 4)
    20.0
    >>> round(si_snr(np.array([1.0, 0.0]), np.array([2.0, 0.0])), 4)
    80.0
    """
    _check(reference, estimate)
    one, other = _unit(reference), _unit(estimate)
    cosine = one @ other
    if not other.any():
        return float(10 * np.log10(EPS / (1 + EPS)))
    noise = np.sum((other - cosine * one) ** 2)  # 1 - c^2 would be rounding
    return float(10 * np.log10((cosine**2 + EPS) / (noise + EPS)))


def fitting_outputs(references: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> List[int]:
    """The output that fits each reference, all different: those of the highest mean SI-SDR.

    Shape: S times ``(T,)``, M >= S times ``(T,)``; a silent reference is passed over, and a silent
    output fits worst of all.
    """
    silent = [is_silent(output) for output in outputs]
    pairs = [
        [LIMIT if mute else -si_sdr(reference, output) for mute, output in zip(silent, outputs)]
        if not is_silent(reference)
        else [0.0] * len(outputs)
        for reference in references
    ]
    return assign(torch.tensor(pairs, dtype=torch.float64)).tolist()


def snr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """10 log10(|reference|^2 / |estimate - reference|^2) in dB: the SDR that minds the scale.

    Shape: ``(T,), (T,)`` -> a number.
    """
    _check(reference, estimate)
    error = np.sum((estimate - reference) ** 2, dtype=np.float64)
    return float(_decibels(np.sum(reference**2, dtype=np.float64), error))


def bss_eval(target: np.ndarray, other: np.ndarray, estimates: np.ndarray) -> BSSEval:
    """SDR, SIR and SAR in dB of BSS-eval with a 512-tap filter [Vincent 2006; Scheibler 2021].

    The filters are solved for once and serve every estimate. No permutation is sought: all
    estimates are meant to be the target.

    Shape: ``(T,), (T,), (E, T)`` -> three times ``(E,)``.
    """
    import fast_bss_eval.numpy as fast

    estimates = np.atleast_2d(estimates)
    _check(target, other)
    _check(target, estimates[0])
    coherence, coherence_all = fast.square_cosine_metrics(
        np.stack([target, other]).astype(np.float64),
        estimates.astype(np.float64),
        filter_length=min(FILTER_LENGTH, len(target)),
        load_diag=DIAGONAL,
    )
    # shares of an estimate's energy: target (filtered), target + other (filtered), everything (1)
    wanted = np.clip(coherence[0], 0, 1)
    explained = np.clip(coherence_all[0], wanted, 1)
    return BSSEval(
        sdr=_decibels(wanted, 1 - wanted),
        sir=_decibels(wanted, explained - wanted),
        sar=_decibels(explained, 1 - explained),
    )


def _unit(signal: np.ndarray) -> np.ndarray:
    """``(T,)`` float64 of energy 1, or zeros; the floor is that of the FUSS baseline."""
    signal = signal.astype(np.float64)
    return signal / np.sqrt(max(np.sum(signal**2), 1e-16))


def _decibels(energy: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """10 log10 of the ratio, limited to +-LIMIT; a distortion of zero is LIMIT, not a warning."""
    smallest = np.finfo(np.float64).tiny
    energy, distortion = np.maximum(energy, smallest), np.maximum(distortion, smallest)
    return np.clip(10 * (np.log10(energy) - np.log10(distortion)), -LIMIT, LIMIT)


def _check(reference: np.ndarray, estimate: np.ndarray) -> None:
    if reference.ndim != 1 or reference.shape != estimate.shape:
        raise TSXError(
            f"expected two signals of shape (T,), found {reference.shape} and {estimate.shape}"
        )

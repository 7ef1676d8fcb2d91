"""Silence and other signals at the edge of what a file can hold: finite metrics, or none at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.evaluation import metrics

LENGTH = 64
KINDS = {
    "noise": lambda rng: rng.standard_normal(LENGTH),
    "tone": lambda rng: np.sin(np.arange(LENGTH)),
    "zeros": lambda rng: np.zeros(LENGTH),
    "constant": lambda rng: np.ones(LENGTH),
    "one sample": lambda rng: np.eye(LENGTH)[int(rng.integers(LENGTH))],
    "last bit": lambda rng: rng.integers(0, 2, LENGTH) * 2.0**-24,
    "full scale": lambda rng: rng.choice([-1.0, 1.0], LENGTH),
}
levels = st.floats(-45, 37).map(lambda x: 10.0**x)  # as far as 32-bit floats go
signals = st.tuples(st.sampled_from(sorted(KINDS)), levels, st.integers(0, 99))


def make(kind, level, seed):
    return (KINDS[kind](np.random.default_rng(seed)) * level).astype(np.float32).astype(float)


@given(st.lists(signals, min_size=3, max_size=3))
@settings(max_examples=150)
def test_whatever_is_not_silent_has_finite_metrics(three):
    target, other, estimate = (make(*one) for one in three)
    if any(map(metrics.is_silent, (target, other, estimate))):
        return
    found = [metrics.si_sdr(target, estimate), metrics.snr(target, estimate)]
    found += [float(value[0]) for value in metrics.bss_eval(target, other, estimate)]
    assert np.isfinite(found).all() and np.abs(found).max() <= metrics.LIMIT


@pytest.mark.parametrize("level", [0.0, 1e-30, 1e-8, 1.0])
def test_a_constant_is_silence_at_any_level(level):
    """Nobody hears it, and SI-SDR would divide by what rounding leaves without the mean."""
    assert metrics.is_silent(np.full(LENGTH, level))


def test_silent_outputs_stay_in_their_order():
    noise, nothing = make("noise", 1.0, 0), np.zeros(LENGTH)
    assert metrics.fitting_outputs([noise, nothing], [nothing, nothing]) == [0, 1]
    assert metrics.fitting_outputs([noise, nothing], [nothing, noise]) == [1, 0]


def test_a_silent_output_does_not_spare_a_source_its_bad_estimate():
    """Passed over, it fitted better than an estimate under 0 dB, and the row left all means."""
    target, other, nothing = make("noise", 1, 0), make("noise", 1, 1), np.zeros(LENGTH)
    bad = 0.1 * target + other
    assert metrics.si_sdr(target, bad) < 0
    assert metrics.fitting_outputs([target], [nothing, bad]) == [1]
    assert metrics.fitting_outputs([target, nothing], [nothing, bad]) == [1, 0]

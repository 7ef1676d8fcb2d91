"""FUSS's rules on signals whose numbers are known without computing: orthonormal ones."""

import fast_bss_eval
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as si_sdr

from tsx_espnet.evaluation.metrics import si_snr
from tsx_espnet.evaluation.scores import Score
from tsx_espnet.evaluation.sources import Activity, by_count, measure_sources, sources_table

LENGTH = 64
BASIS = np.linalg.qr(np.random.default_rng(0).standard_normal((LENGTH, LENGTH)))[0].T
FIRST, SECOND, THIRD, FOURTH = BASIS[:4]
NOTHING = np.zeros(LENGTH)


def scores_of(mixtures):
    """``name -> (sources, outputs, fitting)`` to rows."""
    rows = []
    for name, (sources, outputs, fitting) in mixtures.items():
        sources, outputs = np.stack(sources), np.stack(outputs)
        found = measure_sources(sources.sum(axis=0), sources, outputs, fitting)
        for number, fields in enumerate(found):
            own = {"in_mixture": name, "si_sdri": 7.0 if len(sources) > 1 else None}
            rows.append(Score(f"{name}-{number}", "unconditional", "", "", **own, **fields))
    return rows


@pytest.mark.parametrize("level", [1.0, 1e-3, 30.0])
@pytest.mark.parametrize("ratio", [-30.0, 0.0, 10.0, 25.0])
def test_the_ratio_is_that_of_the_orthogonal_parts(level, ratio):
    """Up to eps of the whole energy, which matters beyond 60 dB."""
    estimate = level * (FIRST + 10 ** (-ratio / 20) * SECOND)
    assert si_snr(5 * FIRST, estimate) == pytest.approx(ratio, abs=1e-4)


def test_a_mean_is_part_of_the_signal():
    one = np.ones(4)
    assert si_snr(one, np.array([2.0, 2.0, 2.0, 0.0])) == pytest.approx(10 * np.log10(3))


@given(st.integers(0, 1000), st.floats(-3, 3))
def test_it_is_the_formula_of_fuss_at_any_level(seed, exponent):
    """Its baseline's: unit signals, the energy of the residual, and 1e-8 in both."""
    rng = np.random.default_rng(seed)
    reference, noise = rng.standard_normal((2, LENGTH))
    estimate = 10**exponent * (reference + rng.uniform(0, 3) * noise)
    one, other = (x / np.linalg.norm(x) for x in (reference, estimate))
    share = (one @ other) ** 2
    expected = 10 * np.log10((share + 1e-8) / (np.sum((other - (one @ other) * one) ** 2) + 1e-8))
    assert si_snr(reference, estimate) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("noise", [0.01, 0.3, 3.0])
def test_it_is_what_two_libraries_call_si_sdr_with_its_means(noise):
    rng = np.random.default_rng(0)
    reference = rng.standard_normal(LENGTH) + 0.5
    estimate = 0.3 * reference + noise * rng.standard_normal(LENGTH) - 0.2
    signals = [torch.from_numpy(x) for x in (estimate, reference)]
    found = si_snr(reference, estimate)
    assert found == pytest.approx(si_sdr(*signals, zero_mean=False).item(), abs=1e-4)
    other = fast_bss_eval.si_sdr(reference[None], estimate[None], zero_mean=False)
    assert found == pytest.approx(other[0], abs=1e-4)


def test_the_bounds_are_80_db():
    assert si_snr(FIRST, 0.1 * FIRST) == pytest.approx(80, abs=1e-6)
    assert si_snr(FIRST, SECOND) == pytest.approx(-80, abs=1e-6)
    assert si_snr(FIRST, NOTHING) == pytest.approx(-80, abs=1e-6)
    assert si_snr(NOTHING, FIRST) == pytest.approx(-80, abs=1e-6)


@pytest.mark.parametrize("level, active", [(-21, False), (-19, True)])
def test_an_output_20_db_under_the_softest_source_is_not_active(level, active):
    sources = np.stack([FIRST, 0.1 * SECOND, NOTHING])
    soft = 0.1 * 10 ** (level / 20)
    found = Activity.of(sources, np.stack([FIRST, soft * SECOND, NOTHING]))
    assert found.sources.tolist() == [True, True, False]
    assert found.outputs.tolist() == [True, active, False]


def test_a_single_source_that_is_passed_through_has_80_db():
    scores = scores_of({"a": ([FIRST], [FIRST, NOTHING], [0])})
    (found,) = by_count(scores)
    assert found.counts == (1,) and found.num_mixtures == 1
    assert found.pairs.value == found.every.value == pytest.approx(80, abs=1e-4)
    assert (found.under, found.equal, found.over, found.dropped) == (0, 1, 0, 0)
    assert scores[0].si_snr_mixture is None and found.si_sdri is None


def test_a_dropped_source_raises_the_mean_of_pairs_and_not_that_of_all():
    """Of two equal sources, one is extracted 20 dB clean; the other is lost."""
    good, lost = FIRST + 0.1 * SECOND, 1e-3 * (FIRST + SECOND)
    kept, one = by_count(
        scores_of({"a": ([FIRST, SECOND], [good, lost], [0, 1]), "b": ([FIRST], [FIRST], [0])})
    )[1::-1]
    assert (kept.counts, one.counts) == ((2,), (1,))
    assert kept.pairs.value == pytest.approx(20, abs=1e-3)  # the mixture itself has 0 dB
    assert kept.every.value == pytest.approx((20 + 0) / 2, abs=1e-3)
    assert (kept.dropped, kept.under, kept.equal, kept.over) == (0.5, 1, 0, 0)


def test_sources_of_zeros_are_not_counted_and_outputs_beyond_the_sources_are():
    scores = scores_of(
        {
            "a": ([FIRST, NOTHING, SECOND], [SECOND, THIRD, FIRST, NOTHING], [2, 3, 0]),
            "b": ([FIRST, SECOND, THIRD, FOURTH], [FIRST, SECOND, THIRD, FOURTH], [0, 1, 2, 3]),
            "c": ([NOTHING], [FIRST], [0]),
        }
    )
    assert [score.si_snr is None for score in scores] == [False, True, False] + 4 * [False] + [True]
    two, four, both = by_count(scores)
    assert [one.counts for one in (two, four, both)] == [(2,), (4,), (2, 4)]
    assert (two.num_mixtures, two.pairs.count, two.over, two.equal) == (1, 2, 1, 0)
    assert (four.num_mixtures, four.pairs.count, four.over, four.equal) == (1, 4, 0, 1)
    # the level of one of S equal sources in their sum is -10 log10(S - 1)
    assert two.pairs.value == pytest.approx(80, abs=1e-3)
    assert four.pairs.value == pytest.approx(80 + 10 * np.log10(3), abs=1e-3)
    assert both.pairs.value == pytest.approx((2 * 80 + 4 * four.pairs.value) / 6, abs=1e-3)
    assert (both.num_mixtures, both.equal, both.over) == (2, 0.5, 0.5)


def test_levels_and_gains_have_no_common_mean():
    mixtures = {"a": ([FIRST], [FIRST], [0]), "b": ([FIRST, SECOND], [FIRST, SECOND], [0, 1])}
    table = sources_table(by_count(scores_of(mixtures)))
    assert [row[0] for row in table] == ["sources", "1", "2", "1 to 2"]
    assert [row[2] for row in table[1:]] == ["80.00", "80.00", "–"]
    assert table[3][-4:] == ["0.0", "0.0", "100.0", "0.0"]


def test_scores_of_queries_have_no_table():
    assert by_count([Score("a", "text", "bark", "Bark", si_sdr=1.0)]) == []

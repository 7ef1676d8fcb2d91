"""Signal properties against closed forms: sources whose energies per frame are chosen by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.conditions import CONDITIONS, Sources, read_conditions, sounding

FS = 8000
LABELS = (("Bark", "Dog", "Animal"), ("Meow", "Cat", "Animal"))


def track(level=-20.0, ratio=0.0, onset=0, num_frames=100):
    """(F, 3): ``level`` dB re full scale from frame ``onset`` on, H/P energy ratio in dB."""
    energy = np.zeros(num_frames)
    energy[onset:] = 80 * 10 ** (level / 10)
    harmonic = 1 / (1 + 10 ** (-ratio / 10))
    return np.stack([energy, harmonic * energy, (1 - harmonic) * energy], axis=1)


def read(*tracks, target=0, labels=None, **options):
    labels = labels or [(f"L{n}",) for n in range(len(tracks))]
    return read_conditions(Sources(np.stack(tracks), FS, target, labels, **options))


def test_all_of_a_clear_mixture():
    found = read(track(-20, 6, onset=0), track(-23, -6, onset=30), labels=LABELS)
    assert list(found.items()) == [
        ("energy", "high"),
        ("harmonicity", "harmonic"),
        ("order", "first"),
        ("class", "Bark"),
        ("text", "bark"),
    ]


@pytest.mark.parametrize("difference, applies", [(0.0, False), (0.09, False), (0.11, True)])
def test_energy_needs_its_margin(difference, applies):
    """The level counts over the mixture: half the time at twice the power is the same."""
    tracks = track(-20 - difference, onset=0), track(-20 + 10 * np.log10(2), onset=50)
    assert read(*tracks).get("energy") == ("low" if applies else None)
    assert read(*tracks, target=1).get("energy") == ("high" if applies else None)


@pytest.mark.parametrize("difference, applies", [(0.0, False), (0.4, False), (0.6, True)])
def test_harmonicity_needs_its_margin_and_not_the_level(difference, applies):
    tracks = track(-40, 1.0 + difference), track(-20, 1.0)
    assert read(*tracks).get("harmonicity") == ("harmonic" if applies else None)
    assert read(*tracks, target=1).get("harmonicity") == ("percussive" if applies else None)


@pytest.mark.parametrize("frames, applies", [(0, False), (9, False), (10, True), (11, True)])
def test_order_needs_its_margin(frames, applies):
    tracks = track(onset=5), track(onset=5 + frames)
    assert read(*tracks).get("order") == ("first" if applies else None)
    assert read(*tracks, target=1).get("order") == ("second" if applies else None)


def test_what_is_too_faint_to_hear_does_not_come_first():
    late, early = track(-20, onset=50), track(-20, onset=30)
    late[:30] += 1e-4 * 0.9 * late[60]  # more than 40 dB under its own loudest frame
    assert read(late, early)["order"] == "second"
    late[:30] *= 2
    assert read(late, early)["order"] == "first"


def test_sounding():
    energy = 80 * 10 ** (np.array([-10.0, -49.9, -50.1, -59.0, -300.0]) / 10)
    assert sounding(energy, FS).tolist() == [True, True, False, False, False]
    assert sounding(energy[2:], FS).tolist() == [True, True, False]
    assert not sounding(energy * 1e-6, FS).any()  # all under -60 dB
    assert sounding(np.zeros((2, 0)), FS).shape == (2, 0)


def test_a_silent_source_has_neither_onset_nor_character():
    found = read(track(-20, 6), track(-20) * 0)
    assert found == {"energy": "high", "class": "L0", "text": "l0"}
    assert set(read(track() * 0, track() * 0)) == {"class", "text"}


def test_three_sources():
    """A value needs the target below, or above, every other source."""
    tracks = [track(-20, 0, 20), track(-23, 3, 0), track(-26, -3, 40)]
    signal = ("energy", "harmonicity", "order")
    found = [[read(*tracks, target=n).get(name) for name in signal] for n in range(3)]
    assert found == [
        ["high", None, None],
        [None, "harmonic", "first"],
        ["low", "percussive", "second"],
    ]


def test_one_source_has_nothing_to_be_told_from():
    assert read(track()) == {"class": "L0", "text": "l0"}


levels = st.floats(-40, 0)
ratios = st.floats(-20, 20)


@given(st.tuples(levels, ratios, st.integers(0, 90)), st.tuples(levels, ratios, st.integers(0, 90)))
def test_the_two_sources_never_share_a_value(one, two):
    tracks = track(*one), track(*two)
    first, second = read(*tracks), read(*tracks, target=1)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name] != second[name]
        if name in ("energy", "harmonicity", "order"):
            assert {first[name], second[name]} == set(CONDITIONS[name].values)


def test_margins_of_a_mixing_config_count():
    tracks = track(-20), track(-21)
    assert read(*tracks, margins={"energy": 1.1}).get("energy") is None
    assert read(*tracks, margins={"energy": 0.9, "harmonicity": 9})["energy"] == "high"

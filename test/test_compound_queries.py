"""Queries by several sounds at once, against the algebra of sets.

The model is replaced by one whose answers are known: each sound is the samples in a range of
values, so that a compound query asks for a union of ranges without another.
"""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.errors import TSXError
from tsx_espnet.recordings import segments

FS = 8000
RANGES = {"Bark": (0.0, np.inf), "Meow": (-0.5, 0.5), "Rain": (-np.inf, -0.25)}  # they overlap
NAMES = st.sampled_from(sorted(RANGES))


class Ranges:
    """Extracts the samples between two values; everything else is the rest."""

    def parameters(self):
        yield torch.zeros(1)

    def extract(self, mixture, label):
        low, high = RANGES[label]
        target = torch.where((mixture > low) & (mixture <= high), mixture, 0.0)
        return torch.stack([target, mixture - target], dim=1)


@pytest.fixture(scope="module")
def ranges(tiny_experiment):
    """An extractor of ``Ranges``, whose embedding of a class is its label."""
    tsx = TargetSoundExtractor.load(tiny_experiment)
    tsx.experiment = tsx.experiment._replace(model=Ranges())
    tsx.embed = lambda asked: asked["class"]
    return tsx


@pytest.fixture(scope="module")
def tsx(tiny_experiment):
    return TargetSoundExtractor.load(tiny_experiment)


def noise(length, channels=None, seed=0):
    shape = (length,) if channels is None else (length, channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def between(mixture, labels):
    """Which samples any of the sounds claims."""
    return np.any([(mixture > RANGES[n][0]) & (mixture <= RANGES[n][1]) for n in labels], axis=0)


def queries(labels):
    return [{"class_label": label} for label in labels]


@given(
    first=st.none() | NAMES,
    also=st.lists(NAMES, max_size=3),
    but=st.lists(NAMES, max_size=3),
    channels=st.sampled_from([None, 1, 3]),
)
def test_a_union_without_another_union(ranges, first, also, but, channels):
    assume(first or also or but)
    mixture = noise(300, channels)
    found = ranges(mixture, FS, class_label=first, also=queries(also), but=queries(but))
    wanted = [first, *also] if first else also
    inside = ~between(mixture, but) if but else np.ones_like(mixture, dtype=bool)
    if wanted:
        inside &= between(mixture, wanted)
    np.testing.assert_array_equal(found[0], np.where(inside, mixture, 0))
    np.testing.assert_array_equal(found[1], np.where(inside, 0, mixture))


@pytest.mark.parametrize("fs", [FS, 11025])
@pytest.mark.parametrize(
    "asked",
    [
        {"class_label": "Bark", "also": queries(["Rain", "Meow"])},
        {"class_label": "Bark", "but": queries(["Meow"])},
        {"but": queries(["Meow", "Rain"])},
        {"text": "bark", "also": [{"energy": "low"}], "but": [{"order": "first"}]},
    ],
)
def test_of_segments_and_streams_target_and_rest_are_the_mixture(tsx, asked, fs):
    mixture = noise(21 * fs, 2)
    target, rest = tsx(mixture, fs, **asked)
    assert target.shape == rest.shape == mixture.shape
    np.testing.assert_allclose(target + rest, mixture, atol=1e-6)
    assert min(np.abs(target).max(), np.abs(rest).max()) > 1e-3
    blocks = (mixture[start : start + 30011] for start in range(0, len(mixture), 30011))
    streamed = [np.concatenate(parts) for parts in zip(*tsx.stream(blocks, fs, **asked))]
    for part, expected in zip(streamed, (target, rest)):
        np.testing.assert_allclose(part, expected, atol=1e-6 if fs != FS else 0, rtol=0)


@given(but=st.lists(NAMES, min_size=1, max_size=2), also=st.lists(NAMES, max_size=2))
def test_segments_answer_as_the_whole_does(ranges, but, also):
    mixture = noise(2500)
    whole = ranges(mixture, FS, also=queries(also), but=queries(but))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "SEGMENT", 0.05)
        patch.setattr(segments, "CROSSFADE", 0.01)
        seen = []
        found = ranges(
            mixture,
            FS,
            also=queries(also),
            but=queries(but),
            progress=lambda starts: seen.extend(starts) or starts,
        )
    assert len(seen) > 5
    for part, expected in zip(found, whole):
        np.testing.assert_allclose(part, expected, atol=1e-6)


def test_one_query_among_others_is_the_model_applied_in_turn(tsx):
    """Against the model itself: remove the rain, take the bark of what is left, then the meow."""

    def model(mixture, label):
        with torch.no_grad():
            return tsx.model.extract(mixture[None], tsx.embed({"class": label}))[0, 0]

    mixture = torch.from_numpy(noise(4000))
    left = mixture - model(mixture, "Rain")
    bark = model(left, "Bark")
    meow = model(left - bark, "Meow")
    target, rest = tsx(
        mixture.numpy(), FS, class_label="Bark", also=queries(["Meow"]), but=queries(["Rain"])
    )
    np.testing.assert_array_equal(target, bark + meow)
    np.testing.assert_array_equal(rest, mixture - (bark + meow))


def test_a_list_of_one_is_the_query_itself(tsx):
    mixture = noise(2000, 2)
    target, rest = tsx(mixture, 11025, class_label="Rain")
    for same in ({"also": queries(["Rain"])}, {"class_label": "Rain", "also": [], "but": ()}):
        for found, expected in zip(tsx(mixture, 11025, **same), (target, rest)):
            np.testing.assert_array_equal(found, expected)
    for found, expected in zip(tsx(mixture, 11025, but=queries(["Rain"])), (rest, target)):
        np.testing.assert_array_equal(found, expected)


def test_what_the_model_cannot_hear_is_part_of_all_but_something(tsx):
    """A tone above half the model's rate is no rain."""
    tone = np.sin(2 * np.pi * 9000 * np.arange(44100) / 44100).astype(np.float32)
    target, rest = tsx(tone, 44100, but=queries(["Rain"]))
    inner = slice(4000, -4000)
    np.testing.assert_allclose(target[inner], tone[inner], atol=1e-3)
    assert np.abs(rest[inner]).max() < 1e-3


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"also": []}, "expected exactly one of .*, found none"),
        ({"also": [{}]}, "expected exactly one of .*, found none"),
        ({"but": [{"text": "rain", "order": "first"}]}, "found text, order"),
        ({"text": "rain", "order": "first", "but": [{"text": "bark"}]}, "found text, order"),
        ({"text": "rain", "also": {"text": "bark"}}, "^also: expected .*, found {'text': 'bark'}"),
        ({"text": "rain", "but": "bark"}, r"^but: expected \[{\"text\": \"rain\"}, ...\], found"),
        ({"text": "rain", "but": ["bark"]}, r"^but: expected .*, found \['bark'\]"),
        ({"text": "rain", "but": None}, "^but: expected .*, found None"),
        ({"also": [{"class_label": "Barck"}]}, "unknown class 'Barck'; nearest known: 'Bark'"),
        ({"but": [{"colour": "red"}]}, "unknown condition 'colour'"),
        ({"text": "rain", "but": [{"unconditional": True}]}, "unconditional names no sound"),
        ({"unconditional": True, "but": [{"text": "rain"}]}, "unconditional names no sound"),
    ],
)
def test_what_is_no_compound_query(tsx, asked, message):
    for refuse in (
        lambda: tsx(noise(100), FS, **asked),
        lambda: tsx.stream(None, FS, **asked),  # before the first block is read
    ):
        with pytest.raises(TSXError, match=message) as error:
            refuse()
        assert "\n" not in str(error.value)

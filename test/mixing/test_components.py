"""Components of several sources: what tells them apart, and the texts of their parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.conditions import Sources
from tsx_espnet.mixing.components import Components, consecutive, join_phrases

FS = 8000


@given(size=st.integers(1, 8), number=st.integers(1, 8))
def test_components_partition_the_sources(size, number):
    parts = consecutive(size * number, size)
    sources = range(size * number) if size > 1 else ()
    assert [source for part in parts for source in part] == list(sources)
    assert {len(part) for part in parts} <= {size}


@pytest.fixture
def sources():
    """A dog and rain that come late, a cat and an engine that come first and are 6 dB louder."""
    tracks = np.zeros((4, 100, 3))
    for source, (onset, energy, harmonic) in enumerate(
        [(50, 1.0, 0.2), (60, 1.0, 0.2), (0, 4.0, 0.9), (20, 4.0, 0.9)]
    ):
        tracks[source, onset:] = energy * np.array([1, harmonic, 1 - harmonic])
    labels = (("Bark", "Dog"), ("Rain",), ("Meow",), ("Engine",))
    return Sources(tracks, FS, 0, labels, captions=((), ("Rain on a roof.",), (), ()))


def test_components_of_two(sources):
    components = Components(sources, ((0, 1), (2, 3)))
    rng = np.random.default_rng(0)
    late, early = (components.conditions(number, rng) for number in (0, 1))
    assert late == {
        "energy": "low",
        "harmonicity": "percussive",
        "order": "second",
        "text": "bark and Rain on a roof",
    }
    assert early == {
        "energy": "high",
        "harmonicity": "harmonic",
        "order": "first",
        "text": "meow and engine",
    }
    parts = components.part_queries("mix1", 0)
    assert [(q.mixture, q.component, q.part, q.condition, q.value, q.weight) for q in parts] == [
        ("mix1", 0, 1, "text", "bark", 1),
        ("mix1", 0, 2, "text", "Rain on a roof.", 1),
    ]


def test_a_component_of_one_is_queried_as_a_source(sources):
    rng = np.random.default_rng(0)
    alone = Components(sources, ())
    assert alone.conditions(2, rng)["class"] == "Meow" and alone.part_queries("mix1", 2) == ()
    assert alone.joined is sources


def test_a_part_without_a_text_of_its_own(sources):
    """Two dogs: neither can be called by a text, and so the component cannot either."""
    labels = (("Dog",), ("Rain",), ("Dog",), ("Engine",))
    two = Sources(sources.tracks, FS, 0, labels)
    components = Components(two, ((0, 1), (2, 3)))
    conditions = components.conditions(0, np.random.default_rng(0))
    assert "text" not in conditions and conditions["order"] == "second"
    assert [(q.part, q.value) for q in components.part_queries("mix1", 0)] == [(2, "rain")]


def test_any_partition(sources):
    components = Components(sources, ((3,), (0, 2, 1)))
    assert components.joined.tracks[1].sum() == pytest.approx(sources.tracks[:3].sum())
    conditions = components.conditions(1, np.random.default_rng(0))
    assert conditions["text"] == "bark, meow and Rain on a roof"
    assert conditions["order"] == "first"


@given(st.lists(st.text(alphabet="abc ", min_size=1).filter(str.strip), min_size=1, max_size=5))
def test_joined_phrases_name_all(phrases):
    joined = join_phrases(phrases)
    assert all(phrase.rstrip() in joined for phrase in phrases)
    assert joined.count(" and ") == (len(phrases) > 1)

"""Examples and batches: of the target of each mixture, and of several queries."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.audio import write_float_wav
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.query import Query, to_json
from tsx_espnet.mixing.render import Rendered
from tsx_espnet.training.examples import Collate, TSXPreprocessor, values_of, wanted_by

NAMES = ("energy", "enrollment", "class")
QUERIES = (
    Query("mix1", 1, 0, "class", "Bark"),
    Query("mix1", 1, 0, "energy", "high"),
    Query("mix1", 0, 0, "class", "Rain"),
    Query("mix1", 0, 2, "class", "Meow"),
    Query("mix1", 0, 0, "class", "Meow", -1.0),
    Query("mix1", 0, 2, "class", "Bark"),
)


@pytest.fixture
def preprocess(vocabulary):
    return TSXPreprocessor(True, NAMES, vocabulary)


def test_what_a_set_says_nothing_about_is_not_applicable(preprocess):
    mixture = np.zeros(9, dtype=np.float32)
    found = preprocess("mix1", {"speech_mix": mixture, "class": "Rain", "order": "first"})
    assert set(found) == {"speech_mix", *NAMES}
    assert found["speech_mix"] is mixture
    assert (found["energy"].tolist(), found["class"].tolist()) == ([-1], [2])
    assert found["enrollment"].shape == (0,)


def test_enrollments_as_paths_as_samples_and_none_at_all_make_a_batch(preprocess, tmp_path):
    """A path is what a table holds; samples are what ESPnet loads as ``sound``."""
    write_float_wav(tmp_path / "a.wav", np.arange(4), 8000)
    values = (str(tmp_path / "a.wav"), "n/a", np.full(2, 7, dtype=np.float32))
    examples = [(value, preprocess("mix", {"enrollment": value})) for value in values]
    _, batch = Collate()(examples)
    assert batch["enrollment"].tolist() == [[0, 1, 2, 3], [0, 0, 0, 0], [7, 7, 0, 0]]
    assert batch["enrollment_lengths"].tolist() == [4, 0, 2]


def test_queries_for_the_same_are_one_row_by_all_conditions():
    assert wanted_by(QUERIES) == [
        (1, 0, 1.0, {"class": "Bark", "energy": "high"}),
        (0, 0, 1.0, {"class": "Rain"}),
        (0, 2, 1.0, {"class": "Meow"}),
        (0, 0, -1.0, {"class": "Meow"}),
        (0, 2, 1.0, {"class": "Bark"}),  # the same part by another value
    ]


def rendered(queries, conditions, enrollments, num_components=2):
    sounds = np.arange(4.0 * num_components, dtype=np.float32).reshape(num_components, 4)
    plan = Plan("mix1", 8000, 4, (), 1, conditions, 0.0, 1.0, 0, 0, 0, queries=queries)
    other = np.delete(sounds, 1, axis=0).sum(axis=0)
    return Rendered(plan, sounds.sum(axis=0), sounds, None, other, enrollments)


def test_an_example_without_further_queries_is_the_target_and_the_rest(preprocess):
    several = (np.ones(3, np.float32), np.ones(2, np.float32))
    found = preprocess("mix1", values_of(rendered((), {"class": "Bark"}, {1: several})))
    assert list(found) == ["speech_mix", "speech_ref1", "speech_ref2", "enrollment", *NAMES[::2]]
    assert found["speech_ref1"].tolist() == [4, 5, 6, 7]
    assert found["speech_ref2"].tolist() == [0, 1, 2, 3]
    assert found["enrollment"] is several[0]


def test_an_example_with_queries_has_all_components(preprocess):
    """In their order; an enrollment joins the query for its component, or makes one."""
    first, second = np.full(3, 5, np.float32), np.full(2, 7, np.float32)
    drawn = rendered(QUERIES[2:4], {"energy": "high"}, {0: (first,), 1: (second,)})
    _, batch = Collate()([("mix1", preprocess("mix1", values_of(drawn)))])
    assert batch["sources"][0].T.tolist() == drawn.components.tolist()
    assert batch["queries"].tolist() == [[0, 0, 0], [0, 0, 2], [0, 1, 0]]
    assert batch["energy"].tolist() == [[-1], [-1], [1]]
    assert batch["class"].tolist() == [[2], [1], [-1]]
    assert batch["enrollment"].tolist() == [[5, 5, 5], [0, 0, 0], [7, 7, 0]]
    assert batch["enrollment_lengths"].tolist() == [3, 0, 2]
    only = rendered(QUERIES[3:4], {}, {0: (first,)})
    _, batch = Collate()([("mix1", preprocess("mix1", values_of(only)))])
    assert batch["queries"].tolist() == [[0, 0, 0], [0, 0, 2]]
    assert batch["enrollment_lengths"].tolist() == [3, 0]


def test_all_sources_are_given_if_they_are_wanted(preprocess):
    """Then the mixture has one query, that of its target, whether or not it has a value."""
    for conditions, value in (({"class": "Bark"}, 0), ({}, -1)):
        drawn = rendered((), conditions, {}, num_components=3)
        found = preprocess("mix1", values_of(drawn, all_sources=True))
        assert found["sources"].T.tolist() == drawn.components.tolist()
        assert (found["queries"].tolist(), found["class"].tolist()) == ([[1, 0]], [value])


def test_a_table_of_queries_gives_the_same_example(preprocess, tmp_path):
    """As ESPnet loads it: JSON, and channels in the last axis, or none for a single one."""
    write_float_wav(tmp_path / "a.wav", np.arange(4), 8000)
    path = Query("mix1", 1, 0, "enrollment", str(tmp_path / "a.wav"))
    drawn = rendered(QUERIES[2:], {"class": "Bark"}, {1: (np.arange(4, dtype=np.float32),)})
    expected = preprocess("mix1", values_of(drawn))
    loaded = {
        "speech_mix": drawn.mixture,
        "sources": drawn.components.T,
        "queries": to_json((*drawn.plan.all_queries(), path)),
    }
    found = preprocess("mix1", loaded)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    single = preprocess("mix1", {**loaded, "sources": drawn.mixture, "queries": "[]"})
    assert single["sources"].shape == (4, 1)
    assert single["queries"].tolist() == [[0, 0]] and single["class"].tolist() == [-1]


def test_with_and_without_queries_in_one_batch(preprocess):
    """The target and the rest of a mixture are its two components, of which one is wanted."""
    three = rendered(QUERIES[:1], {}, {}, num_components=3)
    two = rendered((), {"class": "Rain"}, {})
    alone = {**values_of(two), "enrollment": np.ones(2, np.float32)}
    del alone["speech_ref2"]  # which ESPnet's data need not have
    examples = [
        (name, preprocess(name, values))
        for name, values in (("a", values_of(two)), ("b", values_of(three)), ("c", alone))
    ]
    ids, batch = Collate()(examples)
    assert ids == ["a", "b", "c"]
    assert batch["speech_mix"].shape == (3, 4) and batch["sources"].shape == (3, 4, 3)
    for row in (0, 2):
        assert batch["sources"][row].T.tolist() == [[4, 5, 6, 7], [0, 1, 2, 3], [0, 0, 0, 0]]
    assert batch["sources"][1].T.tolist() == three.components.tolist()
    assert batch["queries"].tolist() == [[0, 0, 0], [1, 1, 0], [2, 0, 0]]
    assert batch["query_weight"].tolist() == [1, 1, 1]
    assert batch["class"].tolist() == [[2], [0], [2]]
    assert not {"speech_ref1", "speech_ref2"} & batch.keys()


class Numbered:
    """A vocabulary whose values are sequences: "3,4" is [[3, 3], [4, 4]]."""

    def encode(self, condition, value):
        numbers = [] if value == "n/a" else json.loads(f"[{value}]")
        return np.array([[n, n] for n in numbers], dtype=np.float32).reshape(-1, 2)


VALUES = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(lambda x: ",".join(map(str, x)))
ASKED = st.tuples(
    st.integers(0, 2), st.integers(0, 1), st.sampled_from("xy"), VALUES, st.sampled_from([1.0, -1])
)


@given(st.lists(st.lists(ASKED, max_size=4), min_size=1, max_size=4))
def test_every_value_reaches_its_row(asked):
    """Whatever is queried, how long the values are, and how many queries a mixture has."""
    preprocess = TSXPreprocessor(True, ("x", "y"), Numbered())
    examples, expected = [], []
    for row, queries in enumerate(asked):
        queries = [Query("mix", *one) for one in queries]
        data = {"speech_mix": np.full(3, row), "sources": np.full((3, 3), row)}
        data["queries"] = to_json(queries)
        examples.append((f"mix{row}", preprocess("mix", data)))
        wanted = wanted_by(queries) or [(0, 0, 1.0, {})]
        for one in sorted(wanted, key=lambda one: one[:3]):
            expected.append(((row, *one[:2]), one[2], one[3]))
    _, batch = Collate()(examples)
    assert [tuple(row) for row in batch["queries"].tolist()] == [where for where, _, _ in expected]
    assert batch["query_weight"].tolist() == [weight for _, weight, _ in expected]
    for name in "xy":
        lengths = batch[f"{name}_lengths"].tolist()
        assert batch[name].shape == (len(expected), max(lengths), 2)
        for array, length, (_, _, values) in zip(batch[name], lengths, expected):
            value = Numbered().encode(name, values.get(name, "n/a"))
            assert array[:length].tolist() == value.tolist() and not array[length:].any()
    given_values = sum(len(queries) for queries in asked)
    assert sum(len(values) for _, _, values in expected) == given_values

"""Queries as JSON: equal ones come back, anything else is refused with its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.query import Query, from_json, target_name, to_json

values = st.text(min_size=1)
queries = st.builds(
    Query,
    st.just("mix1"),
    st.integers(0, 15),
    st.integers(0, 9),
    st.sampled_from(["text", "energy", "enrollment"]),
    values,
    st.sampled_from([1.0, -1.0]),
)


@given(st.lists(queries, max_size=5))
def test_round_trip(several):
    line = to_json(several)
    assert line.isascii() and "\n" not in line
    assert not any("mixture" in record for record in json.loads(line))
    assert from_json(line, "mix1") == tuple(several)


def test_it_belongs_to_the_mixture_that_is_named():
    line = to_json([Query("mix1", 0, 0, "text", "a dog")])
    assert [query.mixture for query in from_json(line, "mix2")] == ["mix2"]


@given(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15))
def test_names_of_targets_differ(one, two, target):
    names = [target_name("mix1", component, target) for component in (one, two)]
    assert (names[0] == names[1]) == (one == two)
    assert (names[0] == "mix1") == (one == target)


def test_only_a_whole_component_is_a_target():
    whole = [Query("m", 0, 0, "text", "x"), Query("m", 1, 0, "text", "x", 1.0)]
    other = [Query("m", 0, 1, "text", "x"), Query("m", 0, 0, "text", "x", -1.0)]
    assert [query.whole for query in whole + other] == [True, True, False, False]


GOOD = {"component": 1, "part": 0, "condition": "text", "value": "a dog"}


@pytest.mark.parametrize(
    "record, message",
    [
        ([], "expected fields and their values"),
        ({}, "missing: component, part, condition, value"),
        ({**GOOD, "mixture": "mix1"}, "no field 'mixture'"),
        ({**GOOD, "wait": 1}, "no field 'wait'; did you mean weight"),
        ({**GOOD, "component": 16}, r"component: expected an integer in \[0, 15\], found 16"),
        ({**GOOD, "component": -1}, "component: expected"),
        ({**GOOD, "part": 0.0}, "part: expected an integer"),
        ({**GOOD, "part": -1}, "part: expected"),
        ({**GOOD, "weight": 0.5}, "weight: expected 1 or -1, found 0.5"),
        ({**GOOD, "weight": True}, "weight: expected a number"),
        ({**GOOD, "weight": None}, "weight: expected a number"),
        ({**GOOD, "condition": 3}, "condition: expected a string, found 3"),
        ({**GOOD, "value": None}, "value: expected a string, found None"),
    ],
)
def test_bad_records(record, message):
    with pytest.raises(TSXError, match=rf"^set: mix1: queries\[1\]: {message}"):
        from_json(json.dumps([GOOD, record]), "mix1", "set")


@pytest.mark.parametrize("line", ["", "[", "{}", "[" * 100000, "3", "n/a"])
def test_no_list(line):
    with pytest.raises(TSXError, match="^set: mix1: (not JSON|expected a list of queries)"):
        from_json(line, "mix1", "set")

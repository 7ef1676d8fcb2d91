"""Plans as JSON: an equal plan comes back, anything else is refused with file and line."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.elements import Enrollment, GeneratedNoise, Placement, RecordedNoise
from tsx_espnet.mixing.plan import Plan, read_plans, write_plans
from tsx_espnet.mixing.query import Query

SOURCE = Placement("100", "Bark", ("Bark", "Dog"), 80, 8000, 0, 0.5)
PLAN = Plan(
    id="mix00001",
    fs=8000,
    num_samples=16000,
    sources=(SOURCE, Placement("200", "Rain", ("Rain",), 0, 15200, 800, 1.25)),
    target=1,
    conditions={"energy": "low", "class": "Rain", "text": "rain on a Dänish roof"},
    snr=-1.7,
    overlap=0.8125,
    seed=1,
    epoch=0,
    index=0,
)
WHOLE = Plan(  # with all there can be
    **{
        **vars(PLAN),
        "sources": (SOURCE, SOURCE, SOURCE),
        "background": RecordedNoise("fan", 100, 0.25),
        "enrollments": (Enrollment("300", 0, 4000), Enrollment("301", 80, 1, component=0)),
        "components": ((1,), (2, 0)),
        "queries": (
            Query("mix00001", 0, 0, "text", "a dog"),
            Query("mix00001", 1, 2, "text", "rain"),
            Query("mix00001", 1, 0, "class", "Rain", -1.0),
        ),
    }
)
numbers = st.floats(-100, 100)


@given(numbers, st.floats(0, 1), st.floats(0, 1e3), st.integers(0, 2**32 - 1))
def test_round_trip_is_exact(snr, overlap, gain, seed):
    source = Placement(**{**vars(SOURCE), "gain": gain})
    plan = Plan(
        **{**vars(PLAN), "snr": snr, "overlap": overlap, "seed": seed, "sources": (source,) * 2}
    )
    line = plan.to_json()
    assert "\n" not in line and Plan.from_json(line) == plan
    assert Plan.from_json(line).to_json() == line


@given(st.integers(0, 2**63), st.floats(-12, 12), st.floats(0, 10))
def test_background_and_enrollments_come_back(seed, slope, gain):
    noises = (GeneratedNoise(seed, slope, gain), RecordedNoise("fan", seed % 2**40, gain), None)
    for noise in noises:
        plan = Plan(**{**vars(WHOLE), "background": noise})
        assert Plan.from_json(plan.to_json()) == plan


def test_a_plan_without_them_does_not_name_them():
    for name in ("background", "enrollments", "component", "queries"):
        assert name not in PLAN.to_json() and name in WHOLE.to_json()
    assert json.loads(WHOLE.to_json())["enrollments"][0] == {
        "clip": "300",
        "start": 0,
        "length": 4000,
    }
    assert WHOLE.to_json().count("mix00001") == 1  # queries do not repeat it


@st.composite
def queried(draw):
    """A plan of any partition, with any queries that fit it."""
    order = draw(st.permutations(range(draw(st.integers(1, 6)))))
    cuts = sorted(draw(st.sets(st.integers(1, len(order) - 1)))) if len(order) > 1 else []
    components = tuple(tuple(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)]))
    components = draw(st.sampled_from([components, ()]))
    number = len(components or order)
    query = st.builds(
        Query,
        st.just("mix00001"),
        st.integers(0, number - 1),
        st.integers(0, 3),
        st.sampled_from(["text", "class"]),
        st.sampled_from(["a dog", "rain"]),
        st.sampled_from([1.0, -1.0]),
    )
    target = draw(st.integers(0, number - 1))
    taken, queries = {(target, "text"), (target, "class")}, []
    for one in draw(st.lists(query, max_size=6)):
        if not one.whole or (one.component, one.condition) not in taken:
            queries.append(one)
            taken |= {(one.component, one.condition)} if one.whole else set()
    return Plan(
        **{
            **vars(PLAN),
            "sources": (SOURCE,) * len(order),
            "components": components,
            "queries": tuple(queries),
            "target": target,
        }
    )


@given(queried())
def test_components_and_queries_come_back(plan):
    assert Plan.from_json(plan.to_json()) == plan
    assert sorted(n for part in plan.partition for n in part) == list(range(len(plan.sources)))
    assert len(plan.members()) == len(plan.partition[plan.target])
    own = [query for query in plan.all_queries() if query.whole and query.component == plan.target]
    assert {query.condition: query.value for query in own} == plan.conditions
    assert len(plan.all_queries()) == len(plan.conditions) + len(plan.queries)
    named = plan.renamed("x")
    assert {query.mixture for query in named.all_queries()} == {"x"}
    assert Plan.from_json(named.to_json()) == named and named.renamed(plan.id) == plan


def test_members():
    assert PLAN.members() == PLAN.members(1) == (PLAN.sources[1],)
    sources = tuple(Placement(**{**vars(SOURCE), "clip": clip}) for clip in "abc")
    plan = Plan(**{**vars(WHOLE), "sources": sources})
    assert [one.clip for one in plan.members()] == ["c", "a"]
    assert [one.clip for one in plan.members(0)] == ["b"]


def test_what_goes_beyond_the_target():
    two = (Enrollment("300", 0, 4000), Enrollment("301", 0, 4000, component=0))
    assert not PLAN.further and Plan(**{**vars(PLAN), "queries": WHOLE.queries[1:2]}).further
    assert not Plan(**{**vars(PLAN), "enrollments": two[:1]}).further
    assert Plan(**{**vars(PLAN), "enrollments": two}).further


def test_level_and_overlap_may_not_be_known():
    plan = Plan(**{**vars(PLAN), "snr": None, "overlap": None})
    assert Plan.from_json(plan.to_json()) == plan


def test_files(tmp_path):
    plans = [Plan(**{**vars(PLAN), "id": f"mix{n}", "index": n}) for n in range(3)]
    write_plans(tmp_path / "mixtures.jsonl", plans)
    assert read_plans(tmp_path / "mixtures.jsonl") == plans
    with pytest.raises(TSXError, match="nowhere.jsonl: no such file"):
        read_plans(tmp_path / "nowhere.jsonl")
    write_plans(tmp_path / "mixtures.jsonl", plans + plans[1:2])
    with pytest.raises(TSXError, match="mixtures.jsonl:4: mixture 'mix1' occurs twice"):
        read_plans(tmp_path / "mixtures.jsonl")


def changed(path, value, plan=PLAN):
    """The JSON of ``plan`` with the value at ``path`` replaced."""
    record = json.loads(plan.to_json())
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(record)


HOSTILE = {
    "not JSON": ["", "{", "[" * 100000, "NaN", "9" * 5000],
    "expected fields and their values": ["null", "[]", '"plan"', "3"],
    "missing: ": ["{}", '{"id": "mix1"}'],
    "id": [changed(["id"], bad) for bad in ("", "../x", "a b", 3, None, "x\n", "a/b")],
    "fs": [changed(["fs"], bad) for bad in (0, -1, 8000.0, "8000", True, None)],
    "num_samples": [changed(["num_samples"], bad) for bad in (0, 2**50, 1e3, [])],
    "sources": [changed(["sources"], bad) for bad in ([], {}, None, [1], [{}])],
    "clip": [changed(["sources", 0, "clip"], bad) for bad in ("../../etc/passwd", "", 1)],
    "label": [changed(["sources", 0, "label"], bad) for bad in ("", 1, "a\nb", "\ud800")],
    "labels": [changed(["sources", 0, "labels"], bad) for bad in ("Bark", [1], ["a\n"], [[]])],
    "start": [changed(["sources", 0, "start"], bad) for bad in (-1, 2**41, 0.5, "0", False)],
    "offset": [changed(["sources", 1, "offset"], bad) for bad in (-1, 16000, 0.5)],
    "length": [changed(["sources", 1, "length"], bad) for bad in (0, -5, 15201, 1e3)],
    "gain": [changed(["sources", 0, "gain"], bad) for bad in (-1, 1e99, "1", None, 10**400)],
    "target": [changed(["target"], bad) for bad in (-1, 2, "0", 1.0)],
    "conditions": [changed(["conditions"], bad) for bad in (None, [], {"pitch": "high"})],
    "no condition 'enrollment'": [  # the plan holds the clips
        changed(["conditions", "enrollment"], value, WHOLE) for value in ("300", "n/a", "dog.wav")
    ],
    "energy": [changed(["conditions", "energy"], bad) for bad in ("n/a", "High", 1, None)],
    "text": [changed(["conditions", "text"], bad) for bad in ("", " a", "a\nb", "a\u2028b", "\0")],
    "snr": [changed(["snr"], bad) for bad in (1e999, "1", 10**400)]
    + [PLAN.to_json().replace("-1.7", "-1e999")],
    "overlap": [changed(["overlap"], bad) for bad in (-0.1, 1.1, "1")],
    "seed": [changed(["seed"], bad) for bad in (-1, 0.5, 2**70)],
    "background": [changed(["background"], bad) for bad in ([], 3, "fan", {}, {"clip": "fan"})]
    + [changed(["background", "start"], bad, WHOLE) for bad in (-1, 0.5, None)]
    + [changed(["background", "clip"], bad, WHOLE) for bad in (None, "../fan", "")]
    + [changed(["background", "gain"], bad, WHOLE) for bad in (-1, None, "1")]
    + [changed(["background"], {"seed": 1, "slope": bad, "gain": 1}) for bad in (None, 1e3)]
    + [changed(["background"], {"seed": bad, "slope": 0, "gain": 1}) for bad in (-1, 0.5)],
    "enrollments": [changed(["enrollments"], bad, WHOLE) for bad in (None, {}, 3, "300", [3])]
    + [changed(["enrollments", 1, "clip"], bad, WHOLE) for bad in ("", "a/b", 3)]
    + [changed(["enrollments", 1, "start"], bad, WHOLE) for bad in (-1, 0.5)]
    + [changed(["enrollments", 1, "length"], bad, WHOLE) for bad in (0, 2**50)],
    "component": [changed(["enrollments", 1, "component"], bad, WHOLE) for bad in (-1, 2, "0")]
    + [changed(["queries", 1, "component"], bad, WHOLE) for bad in (-1, 2, 0.0, None)],
    "components": [changed(["components"], bad, WHOLE) for bad in (None, {}, 3, [0, 1, 2], "abc")]
    + [changed(["components"], bad, WHOLE) for bad in ([[0, 1]], [[0, 1], [1, 2]], [[0, 1, 2], []])]
    + [changed(["components"], bad, WHOLE) for bad in ([[0], [1], [3]], [[0], [True], [2]])]
    + [changed(["components"], bad, WHOLE) for bad in ([[0.0, 1, 2]], [[[0], 1, 2]], [[2, 1], 0])],
    "queries": [changed(["queries"], bad, WHOLE) for bad in (None, {}, 3, [3], [[]], [{}])]
    + [changed(["queries", 1, "part"], bad, WHOLE) for bad in (-1, 1001, "1")]
    + [changed(["queries", 1, "weight"], bad, WHOLE) for bad in (0, 2, None, "1")]
    + [changed(["queries", 1, "value"], bad, WHOLE) for bad in ("", "a\nb", 3, None)]
    + [changed(["queries", 1, "condition"], bad, WHOLE) for bad in ("pitch", "enrollment", [])]
    + [changed(["queries", 1, "condition"], "energy", WHOLE)]
    + [changed(["queries", 0, "mixture"], "mix1", WHOLE)],
    "expected one query of component": [
        changed(["queries", 0, "component"], 1, WHOLE),  # the target's are conditions
        changed(["queries", 2], {**vars(WHOLE.queries[0]), "value": "x"}, WHOLE).replace(
            '"mixture": "mix00001", ', ""
        ),
    ],
    "no field": [changed(["comment"], "x"), changed(["sources", 0, "pan"], 0.5)],
}


@pytest.mark.parametrize("field", HOSTILE)
def test_hostile_json_is_refused(field):
    for line in HOSTILE[field]:
        with pytest.raises(TSXError, match=r"^set/mixtures\.jsonl:7: ") as refusal:
            Plan.from_json(line, "set/mixtures.jsonl:7")
        assert field in str(refusal.value) or "Infinity is not a number" in str(refusal.value)
        assert len(str(refusal.value)) < 500


@settings(max_examples=300)
@given(st.data())
def test_any_change_gives_a_plan_or_one_clear_error(data):
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=4,
    )
    paths = [[name] for name in vars(WHOLE)] + [["sources", 0, name] for name in vars(SOURCE)]
    paths += [["background", name] for name in vars(WHOLE.background)]
    paths += [["enrollments", 1, name] for name in vars(WHOLE.enrollments[1])]
    paths += [["queries", 1, name] for name in vars(WHOLE.queries[1])] + [["components", 1]]
    line = changed(data.draw(st.sampled_from(paths)), data.draw(anything), WHOLE)
    try:
        plan = Plan.from_json(line, "x:1")
    except TSXError as error:
        assert str(error).startswith("x:1: ")
    else:
        assert Plan.from_json(plan.to_json()) == plan


def test_broken_bytes(tmp_path):
    (tmp_path / "p.jsonl").write_bytes(PLAN.to_json().encode() + b"\n\xff\xfe{}\n")
    with pytest.raises(TSXError, match=r"p\.jsonl:2: not UTF-8 text"):
        read_plans(tmp_path / "p.jsonl")

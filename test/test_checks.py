"""Every message of a check names the place, what was expected and what was found."""

import dataclasses

import pytest

from tsx_espnet.checks import (
    Fields,
    check_at_least,
    check_names,
    did_you_mean,
    nearest,
    one_of,
)
from tsx_espnet.errors import TSXError


@dataclasses.dataclass
class Record:
    name: str
    gain: float
    seed: int = 3


def test_a_record_has_its_fields_and_the_defaults_of_those_left_out():
    fields = Fields.of_record(Record, {"name": "a", "gain": 1}, "x:1")
    fields.number("gain", 0, 2)
    fields.integer("seed", 0, 9)
    assert Record(**fields.values) == Record(fields.text("name"), 1.0, 3)


@pytest.mark.parametrize(
    "found, message",
    [
        (None, r"x:1: expected fields and their values \(name, gain, seed\), found None"),
        ({"name": "a"}, "x:1: missing: gain"),
        ({}, "x:1: missing: name, gain"),
        ({"name": "a", "gain": 1, "sead": 2}, "x:1: no field 'sead'; did you mean seed?"),
        ({"name": "a", "gain": 1, 3: 2}, "x:1: no field 3; expected one of name, gain, seed"),
    ],
)
def test_a_record_that_is_none(found, message):
    with pytest.raises(TSXError, match=message):
        Fields.of_record(Record, found, "x:1")


@pytest.mark.parametrize("bad", ["1", None, True, float("nan"), float("inf"), -1, 11, 10**400])
def test_what_is_no_number(bad):
    with pytest.raises(TSXError, match=r"^yaml: gain: expected a number in \[0, 10\], found ") as e:
        Fields({"gain": bad}, "yaml").number("gain", 0, 10)
    assert len(str(e.value)) < 150
    with pytest.raises(TSXError, match=r"^gain: expected an integer in \[0, 10\], found "):
        Fields({"gain": bad}).integer("gain", 0, 10)


@pytest.mark.parametrize("bad", [1, [1], [1, 2, 3], [2, 1], [0, 11], ["0", "1"], None])
def test_what_is_no_interval(bad):
    with pytest.raises(TSXError, match=r"snr: expected \[lowest, highest\] within \[0, 10\]"):
        Fields({"snr": bad}).interval("snr", 0, 10)


def test_choices_flags_and_names_of_files():
    good = Fields({"way": "up", "flag": False, "file": None})
    good.choice("way", ("up", "down"))
    good.flag("flag")
    good.file_name("file")
    bad = Fields({"way": ["up"], "flag": 0, "file": 3})
    for check, message in (
        (lambda: bad.choice("way", ("up", "down")), r"way: expected one of up, down, found \['up'"),
        (lambda: bad.flag("flag"), "flag: expected true or false, found 0"),
        (lambda: bad.file_name("file"), "file: expected a file name, found 3"),
    ):
        with pytest.raises(TSXError, match=message):
            check()


def test_numbers_of_options():
    check_at_least(1, batch_size=1)
    with pytest.raises(TSXError, match="^num_threads: expected at least 1, found 0$"):
        check_at_least(1, batch_size=1, num_threads=0)
    with pytest.raises(ValueError, match="^kind: expected one of a, None, found 'b'$"):
        one_of("kind", "b", ("a", None))


def test_the_nearest_names_whatever_their_case():
    assert nearest("LOUNG", ["long", "Short", "longer"], 2) == ["long", "longer"]
    assert nearest("zzz", ["long"]) == []
    assert did_you_mean("shrot", ["long", "Short"]) == "did you mean Short?"
    assert did_you_mean("x", ["long"], "see --help") == "see --help"
    many = [f"name{number}" for number in range(12)]
    assert did_you_mean("zzz", many).endswith("name8, name9, ...")
    with pytest.raises(TSXError, match="no option 7"):
        check_names({7: 1}, many, "x")

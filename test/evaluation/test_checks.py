"""What holds by definition is checked; one tampered number is refused."""

import csv
import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.bin import report, score
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.checks import check_ensemble, check_same_set, check_scores
from tsx_espnet.evaluation.scores import Score, add_oracle, read_scores, write_scores
from tsx_espnet.evaluation.system import read_experiment

ANSWERS = {
    "energy": {"m1": 4.0, "m3": -2.5},
    "order": {"m1": 1.0, "m2": None, "m3": 2.0},
    "text": {"m1": 3.0, "m2": 7.0, "m3": 1.5},
}
levels = st.none() | st.integers(-1_000_000, 1_000_000).map(lambda number: number / 10_000)


@given(answers=st.dictionaries(st.sampled_from(["energy", "order", "text"]), levels, min_size=1))
def test_what_stage_7_writes_is_never_refused(tmp_path_factory, answers):
    scores = [
        Score("m", condition, "x", "Bark", "estimate", si_sdr_mixture=0.3)
        if value is None
        else Score("m", condition, "x", "Bark", "", value, 1 / 3, value - 1 / 3)
        for condition, value in answers.items()
    ]
    scores = [dataclasses.replace(score, si_sdr_mixture=1 / 3) for score in scores]
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    write_scores(path, add_oracle(scores))
    check_scores(read_scores(path), path)


def test_nothing_that_can_be_measured_is_fine():
    check_scores(add_oracle([Score("m", "text", "x", "Bark", "target")]), "scores.csv")


@pytest.mark.parametrize("column", ["label", "si_sdr", "si_sdr_mixture", "si_sdri"])
@pytest.mark.parametrize("mixture, condition", [("m1", "energy"), ("m1", "text"), ("m3", "oracle")])
@pytest.mark.parametrize("value", ["9.0000", "-9.0000"])
def test_one_tampered_cell_is_refused(write_scored, column, mixture, condition, value):
    path = write_scored("oct", ANSWERS) / "infer/test/scores.csv"
    check_scores(read_scores(path), path)
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if (row["mixture"], row["condition"]) == (mixture, condition):
            row[column] = value
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(TSXError) as error:
        read_experiment(path.parents[2], "test")
    assert str(error.value).startswith(f"{path}: mixture '{mixture}': ")
    assert "stage 7" in str(error.value)


def change(condition, **fields):
    return lambda scores: [
        dataclasses.replace(score, **fields) if score.condition == condition else score
        for score in scores
    ]


def without(condition):
    return lambda scores: [score for score in scores if score.condition != condition]


@pytest.mark.parametrize(
    "spoil, message",
    [
        (change("text", si_sdr=5.0, si_sdri=5.0), "5.0000 dB of text"),
        (
            change("oracle", si_sdr=None, si_sdri=None),
            "none (silent), less than the 1.0000 dB of order",
        ),
        (change("oracle", value="class"), "oracle is 'class', which has no row"),
        (change("oracle", snr=1.0), "oracle and text, which it names, have different numbers"),
        (change("text", si_sdri=None), "text lacks one of SI-SDR"),
        (without("oracle"), "no oracle"),
        (lambda scores: scores + scores[:1], "order occurs twice"),
    ],
)
def test_each_fault_is_named(spoil, message):
    scores = [
        Score("m", condition, "x", "Bark", si_sdr=value, si_sdr_mixture=0.0, si_sdri=value)
        for condition, value in (("order", 1.0), ("text", 2.0))
    ]
    with pytest.raises(TSXError, match=re.escape(message)):
        check_scores(spoil(add_oracle(scores)), "scores.csv")


def test_the_report_refuses_edited_scores(experiment):
    arguments = ["--mixtures", str(experiment.mixtures)]
    score.main([*arguments, "--estimates", str(experiment.estimates), "--skip_bss"])
    path = experiment.estimates / "scores.csv"
    scores = read_scores(path)
    write_scores(path, change("text", si_sdr=60.0, si_sdri=60.0)(scores))
    with pytest.raises(TSXError, match="scores.csv: mixture 'mix00000': .* stage 7"):
        report.main([*arguments, "--exp", str(experiment.exp)])
    assert not (experiment.exp / "RESULTS.md").exists()


def test_an_ensemble_below_a_member_is_refused():
    members = {"a": {"m1": 1.0, "m2": 2.0}, "b": {"m2": 3.0}}
    check_ensemble({"m1": 1.0, "m2": 3.0}, members)
    for worse in ({"m1": 1.0, "m2": 2.5}, {"m2": 3.0}, {"m1": 0.9, "m2": 9.0}):
        with pytest.raises(TSXError, match="oracle ensemble: mixture 'm[12]'.* of [ab]"):
            check_ensemble(worse, members)


def check(*directories):
    check_same_set([read_experiment(directory, "test") for directory in directories])


def test_experiments_of_different_conditions_are_of_the_same_set(write_scored):
    for note in ("one", None):
        one = write_scored("one", {"energy": ANSWERS["energy"]}, mixture_set=note)
        two = write_scored("two", {"text": ANSWERS["text"]}, mixture_set="one")
        pit = write_scored("pit", {"unconditional": {"m1": 1.0, "m2": 1.0, "m3": 1.0, "m4": 1.0}})
        check(one, two, pit)
        check(pit, two, one)


TEXT = {"text": {"m1": 3.0, "m2": 7.0, "m3": 1.5}}
WHOLE = {"unconditional": dict.fromkeys(("m1", "m2", "m3"), 1.0)}


@pytest.mark.parametrize(
    "first, other, options, message",
    [
        (TEXT, {"text": {"m1": 1.0, "m4": 1.0}}, {},
         "text: 2 of 3 ids missing (first 'm2'), 1 unknown (first 'm4')"),
        (WHOLE, {"text": {"m1": 1.0, "m5": 1.0}}, {}, "1 unknown (first 'm5')"),
        (TEXT, {"unconditional": {"m1": 1.0, "m2": 1.0, "m5": 1.0}}, {},
         "1 of 3 ids missing (first 'm3')"),
        (TEXT, {"order": {"m8": 1.0}}, {},
         "none in common: 3 of 3 ids missing (first 'm1'), 1 unknown (first 'm8')"),
        (TEXT, TEXT, {"label": "Rain"}, "mixture 'm1': target is 'Rain', expected 'Bark'"),
        (TEXT, TEXT, {"mixture_set": "two"},
         "its .done names another mixture set (with the same ids)"),
    ],
)  # fmt: skip
def test_other_mixtures_are_refused(write_scored, first, other, options, message):
    same = write_scored("same", first, mixture_set="one")
    last = write_scored("last", other, **{"mixture_set": None, **options})
    with pytest.raises(TSXError) as error:
        check(same, same, last)
    path = last / "infer/test/scores.csv"
    assert str(error.value).startswith(f"{path}: not of the same mixtures as {same}")
    assert str(error.value).endswith(message)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"si_sdr_mixture": 0.5, "si_sdri": 2.5}, "is 0.5000 dB, expected 0.1000 dB"),
        ({"si_sdr_mixture": None, "si_sdr": None, "si_sdri": None}, "is none (silent), expected"),
        ({"value": "purr"}, "text is 'purr', expected 'asked'"),
    ],
)
def test_other_levels_and_questions_are_refused(write_scored, fields, message):
    answers = {"text": {"m1": 3.0}}
    first, other = (write_scored(name, answers, mixture_set=None) for name in ("a", "b"))
    path = other / "infer/test/scores.csv"
    scores = [row for row in read_scores(path) if row.condition != "oracle"]
    write_scores(path, add_oracle([dataclasses.replace(row, **fields) for row in scores]))
    with pytest.raises(TSXError, match=re.escape(message)):
        check(first, other)

"""``scores.csv`` and the oracle; what holds by definition is checked, a tampered number refused."""

import csv
import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.bin import report
from tsx_espnet.bin import score as score_command
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.answers import read_experiment
from tsx_espnet.evaluation.scores import (
    COLUMNS,
    METRICS,
    Score,
    add_oracle,
    check_scores,
    read_scores,
    write_scores,
)

number = st.none() | st.integers(-1_000_000, 1_000_000).map(lambda n: n / 10_000)
line = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1)
score = st.builds(
    Score,
    *(line, st.sampled_from(["energy", "text"]), line, line),
    **dict.fromkeys(METRICS, number),
    clip=line,
    in_mixture=st.just("") | line,
    rest_si_sdr=number,
)


@settings(max_examples=30, deadline=None)
@given(scores=st.lists(score, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    write_scores(path, scores)
    assert read_scores(path) == scores


def test_columns_of_the_contract_come_first():
    assert COLUMNS[:3] == ("mixture", "condition", "value")
    assert {"label", "silent", "si_sdr", "si_sdr_mixture", "si_sdri", "snr"} <= set(COLUMNS)


def test_the_rest_is_measured_by_nothing_but_si_sdr():
    numbers = dict.fromkeys(("si_sdr", "si_sdri", "snr", "sdr", "sir", "sar"), 1.0)
    levels = {"si_sdr_mixture": 0.5, "snr_mixture": 0.25}
    rest = Score("a", "text", "bell", "Bell", **numbers, **levels, rest_si_sdr=7.0).of_rest()
    assert rest == Score("a", "text", "bell", "Bell", si_sdr=7.0, **levels, rest_si_sdr=7.0)


def test_oracle_takes_the_best_condition_of_each_mixture():
    scores = [
        Score("b", "text", "bark", "Bark", si_sdr=3.0),
        Score("a", "text", "bell", "Bell", si_sdr=5.0),
        Score("a", "order", "first", "Bell", si_sdr=7.0),
        Score("a", "energy", "low", "Bell", silent="estimate"),
        Score("c", "text", "rain", "Rain", silent="target"),
    ]
    rows = add_oracle(add_oracle(scores))  # adding it twice is adding it once
    assert [(row.mixture, row.condition) for row in rows] == [
        ("a", "energy"), ("a", "order"), ("a", "text"), ("a", "oracle"),
        ("b", "text"), ("b", "oracle"), ("c", "text"), ("c", "oracle"),
    ]  # fmt: skip
    oracle = [row for row in rows if row.condition == "oracle"]
    assert [(row.value, row.si_sdr, row.silent) for row in oracle] == [
        ("order", 7.0, ""), ("text", 3.0, ""), ("text", None, "target"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("si_sdri", "gain", "missing column si_sdri"),
        ("7.0000", "seven", "csv:2: si_sdr is 'seven'"),
        ("7.0000", "nan", "csv:2: si_sdr is 'nan'"),
        ("text", "colour", "csv:2: unknown condition 'colour'"),
        (",Bell,", ",", "csv:2: expected 15 cells"),
    ],
)
def test_a_spoilt_file_is_refused(tmp_path, old, new, message):
    path = tmp_path / "scores.csv"
    write_scores(path, [Score("a", "text", "bell", "Bell", si_sdr=7.0)])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TSXError, match=message):
        read_scores(path)


def test_a_missing_file_says_which_stage(tmp_path):
    with pytest.raises(TSXError, match="run score"):
        read_scores(tmp_path / "scores.csv")


def test_scores_from_before_the_clips_were_noted_load(tmp_path):
    path = tmp_path / "scores.csv"
    scores = [Score("a", "text", "bell", "Bell", si_sdr=7.0)]
    write_scores(path, scores)
    path.write_text("".join(f"{row.rpartition(',')[0]}\n" for row in path.read_text().splitlines()))
    assert "clip" not in path.read_text()
    assert read_scores(path) == scores
    path.write_text(path.read_text().replace(",Bell,", ","))
    with pytest.raises(TSXError, match="csv:2: expected 14 cells"):
        read_scores(path)


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
    assert "run score" in str(error.value)


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
    score_command.main([*arguments, "--estimates", str(experiment.estimates), "--skip_bss"])
    path = experiment.estimates / "scores.csv"
    scores = read_scores(path)
    write_scores(path, change("text", si_sdr=60.0, si_sdri=60.0)(scores))
    with pytest.raises(TSXError, match="scores.csv: mixture 'mix00000': .* run score again"):
        report.main([*arguments, "--exp", str(experiment.exp)])
    assert not (experiment.exp / "RESULTS.md").exists()

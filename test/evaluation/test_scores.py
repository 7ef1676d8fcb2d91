"""``scores.csv`` and the oracle."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import (
    COLUMNS,
    METRICS,
    Score,
    add_oracle,
    read_scores,
    write_scores,
)

number = st.none() | st.integers(-1_000_000, 1_000_000).map(lambda n: n / 10_000)
line = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1)
score = st.builds(
    Score, line, st.sampled_from(["energy", "text"]), line, line, **dict.fromkeys(METRICS, number)
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
        (",Bell,", ",", "csv:2: expected 14 cells"),
    ],
)
def test_a_spoilt_file_is_refused(tmp_path, old, new, message):
    path = tmp_path / "scores.csv"
    write_scores(path, [Score("a", "text", "bell", "Bell", si_sdr=7.0)])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TSXError, match=message):
        read_scores(path)


def test_a_missing_file_says_which_stage(tmp_path):
    with pytest.raises(TSXError, match="run stage 7"):
        read_scores(tmp_path / "scores.csv")

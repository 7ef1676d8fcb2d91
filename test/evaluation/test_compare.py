"""``tsx_espnet.bin.compare`` on made-up scores."""

import re
import subprocess
import sys

import numpy as np
import pytest

from tsx_espnet.bin.compare import main
from tsx_espnet.errors import TSXError

RANDOM = np.random.default_rng(0)
NAMES = [f"m{number}" for number in range(1, 41)]


def answers(*offsets, names=NAMES):
    conditions = ("energy", "order", "text")[-len(offsets) :]
    return {
        condition: dict(zip(names, offset + 2 * RANDOM.standard_normal(len(names))))
        for condition, offset in zip(conditions, offsets)
    }


@pytest.fixture
def scored(write_scored):
    """Three experiments; the energy of ten mixtures is ambiguous."""
    oct_answers = answers(2, 3, 5)
    oct_answers["energy"] = {name: oct_answers["energy"][name] for name in NAMES[10:]}
    single = {"energy": dict(zip(NAMES[10:], 4 + RANDOM.standard_normal(30)))}
    pit = {"unconditional": dict(zip(NAMES, 6 + RANDOM.standard_normal(40)))}
    tables = {"oct": oct_answers, "single": single, "pit": pit}
    return {name: (write_scored(name, table), table) for name, table in tables.items()}


def run(capsys, *arguments):
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def row(text, name):
    """The cells of the row of a Markdown table that is called ``name``."""
    line = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", text, re.MULTILINE)
    return [cell.strip() for cell in line.group(1).split("|")]


def test_every_number_by_hand(scored, capsys, tmp_path):
    out = tmp_path / "new" / "table.md"
    printed = run(capsys, *(directory for directory, _ in scored.values()), "--out", out)
    text = out.read_text()
    oct_, single, pit = (np.array([table.get(name, np.nan) for name in NAMES]) for table in (
        scored["oct"][1]["text"], scored["single"][1]["energy"], scored["pit"][1]["unconditional"],
    ))  # fmt: skip
    best = np.fmax(np.fmax(oct_, single), pit)
    level = np.arange(1, 41) / 10
    for name, condition, values in (
        ("oct", "text", oct_),
        ("single", "energy", single),
        ("pit", "unconditional", pit),
        ("oracle ensemble", "best of all", best),
    ):
        cells = row(text, name)
        assert cells[:2] == [condition, str(np.sum(~np.isnan(values)))]
        assert float(cells[2]) == pytest.approx(np.nanmean(values), abs=0.006)
        assert float(cells[4]) == pytest.approx(np.nanmean(values - level), abs=0.006)
        low, high = map(float, cells[3].split(" to "))
        assert low < np.nanmean(values) < high
        if name == "oct":
            assert cells[5:8] == ["\N{EN DASH}"] * 3
        else:
            assert cells[5] == str(np.sum(~np.isnan(values - oct_)))
            assert float(cells[6]) == pytest.approx(np.nanmean(values - oct_), abs=0.006)
            low, high = map(float, cells[7].split(" to "))
            assert low < np.nanmean(values - oct_) < high
        if name != "oracle ensemble":
            assert float(cells[8]) == pytest.approx(100 * np.mean(values == best), abs=0.06)
        assert cells[2] in printed
    assert "40 mixtures of test" in text and "10,000 resamples" in text and "paired" in text
    assert f"All of it: {out}" in printed
    assert text.rstrip() == text[:-1]


def test_conditions_by_option_and_by_name(scored, capsys):
    oct_, single, pit = (str(scored[name][0]) for name in ("oct", "single", "pit"))
    words = run(capsys, f"{oct_}:oracle", oct_, single, pit, "--condition", "order").split("\n")
    rows = [line.split()[:2] for line in words[4:8]]
    assert rows == [
        ["oct:oracle", "oracle"], ["oct", "order"], ["single", "energy"], ["pit", "unconditional"],
    ]  # fmt: skip


def test_names_that_are_needed(write_scored, tmp_path, capsys):
    table = answers(1, 2)
    for name in ("a/oct", "b/oct"):
        write_scored(name, table)
    exp = tmp_path / "exp"
    text = run(capsys, exp / "a/oct", f"{exp}/a/oct:order", f"{exp}/b/oct:order")
    assert re.search(r"^oct  .*text", text, re.MULTILINE)
    for name in "ab":
        assert re.search(rf"^{exp}/{name}/oct:order  ", text, re.MULTILINE)
    text = run(capsys, exp / "a/oct", f"{exp}/b/oct")
    assert f"{exp}/a/oct:text" in text


def test_a_directory_with_a_colon(write_scored, capsys):
    table = answers(1)
    both = write_scored("oct:text", table), write_scored("b:c", table)
    assert "b:c" in run(capsys, *both)


def test_the_only_common_test_set(write_scored, capsys):
    table = answers(1)
    for name, sets in (("one", ("x", "y")), ("two", ("y", "z")), ("three", ("x", "y", "z"))):
        for test_set in sets:
            directory = write_scored(name, table, test_set)
    exp = directory.parent
    assert "Comparison on y" in run(capsys, exp / "one", exp / "two")
    assert "Comparison on x" in run(capsys, exp / "one", exp / "three", "--set", "x")
    with pytest.raises(TSXError, match="2 test sets are scored by all .*one: x, y; .*three"):
        main([str(exp / "one"), str(exp / "three")])
    with pytest.raises(TSXError, match="exp/two: no scores of test set 'x'; run score"):
        main([str(exp / "one"), str(exp / "two"), "--set", "x"])
    write_scored("four", table, "w")
    (exp / "five").mkdir()
    for name, listed in (("four", "w"), ("five", "none")):
        with pytest.raises(TSXError, match=f"no test set is scored by all.*exp/{name}: {listed}"):
            main([str(exp / "one"), str(exp / name)])


def test_silence_is_left_out_and_said(write_scored, capsys):
    table = {"text": {**dict.fromkeys(NAMES, 1.0), "m1": None}}
    text = run(
        capsys, write_scored("a", table), write_scored("b", {"text": dict.fromkeys(NAMES, 2)})
    )
    assert "silent: a 1." in text
    cells = text.split("\n")[4].split()
    assert cells[:3] == ["a", "text", "39"] and cells[-1] == "0.0"
    nothing = {"text": dict.fromkeys(NAMES)}
    text = run(capsys, write_scored("c", nothing), write_scored("d", nothing))
    assert "0 mixtures of test" in text and "nan" not in text


def test_other_mixtures_are_refused_with_the_experiment(write_scored):
    table = answers(1)
    first = write_scored("first", table)
    other = write_scored("other", table, mixture_set="two")
    with pytest.raises(TSXError, match="exp/other/.*not of the same mixtures as .*exp/first/"):
        main([str(first), str(other)])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["EXP/oct"], "expected two experiments or more, found 1"),
        (["EXP/oct", "EXP/oct:text"], "exp/oct under text is there twice"),
        (["EXP/oct", "EXP/../exp/oct"], "exp/oct under text is there twice"),
        (["EXP/oct", "EXP/hct"], "EXP/hct: no such directory"),
        (["EXP/oct", "EXP/hct:text"], "EXP/hct: no such directory"),
        (["EXP/oct", "EXP/pit:colour"], "EXP/pit:colour: no condition 'colour'; expected one of"),
        (["EXP/oct", "EXP/pit:text"], "no scores under 'text'; expected one of unconditional"),
        (["EXP/oct", "EXP/pit", "--condition", "colour"], "--condition: no condition 'colour'"),
        (["EXP/oct", "EXP/pit", "--condition", "class"], "class: no experiment has scores under"),
    ],
)
def test_mistakes(scored, tmp_path, arguments, message):
    exp = str(tmp_path / "exp")
    with pytest.raises(TSXError) as error:
        main([argument.replace("EXP", exp) for argument in arguments])
    assert message.replace("EXP", exp) in str(error.value)


def test_a_mistake_ends_as_one_line(tmp_path):
    command = [sys.executable, "-m", "tsx_espnet.bin.compare", str(tmp_path), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1

"""``tsx_espnet.bin.table1``: the paper's numbers, ours by hand, and what was not run."""

import re
from pathlib import Path

import numpy as np
import pytest
from tsx_espnet.bin.table1 import main
from tsx_espnet.evaluation.table1_figure import draw_figure2
from tsx_espnet.evaluation.table1_grid import Grid

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.paper import CLAIMS, DIFFICULTIES, FIGURE2, METHODS, MIXINGS, TABLE1

# Table 1 as printed, read off the page a second time: left half, right half
PRINTED = """
Text only [26]*             6.1  3.9  2.2   8.6  6.0  2.9
Text only (ours)            7.9  5.6  3.1   9.0  6.3  3.3
HCT [24]                    6.8  4.8  2.3   7.0  4.3  2.4
OCT (No phi and g)          8.4  6.0  3.3   9.3  6.5  3.6
OCT++                       8.7  6.2  3.6   9.3  6.7  3.7
(Oracle) OCT (No phi and g) 13.1 11.5 10.5  14.4 12.4 11.2
(Oracle) OCT++              13.2 11.5 10.6  14.7 12.6 11.5
(Oracle) PIT [8]            12.4 10.7 9.8   12.4 10.7 9.8
"""
NAMES = [f"m{number}" for number in range(1, 31)]
DASH = "\N{EN DASH}"


def values(offset, names=NAMES, seed=0):
    random = np.random.default_rng([seed, round(10 * offset) + 1000])
    return dict(zip(names, np.round(offset + 2 * random.standard_normal(len(names)), 4)))


@pytest.fixture
def exp(write_scored, tmp_path):
    """A part of a small grid: three seeds of OCT, all singles, one column; a bit of a second."""
    hard = {"test_set": "test_random_hard"}
    for seed, suffix in enumerate(("", "_seed1", "_seed2")):
        answers = {"order": values(4, seed=seed), "text": values(7.0 + seed, seed=seed)}
        write_scored(f"small_oct_random_hard{suffix}", answers, **hard)
    write_scored("small_text_sbert_random_hard", {"text": values(6)}, **hard)
    write_scored("small_pit_random_hard", {"unconditional": values(9)}, **hard)
    for condition, names in (("energy", NAMES[5:]), ("harmonicity", NAMES[2:]), ("order", NAMES)):
        answers = {condition: values(3, names, seed=len(condition))}
        write_scored(f"small_single_{condition}_random_hard", answers, **hard)
    easy = {"test_set": "test_same_easy", "mixture_set": "two"}
    write_scored("small_text_bert_same_easy", {"text": values(2)}, **easy)
    write_scored("big_text_bert_same_easy", {"text": values(1)}, **easy)
    (tmp_path / "exp" / "small_hct_random_hard").mkdir()
    (tmp_path / "exp" / "small_oct_random_demo").mkdir()
    return tmp_path / "exp"


def run(exp, *options, out="out/table.md"):
    out = exp.parent / out
    main(["--exp", str(exp), "--out", str(out), *map(str, options)])
    return out.read_text()


def rows(text, first):
    """The cells of every table row that starts with ``first``."""
    lines = re.findall(rf"^\| {re.escape(first)} \|(.*)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def test_the_papers_numbers_are_those_printed():
    printed = [line.split()[-6:] for line in PRINTED.strip().split("\n")]
    assert len(TABLE1) == len(printed)
    for row, numbers in zip(TABLE1, printed):
        assert [*row.hard, *row.easy] == [float(number) for number in numbers], row.label
    table = {row.label: np.array(row.hard + row.easy) for row in TABLE1}
    # Sec. 4.2: OCT++ "outperforms the previous state-of-the-art ... by 0.7 to 2.6 dB"
    gains = table["OCT++"] - table["Text only [26]"]
    assert (round(gains.min(), 1), round(gains.max(), 1)) == (0.7, 2.6)
    for minuend, subtrahend in CLAIMS.values():  # "outperforms", "surpasses", "better than"
        if subtrahend.hard:
            assert np.all(np.greater_equal(minuend.hard, subtrahend.hard))
            assert np.all(np.greater_equal(minuend.easy, subtrahend.easy))


def test_rows_are_methods_of_the_recipe():
    conf = Path(__file__).parents[2] / "egs/fsd50k/conf"
    assert {path.stem[len("method_") :] for path in conf.glob("method_*.yaml")} >= set(METHODS)
    columns = {path.stem[len("mix_") :] for path in conf.glob("mix_*.yaml")}
    assert columns >= {f"{mixing}_{level}" for mixing in MIXINGS for level in DIFFICULTIES}


def test_every_number_by_hand(exp, capsys):
    text = run(exp, "--size", "small", "--data_kind", "recordings", "--title", "Ours and theirs")
    printed = capsys.readouterr().out
    seeds = [np.array(list(values(7.0 + seed, seed=seed).values())) for seed in range(3)]
    oracles = [
        np.maximum(list(values(4, seed=seed).values()), text) for seed, text in enumerate(seeds)
    ]
    for label, table, paper in (
        ("OCT (no \N{GREEK SMALL LETTER PHI} and g)", np.mean(seeds, axis=0), 8.4),
        ("(Oracle) OCT (no \N{GREEK SMALL LETTER PHI} and g)", np.mean(oracles, axis=0), 13.1),
        ("Oracle OCT", np.mean(oracles, axis=0), 13.1),
        ("Text only (ours)", np.array(list(values(6).values())), 7.9),
        ("Text (T)", np.array(list(values(6).values())), 7.9),
        ("(Oracle) PIT [8]", np.array(list(values(9).values())), 12.4),
    ):
        cells = rows(text, label)[0]
        assert cells[0] == str(paper)
        assert float(cells[1].split()[0]) == pytest.approx(table.mean(), abs=0.006)
        assert float(cells[2]) == pytest.approx(table.mean() - paper, abs=0.006)
        assert cells[4:6] == ["not run", DASH]
        low, high = interval(table)
        found = re.fullmatch(r"\S+ \((\S+) to (\S+)\)", cells[1]).groups()
        assert [float(bound) for bound in found] == pytest.approx([low, high], abs=0.05)
    means = [seed.mean() for seed in seeds]
    cells = rows(text, "OCT (no \N{GREEK SMALL LETTER PHI} and g)")[2]  # of the seeds
    assert cells[:3] == ["random", "hard", "3"]
    assert float(cells[3]) == pytest.approx(min(means), abs=0.006)
    assert float(cells[4]) == pytest.approx(max(means), abs=0.006)

    assert text.startswith("# Ours and theirs\n\nOurs: **real recordings** (random hard: 30 ")
    assert "The paper's: FSD50K" in text and "same three numbers for oracle PIT" in text
    assert rows(text, "HCT [24]")[0] == [
        "6.8", "not run", DASH, "4.8", "not run", DASH, "2.3", "not run", DASH,
    ]  # fmt: skip
    assert rows(text, "Text only [26]")[1][6].strip() == "2.9"  # the easier half
    bert = np.mean(list(values(2).values()))
    assert float(rows(text, "Text only [26]")[1][7].split()[0]) == pytest.approx(bert, abs=0.006)
    assert "random 30 (Harmonicity (H) 28, Energy (E) 25)" in text
    assert "Not scored yet: `small_hct_random_hard`." in text
    assert "`small_oct_random_hard_seed2`" in text and "big_" not in text and "demo" not in text
    assert rows(text, "OCT++")[0][1] in printed and "Input SNR U[0, 5] dB" in printed


def interval(table):
    from scipy.stats import bootstrap

    found = bootstrap((table,), np.mean, n_resamples=10_000, method="percentile", rng=2)
    return found.confidence_interval


def test_the_ensemble_and_the_claims_by_hand(exp):
    text = run(exp, "--size", "small")
    tables = [values(6)] + [
        values(3, names, seed=len(condition))
        for condition, names in (
            ("energy", NAMES[5:]), ("harmonicity", NAMES[2:]), ("order", NAMES),
        )
    ]  # fmt: skip
    best = np.array([max(table.get(name, -99) for table in tables) for name in NAMES])
    (cells,) = [row for row in rows(text, "Oracle ensemble") if row[1] != "not run"]
    assert cells[0] == cells[2] == DASH
    assert float(cells[1].split()[0]) == pytest.approx(best.mean(), abs=0.006)

    oct_ = np.mean([list(values(7.0 + seed, seed=seed).values()) for seed in range(3)], axis=0)
    sbert = np.array(list(values(6).values()))
    (cells,) = rows(text, "OCT - text only (ours), by text")
    assert cells[:4] == ["random", "hard", "30", "+0.5"]
    assert float(cells[4]) == pytest.approx((oct_ - sbert).mean(), abs=0.006)
    low, high = interval(oct_ - sbert)
    found = [float(bound) for bound in cells[5].split(" to ")]
    assert found == pytest.approx([low, high], abs=0.05)
    (cells,) = rows(text, "oracle OCT - oracle PIT")
    best_oct = [
        np.maximum(
            list(values(4, seed=seed).values()), list(values(7.0 + seed, seed=seed).values())
        )
        for seed in range(3)
    ]
    expected = np.mean(best_oct) - np.mean(list(values(9).values()))
    assert cells[3] == "+0.7" and float(cells[4]) == pytest.approx(expected, abs=0.006)
    (cells,) = rows(text, "oracle OCT - oracle ensemble of H, O, T, E")
    assert cells[3] == DASH
    for name in ("OCT - HCT, by text", "OCT++ - OCT, by text", "text only (ours) - text only [26]"):
        assert rows(text, name) == []


def test_seeds_of_an_ensemble_that_do_not_coincide(exp, write_scored):
    def mean():
        return Grid(exp, "small").cell(FIGURE2[4], ("random", "hard"))

    before = mean()
    answers = {"text": values(60)}  # a second seed of one member alone changes nothing
    write_scored("small_text_sbert_random_hard_seed1", answers, "test_random_hard")
    assert mean() == before
    (exp / "small_text_sbert_random_hard").rename(exp / "elsewhere")
    assert mean().mean.value > 50  # one of each
    (exp / "small_single_order_random_hard").rename(exp / "order")
    assert mean() is None


def test_without_a_size_and_of_another(exp, write_scored):
    assert "Read: `big_text_bert_same_easy`." in run(exp, "--size", "big")
    with pytest.raises(TSXError) as error:
        run(exp)
    for word in (f"{exp}: no scored experiment", "<method>_<mixing>_", "octpp", "--size big"):
        assert word in str(error.value)
    write_scored("oct_same_easy", {"text": values(2)}, "test_same_easy")
    text = run(exp)
    assert "Ours: sounds of which `--data_kind` does not say" in text and "## Seeds" not in text
    assert "No pair of them was run." in text and "hard: " not in text


def test_the_figure_has_what_was_run(exp, write_scored, tmp_path):
    def size(path):
        data = path.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")

    figure = tmp_path / "out" / "figures" / "two.png"
    text = run(exp, "--size", "small", "--figure", figure)
    assert "](figures/two.png)" in text
    one = size(figure)
    same = {"test_set": "test_same_easy", "mixture_set": "two"}
    write_scored("small_text_sbert_same_easy", {"text": values(2)}, **same)
    run(exp, "--size", "small", "--figure", figure)
    assert size(figure)[0] == one[0] and size(figure)[1] > 1.4 * one[1]
    write_scored("small_text_sbert_different_hard", {"text": values(2)}, "test_different_hard")
    run(exp, "--size", "small", "--figure", figure)
    assert size(figure)[0] > 1.2 * one[0]


def test_no_bar_no_figure(exp, tmp_path):
    assert draw_figure2(tmp_path / "none.png", Grid(exp, "big")) is False
    assert not (tmp_path / "none.png").exists()
    assert "](none.png)" not in run(exp, "--size", "big", "--figure", tmp_path / "none.png")


def test_a_column_of_two_test_sets_is_refused(exp, write_scored):
    hard = {"test_set": "test_random_hard", "mixture_set": "two"}
    write_scored("small_octpp_random_hard", {"text": values(6)}, **hard)
    with pytest.raises(TSXError, match="octpp_random_hard/.*not of the same mixtures as .*_oct_"):
        run(exp, "--size", "small")
    assert not (exp.parent / "out").exists()


def test_a_model_that_was_not_asked_is_named(exp, write_scored):
    write_scored("small_octpp_random_hard", {"order": values(6)}, "test_random_hard")
    with pytest.raises(TSXError, match="octpp_random_hard/.*no scores under 'text'"):
        run(exp, "--size", "small")


def test_mistakes(tmp_path):
    with pytest.raises(TSXError, match="nowhere: no such directory"):
        run(tmp_path / "nowhere")
    with pytest.raises(TSXError, match=f"{tmp_path}: no scored experiment .*stage 7"):
        run(tmp_path)

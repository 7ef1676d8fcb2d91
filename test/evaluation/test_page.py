"""``tsx_espnet.bin.study``: the papers' numbers, ours by hand, verdicts, and what was not run."""

import re
from pathlib import Path

import numpy as np
import pytest
import small_study

from tsx_espnet.bin.study import main
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import Score, add_oracle, write_scores
from tsx_espnet.tables import mark_done

ROOT = Path(__file__).parents[2]
DASH = "\N{EN DASH}"
NAMES = [f"m{number}" for number in range(1, 31)]
KIND = "random_soundbeam"
LABELS = ("Camera", "Electric_guitar", "Male_speech", "Owl")


def values(offset, names=NAMES, seed=0):
    random = np.random.default_rng([seed, round(10 * offset) + 1000])
    return dict(zip(names, np.round(offset + 2 * random.standard_normal(len(names)), 4)))


def array(*tables):
    """The mean of several, as an array over the mixtures."""
    return np.mean([list(table.values()) for table in tables], axis=0)


@pytest.fixture
def oct_exp(write_scored, tmp_path):
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


def gains(offset):
    return {f"m{number}": value for number, value in enumerate(values(offset).values())}


def write(directory, test_set, bss=True, **answers):
    """Scores of condition -> mixture -> SDRi; ``m<k>`` itself has -k/10 dB."""
    scores = []
    for condition, table in answers.items():
        for mixture, gain in table.items():
            level = -int(mixture[1:]) / 10
            found = {"si_sdr_mixture": level - 0.1, "sdr_mixture": level if bss else None}
            if gain is None:
                found["silent"] = "estimate"
            else:
                found.update(si_sdr=level - 0.1 + gain - 1, si_sdri=gain - 1)
                found["sdr"] = level + gain if bss else None
            label = LABELS[int(mixture[1:]) % 4]
            clip = f"clip{int(mixture[1:]) % 12}"
            scores.append(Score(mixture, condition, "asked", label, clip=clip, **found))
    out = directory / "infer" / test_set
    write_scores(out / "scores.csv", add_oracle(scores))
    mark_done(out, mixtures=test_set, model=directory.name)


@pytest.fixture
def few_shot(tmp_path):
    """A small study: Enrl and K=5 of Mixed missing, two seeds of Mixed, one adapted model."""
    exp = tmp_path / "exp"
    write(exp / f"small_onehot_{KIND}", f"test_{KIND}", **{"class": gains(8)})
    write(exp / f"small_onehot_{KIND}", f"new_seen_{KIND}", **{"class": gains(7.5)})
    for seed, suffix in enumerate(("", "_seed1")):
        mixed = exp / f"small_mixed_{KIND}{suffix}"
        answers = {"class": gains(9 + seed), "enrollment": gains(6 + seed)}
        write(mixed, f"test_{KIND}", **answers)
        write(mixed, f"new_{KIND}_K1", enrollment=gains(3.1 + seed))
        write(mixed, f"new_{KIND}_K10", enrollment={**gains(5.1 + seed), "m3": None})
    adapted = exp / f"small_mixed_el_{KIND}"
    for draw, suffix in enumerate(("", "_draw1", "_draw2")):
        write(adapted, f"new_{KIND}_K10{suffix}", enrollment=gains(5 + draw / 2))
        for init, offset in (("average", 9.5), ("random", 2.5)):
            out = adapted / "new_classes" / f"{init}_K10{suffix}"
            write(out, f"new_{KIND}", **{"class": gains(offset + draw / 2)})
    out = exp / f"small_mixed_{KIND}" / "new_classes" / "average_K10"
    write(out, f"new_{KIND}", **{"class": gains(4.9)})
    (exp / f"small_enrl_{KIND}").mkdir()
    (exp / "small_oct_random_hard").mkdir()
    write(exp / f"big_enrl_{KIND}", f"test_{KIND}", bss=False, enrollment=gains(4))
    return exp


def run(exp, *options, paper="fsd50k", size="small"):
    out = exp.parent / "out" / "TABLES.md"
    paper = ROOT / f"egs/{paper}/paper.yaml"
    words = ("--paper", paper, "--exp", exp, "--out", out, "--size", size, *options)
    main([str(word) for word in words])
    return out.read_text()


def section(text, head):
    """The part under a heading, up to the next one of its level or above."""
    level = head.split(" ")[0]
    return re.split(rf"^#{{1,{len(level)}}} ", text.split(f"\n{head}\n", 1)[1], flags=re.M)[0]


def rows(text, first):
    """The cells of every table row that starts with ``first``."""
    lines = re.findall(rf"^\| {re.escape(first)} \|(.*)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def interval(table):
    from scipy.stats import bootstrap

    found = bootstrap((table,), np.mean, n_resamples=10_000, method="percentile", rng=2)
    return found.confidence_interval


def check_cell(cell, table, runs):
    """Mean, interval over the mixtures, and the number of runs."""
    found = re.fullmatch(r"(\S+) \((\S+) to (\S+)\) \[(\d+)\]", cell).groups()
    assert float(found[0]) == pytest.approx(table.mean(), abs=0.006)
    assert [float(end) for end in found[1:3]] == pytest.approx(list(interval(table)), abs=0.05)
    assert int(found[3]) == runs


HARD = "## Table 1: input SNR U[0, 2.5] dB, at least 80 % overlap"
EASY = "## Table 1: input SNR U[0, 5] dB, at least 60 % overlap"
BARS = "## Figure 2 (a): input SNR U[0, 2.5] dB, at least 80 % overlap"


def test_models_that_hear_the_sources_are_marked_in_every_table(oct_exp):
    name = "small_text_sbert_random_hard"
    out = oct_exp / name / "infer" / "test_random_hard"
    mark_done(out, mixtures="one", model=name, oracle=True)
    text = run(oct_exp)
    for head, label in (
        (HARD, "Text only (ours) (oracle)"),
        (BARS, "Text (T) (oracle)"),
        (BARS, "Oracle ensemble (oracle)"),
        ("## Runs: SI-SDR", "Text only (ours) (oracle), Random"),
    ):
        assert rows(section(text, head), label)
    assert not rows(section(text, HARD), "Text only (ours)")
    for label in ("Energy (E)", "OCT (no φ and g)", "(Oracle) PIT [8]"):
        assert rows(text, label) and not rows(text, f"{label} (oracle)")
    claims = re.findall(r"^\| (.* - .*?) \|.*\|$", section(text, "## Claims: SI-SDR"), re.M)
    assert any("OCT" in claim and "Text" not in claim for claim in claims)
    for claim in claims:
        assert claim.endswith("(oracle)") == ("Text" in claim or "ensemble" in claim)


def test_every_number_of_oct_by_hand(oct_exp, capsys):
    text = run(oct_exp, "--data_kind", "recordings", "--title", "Ours and theirs")
    printed = capsys.readouterr().out
    seeds = [values(7.0 + seed, seed=seed) for seed in range(3)]
    best = [
        dict(zip(NAMES, np.maximum(array(values(4, seed=seed)), array(by_text))))
        for seed, by_text in enumerate(seeds)
    ]
    for head, label, table, runs, paper in (
        (HARD, "OCT (no φ and g)", array(*seeds), 3, 8.4),
        (HARD, "(Oracle) OCT (no φ and g)", array(*best), 3, 13.1),
        (BARS, "Oracle OCT", array(*best), 3, 13.1),
        (HARD, "Text only (ours)", array(values(6)), 1, 7.9),
        (BARS, "Text (T)", array(values(6)), 1, 7.9),
        (HARD, "(Oracle) PIT [8]", array(values(9)), 1, 12.4),
    ):
        (cells,) = rows(section(text, head), label)
        assert cells[0] == str(paper)
        check_cell(cells[1], table, runs)
        assert float(cells[2]) == pytest.approx(table.mean() - paper, abs=0.006)
        assert cells[4:6] == ["not run", DASH]
    runs = section(section(text, "## Runs: SI-SDR"), f"#{HARD}")
    (cells,) = rows(runs, "OCT (no φ and g), Random")
    means = [array(seed).mean() for seed in seeds]
    assert cells[:3] == ["3", "3", DASH]
    assert [float(end) for end in cells[3:5]] == pytest.approx([min(means), max(means)], abs=6e-3)

    assert text.startswith("# Ours and theirs\n\nPaper: Tzinis")
    assert "Ours: **real recordings**. The paper's: FSD50K" in text
    assert "same three numbers for oracle PIT" in text
    assert rows(text, "Random (random_hard)") == [["30", DASH, "1", "1.55"]]
    assert rows(text, "Different (different_hard)")[0][0] == "not run"
    assert rows(section(text, HARD), "HCT [24]")[0] == [
        "6.8", "not run", DASH, "4.8", "not run", DASH, "2.3", "not run", DASH,
    ]  # fmt: skip
    (bert,) = rows(section(text, EASY), "Text only [26]")
    assert bert[6] == "2.9"
    check_cell(bert[7], array(values(2)), 1)
    assert "Harmonicity (H), Random: 28 of 30; Energy (E), Random: 25 of 30." in text
    assert "Not scored yet: `small_hct_random_hard`." in text
    assert "`small_oct_random_hard_seed2`" in text and "big_" not in text and "demo" not in text
    assert rows(section(text, HARD), "OCT (no φ and g)")[0][1] in printed


def test_the_ensemble_and_claims_of_oct_by_hand(oct_exp):
    text = run(oct_exp)
    tables = [values(6)] + [
        values(3, names, seed=len(condition))
        for condition, names in (
            ("energy", NAMES[5:]), ("harmonicity", NAMES[2:]), ("order", NAMES),
        )
    ]  # fmt: skip
    best = np.array([max(table.get(name, -99) for table in tables) for name in NAMES])
    (cells,) = rows(section(text, BARS), "Oracle ensemble")
    assert cells[0] == cells[2] == DASH
    check_cell(cells[1], best, 1)

    claims = section(text, "## Claims: SI-SDR")
    # text only was trained once: the difference is that of the first seed, and open
    (cells,) = rows(claims, "OCT (no φ and g) - Text only (ours), Random")
    expected = array(values(7.0)) - array(values(6))
    assert cells[:2] == ["30", "+0.5"] and cells[3] == DASH  # scores that know no clips
    assert float(cells[2]) == pytest.approx(expected.mean(), abs=0.006)
    assert cells[5:] == [DASH, "1 of 1 (1 seed)", "open"]
    (cells,) = rows(claims, "(Oracle) OCT (no φ and g) - (Oracle) PIT [8], Random")
    oracle = np.maximum(array(values(4)), array(values(7.0)))
    expected = oracle.mean() - array(values(9)).mean()
    assert cells[1] == "+0.7" and float(cells[2]) == pytest.approx(expected, abs=0.006)
    (cells,) = rows(claims, "oracle OCT - oracle ensemble of H, O, T, E, Random")
    assert cells[1] == DASH
    (cells,) = rows(claims, "(Oracle) OCT (no φ and g) - OCT (no φ and g), Random")
    assert cells[6] == "3 of 3 (3 seeds)"
    for name in ("OCT (no φ and g) - HCT [24], Random", "OCT++ - OCT (no φ and g), Random"):
        assert rows(text, name) == []
    assert re.search(r"\n7 of 183 pairs were run: 0 holds, 0 reversed, 7 open, 0 tie\.\n", claims)


def test_of_another_size(oct_exp, write_scored):
    text = run(oct_exp, size="big")
    assert "Read: `big_text_bert_same_easy`." in text
    assert "Ours: sounds; whether recorded or synthetic was not stated (`--data_kind`)." in text
    assert "No pair of them was run." in text


def size_of(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_the_figure_has_what_was_run(oct_exp, write_scored, tmp_path):
    figure = tmp_path / "out" / "figures" / "two.png"
    assert "](figures/two.png)" in run(oct_exp, "--figure", figure)
    one = size_of(figure)
    same = {"test_set": "test_same_easy", "mixture_set": "two"}
    write_scored("small_text_sbert_same_easy", {"text": values(2)}, **same)
    run(oct_exp, "--figure", figure)
    assert size_of(figure)[0] == one[0] and size_of(figure)[1] > 1.4 * one[1]
    write_scored("small_text_sbert_different_hard", {"text": values(2)}, "test_different_hard")
    run(oct_exp, "--figure", figure)
    assert size_of(figure)[0] > 1.2 * one[0]


def test_no_bar_no_figure(few_shot, tmp_path):
    options = ("--figure", tmp_path / "none.png")
    assert ".png" not in run(few_shot, *options, size="big", paper="fsdkaggle2018")
    assert not (tmp_path / "none.png").exists()
    assert "](../two.png)" in run(few_shot, "--figure", tmp_path / "two.png", paper="fsdkaggle2018")
    assert size_of(tmp_path / "two.png")[0] > 400


def test_the_tables_of_soundbeam_by_hand(few_shot):
    text = run(few_shot, paper="fsdkaggle2018")
    table = section(text, "## Table 1: seen classes")
    (by_class,) = rows(table, "by class (1-hot)")
    (by_recording,) = rows(table, "by recording (Enrl)")
    assert by_class[0::3] == ["11.4", DASH, "12.6", "12.9"]
    assert by_recording[0::3] == [DASH, "10.4", "10.5", "10.1"]
    assert by_class[4] == DASH and by_class[10] == by_recording[4] == "not run"
    assert by_recording[1] == DASH and by_recording[10] == "not run"
    check_cell(by_class[1], array(gains(8)), 1)
    check_cell(by_class[7], array(gains(9)), 1)  # of the seed that both cells of the row have
    assert "by class (1-hot), Mixed: seed 1." in table
    check_cell(by_recording[7], array(gains(6), gains(7)), 2)
    (line,) = rows(section(text, "## The same in SI-SDRi"), "by class (1-hot)")
    assert len(line) == 4 and float(line[2].split()[0]) == pytest.approx(
        array(gains(9)).mean() - 1, abs=0.006
    )
    table = section(text, "## Table 2: mixtures with a new class")
    (mixed,), (el,) = rows(table, "Mixed"), rows(table, "Mixed+EL")
    assert mixed[0::3] == ["11.6", "4.4", "7.2", "7.5"] and mixed[7] == "not run"
    heard = [
        {name: gain for name, gain in gains(5.1 + seed).items() if name != "m3"} for seed in (0, 1)
    ]
    check_cell(mixed[10], array(*heard), 2)
    assert "Mixed, New, K=10: 29 of 30" in table
    check_cell(el[10], array(gains(5), gains(5.5), gains(6)), 3)
    (adapted,) = rows(table, "Mixed +adapt (avg init)")
    assert adapted[9] == DASH
    check_cell(adapted[10], array(gains(4.9)), 1)
    assert rows(table, "Mixed +adapt (rnd init)") == []  # neither printed nor run
    level = np.mean([-number / 10 for number in range(30)])
    (cells,) = rows(text, "seen classes and a new one, target: new")
    assert cells[:4] == ["30", "12", "4", "-4.0"]
    assert [float(cell) for cell in cells[4:]] == pytest.approx([level, level - 0.1], abs=0.006)


def test_the_claims_of_soundbeam_by_hand(few_shot):
    text = run(few_shot, paper="fsdkaggle2018")
    claims = section(text, "## Claims: SDRi")
    table = [array(gains(9.5 + draw / 2)) - array(gains(5 + draw / 2)) for draw in range(3)]
    (cells,) = rows(claims, "+adapt (avg init) - Mixed+EL, New, K=10")
    assert cells[:2] == ["30", "+0.8"]
    assert float(cells[2]) == pytest.approx(np.mean(table), abs=0.006)
    # twelve clips, each of one class, six of them in three mixtures
    difference = np.mean(table, axis=0)
    clips = [np.array([d for n, d in enumerate(difference) if n % 12 == c]) for c in range(12)]
    random = np.random.default_rng(3)
    drawn = [np.concatenate([clips[i] for i in random.integers(12, size=12)]).mean()
             for _ in range(4000)]  # fmt: skip
    found = [float(end) for end in cells[3].split(" to ")]
    assert found == pytest.approx(list(np.quantile(drawn, [0.025, 0.975])), abs=0.12)
    means = [one.mean() for one in table]
    ends = [float(end) for end in cells[5].split(" to ")]
    assert ends == pytest.approx([min(means), max(means)], abs=0.006)
    assert cells[6:] == ["3 of 3 (1 seed)", "holds"]
    (cells,) = rows(claims, "Mixed - Mixed+EL, New, K=10")
    assert cells[6].endswith("of 1 (1 seed)") and cells[7] == "open"
    (cells,) = rows(claims, "Mixed+EL - +adapt (rnd init), New, K=10")
    assert cells[7] == "holds"
    (cells,) = rows(section(text, "## Claims: SI-SDRi"), "+adapt (avg init) - Mixed+EL, New, K=10")
    assert len(cells) == 7 and float(cells[1]) == pytest.approx(np.mean(table), abs=0.006)
    assert "+adapt (avg init) - Enrl" not in claims


def test_class_by_class(few_shot):
    text = run(few_shot, paper="fsdkaggle2018")
    table = section(text, "## Class by class: SDRi")
    assert "| class | mixtures | 1-hot (dB) | Mixed (dB) |" in table
    name = "+adapt (avg init); seen classes and a new one, target: new"
    (owl,) = rows(section(table, f"### {name}"), "Owl")
    expected = array(*(gains(9.5 + draw / 2) for draw in range(3)))[3::4]
    assert owl[0] == "7" and float(owl[1]) == pytest.approx(expected.mean(), abs=0.006)
    assert rows(section(text, "## Figure"), "Owl")[0][:2] == owl
    runs = section(text, "## Runs: SDRi")
    (cells,) = rows(runs, "+adapt (avg init), New, K=10")
    assert cells[:3] == ["3", "1", "3"] and " to " in cells[5] and " to " in cells[6]


def test_without_bss_eval(few_shot, capsys):
    write(few_shot / f"big_onehot_{KIND}", f"test_{KIND}", bss=False, **{"class": gains(5)})
    text = run(few_shot, size="big", paper="fsdkaggle2018")
    assert "The scores hold no SDRi" in text
    (cells,) = rows(section(text, "## Table 1: seen classes"), "by recording (Enrl)")
    assert cells[4] == "not scored"
    (cells,) = rows(section(text, "## The same in SI-SDRi"), "by recording (Enrl)")
    assert float(cells[1].split()[0]) == pytest.approx(array(gains(4)).mean() - 1, abs=0.006)
    assert "## Claims: SDRi" not in text
    (cells,) = rows(text, "1-hot, by class - Enrl, by recording; seen classes")
    expected = (array(gains(5)) - array(gains(4))).mean()
    assert float(cells[1]) == pytest.approx(expected, abs=0.006)
    assert "## Class by class: SI-SDRi" in text
    assert rows(text, "seen classes and a new one, target: new")[0] == [
        "not run", DASH, DASH, "-4.0", DASH, DASH,
    ]  # fmt: skip
    assert "Table 1: seen classes (SI-SDRi)" in capsys.readouterr().out


def test_the_generated_sounds_of_mini(tmp_path, capsys):
    for method, gain in (("text_sbert", {"text": 60}), ("oct", {"text": 80, "energy": 20})):
        for seed in ("", "_seed1", "_seed2"):
            tag = f"short_{method}_random_demo{seed}"
            small_study.write(tmp_path / "exp", tag, "test_random_demo", gain, clip="c")
    text = run(tmp_path / "exp", "--data_kind", "synthetic", paper="mini", size="short")
    assert "paper (dB)" not in section(text, "## All methods") and "**synthetic**" in text
    assert section(text, "## Single conditions").count("\n|") == 4  # a header, two of six rows
    (cells,) = rows(section(text, "## Claims: SI-SDR"), "oct - text_sbert, test")
    assert cells[6:] == ["3 of 3 (3 seeds)", "holds"]


def test_a_table_of_which_nothing_was_run_says_so(tmp_path):
    gain = {"energy": 20}
    small_study.write(tmp_path / "exp", "single_energy_random_demo", "test_random_demo", gain)
    text = run(tmp_path / "exp", paper="mini", size="")
    assert section(text, "## All methods").strip() == "Not run."
    assert "No pair of them was run." in text


def test_nothing_is_written_when_it_fails(few_shot):
    out = few_shot.parent / "out"
    with pytest.raises(TSXError, match="no scored experiment"):
        run(few_shot, size="medium", paper="fsdkaggle2018")
    with pytest.raises(TSXError, match="option --out is required"):
        main(["--paper", str(ROOT / "egs/fsd50k/paper.yaml"), "--exp", str(few_shot)])
    assert not out.exists()

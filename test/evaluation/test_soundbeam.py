"""``tsx_espnet.bin.soundbeam_tables``: the paper's numbers, ours by hand, and what was not run."""

import re

import numpy as np
import pytest
from tsx_espnet.bin.soundbeam_tables import main
from tsx_espnet.evaluation.soundbeam_gains import Gains
from tsx_espnet.evaluation.soundbeam_orderings import verdict
from tsx_espnet.evaluation.soundbeam_paper import (
    CLAIMS,
    METHODS,
    PRINTED,
    claims,
    new,
    new_seen,
    seen,
)

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import Score, add_oracle, write_scores
from tsx_espnet.tables import mark_done

KIND = "random_soundbeam"
NAMES = [f"m{number}" for number in range(24)]
DASH = "\N{EN DASH}"
SEEN_LABELS = ("Bark", "Flute", "Meow")
NEW_LABELS = ("Camera", "Electric_guitar", "Male_speech", "Owl")

# both tables as the page prints them, read off it a second time
TABLE_1 = """
1-hot 11.4 - 12.6 12.9
Enrl - 10.4 10.5 10.1
"""
TABLE_2 = """
1-hot 10.5 - - -
Enrl 10.4 4.9 7.0 7.0
Mixed 11.6 4.4 7.2 7.5
Mixed+EL 11.8 3.2 7.1 7.4
+adapt (rnd init) - 0.2 3.4 5.1
+adapt (avg init) - 3.8 7.8 8.2
"""


def values(offset, names=NAMES):
    """Mixture -> dB of gain, spread by 2 dB around ``offset``; some others for each offset."""
    random = np.random.default_rng(1000 + round(100 * offset))
    return dict(zip(names, np.round(offset + 2 * random.standard_normal(len(names)), 4)))


def write(directory, test_set, labels=SEEN_LABELS, bss=True, asked="asked", level=0.1, **answers):
    """Scores of condition -> mixture -> BSS-eval SDRi; its SI-SDRi is 1 dB less.

    The mixture ``m<k>`` itself has -k/10 dB of SDR, and ``level`` dB less than that of SI-SDR.
    """
    scores = []
    for condition, gains in answers.items():
        for mixture, gain in gains.items():
            number = int(mixture[1:])
            sdr, si_sdr = -number / 10, -number / 10 - level
            found = {"si_sdr_mixture": si_sdr, "sdr_mixture": sdr if bss else None}
            if gain is None:
                found["silent"] = "estimate"
            else:
                found.update(si_sdr=si_sdr + gain - 1, si_sdri=gain - 1)
                found["sdr"] = sdr + gain if bss else None
            label = labels[number % len(labels)]
            scores.append(Score(mixture, condition, asked, label, **found))
    out = directory / "infer" / test_set
    write_scores(out / "scores.csv", add_oracle(scores))
    mark_done(out, mixtures=test_set, model=directory.name)


def write_new(directory, shots, gains, draw="", **options):
    options = {"labels": NEW_LABELS, "asked": f"{shots}", "enrollment": gains, **options}
    write(directory, f"new_{KIND}_K{shots}{draw}", **options)


def write_adapted(directory, init, shots, gains, draw=""):
    out = directory / "new_classes" / f"{init}_K{shots}{draw}"
    write(out, f"new_{KIND}", labels=NEW_LABELS, **{"class": gains})


@pytest.fixture
def exp(tmp_path):
    """A small study: Enrl and K=5 of Mixed missing, two seeds of Mixed, one adapted model."""
    exp = tmp_path / "exp"
    write(exp / f"small_onehot_{KIND}", f"test_{KIND}", **{"class": values(8)})
    write(exp / f"small_onehot_{KIND}", f"new_seen_{KIND}", **{"class": values(7.5)})
    for seed, suffix in enumerate(("", "_seed1")):
        mixed = exp / f"small_mixed_{KIND}{suffix}"
        gains = {"class": values(9 + seed), "enrollment": values(6 + seed)}
        write(mixed, f"test_{KIND}", **gains)
        write_new(mixed, 1, values(3.1 + seed))
        write_new(mixed, 10, {**values(5.1 + seed), "m3": None})
    adapted = exp / f"small_mixed_el_{KIND}"
    write_new(adapted, 10, values(5))
    write_adapted(adapted, "average", 10, values(6.5))
    write_adapted(adapted, "random", 10, values(2.5))
    write_adapted(exp / f"small_mixed_{KIND}", "average", 10, values(4.9))
    (exp / f"small_enrl_{KIND}").mkdir()
    (exp / "small_oct_random_hard").mkdir()
    write(exp / f"big_enrl_{KIND}", f"test_{KIND}", bss=False, enrollment=values(4))
    return exp


def run(exp, *options, size="small"):
    out = exp.parent / "out" / "RESULTS.md"
    sizes = ("--size", size) if size else ()
    main(["--exp", str(exp), "--out", str(out), *sizes, *map(str, options)])
    return out.read_text()


def section(text, head):
    """The part under a heading, up to the next one of its level or above."""
    level = head.split(" ")[0]
    return re.split(rf"^#{{1,{len(level)}}} ", text.split(f"\n{head}\n", 1)[1], flags=re.M)[0]


def rows(text, first):
    """The cells of every table row that starts with ``first``."""
    lines = re.findall(rf"^\| {re.escape(first)} \|(.*)\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def interval(data):
    from scipy.stats import bootstrap

    found = bootstrap((data,), np.mean, n_resamples=10_000, method="percentile", rng=2)
    return found.confidence_interval


def array(gains):
    return np.array([gains[name] for name in NAMES if gains[name] is not None])


def mean(*seeds):
    """The mean over seeds, as an array over the mixtures."""
    return np.mean([array(seed) for seed in seeds], axis=0)


def test_the_papers_numbers_are_those_printed():
    def numbers(text):
        lines = [line.rsplit(" ", 4) for line in text.strip().split("\n")]
        return {name: [None if c == "-" else float(c) for c in cells] for name, *cells in lines}

    first, second = numbers(TABLE_1), numbers(TABLE_2)
    for name, condition in (("1-hot", "class"), ("Enrl", "enrollment")):
        assert [PRINTED.get(seen(m, condition)) for m in METHODS] == first[name]
    for method, name in METHODS.items():
        expected = second[name.replace(" ", "")]
        assert [PRINTED.get(new_seen(method)), *(PRINTED.get(new(method, k)) for k in (1, 5, 10))]\
            == expected  # fmt: skip
    for init, name in (("random", "+adapt (rnd init)"), ("average", "+adapt (avg init)")):
        assert [PRINTED.get(new("mixed_el", k, init)) for k in (1, 5, 10)] == second[name][1:]
    assert len(PRINTED) == 6 + 4 + 9 + 6


def test_the_papers_orderings_are_of_its_text():
    printed = {c.name: c.printed for c in (*CLAIMS, *claims("mixed_el"))}
    assert all(difference > 0 for difference in printed.values())
    rounded = {name: round(difference, 1) for name, difference in printed.items()}
    assert rounded["Mixed - 1-hot, seen, by class"] == 1.2  # "by more than 1 dB"
    assert rounded["Mixed+EL - 1-hot, seen, by class"] == 1.5
    assert rounded["Mixed+EL - Mixed, seen, by class"] == 0.3
    assert rounded["1-hot - Enrl, seen"] == 1.0
    assert rounded["Mixed - Enrl, new, K=10"] == 0.5
    adapted = [n for name, n in rounded.items() if name.startswith("Mixed+EL: adapt (avg init)")]
    assert adapted == [3.6, 4.4, 3.1, 0.6, 0.7, 0.8]  # "by up to 0.8 dB"
    for name, five, ten in (("Enrl", 2.1, 2.1), ("Mixed", 2.8, 3.1), ("Mixed+EL", 3.9, 4.2)):
        assert rounded[f"{name}: K=5 - K=1, new"] == five
        assert rounded[f"{name}: K=10 - K=1, new"] == ten
    assert all(c.printed is None for c in claims("mixed"))


def test_table_1_by_hand(exp, capsys):
    text = run(exp, "--data_kind", "recordings", "--title", "Ours and theirs")
    table = section(text, "## Table 1: seen classes")
    (by_class,), (by_recording,) = rows(table, "1-hot"), rows(table, "Enrl")
    assert by_class[0::2] == ["11.4", DASH, "12.6", "12.9"]
    assert by_recording[0::2] == [DASH, "10.4", "10.5", "10.1"]
    assert by_class[3] == DASH and by_class[7] == by_recording[3] == "not run"
    assert by_recording[1] == DASH and by_recording[7] == "not run"
    mixed = mean(values(9), values(10))
    for cell, expected in (
        (by_class[1], mean(values(8))),
        (by_class[5], mixed),
        (by_recording[5], mean(values(6), values(7))),
    ):
        found = [float(n) for n in re.fullmatch(r"(\S+) \((\S+) to (\S+)\)", cell).groups()]
        assert found[0] == pytest.approx(expected.mean(), abs=0.006)
        assert found[1:] == pytest.approx(list(interval(expected)), abs=0.05)
    (line,) = rows(section(text, "## Tables 1 and 2 in SI-SDRi"), "1-hot")[:1]
    assert len(line) == 4 and float(line[2].split()[0]) == pytest.approx(
        mixed.mean() - 1, abs=0.006
    )

    assert text.startswith("# Ours and theirs\n\nOurs: **real recordings** (seen: 24 mixtures of ")
    assert "FSDKaggle2018" in text and f"Not scored yet: `small_enrl_{KIND}`." in text
    assert "big_" not in text and "random_hard" not in text
    printed = capsys.readouterr().out
    assert by_class[5] in printed and "Mixed - 1-hot, seen, by class" in printed
    assert "|" not in printed and printed.endswith("out/RESULTS.md\n")


def test_table_2_by_hand(exp):
    text = run(exp)
    table = section(text, "## Table 2: mixtures with a new class")
    onehot, enrl, mixed, mixed_el = (rows(table, name)[0] for name in METHODS.values())
    assert onehot[0] == "10.5" and onehot[2:] == [DASH] * 6
    assert float(onehot[1].split()[0]) == pytest.approx(mean(values(7.5)).mean(), abs=0.006)
    assert enrl == ["10.4", "not run", "4.9", "not run", "7.0", "not run", "7.0", "not run"]
    assert mixed[1] == mixed[5] == "not run" and mixed[0::2] == ["11.6", "4.4", "7.2", "7.5"]
    heard = [name for name in NAMES if name != "m3"]
    ten = np.mean([[values(5.1 + seed)[name] for name in heard] for seed in (0, 1)])
    assert float(mixed[7].split()[0]) == pytest.approx(ten, abs=0.006)
    assert "Mixed, K=10: 23 of 24" in text
    averaged, theirs = rows(table, "+adapt (avg init)")  # under Mixed, under Mixed+EL
    assert averaged[:3] == [DASH, DASH, DASH] and averaged[6] == DASH
    assert float(averaged[7].split()[0]) == pytest.approx(mean(values(4.9)).mean(), abs=0.006)
    assert theirs[2::2] == ["3.8", "7.8", "8.2"] and theirs[3] == "not run"
    assert float(theirs[7].split()[0]) == pytest.approx(mean(values(6.5)).mean(), abs=0.006)
    names = [line.split(" | ")[0] for line in table.split("\n") if line.startswith("| ")][2:]
    assert [name[2:] for name in names] == ["1-hot", "Enrl", "Mixed", "+adapt (rnd init)",
        "+adapt (avg init)", "Mixed+EL", "+adapt (rnd init)", "+adapt (avg init)"]  # fmt: skip


def test_the_mixtures_themselves(exp):
    text = run(exp)
    level = np.mean([-number / 10 for number in range(24)])
    for name, classes, paper in (
        ("seen classes", 3, -3.6),
        ("seen classes and a new one, target: seen", 3, -3.4),
        ("seen classes and a new one, target: new", 4, -4.0),
    ):
        cells = rows(text, name)[0]
        assert cells[:3] == ["24", str(classes), str(paper)]
        assert [float(cell) for cell in cells[3:]] == pytest.approx([level, level - 0.1], abs=0.006)


def test_the_orderings_by_hand(exp, tmp_path):
    enrl = exp / f"small_enrl_{KIND}"
    write(enrl, f"test_{KIND}", enrollment={**values(8), "m0": values(8)["m0"] + 0.01})
    write_new(enrl, 10, values(9))
    text = section(run(exp), "## The paper's orderings")
    table = section(text, "### SDRi")
    for name, difference, paper, said in (
        ("Mixed - 1-hot, seen, by class", mean(values(9)) - mean(values(8)), "+1.2", 0),
        ("1-hot - Enrl, seen", np.r_[-0.01, np.zeros(23)], "+1.0", "open"),
        ("Mixed+EL: adapt (avg init) - adapt (rnd init), new, K=10",
         mean(values(6.5)) - mean(values(2.5)), "+3.1", "holds"),
        ("Mixed: adapt (avg init) - no adaptation, new, K=10",
         np.delete(mean(values(4.9)), 3) - np.delete(mean(values(5.1)), 3), DASH, 0),
    ):  # fmt: skip
        (cells,) = rows(table, name)
        assert cells[:2] == [str(len(difference)), paper]
        assert float(cells[2]) == pytest.approx(difference.mean(), abs=0.006)
        low, high = interval(difference)
        found = [float(bound) for bound in cells[3].split(" to ")]
        assert found == pytest.approx([low, high], abs=0.06)
        signs = "holds" if low > 0 else "fails" if high < 0 else "open"
        assert cells[5] == f"{int(difference.mean() > 0)} of 1"  # the seed that both have
        assert cells[6] == (said or signs)
        assert (cells[4] == DASH) == ("new" not in name)
    (cells,) = rows(table, "Mixed - Enrl, new, K=10")
    assert cells[5:] == ["0 of 1", "fails"] and float(cells[3].split()[-1]) < 0
    (missing,) = rows(table, "Mixed+EL - Mixed, seen, by class")
    assert missing == [DASH, "+0.3", "not run", DASH, DASH, DASH, DASH]
    assert rows(section(text, "### SI-SDRi"), "Mixed - Enrl, new, K=10")[0][1] == cells[2]
    assert "same K recordings serve every mixture of a class" in text


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0.01, 0.02, 0.02, 0.01, 0.02, 0.01], "holds"),
        ([0.001] * 6, "open"),  # once "0.00 (0.00 to 0.00)" held
        ([-0.001] * 6, "open"),
        ([-1.0] * 6, "fails"),
        ([1.0] * 4, "open"),  # too few
    ],
)
def test_a_verdict_is_of_the_numbers_that_are_printed(values, expected):
    gains = {f"m{number}": value for number, value in enumerate(values)}
    assert verdict(Gains(gains, dict.fromkeys(gains, "Bark"))) == expected


def test_class_by_class(exp):
    text = run(exp)
    table = section(text, "## Seen classes: SDRi")
    assert "| class | mixtures | 1-hot (dB) | Mixed (dB) |" in table
    (flute,) = rows(table, "Flute")
    mine = [number for number in range(24) if number % 3 == 1]
    expected = [mean(values(8))[mine].mean(), mean(values(9), values(10))[mine].mean()]
    assert flute[0] == "8"
    assert [float(cell) for cell in flute[1:]] == pytest.approx(expected, abs=0.006)
    mixed_el = section(text, "## New classes: SDRi").split("### Mixed+EL")[1]
    columns = ["K=10", "+adapt (rnd init) K=10", "+adapt (avg init) K=10"]
    assert f"| {' | '.join(f'{name} (dB)' for name in columns)} |" in mixed_el
    (owl,) = rows(mixed_el, "Owl")
    expected = [mean(values(offset))[3::4].mean() for offset in (5, 2.5, 6.5)]
    assert [float(cell) for cell in owl[1:]] == pytest.approx(expected, abs=0.006)
    assert rows(section(text, "## Figure 2"), "Owl")[0][:2] == ["6", owl[3]]
    (cells,) = rows(section(text, "## New classes: two intervals"), "Mixed+EL, K=10")
    assert cells[:2] == ["24", "4"] and " to " in cells[4]
    (cells,) = rows(section(text, "## Seeds and draws"), "Mixed, seen, by class")
    ends = [array(values(9)).mean(), array(values(10)).mean()]
    ends = [min(ends), max(ends)]
    ends += [end - 1 for end in ends]
    assert cells[:3] == ["2", "2", "1"]
    assert [float(cell) for cell in cells[3:]] == pytest.approx(ends, abs=0.006)


def test_draws_of_the_recordings(exp):
    """A table is of all draws; a difference is of those that both sides have."""
    mixed_el = exp / f"small_mixed_el_{KIND}"
    write_new(mixed_el, 10, values(4), draw="_draw1")
    write_new(mixed_el, 10, values(9.5), draw="_draw7")
    write_new(mixed_el, 1, values(2))
    write_new(mixed_el, 1, values(7), draw="_draw1")
    write_adapted(mixed_el, "average", 10, values(4.5), draw="_draw1")
    text = run(exp)
    (cells,) = rows(section(text, "## New classes: two intervals"), "Mixed+EL, K=10")
    expected = mean(values(5), values(4), values(9.5))
    assert float(cells[2]) == pytest.approx(expected.mean(), abs=0.006)
    low, high = interval(expected)
    found = [float(bound) for bound in cells[3].split(" to ")]
    assert found == pytest.approx([low, high], abs=0.05)
    table = section(section(text, "## The paper's orderings"), "### SDRi")
    for name, minuends, subtrahends in (
        ("Mixed+EL: K=10 - K=1, new", (5, 4), (2, 7)),
        ("Mixed+EL: adapt (avg init) - no adaptation, new, K=10", (6.5, 4.5), (5, 4)),
    ):
        (cells,) = rows(table, name)
        pairs = zip(minuends, subtrahends)
        differences = [(array(values(a)) - array(values(b))).mean() for a, b in pairs]
        assert float(cells[2]) == pytest.approx(np.mean(differences), abs=0.006)
        assert cells[5] == f"{(np.array(differences) > 0).sum()} of 2"
    (cells,) = rows(section(text, "## Seeds and draws"), "Mixed+EL, K=10")
    ends = [min(mean(values(v)).mean() for v in (4, 5, 9.5))]
    ends.append(mean(values(9.5)).mean())
    assert cells[:3] == ["3", "1", "3"]
    assert [float(cell) for cell in cells[3:5]] == pytest.approx(ends, abs=0.006)


def test_models_without_a_run_in_common_are_compared_by_their_means(exp):
    mixed_el = exp / f"small_mixed_el_{KIND}"
    for seed in (2, 3):
        write(exp / f"{mixed_el.name}_seed{seed}", f"test_{KIND}", **{"class": values(9 + seed)})
    text = section(section(run(exp), "## The paper's orderings"), "### SDRi")
    (cells,) = rows(text, "Mixed+EL - Mixed, seen, by class")
    difference = mean(values(11), values(12)) - mean(values(9), values(10))
    assert float(cells[2]) == pytest.approx(difference.mean(), abs=0.006)
    assert cells[5] == "1 of 1"


def test_the_figure(exp, tmp_path):
    figure = tmp_path / "out" / "images" / "two.png"
    assert "](images/two.png)" in run(exp, "--figure", figure)
    data = figure.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(data[16:20], "big") > 400
    figure.unlink()
    text = run(exp, "--figure", figure, size="big")
    assert not figure.exists() and ".png" not in text and "Not run." in text


def test_without_bss_eval(exp, capsys):
    write(exp / f"big_onehot_{KIND}", f"test_{KIND}", bss=False, **{"class": values(5)})
    text = run(exp, size="big")
    assert "hold no BSS-eval SDR" in text
    assert rows(section(text, "## Table 1: seen classes"), "Enrl")[0][3] == "not scored"
    (cells,) = rows(section(text, "## Tables 1 and 2 in SI-SDRi"), "Enrl")[:1]
    expected = array(values(4)).mean() - 1
    assert float(cells[1].split()[0]) == pytest.approx(expected, abs=0.006)
    one, other = (rows(text, "1-hot - Enrl, seen")[index] for index in (0, 1))
    assert one == [DASH, "+1.0", "not scored", DASH, DASH, DASH, DASH]
    assert float(other[1]) == pytest.approx((array(values(5)) - array(values(4))).mean(), abs=6e-3)
    assert "## Seen classes: SI-SDRi" in text and "## New classes" not in text
    assert rows(text, "seen classes and a new one, target: new")[0] == [
        "not run", DASH, "-4.0", DASH, DASH,
    ]  # fmt: skip
    assert "Table 1 (SI-SDRi)" in capsys.readouterr().out


def test_only_what_was_asked_for_is_taken(exp):
    text = run(exp, size="big")
    assert "Ours: sounds of which `--data_kind` does not say" in text
    with pytest.raises(TSXError) as error:
        run(exp, size="medium")
    for word in (f"{exp}: no scored experiment", f"medium_<method>_{KIND}", "mixed_el", "stage 7",
                 f"infer/new_{KIND}_K<K>", "<init>_K<K>", "--size big, --size small"):  # fmt: skip
        assert word in str(error.value)
    with pytest.raises(TSXError, match="_other.*no scored experiment|no scored experiment.*_other"):
        run(exp, "--kind", "other")
    with pytest.raises(TSXError, match="nowhere: no such directory"):
        run(exp / "nowhere")
    assert not (exp / "out").exists()


def test_other_mixtures_are_refused(exp):
    mixed_el = exp / f"small_mixed_el_{KIND}"
    write(mixed_el, f"test_{KIND}", **{"class": values(9, NAMES[1:])})
    with pytest.raises(TSXError, match="not of the same mixtures as .*: class: 1 unknown .*m0"):
        run(exp)
    (mixed_el / "infer" / f"test_{KIND}" / "scores.csv").unlink()
    for change, message in (
        ({"labels": NEW_LABELS[::-1]}, "'m0': target is 'Owl', expected 'Camera'"),
        ({"level": 0.5}, "'m0': SI-SDR of the mixture is -0.5000 dB, expected -0.1000 dB"),
        ({"enrollment": values(3, ["m77"])}, "none in common"),
    ):
        write_new(mixed_el, 5, values(4), **change)
        with pytest.raises(TSXError, match=f"_K5/scores.csv: not of the same .*_K1/.*{message}"):
            run(exp)

"""``paper.yaml``: the papers' numbers as printed, every printed pair a claim, mistakes by name."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tsx_espnet.bin.study import main
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.paper_yaml import read_paper

ROOT = Path(__file__).parents[2]
NAMES = ("paper.yaml", "controls.yaml", "new_classes.yaml")
PAPERS = sorted(path for name in NAMES for path in ROOT.glob(f"egs/*/{name}"))
FSD50K, FSDKAGGLE = (ROOT / f"egs/{name}/paper.yaml" for name in ("fsd50k", "fsdkaggle2018"))

# the tables as printed, read off the pages a second time
OCT = """
Text only [26]*             6.1  3.9  2.2   8.6  6.0  2.9
Text only (ours)            7.9  5.6  3.1   9.0  6.3  3.3
HCT [24]                    6.8  4.8  2.3   7.0  4.3  2.4
OCT (No phi and g)          8.4  6.0  3.3   9.3  6.5  3.6
OCT++                       8.7  6.2  3.6   9.3  6.7  3.7
(Oracle) OCT (No phi and g) 13.1 11.5 10.5  14.4 12.4 11.2
(Oracle) OCT++              13.2 11.5 10.6  14.7 12.6 11.5
(Oracle) PIT [8]            12.4 10.7 9.8   12.4 10.7 9.8
"""
SEEN = """
1-hot 11.4 - 12.6 12.9
Enrl - 10.4 10.5 10.1
"""
NEW = """
1-hot 10.5 - - -
Enrl 10.4 4.9 7.0 7.0
Mixed 11.6 4.4 7.2 7.5
Mixed+EL 11.8 3.2 7.1 7.4
+adapt (rnd init) - 0.2 3.4 5.1
+adapt (avg init) - 3.8 7.8 8.2
"""


def numbers(text, columns):
    lines = [line.split()[-columns:] for line in text.strip().split("\n")]
    return [tuple(None if cell == "-" else float(cell) for cell in line) for line in lines]


def claims(paper):
    return {claim.name: claim for group in paper.all_claims().values() for claim in group}


def test_the_numbers_of_oct_are_those_printed():
    paper = read_paper(FSD50K)
    tables = ([row.printed for row in table.rows if row.has_numbers] for table in paper.tables)
    hard, easy = list(tables)[:2]
    assert [(*left, *right) for left, right in zip(hard, easy)] == numbers(OCT, 6)
    table = {row.name: np.array(row.printed + other.printed) for row, other in
             zip(paper.tables[0].rows, paper.tables[1].rows) if row.has_numbers}  # fmt: skip
    # Sec. 4.2: OCT++ "outperforms the previous state-of-the-art ... by 0.7 to 2.6 dB"
    gains = table["OCT++"] - table["Text only [26]"]
    assert (round(gains.min(), 1), round(gains.max(), 1)) == (0.7, 2.6)
    for above, below in (  # "outperforms", "surpasses", "better than"
        ("OCT (no φ and g)", "Text only (ours)"),
        ("OCT (no φ and g)", "HCT [24]"),
        ("OCT++", "OCT (no φ and g)"),
        ("Text only (ours)", "Text only [26]"),
        ("(Oracle) OCT (no φ and g)", "(Oracle) PIT [8]"),
    ):
        assert np.all(table[above] >= table[below])
    every = [claim for group in paper.all_claims().values() for claim in group]
    assert all(claim.printed >= 0 for claim in every if claim.printed is not None)
    printed = {claim.name: claim.printed for claim in every[:84]}
    assert printed["OCT (no φ and g) - Text only (ours), Random"] == pytest.approx(0.5)


def test_the_numbers_of_soundbeam_are_those_printed():
    paper = read_paper(FSDKAGGLE)
    seen, new = ([row.printed for row in t.rows if any(row.printed)] for t in paper.tables)
    assert (seen, new) == (numbers(SEEN, 4), numbers(NEW, 4))
    assert [one.mixture for one in paper.sets.values()] == [-3.6, -3.4, -4.0]
    printed = {name: claim.printed for name, claim in claims(paper).items()}
    for name, difference in (
        ("by class (1-hot): Mixed - 1-hot", 1.2),  # "by more than 1 dB"
        ("by class (1-hot): Mixed+EL - 1-hot", 1.5),
        ("by class (1-hot): Mixed+EL - Mixed", 0.3),
        ("by recording (Enrl): Enrl - Mixed+EL", 0.3),
        ("1-hot, by class - Enrl, by recording; seen classes", 1.0),
        ("1-hot - Enrl, Seen", 0.1),
        ("Mixed+EL - Enrl, New, K=10", 0.4),
        ("Enrl: New, K=5 - New, K=1", 2.1),
        ("Enrl: New, K=5 - New, K=10", 0.0),
        ("Mixed+EL: New, K=10 - New, K=1", 4.2),
        ("+adapt (avg init) - Mixed+EL, New, K=10", 0.8),  # "by up to 0.8 dB"
        ("+adapt (avg init) - +adapt (rnd init), New, K=1", 3.6),
        ("Mixed: adapt (avg init) - no adaptation, New, K=1", None),
    ):
        assert printed[name] == (None if difference is None else pytest.approx(difference)), name


def test_every_printed_pair_is_a_claim_once():
    """8 rows: 28 pairs a column; Tables 1 and 2 of SoundBeam: counted by hand."""
    groups = read_paper(FSD50K).all_claims()
    assert list(groups)[0] == "Primary contrasts"
    # five of the primary contrasts are printed, in three columns
    assert [len(group) for group in groups.values()] == [9 * 3, 84 - 5 * 3, 84, 3]
    # Table 1: 3 + 3 in rows, 1 + 1 in columns; Table 2: 6 Seen, 10 for each K, 3 in each of 5 rows
    groups = read_paper(FSDKAGGLE).all_claims().values()
    assert [len(group) for group in groups] == [11, 8 - 3, 6 + 3 * 10 + 5 * 3 - 8, 7]
    for path in PAPERS:
        every = [c for group in read_paper(path).all_claims().values() for c in group]
        assert len({frozenset((c.above, c.below)) for c in every}) == len(every)
        assert all(c.above.set == c.below.set for c in every)


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: "/".join(path.parts[-2:]))
def test_rows_are_methods_and_columns_ways_of_mixing_of_the_recipe(path):
    paper, conf = read_paper(path), path.parent / "conf"
    methods = {f"method_{method}.yaml" for method in paper.methods()}
    assert methods <= {p.name for p in conf.iterdir()}
    kinds = {one.kind for one in paper.sets.values() if one.difficulty}
    assert {f"mix_{kind}.yaml" for kind in kinds} <= {p.name for p in conf.iterdir()}


def listed(capsys, path, *options):
    main(["--paper", str(path), "--list_runs", *options])
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_the_runs_of_oct(capsys):
    runs = listed(capsys, FSD50K)
    assert len(runs) == 60 == len({run[0] for run in runs})  # 10 methods, 6 columns
    assert ["oct_same_easy", "oct", "same", "easy", "0", "no"] in runs
    options = ("--mixings", "same random", "--difficulties", "hard", "--methods", "octpp pit")
    runs = listed(capsys, FSD50K, *options, "--size", "small", "--seeds", "0 2")
    assert [run[0] for run in runs] == [
        f"small_{method}_{mixing}_hard{seed}"
        for seed in ("", "_seed2")
        for mixing in ("random", "same")
        for method in ("octpp", "pit")
    ]


def test_the_controls_of_oct_are_printed_as_in_its_table(capsys):
    """The same numbers for the same systems, and runs of sets that the paper does not have."""
    path = FSD50K.parent / "controls.yaml"
    runs = listed(capsys, path)
    assert {(run[2], run[3]) for run in runs} == {
        *(("random", "bits"), ("different", "bits")),
        *(("random", "drawn"), ("different", "drawn"), ("same", "drawn")),
    }
    assert len(runs) == 2 * 3 + 3 * 4
    table = read_paper(FSD50K).tables[0]
    printed = {(row.name, row.printed) for row in table.rows}
    drawn = read_paper(path).tables[1]
    assert drawn.columns == tuple(f"{column}, drawn" for column in table.columns)
    assert {(row.name, row.printed) for row in drawn.rows} < printed
    known = read_paper(FSD50K)
    assert {row.name for table in read_paper(path).tables for row in table.rows} <= {
        row.name for table in known.tables for row in table.rows
    }


def test_the_runs_of_soundbeam(capsys):
    assert listed(capsys, FSDKAGGLE, "--kind", "random_events", "--seeds", "1") == [
        [f"{method}_random_events_seed1", method, "random", "events", "1", "yes"]
        for method in ("onehot", "enrl", "mixed", "mixed_el")
    ]


def test_the_runs_are_listed_without_torch():
    """Recipes ask for them first, and should not wait."""
    program = "import sys; from tsx_espnet.bin.study import main; main(sys.argv[1:]); "
    program += "assert not {'torch', 'scipy', 'matplotlib', 'espnet2'} & set(sys.modules)"
    words = [sys.executable, "-c", program, "--paper", str(FSD50K), "--list_runs"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 60


@pytest.mark.parametrize(
    "options, message",
    [
        (("--methods", "octp"), "--methods: .* none called 'octp'; did you mean octpp"),
        (("--mixings", "demo"), "--mixings: .* 'demo'; expected one of random, different, same"),
        (("--seeds", "0 one"), "--seeds: expected whole numbers, found '0 one'"),
        (("--seeds", " "), "--seeds: expected whole numbers"),
        (("--kind", "random_demo"), "--kind random_demo: there is more than one here: different_"),
        (("--paper", "none.yaml"), "none.yaml: no such file"),
    ],
)
def test_runs_that_the_paper_has_not(options, message):
    with pytest.raises(TSXError, match=message):
        main(["--paper", str(FSD50K), "--list_runs", *options])


def documented():
    """The example of docs/paper_yaml.md."""
    text = (ROOT / "docs/paper_yaml.md").read_text()
    return yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.S)[1])


def write(tmp_path, change):
    found = documented()
    change(found)
    path = tmp_path / "paper.yaml"
    path.write_text(yaml.safe_dump(found, allow_unicode=True, sort_keys=False))
    return read_paper(path)


def test_the_documented_example(tmp_path):
    paper = write(tmp_path, lambda found: None)
    assert list(claims(paper)) == [
        "Ours - Text only, Hard", "(Oracle) ours - Text only, Hard", "(Oracle) ours - Ours, Hard",
        "Ours - Text only, Easy",
    ]  # fmt: skip
    assert [run[0] for run in paper.runs()][:2] == ["text_sbert_random_hard", "oct_random_hard"]


def test_primary_contrasts_come_first_and_are_claims_once(tmp_path):
    primary = [{"above": {"system": "best"}, "below": {"system": "ours"}}]
    primary[0]["columns"] = [{"set": "hard"}]
    paper = write(tmp_path, set_to("primary", value=primary))
    groups = paper.all_claims()
    assert list(groups) == ["Primary contrasts", "Table 1"]
    (claim,) = groups["Primary contrasts"]
    assert claim.name == "(Oracle) ours - Ours, Hard" and claim.printed == pytest.approx(4.7)
    assert [claim.name for claim in groups["Table 1"]] == [
        "Ours - Text only, Hard", "(Oracle) ours - Text only, Hard", "Ours - Text only, Easy",
    ]  # fmt: skip
    primary[0]["below"] = {"system": "theirs"}
    with pytest.raises(TSXError, match="primary: below: no system 'theirs'"):
        write(tmp_path, set_to("primary", value=primary))
    primary[0]["below"] = {"system": "ours", "set": "easy"}
    with pytest.raises(TSXError, match="primary: .*sets 'hard' and 'easy' are not of the same"):
        write(tmp_path, set_to("primary", value=primary))


def test_the_best_of_several_runs_is_of_an_ensemble(tmp_path):
    two = {"name": "Two", "best_of": ["ours"], "seeds": 2}
    paper = write(tmp_path, set_to("systems", "best", value=two))
    cell = next(row.cells[0] for row in paper.tables[0].rows if row.name == "Two")
    assert cell.seeds == 2 and [member.method for member in cell.best_of] == ["oct"]
    for wrong in (0, "two"):
        with pytest.raises(TSXError, match=f"seeds: expected an integer .* found {wrong!r}"):
            write(tmp_path, set_to("systems", "best", value={**two, "seeds": wrong}))
    single = {"name": "Ours", "method": "oct", "condition": "text", "seeds": 2}
    with pytest.raises(TSXError, match="seeds: only with best_of"):
        write(tmp_path, set_to("systems", "best", value=single))


def test_the_other_output_of_a_system(tmp_path):
    rest = {"name": "Rest", "method": "oct", "condition": "text", "output": "rest"}
    paper = write(tmp_path, set_to("systems", "best", value=rest))
    cells = {row.name: row.cells[0] for row in paper.tables[0].rows}
    assert cells["Rest"].output == "rest" and cells["Ours"].output == "target"
    assert cells["Rest"] != cells["Ours"]
    assert dataclasses.replace(cells["Rest"], output="target") == cells["Ours"]
    with pytest.raises(TSXError, match="output: no estimate 'rests'; did you mean rest"):
        write(tmp_path, set_to("systems", "best", value={**rest, "output": "rests"}))
    several = {"name": "Best", "best_of": ["ours"], "output": "rest"}
    with pytest.raises(TSXError, match="output: only of a single system, in SI-SDR"):
        write(tmp_path, set_to("systems", "best", value=several))

    def in_snr(found):
        found["systems"]["best"], found["metric"] = rest, "SNR"

    with pytest.raises(TSXError, match="output: only of a single system, in SI-SDR"):
        write(tmp_path, in_snr)


def set_to(*keys, value):
    def change(found):
        for key in keys[:-1]:
            found = found[key]
        found[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (set_to("tabels", value=[]), "the file: no field 'tabels'; did you mean tables"),
        (lambda found: found.pop("sets"), "the file: missing: sets"),
        (set_to("metric", value="SISDR"), "no metric 'SISDR'; did you mean SI-SDR"),
        (set_to("sets", value=[1]), "the file: sets: expected names and their fields"),
        (set_to("sets", "hard", "scores", value="test"), "hard: scores: expected .../infer/N"),
        (set_to("sets", "hard", "scores", value="infer/{kind"), "scores: 'infer/{kind': "),
        (set_to("sets", "easy", "mixture", value="low"), "sets: easy: mixture: expected a number"),
        (set_to("systems", "ours", "conditon", value="text"), "ours: no field 'condit"),
        (set_to("systems", "ours", value="oct"), "systems: ours: expected fields and their values"),
        (set_to("tables", 0, "rows", 1, "system", value="our"), "no system 'our'; did you mean"),
        (set_to("tables", 0, "columns", 0, "set", value="same"), "no set 'same'"),
        (set_to("tables", 0, "columns", 0, "set", value=["same"]), r"no set \['same'\]"),
        (set_to("tables", 0, "columns", 0, value="hard"), "Table 1: expected fields"),
        (set_to("tables", 0, "rows", value=None), "tables: missing: rows"),
        (set_to("tables", 0, "rows", 1, "printed", value=[1.0]),
         "Table 1: Ours: printed: expected 2 numbers"),
        (set_to("tables", 0, "rows", 1, "printed", value=[1.0, "2"]),
         r"Table 1: Ours: printed: expected a number in \[-100, 100\], found '2'"),
        (lambda found: found["systems"]["ours"].pop("condition"),
         "Table 1: Ours, Hard: no condition"),
        (set_to("claims", 0, "below", "set", value="hard"), "'easy' and 'hard' are not of"),
        (set_to("claims", 0, "above", value={"system": "ours"}), "ours above text .*: no set"),
        (set_to("figure", 0, "line", value={"at": 5}), "figure: Means: line: missing: text"),
        (set_to("figure", 0, value={"title": "x", "classes": {"system": "ours"}}), "x: no set"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path, change, message):
    with pytest.raises(TSXError, match="paper.yaml: .*" + message):
        write(tmp_path, change)


def test_a_cell_that_lacks_a_field_is_empty_unless_a_number_is_printed(tmp_path):
    def change(found):
        found["sets"]["easy"]["scores"] = "infer/new_{kind}_K{K}{draw}"
        found["claims"] = []

    with pytest.raises(TSXError, match="Table 1: Text only, Easy: no K"):
        write(tmp_path, change)

    def with_k(found):
        change(found)
        found["tables"][0]["columns"][1]["K"] = 5

    cells = [row.cells[1] for row in write(tmp_path, with_k).tables[0].rows]
    assert cells[0].scores == "infer/new_random_easy_K5{draw}"

    def without_numbers(found):
        change(found)
        for row in found["tables"][0]["rows"]:
            row["printed"][1] = None

    assert write(tmp_path, without_numbers).tables[0].rows[0].cells[1] is None

"""``tools/check_claims.py`` on a page and its results, and on each way in which they can part."""

import runpy
from pathlib import Path

import pytest
import small_study

from tsx_espnet.bin.study import main as study
from tsx_espnet.evaluation.markdown import markdown

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "check_claims.py"))

CLAIMS = [
    ["difference", "mixtures", "paper (dB)", "ours (dB)", "over clips (dB)", "runs", "verdict"],
    ["Mixed - 1-hot, seen", "500", "+1.2", "+0.44", "0.06 to 0.84", "2 of 2", "open"],
    ["Mixed+EL: K=10 - K=1, new", "500", "+4.2", "-3.92", "-4.49 to -3.36", "6 of 6", "reversed"],
    ["Mixed - Enrl, new, K=5", "500", "+0.2", "+1.20", "0.91 to 1.52", "3 of 3", "holds"],
    ["Mixed - Enrl, new, K=10", "500", "+0.5", "+0.13", "-0.59 to 0.31", "1 of 3", "open"],
]
MEANS = [
    ["system", "1-hot: paper (dB)", "ours (dB)", "Mixed: paper (dB)", "ours (dB)"],
    ["by class", "11.4", "7.97 (6.92 to 8.97)", "12.6", "8.41 (7.53 to 9.29)"],
]
UNJUDGED = [
    ["difference", "mixing", "mixtures", "ours (dB)"],
    ["OCT - HCT, by text", "random", "1000", "+1.91"],
    ["OCT - HCT, by text", "same", "1000", "+2.91"],
]
RESULTS = f"""# Results

## Claims: SDRi

{markdown(CLAIMS)}

## Table 1

{markdown(MEANS)}

- By recording, Mixed is 0.17 dB above Enrl.

## Grid

{markdown(UNJUDGED)}
"""
PAGE = """# A method

## What we measured

All of it is in [the results](../egs/corpus/RESULTS.md). <!-- no claim -->

| model | paper | ours |
| :--- | ---: | ---: |
| 1-hot | 11.4 | 7.97 |
| Mixed | 12.6 | 8.41 |

| the paper has | paper (dB) | ours (dB) | runs | verdict |
| :--- | ---: | ---: | ---: | ---: |
| Mixed above 1-hot, seen | +1.2 | +0.44 (0.06 to 0.84) | 2 of 2 | open |
| Mixed + EL: K = 10 above K = 1, new | +4.2 | -3.92 | 6 of 6 | reversed |

Whether Mixed is better by 0.4 dB is open: it is in 2 of 2 runs.
<!-- claim: Mixed - 1-hot = open -->

1. By recording, it is above Enrl by 0.2 dB. <!-- rows: By recording, Mixed -->
2. With five recordings, that holds.
   <!-- claim: Claims: SDRi / Mixed - Enrl, new, K=5 = holds -->

### Elsewhere

OCT is 1.91 dB above HCT, which is open. <!-- claim: OCT - HCT, by text, random = open -->
"""


@pytest.fixture
def check(tmp_path, capsys):
    """``check(page, results)``: the lines printed; the status is 1 if there are any, else 0."""
    page, results = tmp_path / "docs" / "page.md", tmp_path / "egs" / "corpus" / "RESULTS.md"
    page.parent.mkdir(parents=True)
    results.parent.mkdir(parents=True)

    def run(text=PAGE, published=RESULTS):
        page.write_text(text)
        if published is not None:
            results.write_text(published)
        with pytest.raises(SystemExit) as stopped:
            TOOL["main"]([str(page)])
        printed = capsys.readouterr().out.replace(str(tmp_path.resolve()) + "/", "").splitlines()
        assert stopped.value.code == bool(printed)
        return printed

    return run


def test_a_page_that_agrees(check):
    assert check() == []


@pytest.mark.parametrize(
    "old, new, line, words",
    [
        # a number: of a table of means, of a claim, of a text
        ("| 8.41 |", "| 8.14 |", 10, "lacks 8.14 in line"),
        ("| 12.6 |", "| 11.4 |", 10, "lacks 11.4 in line"),  # that of another model
        ("+0.44", "+0.45", 14, "line 7 lacks 0.45: | Mixed - 1-hot, seen | 500 | +1.2 | +0.44 |"),
        ("| -3.92", "| +3.92", 15, "line 8 lacks 3.92"),
        ("(0.06 to 0.84)", "(0.06 to 0.85)", 14, "line 7 lacks 0.06 to 0.85"),
        ("+0.44 (0.06", "+0.84 (0.06", 14, "line 7 lacks 0.84"),  # an end of its interval
        ("by 0.4 dB", "by 0.5 dB", 17, "lacks 0.5 in line 7"),
        ("by 0.2 dB", "by 0.3 dB", 20, "lacks 0.3 in line 18"),
        ("1.91 dB above", "2.91 dB above", 26, "lacks 2.91 in line 24"),  # of the other mixing
        # runs
        ("| 2 of 2 |", "| 3 of 3 |", 14, "line 7 lacks 3 of 3"),
        ("| 2 of 2 |", "| – |", 14, "line 7: 2 of 2 runs, which is not said"),
        ("in 2 of 2 runs", "in 6 of 6 runs", 17, "lacks 6 of 6 in line 7"),
        # a verdict: of a table, of a comment, of a text
        ("2 of 2 | open |", "2 of 2 | holds |", 14, "line 7: open, stated is ['holds']"),
        ("2 of 2 | open |", "2 of 2 | – |", 14, "line 7: open, stated is no verdict"),
        ("1-hot = open", "1-hot = holds", 17, "line 7: 'Mixed - 1-hot' is open, not 'holds'"),
        ("0.4 dB is open: it is", "0.4 dB holds: it does", 17, "'holds' is in the text alone"),
        ("that holds.", "that is so.", 21, "'holds' is in the comment alone"),
        ("new, K=5 = holds", "new = holds", 21, "line 10: 'Claims: SDRi / Mixed - Enrl, new' is"),
        ("text, random = open", "text, random = holds", 26, "line 24: 'OCT - HCT, by text, ran"),
        # what the results do not have
        ("| 1-hot | 11.4 |", "| PIT | 11.4 |", 9, "has nothing of this name"),
        ("Mixed above 1-hot", "Mixed above PIT", 14, "has nothing of this name"),
        ("| 7.97 |", "| holds |", 9, "has no claim of this name"),
        ("Mixed - 1-hot = open", "Mixed - PIT = open", 17, "has no claim 'Mixed - PIT'"),
        ("Claims: SDRi /", "Table 1 /", 21, "has no claim 'Table 1 / Mixed - Enrl, new, K=5'"),
        ("rows: By recording, Mixed", "rows: By name", 20, "has nothing called 'By name'"),
        # nothing said of what it rests on
        ("<!-- claim: Mixed - 1-hot = open -->", "", 17, "no comment says what this rests on"),
        ("<!-- no claim -->", "", 5, "no comment says what this rests on"),
        ("RESULTS.md). ", "RESULTS.md): 0.1 dB. ", 5, "lacks 0.1 in no line: none is named"),
    ],
)
def test_what_the_results_do_not_hold(check, old, new, line, words):
    assert PAGE.count(old) == 1
    printed = check(PAGE.replace(old, new))
    assert printed and all(one.startswith(f"docs/page.md:{line}: ") for one in printed)
    assert f"egs/corpus/RESULTS.md {words}" in "\n".join(printed)


def test_results_that_changed_under_a_page(check):
    printed = check(published=RESULTS.replace("2 of 2 | open", "3 of 3 | holds"))
    assert [one.split(":")[1] for one in printed] == ["14", "17", "17"]


def test_results_that_are_missing(check):
    printed = check(published=None)
    assert len(printed) == 9  # every row and every paragraph
    assert all(one.endswith("egs/corpus/RESULTS.md is missing") for one in printed)


def test_a_section_without_results(check):
    printed = check("# A\n\n## What we measured\n\nMixed is better. <!-- no claim -->\n")
    assert printed == ["docs/page.md:5: 'Mixed is better.': no link to a RESULTS.md"]


def test_a_paragraph_elsewhere_is_checked_if_it_links_to_results(check):
    link = "([results](../egs/corpus/RESULTS.md))"
    assert check(f"# A\n\nA gain of 9.9 dB.\n\nNine runs {link}.\n") == []
    rests = "<!-- rows: Mixed -->"
    assert check(f"# A\n\nMixed: 8.41 dB {link}. {rests}\n") == []
    for text in (f"Mixed: 8.41 dB {link}.", f"Mixed: 9.9 dB {link}. {rests}", f"It holds {link}."):
        assert [one.split(":")[1] for one in check(f"# A\n\n{text}\n")] == ["3"]


def test_code_is_not_checked(check):
    fence = "```"
    assert check(PAGE + f"\n{fence}\n| Mixed | 0.1 |\nholds\n{fence}\n") == []


def test_a_page_of_the_study_engine_is_understood(check, tmp_path, capsys):
    """A row copied from it holds there, but not with another verdict."""
    exp, made = tmp_path / "exp", tmp_path / "PAPER.md"
    small_study.write_grid(exp, clip="c")
    paper = ROOT / "egs" / "fsd50k" / "paper.yaml"
    study(["--paper", str(paper), "--exp", str(exp), "--size", "small", "--out", str(made)])
    capsys.readouterr()
    claims = [one.block.cells for one in TOOL["read_results"](made) if one.verdict]
    assert len(claims) > 20
    head = "## What we measured\n\n[Ours](../egs/corpus/RESULTS.md). <!-- no claim -->\n\n"
    head += "| the paper has | ours (dB) | runs | verdict |\n| - | - | - | - |\n"
    for name, _, _, ours, _, _, _, runs, verdict in claims[:5]:
        row = f"| {name} | {ours} | {runs} | {{}} |\n"
        assert check(head + row.format(verdict), made.read_text()) == []
        assert len(check(head + row.format("reversed"), made.read_text())) == 1


def test_the_pages_of_this_repository(capsys):
    with pytest.raises(SystemExit) as stopped:
        TOOL["main"]([])
    assert (stopped.value.code, capsys.readouterr().out) == (False, "")

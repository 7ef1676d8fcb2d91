"""What the pages say: links lead somewhere, commands have the options shown, Python runs."""

import importlib
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("egs/*/*.md")])
SCRIPTS = sorted(set(ROOT.glob("egs/*/run*.sh")) - set(ROOT.glob("egs/TEMPLATE/*")))
# their parsers are ESPnet's, and slow to make: see test/espnet
ESPNETS = ("train", "espnet")


def prose(page):
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)


def anchors(page):
    """Of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(path):
    """``(program, its options)`` of every command in the code of a page or comments of a script."""
    text = path.read_text().replace("\\\n", " ")
    if path.suffix == ".md":
        blocks = re.findall(r"^```\n(.*?)^```", text, re.M | re.S)
        lines = [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", prose(path))
    else:
        lines = re.findall(r"^#   (.*)$", text.replace(" #  ", ""), re.M)
    for line in lines:
        line = re.sub(r'"[^"]*"', "VALUE", line.split(" #")[0])
        found = re.match(r".*?(\./\w+\.sh|tsx_espnet\.bin\.\w+|tsx-extract|tsx-separate)(.*)", line)
        if found:
            yield found[1], re.findall(r"(?<!\S)--([a-z]\w*)", found[2])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.fixture
def at_hand(tmp_path, monkeypatch, make_experiment, tiny_bert):
    """A directory with recordings and small models by the names that the pages give them."""
    for name in re.findall(r'"(\w+\.wav)"', "".join(page.read_text() for page in PAGES)):
        samples = 0.1 * np.random.default_rng(len(name)).standard_normal(900)
        soundfile.write(tmp_path / name, samples, 1000)
    for exp in ("egs/mini/exp/oct_class_random_demo", "exp/oct_class_random_demo"):
        make_experiment(tmp_path / exp, tiny_bert)
    make_experiment(tmp_path / "exp/mixed_el_random_soundbeam", tiny_bert)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", ["README.md", "docs/python.md", "docs/soundbeam.md"])
def test_python_runs(page, at_hand):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    assert blocks
    names = {}
    for block in blocks:
        exec(block, names)
        np.testing.assert_allclose(names["target"] + names["rest"], names["mixture"], atol=1e-6)


def test_python_for_all_sounds_runs(at_hand, make_experiment, capsys):
    pit = {"conditions": {"unconditional": {}}, "objective": "pit", "objective_conf": {}}
    make_experiment("exp/pit_random_hard", **pit)
    page = (ROOT / "docs/separating.md").read_text()
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        exec(block, names)
    assert len(names["sounds"]) == len(names["separation"].sounds) == 2
    assert "(2, 900)" in capsys.readouterr().out


@pytest.fixture(scope="module")
def options_of():
    """``(program) -> the names of its options``, of a script those of all recipes that have it."""
    known = {}

    def find(program):
        if program.startswith("./"):
            found = [
                subprocess.run(["./" + path.name, "--help"], cwd=path.parent, **QUIET).stdout
                for path in SCRIPTS
                if path.name == program[2:]
            ]
            return set(re.findall(r"^  --(\w+)", "\n".join(found), re.M))
        module = program.removeprefix("tsx-").rpartition(".")[2]
        parser = importlib.import_module(f"tsx_espnet.bin.{module}").get_parser()
        parsers = [parser]
        if parser._subparsers is not None:
            parsers += parser._subparsers._group_actions[0].choices.values()
        actions = [action for one in parsers for action in one._actions]
        return {name.lstrip("-") for action in actions for name in action.option_strings}

    def remember(program):
        if program not in known:
            known[program] = find(program)
        return known[program]

    return remember


QUIET = {"capture_output": True, "text": True, "check": True}


@pytest.mark.parametrize("path", [*PAGES, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_the_options_they_are_shown_with(path, options_of):
    for program, options in commands(path):
        if program.rpartition(".")[2] in ESPNETS:
            continue
        assert set(options) <= options_of(program) | {"help"}, program


def test_the_commands_of_the_pages_are_found():
    found = [program for path in [*PAGES, *SCRIPTS] for program, options in commands(path)]
    assert len(found) > 60
    assert {"./run.sh", "./run_paper.sh", "tsx_espnet.bin.mix"} <= set(found)
    assert {"tsx-extract", "tsx-separate"} <= set(found)

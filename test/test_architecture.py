"""The rooms of docs/architecture.md: arrows point one way, and what is numpy stays numpy."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tsx_espnet"
PAGE = ROOT / "docs" / "architecture.md"
MAX_LINES = 300
NUMPY_ONLY = ("conditions", "clips", "corpora", "mixing")


def floors():
    """Room or lobby module -> its row in the page's table, counted from the bottom of the house."""
    rows = re.findall(r"^\| *(\d+) *\|([^|]*)\|", PAGE.read_text(encoding="utf-8"), re.M)
    return {name: int(floor) for floor, cell in rows for name in re.findall(r"`(\w+)/?`", cell)}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path, inside_functions=True):
    """Modules that a file imports, of this package by their full names."""
    tree = without_types(ast.parse(path.read_text(encoding="utf-8")))
    found = set()
    for node in ast.walk(tree) if inside_functions else top_level(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else node.module)
    return found


def top_level(tree):
    """The statements that run when a module is imported."""
    nodes = list(tree.body)
    while nodes:
        node = nodes.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            nodes.extend(ast.iter_child_nodes(node))


def without_types(tree):
    """Without what stands under ``if TYPE_CHECKING``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    return tree


def room(module):
    """``mixing`` of ``tsx_espnet.mixing.plan``, ``audio`` of ``tsx_espnet.audio``."""
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_its_floor():
    rooms = {room(name) for name in MODULES} - {""}
    assert rooms == set(floors())


@pytest.mark.parametrize("name", [name for name in MODULES if room(name)])
def test_arrows_point_down(name):
    floor = floors()
    ours = [one for one in imports(MODULES[name]) if one in MODULES and room(one)]
    upwards = [one for one in ours if floor[room(one)] > floor[room(name)]]
    assert not upwards, f"{name} imports {', '.join(upwards)} from above"


def test_there_is_no_circle():
    graph = {
        name: (imports(path, inside_functions=False) & MODULES.keys()) - {name}
        for name, path in MODULES.items()
    }
    while graph:
        free = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert free, f"a circle among {', '.join(sorted(graph))}"
        graph = {name: needs for name, needs in graph.items() if name not in free}


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in NUMPY_ONLY])
def test_data_is_numpy(name):
    seen, left = set(), [name]
    while left:
        for one in imports(MODULES[left.pop()], inside_functions=False) - seen:
            seen.add(one)
            assert one.split(".")[0] not in ("torch", "espnet2", "torchaudio", "transformers"), one
            if one in MODULES:
                left.append(one)


def test_the_lobby_is_small():
    assert len([path for path in PACKAGE.glob("*.py") if path.stem != "__init__"]) <= 15


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_a_module_is_one_noun_not_a_book(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_no_two_modules_of_a_paper():
    """A paper is data (paper.yaml): its name is not that of a module."""
    papers = re.compile(r"soundbeam|table\d|figure\d|soundwords|bimodal")
    assert not [name for name in MODULES if papers.search(name)]

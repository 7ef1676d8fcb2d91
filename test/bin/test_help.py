"""``--help`` of every command answers without the libraries that take seconds to import."""

import json
import pkgutil
import subprocess
import sys

import pytest

import tsx_espnet.bin
from tsx_espnet.bin.prepare import PREPARE

COMMANDS = sorted(module.name for module in pkgutil.iter_modules(tsx_espnet.bin.__path__))
COMMANDS += [f"prepare {corpus}" for corpus in PREPARE]
PROGRAM = """
import contextlib, importlib, io, json, sys
found = {}
for name in sys.argv[1:]:
    command, *words = name.split()
    module = importlib.import_module(f"tsx_espnet.bin.{command}")
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out):
        try:
            module.main([*words, "--help"])
        except SystemExit as exit:
            code = exit.code or 0
    heavy = ("torch", "librosa", "scipy", "matplotlib", "transformers", "espnet2", "pandas")
    found[name] = [code, out.getvalue(), [name for name in heavy if name in sys.modules]]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answers():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *COMMANDS], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_help(answers, name):
    code, text, heavy = answers[name]
    assert code == 0 and heavy == []
    assert text.startswith(("usage: ", "Run ")) and len(text.splitlines()) > 3

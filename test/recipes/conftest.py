"""A copy of the recipes in a folder of the test, and how to run programs in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = shutil.ignore_patterns("data", "dump", "exp", "downloads", "__pycache__")


@pytest.fixture
def environment():
    """This interpreter and this checkout first, whatever else is installed."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ESPNET_ROOT", "CUDA_VISIBLE_DEVICES", "cmd_backend")
    }
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    variables["VIRTUAL_ENV"] = sys.prefix
    variables["PYTHONPATH"] = str(ROOT)
    return variables


@pytest.fixture
def recipes(tmp_path):
    """A copy of ``egs`` without what runs have made; its path holds a space and a dash."""
    copy = tmp_path / "a copy - of it" / "egs"
    shutil.copytree(ROOT / "egs", copy, symlinks=True, ignore=MADE)
    return copy


@pytest.fixture
def run(environment):
    """``run(directory, *command, **variables)``: run to the end, both outputs as text."""

    def run(directory, *command, timeout=60, **variables):
        return subprocess.run(
            [str(word) for word in command],
            cwd=directory,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run

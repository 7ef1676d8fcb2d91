"""A copy of the recipes in a folder of the test, and how to run programs in it."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE = shutil.ignore_patterns("data", "dump", "exp", "downloads", "__pycache__")


def recipe_environment():
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


def copy_recipes(directory):
    """Copy ``egs``, without what runs have made, into ``directory``."""
    shutil.copytree(ROOT / "egs", directory / "egs", symlinks=True, ignore=MADE)
    return directory / "egs"


def run_command(environment, directory, *command, timeout=60, **variables):
    """Run to the end; both outputs as text."""
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


@pytest.fixture
def environment():
    return recipe_environment()


@pytest.fixture
def recipes(tmp_path):
    """A copy of ``egs``; its path holds a space and a dash."""
    return copy_recipes(tmp_path / "a copy - of it")


@pytest.fixture
def run(environment):
    """``run(directory, *command, timeout=60, **variables)``."""
    return functools.partial(run_command, environment)


@pytest.fixture(scope="session")
def finished_mini(tmp_path_factory):
    """``finish(*options)``: a copy of ``egs/mini`` (or ``dataset``) after a run, what that printed.

    With ``directory``, a copy that it made before, after one more run.
    """

    def finish(*options, script="./run.sh", directory=None, dataset="mini"):
        if directory is None:
            directory = copy_recipes(tmp_path_factory.mktemp("recipe - 1") / "with space") / dataset
        result = run_command(recipe_environment(), directory, script, *options, timeout=900)
        assert result.returncode == 0, result.stdout + result.stderr
        return directory, result

    return finish

"""tools/install.sh with a stand-in for Python: which one it takes, when it acts or refuses."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
# Stand-in for Python VERSION; every call is noted.
echo "$(basename "$0") $*" >>"$CALLS"
case "$1 $2 $3" in
"--version  ") echo "Python VERSION" ;;
"- "*) cat >/dev/null; exit UNSUPPORTED ;;
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/pip" ;;
"-m pip install") echo "Collecting torch"; echo "ERROR: no network"; exit ${PIP_STATUS:-0} ;;
"-m pip check") echo "No broken requirements found." ;;
"tools/check_install.py"*) exit ${CHECK_STATUS:-0} ;;
esac
"""


@pytest.fixture
def install(run, tmp_path):
    """``install(**variables)`` runs a copy of the script; Pythons are put into ``programs``."""
    source = tmp_path / "source - 1"
    (source / "tools").mkdir(parents=True)
    for name in ("tools/install.sh", "tools/constraints.txt", "setup.py"):
        shutil.copy(ROOT / name, source / name)
    (source / "tools/check_install.py").write_text("")
    programs = tmp_path / "programs"
    programs.mkdir()

    def install(**variables):
        variables.setdefault("PYTHON", "python3")
        path = f"{programs}:/usr/bin:/bin"
        calls = str(tmp_path / "calls")
        return run(source, "tools/install.sh", CALLS=calls, PATH=path, **variables)

    install.source, install.programs, install.calls = source, programs, tmp_path / "calls"
    # What these tests look at must not hang on how full the disk below them is.
    add_df(programs, gigabytes=100)
    for name in ("python3", *(f"python3.{minor}" for minor in (9, 10, 11, 12, 13))):
        add_python(programs, name, "3.14.1", supported=False)
    return install


def add_python(directory, name, version, supported=True):
    text = PYTHON.replace("VERSION", version).replace("UNSUPPORTED", "0" if supported else "1")
    (directory / name).write_text(text)
    (directory / name).chmod(0o755)


def add_df(directory, gigabytes):
    line = f"/dev/x 200000000 1 {gigabytes * 10**6} 1% /"
    (directory / "df").write_text(f"#!/bin/sh\necho head; echo '{line}'\n")
    (directory / "df").chmod(0o755)


def installs(install):
    return install.calls.read_text().count("-m pip install")


def test_installs_once(install):
    add_python(install.programs, "python3", "3.11.7")
    result = install()
    assert result.returncode == 0, result.stderr
    assert (install.source / ".venv/install.log").read_text().startswith("Collecting torch")
    again = install()
    assert (again.returncode, again.stdout) == (0, "install.sh: .venv is up to date\n")
    assert installs(install) == 1


@pytest.mark.parametrize("file", ["setup.py", "tools/constraints.txt"])
def test_installs_again_when_the_requirements_change(install, file):
    add_python(install.programs, "python3", "3.11.7")
    install()
    with open(install.source / file, "a") as stream:
        stream.write("\n# changed\n")
    assert install().returncode == 0
    assert installs(install) == 2


def test_a_failed_installation_is_shown_and_taken_up_again(install):
    add_python(install.programs, "python3", "3.11.7")
    failed = install(PIP_STATUS="1")
    assert failed.returncode == 1
    assert "ERROR: no network" in failed.stderr and "pip failed, see .venv" in failed.stderr
    assert install().returncode == 0
    assert installs(install) == 2


def test_a_failed_check_leaves_no_stamp(install):
    add_python(install.programs, "python3", "3.11.7")
    assert install(CHECK_STATUS="1").returncode == 1
    assert install().returncode == 0
    assert installs(install) == 2


def test_takes_a_supported_python_where_python3_is_too_new(install):
    add_python(install.programs, "python3.10", "3.10.13")
    add_python(install.programs, "python3.12", "3.12.1")
    result = install(VENV="my env")
    assert result.returncode == 0, result.stderr
    assert "making my env with Python 3.12.1" in result.stdout


@pytest.mark.parametrize("python", ["3.9", "3.10", "3.13", "3.14"])
def test_the_bounds_are_those_of_setup_py(python):
    """Asked of the script's own check, with this Python said to be another one."""
    script = (ROOT / "tools/install.sh").read_text()
    low, high = re.search(r"oldest=(\S+) newest=(\S+)", script).groups()
    wanted = re.search(r'python_requires="(.*)"', (ROOT / "setup.py").read_text())[1]
    assert wanted == f">={low},<3.{int(high.split('.')[1]) + 1}"
    number = tuple(map(int, python.split(".")))
    check = (
        script.split("<<'END'\n")[1].split("\nEND")[0].replace("sys.version_info[:2]", str(number))
    )
    done = subprocess.run([sys.executable, "-", low, high], input=check, text=True)
    assert (done.returncode == 0) == ((3, 10) <= number <= (3, 13))


def test_says_which_pythons_will_do(install):
    result = install()
    assert result.returncode == 1
    assert result.stderr == (
        "install.sh: found no Python 3.10 to 3.13 (python3 is Python 3.14.1); "
        "install one and set PYTHON=/path/to/python3.11\n"
    )


def test_a_named_python_is_taken_or_refused(install):
    add_python(install.programs, "python3", "3.11.7")
    missing = install(PYTHON="no-such-python")
    assert missing.stderr == "install.sh: no program 'no-such-python' (PYTHON)\n"
    unfit = install(PYTHON="python3.11")
    assert unfit.returncode == 1
    assert "PYTHON=python3.11 is Python 3.14.1: expected Python 3.10 to 3.13" in unfit.stderr


def test_too_little_disk(install):
    add_python(install.programs, "python3", "3.11.7")
    add_df(install.programs, gigabytes=2)
    result = install()
    assert result.returncode == 1
    assert "2 GB free for .venv, expected 8 GB" in result.stderr
    assert not (install.source / ".venv/install.log").exists()


def test_a_full_disk_does_not_stop_an_environment_that_has_torch(install):
    """An environment's own 5.5 GB may be what filled the disk; the rest of it fits."""
    add_python(install.programs, "python3", "3.11.7")
    assert install(PIP_STATUS="1").returncode == 1
    (install.source / ".venv/lib/python3.11/site-packages/torch").mkdir(parents=True)
    add_df(install.programs, gigabytes=2)
    assert install().returncode == 0


def test_an_environment_of_another_python_is_refused(install):
    add_python(install.programs, "python3", "3.11.7")
    (install.source / ".venv/bin").mkdir(parents=True)
    add_python(install.source / ".venv/bin", "python", "3.14.1", supported=False)
    result = install()
    assert result.returncode == 1
    assert ".venv has Python 3.14.1: remove it, or choose another VENV" in result.stderr

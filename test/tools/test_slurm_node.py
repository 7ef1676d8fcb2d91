"""tools/slurm_node.sh without Slurm: what it refuses and says. With one: test/recipes/slurm."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/slurm_node.sh"


def run(*words, **variables):
    return subprocess.run(
        [SCRIPT, *words],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "expected start, stop, status or install, found ''"),
        (["strat"], "expected start, stop, status or install, found 'strat'"),
        (["start", "--port", "1"], "no option --port"),
        (["start", "--dir"], "option --dir needs a value"),
        (["start", "--cpus", "0"], "--cpus: expected a whole number from 1, found '0'"),
        (["start", "--gpus", "x"], "--gpus: expected a whole number, found 'x'"),
        (["start", "--dir", "/tmp/a b"], "expected at most 90 letters, digits and _./+-, found"),
        (["start", "--dir", "/tmp/" + "a" * 90], "expected at most 90 letters"),
    ],
)
def test_wrong_use_is_one_line(words, message):
    result = run(*words)
    assert result.returncode == 1 and not result.stdout
    assert result.stderr.startswith("slurm_node.sh: ") and message in result.stderr
    assert result.stderr.count("\n") == 1


def test_help():
    result = run("--help")
    assert result.returncode == 0 and "tools/slurm_node.sh start" in result.stdout
    assert "set -e" not in result.stdout


def test_a_node_that_was_never_started_is_down(tmp_path):
    assert run("status", "--dir", tmp_path / "x").returncode == 1
    stopped = run("stop", "--dir", tmp_path / "x")
    assert stopped.returncode == 0 and not (tmp_path / "x").exists()


def test_without_slurm_it_says_what_to_install(tmp_path):
    """In a PATH that has a shell's programs only."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "getconf", "grep", "id", "sed", "tr"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    text = SCRIPT.read_text().replace("PATH=${PATH}:/usr/sbin:/sbin", "")
    (tmp_path / "slurm_node.sh").write_text(text)
    for action, reason in (("start", "no program munged"), ("install", "no apt-get here")):
        result = subprocess.run(
            ["/usr/bin/bash", tmp_path / "slurm_node.sh", action, "--dir", tmp_path / "node"],
            env={"PATH": str(programs)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1 and reason in result.stderr
        assert "apt-get install slurm-wlm munge" in result.stderr
    assert not (tmp_path / "node").exists()

"""tools/slurm_node.sh: started twice, stopped, and beside another node."""

from pathlib import Path

import pytest


def pids(node):
    return [
        (node.directory / f"{name}.pid").read_text() for name in ("munged", "slurmctld", "slurmd")
    ]


@pytest.fixture
def second(node, tmp_path):
    second = type(node)(tmp_path / "second")
    yield second
    second.control("stop")


def test_start_again_changes_nothing(node):
    before = pids(node)
    result = node.control("start")
    assert result.returncode == 0 and "is up" in result.stderr
    assert result.stdout == f"export SLURM_CONF={node.directory}/slurm.conf\n"
    assert pids(node) == before


def test_stop_ends_its_own_daemons_and_jobs_only(node, second):
    assert second.control("start", "--cpus", 1).returncode == 0
    assert second.control("status").returncode == 0
    second.run("sbatch", "-o", "/dev/null", "--wrap", "sleep 300")
    others = pids(second)
    assert second.control("stop").returncode == 0
    assert second.control("status").returncode == 1
    for pid in others:
        path = Path(f"/proc/{pid.strip()}/cmdline")
        assert not path.exists() or not path.read_bytes()
    assert set(second.ended().values()) == {"CANCELLED"}
    assert node.control("status").returncode == 0
    assert second.control("stop").returncode == 0  # nothing to do


def test_a_dead_daemon_is_started_again(second):
    assert second.control("start").returncode == 0
    before = pids(second)
    Path(second.directory / "slurmd.pid").unlink()  # as if it had never run
    second.run("kill", before[2].strip())
    assert second.control("status").returncode == 1
    assert second.control("start").returncode == 0
    assert pids(second)[:2] == before[:2]

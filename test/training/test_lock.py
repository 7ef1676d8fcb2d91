"""One at a time in a directory."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys

import pytest

from tsx_espnet.errors import TSXError
from tsx_espnet.training.lock import LOCK, Owner, locked, start_of


def lock_of(directory, **changes):
    """Leave the lock of somebody else."""
    (directory / LOCK).unlink(missing_ok=True)
    os.symlink(":".join(Owner.here()._replace(**changes)), directory / LOCK)


def ended_process():
    """The number of a process that there was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


def test_the_second_is_refused_and_told_of_the_first(tmp_path):
    exp = tmp_path / "exp"
    with locked(exp):
        expected = f"{exp}: .* process {os.getpid()} on {socket.gethostname()};.*--output_dir"
        with pytest.raises(TSXError, match=expected):
            with locked(exp):
                pass
        with locked(tmp_path / "other"):
            pass
        assert os.path.lexists(exp / LOCK)  # that of the first is still there
    assert not os.path.lexists(exp / LOCK)
    with locked(exp):
        pass


def test_released_after_an_error(tmp_path):
    with pytest.raises(ValueError), locked(tmp_path):
        raise ValueError
    with locked(tmp_path):
        pass


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    lock_of(tmp_path, pid=ended_process())
    with locked(tmp_path):
        assert Owner(*os.readlink(tmp_path / LOCK).split(":")) == Owner.here()
    assert not os.path.lexists(tmp_path / LOCK)


def test_a_process_that_was_killed_leaves_a_stale_lock(tmp_path):
    """Not even a zombie holds it."""
    context = multiprocessing.get_context("fork")
    locked_now = context.Event()

    def hold():
        with locked(tmp_path):
            locked_now.set()
            signal.pause()

    process = context.Process(target=hold)
    process.start()
    assert locked_now.wait(10)
    with pytest.raises(TSXError, match=f"process {process.pid} on"), locked(tmp_path):
        pass
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, but not yet buried
    with locked(tmp_path):
        pass
    process.join()


def test_another_process_with_the_same_number(tmp_path):
    """After a restart of the machine, process ids start again."""
    lock_of(tmp_path, started="1")
    with locked(tmp_path):
        pass


def test_a_process_of_another_host_may_live(tmp_path):
    lock_of(tmp_path, host="node17", pid=ended_process())
    expected = f"process .* on node17; .* remove {tmp_path / LOCK}"
    with pytest.raises(TSXError, match=expected), locked(tmp_path):
        pass


@pytest.mark.parametrize(
    "job, restart, free", [("7", "1", True), ("7", "0", False), ("8", "1", False)]
)
def test_a_job_that_was_requeued_elsewhere(monkeypatch, tmp_path, job, restart, free):
    """A node died; Slurm never runs a job twice at once."""
    lock_of(tmp_path, host="node17", job="7", restart="0")
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", restart)
    if free:
        with locked(tmp_path):
            pass
    else:
        with pytest.raises(TSXError, match="on node17"), locked(tmp_path):
            pass


def test_what_is_no_lock_is_left_alone(tmp_path):
    (tmp_path / LOCK).write_text("mine")
    expected = f"{tmp_path / LOCK}: expected the lock of a run"
    with pytest.raises(TSXError, match=expected), locked(tmp_path):
        pass
    assert (tmp_path / LOCK).read_text() == "mine"


def test_one_of_many_gets_it(tmp_path):
    """Twelve at once, on a stale lock: one after the other, never two, and none waits forever."""
    lock_of(tmp_path, pid=ended_process())
    context = multiprocessing.get_context("fork")
    begin = context.Event()

    def compete(number):
        begin.wait()
        result = "refused"
        try:
            with locked(tmp_path):
                inside = tmp_path / "inside"
                inside.mkdir()  # fails if another is there
                begin_of_the_end.wait(5)
                inside.rmdir()
                result = "got it"
        except TSXError:
            pass
        (tmp_path / f"result{number}").write_text(json.dumps(result))

    begin_of_the_end = context.Event()
    processes = [context.Process(target=compete, args=(number,)) for number in range(12)]
    for process in processes:
        process.start()
    begin.set()
    for _ in range(200):
        if len(list(tmp_path.glob("result*"))) == 11:
            break
        processes[0].join(0.05)
    begin_of_the_end.set()
    for process in processes:
        process.join(10)
    assert [process.exitcode for process in processes] == [0] * 12
    results = [json.loads((tmp_path / f"result{number}").read_text()) for number in range(12)]
    assert sorted(results) == ["got it"] + ["refused"] * 11


def test_start_of():
    assert start_of(os.getpid()) == start_of(os.getpid()) != start_of(1)
    assert start_of(int(ended_process())) is None

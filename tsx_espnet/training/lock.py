"""A directory for one process at a time, on a file server too: such as an experiment."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path
from typing import Iterator, NamedTuple, Optional

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike

LOCK = ".running"


class Owner(NamedTuple):
    """The process that holds a lock.

    Args:
        host, pid: which it is.
        started: when it was, in ticks of its kernel; another process may get its number later.
        job, restart: number of its Slurm job, and how often that was requeued; "" outside Slurm.
    """

    host: str
    pid: str
    started: str
    job: str
    restart: str

    @classmethod
    def here(cls) -> "Owner":
        """This process."""
        return cls(
            socket.gethostname().replace(":", "_"),
            str(os.getpid()),
            start_of(os.getpid()) or "",
            os.environ.get("SLURM_JOB_ID", ""),
            os.environ.get("SLURM_RESTART_COUNT", "0"),
        )

    def is_gone(self, me: "Owner") -> bool:
        """True if it is known to have ended: dead on this host, or requeued by Slurm since."""
        if self.job and self.job == me.job and self.restart != me.restart:
            return True  # a job runs once at a time, wherever it ran before
        return self.host == me.host and start_of(int(self.pid)) not in ("", self.started)


def start_of(pid: int) -> Optional[str]:
    """When a process of this host was started, in ticks; "" if the system does not say, None if
    there is no such process.

    >>> start_of(os.getpid()) is None
    False
    """
    if Path("/proc/self/stat").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        state, *fields = text.rpartition(")")[2].split()  # the name may hold anything
        return None if state in "ZX" else fields[18]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # of another user
        pass
    return ""


@contextlib.contextmanager
def locked(
    directory: PathLike,
    what: str = "a training run",
    remedy: str = "choose another --output_dir, or wait for it",
    name: str = LOCK,
) -> Iterator[None]:
    """Within the block nobody else can lock ``directory``, which is made, by the same ``name``.

    The lock is a symbolic link to what describes its owner: made in one step, on a file server too,
    and never there without it. The lock of an owner that is gone is taken over.

    Args:
        what, remedy: what goes on within, and what to do if it does already, for the message.

    Raises:
        TSXError: naming process and host if somebody else is within.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    lock, me = directory / name, Owner.here()
    try:
        os.symlink(":".join(me), lock)
    except FileExistsError:
        _take_over(lock, me, what, remedy)
    try:
        yield
    finally:
        if os.getpid() == int(me.pid) and _read(lock) == me:
            lock.unlink()


def _take_over(lock: Path, me: Owner, what: str, remedy: str) -> None:
    # of several who find the same stale lock, on this host, one at a time
    guard = os.open(lock.parent, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        owner = _read(lock)
        if owner is not None and not owner.is_gone(me):
            raise TSXError(
                f"{lock.parent}: {what} is at work there already: process {owner.pid} on "
                f"{owner.host}; {remedy} (if there is no such process any more, remove {lock})"
            )
        if owner is None and os.path.lexists(lock):
            raise TSXError(f"{lock}: expected a lock of {what}; remove it if none is at work there")
        with contextlib.suppress(FileNotFoundError):
            lock.unlink()
        os.symlink(":".join(me), lock)
    except FileExistsError:  # from another host, in between
        raise TSXError(f"{lock.parent}: {what} has just begun there") from None
    finally:
        os.close(guard)


def _read(lock: Path) -> Optional[Owner]:
    try:
        parts = os.readlink(lock).split(":")
    except OSError:
        return None
    return Owner(*parts) if len(parts) == len(Owner._fields) and parts[1].isdigit() else None

"""An experiment directory for one run at a time, on a file server too."""

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
        started: start time in kernel ticks, as process ids are reused.
        job, restart: id of its Slurm job, and how often that was requeued; "" outside Slurm.
    """

    host: str
    pid: str
    started: str
    job: str
    restart: str

    @classmethod
    def here(cls) -> "Owner":
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
            return True  # Slurm never runs a job twice at once
        return self.host == me.host and start_of(int(self.pid)) not in ("", self.started)


def start_of(pid: int) -> Optional[str]:
    """Start time of a process on this host in kernel ticks; "" if the system does not tell, None if
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
def locked(directory: PathLike) -> Iterator[None]:
    """Within the block no other run can lock ``directory``, which is created.

    The lock is a symbolic link whose target describes its owner: created atomically, on a file
    server too. The lock of an owner that is gone is taken over.

    Raises:
        TSXError: naming process and host, if another run holds it.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    lock, me = directory / LOCK, Owner.here()
    try:
        os.symlink(":".join(me), lock)
    except FileExistsError:
        _take_over(lock, me)
    try:
        yield
    finally:
        if os.getpid() == int(me.pid) and _read(lock) == me:
            lock.unlink()


def _take_over(lock: Path, me: Owner) -> None:
    # one at a time, if several processes of this host find the same stale lock
    guard = os.open(lock.parent, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        owner = _read(lock)
        if owner is not None and not owner.is_gone(me):
            raise TSXError(
                f"{lock.parent}: a training run is using this directory: process {owner.pid} on "
                f"{owner.host}; choose another --output_dir, or wait for it (if that process no "
                f"longer exists, remove {lock})"
            )
        if owner is None and os.path.lexists(lock):
            raise TSXError(f"{lock}: expected the lock of a run; remove it if no run is using it")
        with contextlib.suppress(FileNotFoundError):
            lock.unlink()
        os.symlink(":".join(me), lock)
    except FileExistsError:  # from another host, in between
        raise TSXError(f"{lock.parent}: another run has just started there") from None
    finally:
        os.close(guard)


def _read(lock: Path) -> Optional[Owner]:
    try:
        parts = os.readlink(lock).split(":")
    except OSError:
        return None
    return Owner(*parts) if len(parts) == len(Owner._fields) and parts[1].isdigit() else None

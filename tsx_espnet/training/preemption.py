"""Signals by which a cluster takes a node away, and how a run ends on them.

Slurm sends SIGTERM before it kills (preemption, time limit, ``scancel``), and SIGUSR1 on request
(``sbatch --signal=USR1@120``). A run then saves its state between two batches and exits with
status ``REQUEUE``; the same command resumes it.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from typing import Any, Callable, Iterator, Optional

REQUEUE = 99  # saved, not finished: slurm.pl requeues the job, as Grid Engine always did
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Preemption:
    """Whether the process has been asked to stop: ``requested`` is the signal, or None."""

    def __init__(self):
        self.requested: Optional[int] = None
        self._deferred = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block a signal ends the process with status ``REQUEUE``."""
        with _handling(self._stop):
            yield

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block a signal only sets ``requested``, which the code has to poll."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    @contextlib.contextmanager
    def forwarding(self) -> Iterator[None]:
        """Within the block a signal goes to the child processes; without any, it ends this one."""
        with _handling(self._forward):
            yield

    def _stop(self, number: int, frame) -> None:
        self.requested = number  # no logging here: the signal may interrupt a logging call
        if not self._deferred:
            raise SystemExit(REQUEUE)

    def _forward(self, number: int, frame) -> None:
        self.requested = number
        children = multiprocessing.active_children()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)
        if not children:
            raise SystemExit(REQUEUE)


PREEMPTION = Preemption()


@contextlib.contextmanager
def kept_from_workers(loader: Any) -> Iterator[None]:
    """Workers that ``loader``, a ``DataLoader``, starts within the block obey only their parent.

    Slurm signals every process of a job. Workers must survive until the run has saved its state:
    torch raises an error, in the middle of a step, as soon as one of them dies.
    """
    if not getattr(loader, "num_workers", 0) or not hasattr(signal, "sigwaitinfo"):
        yield
        return
    loader.worker_init_fn = _ObeyParent(loader.worker_init_fn)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # workers inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _ObeyParent:
    """A ``worker_init_fn``: only a SIGTERM from its parent ends the worker."""

    def __init__(self, init: Optional[Callable[[int], None]]):
        self._init = init

    def __call__(self, worker: int) -> None:
        threading.Thread(target=self._wait, daemon=True).start()
        if self._init is not None:
            self._init(worker)

    @staticmethod
    def _wait() -> None:
        while True:
            found = signal.sigwaitinfo(SIGNALS)
            if found.si_signo == signal.SIGTERM and found.si_pid == os.getppid():
                os._exit(0)


@contextlib.contextmanager
def _handling(handler: Callable) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python sets handlers there only
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)

"""Run a command whose output goes to log files, and show their progress lines meanwhile.

    python follow.py [--output FILE] LOG... -- COMMAND...

LOG may hold ``*`` (one log per job of an array). tqdm bars become one plain line for all jobs;
of a training log, the batch and epoch lines are shown. The command runs in a process group of its
own, which is terminated when this program is interrupted, terminated, killed or loses its parent, so
nothing outlives the stage of the recipe that started it. Exit status: that of the command.
"""

import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import time
from typing import Dict, List, Optional, Tuple

EVERY = 10.0  # seconds between two lines of a bar
POLL = 0.2
GRACE = 20.0  # seconds from SIGTERM to SIGKILL
BAR = re.compile(
    r"(?P<title>[^|]*?)(?: \d+/\d+)?:\s+\d+%\|[^|]*\|\s*(?P<done>\d+)/(?P<total>\d+)"
)  # of tqdm; a title that ends in "2/4" is that of job 2
SHOWN = re.compile(
    r"\d+epoch (results:|started)|\d+epoch:\w+:\d+-\d+batch:|training was|best model|\) WARNING: "
)
PREFIX = re.compile(r"^(\[[^\]]*\] )?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \([^)]*\) (INFO: )?")
NOISE = re.compile(
    r"\b(\w+_time|optim\w+|gpu_max\w+|grad_norm|loss_\w+|best_\w+|clip|total_count)=[^,\[]*(, |$)"
)  # what stays in the log only
# ESPnet leaves out some commas before names
NO_COMMA = re.compile(r"(?:(?<=\d)|(?<==nan))(?=[a-z]\w*=)")


class Log:
    """What has been read of one log file so far."""

    def __init__(self, path: str, from_end: bool):
        self.path = path
        self.offset = os.path.getsize(path) if from_end else 0
        self.inode = os.stat(path).st_ino
        self.rest = ""
        self.bar: Optional[Tuple[str, int, int]] = None

    def new_lines(self) -> List[str]:
        """New complete lines; bars are removed and remembered. A log that starts over is reread."""
        status = os.stat(self.path)
        if status.st_ino != self.inode or status.st_size < self.offset:
            self.offset, self.inode, self.rest, self.bar = 0, status.st_ino, "", None
        with open(self.path, "rb") as stream:
            stream.seek(self.offset)
            data = stream.read(1 << 20)
        self.offset += len(data)
        *lines, self.rest = re.split(r"[\r\n]+", self.rest + data.decode("utf-8", "replace"))
        for text in [*lines, self.rest]:
            bar = BAR.search(text)
            if bar:
                self.bar = (bar["title"].strip(), int(bar["done"]), int(bar["total"]))
        return [line for line in lines if not BAR.search(line)]


class Follower:
    """Prints what is new in the logs that match ``patterns``."""

    def __init__(self, patterns: List[str]):
        self.patterns = patterns
        self.logs: Dict[str, Log] = {}
        self.last_bar = ""
        self.last_time = time.monotonic()
        for path in self.paths():  # of an earlier run: show only what is added
            self.logs[path] = Log(path, from_end=True)

    def paths(self) -> List[str]:
        return sorted(path for pattern in self.patterns for path in glob.glob(pattern))

    def show(self, last: bool = False) -> None:
        for path in self.paths():
            try:
                log = self.logs.setdefault(path, Log(path, from_end=False))
                lines = log.new_lines()
            except OSError:
                continue  # being rotated away
            for line in lines:
                if SHOWN.search(line):
                    line = NO_COMMA.sub(", ", PREFIX.sub("", line))
                    say(NOISE.sub("", line).rstrip(", "))
        if last or time.monotonic() - self.last_time >= EVERY:
            self.show_bars()
            self.last_time = time.monotonic()

    def show_bars(self) -> None:
        """One line per title: the jobs of an array are summed."""
        sums: Dict[str, List[int]] = {}
        for log in self.logs.values():
            if log.bar:
                title, done, total = log.bar
                entry = sums.setdefault(title, [0, 0])
                entry[0], entry[1] = entry[0] + done, entry[1] + total
        text = ", ".join(
            f"{title}: {done}/{total} ({100 * done // max(total, 1)} %)"
            for title, (done, total) in sums.items()
        )
        if text and text != self.last_bar:
            say(text)
        self.last_bar = text


def say(text: str) -> None:
    try:
        print(f"  {text}", flush=True)
    except OSError:
        pass  # nobody reads the output; carry on


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End the command's process group, gently at first."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        limit = time.monotonic() + patience
        while time.monotonic() < limit:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


def start_guard(process: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
    """A process that ends the command's group as soon as this one is gone, even by SIGKILL."""
    script = 'read -r _; kill -TERM -- "-$1"; sleep "$2"; kill -KILL -- "-$1"'
    return subprocess.Popen(
        ["bash", "-c", script, "guard", str(process.pid), str(GRACE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def run(patterns: List[str], command: List[str], output: Optional[str]) -> int:
    parent = os.getppid()
    stopped: List[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: stopped.append(number))
    follower = Follower(patterns)
    stream = open(output, "wb") if output else None
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    except OSError as error:
        print(f"follow.py: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    guard = start_guard(process)
    try:
        return follow(follower, process, parent, stopped)
    finally:
        end_group(process)  # and what it left behind
        guard.kill()


def follow(
    follower: Follower, process: "subprocess.Popen[bytes]", parent: int, stopped: List[int]
) -> int:
    """Show progress until the command ends, or this program is to end; return the status."""
    while True:
        try:
            process.wait(POLL)
        except subprocess.TimeoutExpired:
            pass
        follower.show(last=process.returncode is not None)
        if stopped or os.getppid() != parent:
            return 128 + (stopped or [signal.SIGTERM])[0]
        if process.returncode is not None:
            return process.returncode if process.returncode >= 0 else 128 - process.returncode


def main(argv: Optional[List[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("logs", nargs="*", metavar="LOG", help="log files, * allowed")
    parser.add_argument("--output", help="file for what the command itself prints")
    words = list(sys.argv[1:] if argv is None else argv)
    if "--" not in words[:-1]:
        parser.error("expected LOG... -- COMMAND...")
    split = words.index("--")
    args = parser.parse_args(words[:split])
    sys.exit(run(args.logs, words[split + 1 :], args.output))


if __name__ == "__main__":
    main()

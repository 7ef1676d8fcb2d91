"""Each stage on inputs of a second or less, and children that are killed, stopped or kept short.

A child is a fork of the tests: nothing is imported again, so that a stage can be killed before each
single change of a file that it makes. What it does then is what its command does.
"""

import contextlib
import ctypes
import io
import os
import pickle
import re
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from tqdm import tqdm

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")
_DATE = re.compile(rb"\| (date|git commit) \|.*")
NEW_NAMESPACE = 0x20000  # of mounts
NEW_USER = 0x10000000
PRIVATE = 0x44000  # MS_REC | MS_PRIVATE
REMOUNT, READ_ONLY = 32, 1


def run_in_child(work):
    """Fork, and begin ``work()`` in the child; what it returns comes through a pipe."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(120)
        # tqdm's own is shared among all forks: a child killed while it holds it would stop them all
        tqdm.set_lock(threading.RLock())
        silence = os.open(os.devnull, os.O_RDWR)
        os.dup2(silence, 1), os.dup2(silence, 2)
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        try:
            answer = work()
        except BaseException:
            answer = traceback.format_exc()
        with os.fdopen(writer, "wb") as stream:
            pickle.dump(answer, stream)
    finally:
        os._exit(0)


def answer_of(pid, reader):
    """What the child returned; the number of the signal, negative, if one ended it."""
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else pickle.loads(data)


def on_change(folder, action):
    """Call ``action(n)`` before the n-th change of a file below ``folder``, from now on."""
    count = 0

    def hook(event, args):
        nonlocal count
        flags = args[2] if event == "open" and isinstance(args[2], int) else 0
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        if not writes and event not in CHANGES:
            return
        path = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else ""
        # inside shutil.rmtree, names are relative to an open directory
        if path.startswith(str(folder)) or (path and not path.startswith("/")):
            count += 1
            action(count)

    sys.addaudithook(hook)
    return lambda: count


def end_of(command):
    """Run ``(main, argv)`` as its module would: exit status and the lines on standard error."""
    from tsx_espnet.errors import run_command

    main, argv = command
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            run_command(lambda _: main(argv))
            return 0, ""
        except SystemExit as end:
            return (0, "") if not end.code else (1, str(end.code))


def run_all(commands):
    """Run the commands in turn until one fails: exit status, message."""
    for command in commands:
        status, message = end_of(command)
        if status:
            return status, message
    return 0, ""


def contents(folder):
    """Relative path -> bytes of every file below ``folder``, without what a report says of now."""
    folder = Path(folder)
    found = {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: _DATE.sub(b"", p.read_bytes()) for name, p in found.items()}


class Children:
    """What tests do with children."""

    run_all = staticmethod(run_all)
    contents = staticmethod(contents)

    @staticmethod
    def do(work):
        """``work()`` in a child, its exceptions raised here."""
        answer = answer_of(*run_in_child(work))
        assert not (isinstance(answer, str) and answer.startswith("Traceback")), answer
        return answer

    def run(self, commands):
        """The commands, undisturbed: exit status, message."""
        return self.do(lambda: run_all(commands))

    def count(self, commands, folder):
        """How many changes the commands make."""

        def work():
            changes = on_change(folder, lambda number: None)
            assert run_all(commands) == (0, "")
            return changes()

        return self.do(work)

    @staticmethod
    def kill(commands, folder, number):
        """Kill the commands before their ``number``-th change: whether that came."""

        def work():
            def action(count):
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            on_change(folder, action)
            return run_all(commands)

        return answer_of(*run_in_child(work)) == -signal.SIGKILL

    @staticmethod
    def kill_after(commands, seconds):
        """Kill the commands some time after they began."""
        pid, reader = run_in_child(lambda: run_all(commands))
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        return answer_of(pid, reader) == -signal.SIGKILL

    @staticmethod
    def kill_while_writing(commands, size):
        """Let the kernel kill the commands in the write that reaches ``size`` bytes of a file."""

        def work():
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            return run_all(commands)

        return answer_of(*run_in_child(work)) == -signal.SIGXFSZ

    def stopped(self, first, folder, number, second):
        """Stop ``first`` before its ``number``-th change, do ``second``, let ``first`` go on.

        Returns:
            the ends of the two.
        """

        def work():
            def action(count):
                if count == number:
                    os.kill(os.getpid(), signal.SIGSTOP)

            on_change(folder, action)
            return run_all(first)

        pid, reader = run_in_child(work)
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            pytest.fail(f"no change {number}")
        try:
            other = self.run(second)
        finally:
            os.kill(pid, signal.SIGCONT)
        answer = answer_of(pid, reader)
        assert isinstance(answer, tuple), answer
        return answer, other


class Disk:
    """A tmpfs that only this process and its children see."""

    def __init__(self, place, size):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.place = place
        user, group = os.getuid(), os.getgid()
        if self._libc.unshare(NEW_NAMESPACE | (NEW_USER if user else 0)):
            raise OSError("no mount namespace")
        if user:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        self._mount(None, "/", None, PRIVATE, None)
        self._mount("tmpfs", place, "tmpfs", 0, f"size={size}")

    def resize(self, size):
        self._mount("tmpfs", self.place, "tmpfs", REMOUNT, f"size={size}")

    def read_only(self):
        self._mount("tmpfs", self.place, "tmpfs", REMOUNT | READ_ONLY, None)

    def _mount(self, *words):
        encoded = [os.fsencode(w) if isinstance(w, (str, Path)) else w for w in words]
        if self._libc.mount(encoded[0], encoded[1], encoded[2], encoded[3], encoded[4]):
            raise OSError(ctypes.get_errno(), "mount")


@pytest.fixture(scope="session")
def children():
    return Children()


@pytest.fixture(scope="session")
def disk(children, tmp_path_factory):
    """The class ``Disk``, to be used in a child, where mounting is possible."""
    place = tmp_path_factory.mktemp("disk")

    def work():
        try:
            Disk(place, 4096)
        except OSError as error:
            return repr(error)

    problem = children.do(work)
    if problem:
        pytest.skip(f"a small disk cannot be mounted here: {problem}")
    return Disk


@pytest.fixture(scope="session")
def stages(tmp_path_factory, format_clips, make_experiment, tiny_bert):
    """Name -> the stage: its ``jobs`` and ``merge`` commands, ``out``, ``reset()``, ``finished()``.

    ``reset`` brings ``out`` to what it is before the stage; ``finished`` are the files in it that
    must not be written again.
    """
    from tsx_espnet.bin import embed_text, format, infer, mix, report, score

    root = tmp_path_factory.mktemp("stages")
    clips = format_clips(root / "c", {"Bark": 3, "Meow": 3, "Rain": 2})
    (root / "mix.yaml").write_text(
        "duration: 0.2\nmin_sounding: 0.05\nmin_overlap: 0.5\n"
        "enrollments: 1\nenrollment_duration: 0.1\n"
    )
    words = ["--clips", str(clips), "--config", str(root / "mix.yaml"), "--num_mixtures", "6"]
    mixtures = root / "mixtures"
    experiment = make_experiment(root / "exp", conditions={"energy": {}, "class": {}})
    estimates = experiment / "infer" / "mixtures"
    (experiment / "train.log").write_text("")
    asked = ["--exp", str(experiment), "--mixtures", str(mixtures)]
    scored = ["--mixtures", str(mixtures), "--skip_bss"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        mix.main([*words, "--out", str(mixtures)])
        infer.main([*asked, "--out", str(estimates)])
        score.main([*scored, "--estimates", str(estimates)])
    for path in estimates.glob("scores.*"):
        path.rename(root / path.name)
    shutil.copytree(estimates, root / "unscored")

    def stage(module, argv, out, jobs=True, before=None, finished=None, option="--out", to=None):
        out = root / "out" / out
        target = [option, str(out / to if to else out)]
        each = [[module.main, [*argv, *target, "--num_jobs", "2", *more]] for more in (
            ["--job", "1"], ["--job", "2"], ["--merge"]
        )] if jobs else [[module.main, [*argv, *target]]]

        def reset():
            out.parent.mkdir(exist_ok=True)
            shutil.rmtree(out, ignore_errors=True)
            if before:
                shutil.copytree(before, out)

        return SimpleNamespace(
            jobs=each[:2] if jobs else [],
            merge=each[2:] if jobs else each,
            commands=each,
            whole=[[module.main, [*argv, *target]]],
            out=out,
            reset=reset,
            finished=lambda: finished(out) if finished else [],
        )

    def parts(out, ids=(), prefix="", done=".done"):
        """What belongs to parts that are finished, before the merge is."""
        for job in (1, 2):
            part = out / f"{prefix}parts.2" / str(job)
            if (part / ".done").is_file() and not (out / done).is_file():
                names = sorted(ids)[job - 1 :: 2]
                yield from (p for p in part.iterdir() if ".tmp" not in p.name)
                yield from (p for p in out.rglob("*.wav") if p.stem.split("_")[0] in names)

    raw = [line.split()[0] for line in (root / "c/raw/wav.scp").read_text().splitlines()]
    numbers = [f"mix{number:05d}" for number in range(1, 7)]
    return {
        "format": stage(
            format,
            ["--data", str(root / "c/raw"), "--fs", "8000"],
            "clips",
            finished=lambda out: parts(out, raw),
        ),
        "mix": stage(
            mix,
            words,
            "mix",
            finished=lambda out: parts(out, numbers),
        ),
        "embed_text": stage(
            embed_text,
            ["--data", str(root / "c/raw"), "--language_model", str(tiny_bert)],
            "text",
            to="table.safetensors",
            finished=lambda out: parts(out, prefix="table.", done="table.safetensors"),
        ),
        "infer": stage(infer, asked, "infer", finished=lambda out: parts(out, numbers)),
        "score": stage(
            score,
            scored,
            "scored",
            option="--estimates",
            before=root / "unscored",
            finished=lambda out: parts(out, prefix="scores.", done="scores.json"),
        ),
        "report": stage(
            report, [*asked, "--examples", "1"], "report", jobs=False
        ),
    }, SimpleNamespace(root=root, estimates=estimates)


@pytest.fixture(params=["format", "mix", "embed_text", "infer", "score", "report"])
def stage(request, stages):
    """A stage with nothing done; the scores are there for the report only."""
    all_stages, there = stages
    for path in there.root.glob("scores.*"):
        shutil.copy2(path, there.estimates / path.name)
    found = all_stages[request.param]
    found.name = request.param
    found.reset()
    yield found
    found.reset()


@pytest.fixture(scope="session")
def references(children):
    """Stage -> what an undisturbed run leaves, and how many changes it makes; each found once."""
    known = {}

    def reference(stage):
        if stage.name not in known:
            stage.reset()
            changes = children.count(stage.commands, stage.out)
            known[stage.name] = (contents(stage.out), changes)
            stage.reset()
        return known[stage.name]

    return reference

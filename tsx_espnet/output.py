"""What a resumable step leaves behind: written in parts, merged, marked as done, completed later.

A step of hours is killed, finds the disk full, is started twice, or its files vanish afterwards. To
complete it, run it again: every step that writes many files is an ``Output``, in a directory of

    parts.N/J/.done   the facts: part J of N is finished; its tables lie beside it until the merge
    .begun            the facts of work that has begun, where other work may not replace it
    .done             the facts: all is there, and how it was made; written last

``--num_jobs``, ``--job`` and ``--merge`` of a command are its ``Jobs``.
"""

import abc
import glob
import json
import shutil
from pathlib import Path
from typing import Any, Collection, Dict, Mapping, Optional, Sequence, Tuple

from tsx_espnet.cli import ALL, Jobs
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import (
    DONE,
    PathLike,
    atomic_write,
    read_facts,
    read_marker,
    remove_leftovers,
    size_of,
)

Facts = Dict[str, Any]
BEGUN = ".begun"


class Output(abc.ABC):
    """A directory that a resumable step fills. Subclasses say what, ``write`` does what is missing.

    Args:
        directory: where.
        facts: all that the files depend on, as JSON; other facts, other files.
        items: what jobs share.

    Attributes:
        noun: for its contents, in messages.
        marker: the file that marks it as complete.
        prefix: of the names of parts, where several outputs share a directory.
        stem: of the names of its files there.
        keep_other: refuse to replace what was made with other facts.
        findings: facts that are known only after the merge.
    """

    noun = "files"
    marker = DONE
    prefix = ""
    stem = "*"
    keep_other = False
    findings: Tuple[str, ...] = ()

    def __init__(self, directory: PathLike, facts: Facts, items: Sequence = ()):
        self.directory = self.place = Path(directory)  # the place is what messages name
        self.facts: Facts = json.loads(json.dumps(facts))
        self.items = items

    # for subclasses

    def write_part(self, part: Path, items: Sequence, title: str) -> None:
        """Write the files of ``items``, and what the merge needs to know to the directory ``part``.

        Args:
            title: for ``progress``.
        """
        raise NotImplementedError

    def merge(self, parts: Sequence[Path]) -> Facts:
        """Write the tables of the whole from those of the parts; return the ``findings``."""
        raise NotImplementedError

    def expected_files(self, where: Path, items: Sequence) -> Mapping[Path, Optional[int]]:
        """Path -> bytes (None: any number but 0) of the files of ``items``.

        Args:
            where: the directory of the tables that tell: of a part, or of the whole.

        Raises:
            TSXError: if a table is missing or not that of ``items``.
        """
        return {}

    @abc.abstractmethod
    def summary(self, facts: Facts) -> str:
        """The contents in a few words; ``facts`` with the findings."""

    def withdraw(self) -> None:
        """Remove the mark that the directory is complete."""
        (self.directory / self.marker).unlink(missing_ok=True)

    def mark(self, findings: Facts) -> None:
        """Mark it as complete."""
        self._write_facts(self.directory / self.marker, findings)

    def occupied(self, present: Sequence[str]) -> Optional[str]:
        """Why a directory without facts, but with these files, is not ours; None if it may be."""
        if all(name.startswith(BEGUN) for name in present):
            return None
        return f"is not empty and holds no {self.noun} of ours; choose another name"

    # common to all

    def write(self, jobs: Jobs = ALL) -> None:
        """Do what is missing: of everything, of one job's part, or the merge.

        Raises:
            TSXError: if the directory holds something else, a part is missing in the merge, or a
                file cannot be written.
        """
        try:
            stale = self.found() is not None
            if self.is_done():
                return
            if self.keep_other:
                self.claim()
            elif stale or not jobs.merge:  # a merge leaves alone what another one just completed
                self.withdraw()
            for number in jobs.numbers():
                self._write_part(jobs, number)
            if jobs.job is None:
                self._merge(jobs)
        except OSError as error:  # of a full disk, Python does not say which file
            where = error.filename or self.directory
            raise TSXError(f"{where}: {error.strerror or error}") from None

    def found(self) -> Optional[Facts]:
        """The facts of what is complete, with the findings; None if nothing is."""
        return read_facts(self.directory, self.marker)

    def agrees(self, found: Optional[Facts]) -> bool:
        """Whether what was found complete is this work."""
        if found is None or not set(self.findings) <= set(found):
            return False
        return self.facts == {n: value for n, value in found.items() if n not in self.findings}

    def is_done(self) -> bool:
        """Whether all is there, undamaged; says so, and removes what killed processes left."""
        found = self.found()
        if not self.agrees(found):
            return False
        damage, files = self._check(self.directory, self.items)
        if damage:
            print(f"{damage}; {self.place} is made again", flush=True)
            if self.keep_other:  # remains claimed
                self._write_facts(self.directory / BEGUN)
            self.withdraw()
            return False
        print(f"{self.place}: already done ({self.summary(found)})", flush=True)
        self.clean(files)
        return True

    def claim(self, begin: bool = True) -> None:
        """Refuse to replace other work; leave the facts, unless they are there.

        Several jobs do this at once: what is there is listed first, so that whoever finds a file
        finds its marker too.

        Args:
            begin: leave the facts.

        Raises:
            TSXError: saying what is different in what is there.
        """
        out = self.directory
        present = [path.name for path in out.iterdir()] if out.is_dir() else []
        for marker in (out / self.marker, out / BEGUN):
            if marker.is_file():
                remedy = f"remove {out} or choose another name"
                differences = _differences(read_marker(marker, remedy), self.facts)
                if differences:
                    raise TSXError(
                        f"{out}: holds {self.noun} made differently ({differences}); "
                        "remove it or choose another name"
                    )
                return
        why = self.occupied(present)
        if why is not None:
            raise TSXError(f"{out}: {why}")
        if begin:
            self._write_facts(out / BEGUN)

    def finish(self, findings: Optional[Facts] = None) -> None:
        """Mark it as done, if it is whole, and remove what only an unfinished one needs."""
        damage, files = self._check(self.directory, self.items)
        if damage:
            raise TSXError(f"{damage}; run it again")
        self.mark(findings or {})
        self.clean(files)
        print(f"{self.place}: {self.summary({**self.facts, **(findings or {})})}", flush=True)

    def clean(self, files: Collection[Path]) -> None:
        """Remove parts, and the temporary files that killed writers left beside ``files``.

        A complete output may lie on a read-only disk: nothing is touched without need.
        """
        if self.keep_other and (self.directory / BEGUN).is_file():
            (self.directory / BEGUN).unlink(missing_ok=True)
        for parts in self.directory.glob(f"{glob.escape(self.prefix)}parts.*"):
            shutil.rmtree(parts, ignore_errors=True)
        keep = {path.name for path in files}
        for folder in {self.directory, *(path.parent for path in files)}:
            remove_leftovers(folder, keep, self.stem)

    def part(self, jobs: Jobs, number: int) -> Path:
        """The directory of a part."""
        return self.directory / f"{self.prefix}parts.{jobs.num_jobs}" / str(number)

    def _write_part(self, jobs: Jobs, number: int) -> None:
        part, items = self.part(jobs, number), jobs.items(self.items, number)
        if self._is_finished(part) and not self._check(part, items)[0]:
            print(f"{part}: already done", flush=True)
            return
        (part / DONE).unlink(missing_ok=True)
        self.write_part(part, items, f"{self.place.name} {number}/{jobs.num_jobs}")
        self._write_facts(part / DONE)

    def _check(self, where: Path, items: Sequence) -> Tuple[str, Mapping[Path, Optional[int]]]:
        """What is missing or changed ("" if nothing is), by size, and the files."""
        try:
            files = self.expected_files(where, items)
        except TSXError as error:
            return str(error), {}
        for path, size in files.items():
            found = size_of(path)
            if found != size and (size is not None or found <= 0):
                expected = "some" if size is None else size
                return f"{path}: expected {expected} bytes, found {max(0, found)}", files
        return "", files

    def _merge(self, jobs: Jobs) -> None:
        """Fine too if another merge has completed it meanwhile and removed the parts."""
        parts = [self.part(jobs, number) for number in range(1, jobs.num_jobs + 1)]
        try:
            for number, part in enumerate(parts, start=1):
                if not self._is_finished(part):
                    raise TSXError(
                        f"{part}: this part is not finished; run --num_jobs {jobs.num_jobs} "
                        f"--job {number} before --merge"
                    )
            self.finish(self.merge(parts))
        except (TSXError, OSError):
            if not self.agrees(self.found()):
                raise

    def _is_finished(self, part: Path) -> bool:
        return read_facts(part) == self.facts

    def _write_facts(self, path: Path, findings: Optional[Facts] = None) -> None:
        with atomic_write(path) as stream:
            json.dump({**self.facts, **(findings or {})}, stream, indent=1, sort_keys=True)


def _differences(found: Facts, facts: Facts, prefix: str = "") -> str:
    texts = []
    for key in sorted({**found, **facts}):
        old, new = found.get(key), facts.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            texts.append(_differences(old, new, f"{prefix}{key}."))
        elif old != new:
            texts.append(f"{prefix}{key}: {old!r} there, {new!r} now")
    return "; ".join(filter(None, texts))

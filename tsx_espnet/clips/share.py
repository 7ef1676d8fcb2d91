"""Formatted clips divided between two purposes, such as a classifier and the separation it helps.

Which share a clip is in follows from its recording alone (``utt2recording``, else its own id): it
is the same in any run, whatever clips are added, and no recording is in both.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from tsx_espnet.clips.clip_tables import read_clip_tables, read_lengths
from tsx_espnet.clips.datadir import LABELS, PHRASES, RECORDINGS, text_file
from tsx_espnet.clips.energies import FILE, FRAME_BYTES, num_frames
from tsx_espnet.errors import TSXError
from tsx_espnet.output import Facts, Output
from tsx_espnet.tables import DONE, PathLike, atomic_write, read_marker, read_table, write_table

CLASSES = "classes.txt"


def place(recording: str) -> float:
    """Where a recording lies in [0, 1), uniformly distributed."""
    return int(hashlib.sha256(recording.encode()).hexdigest()[:12], 16) / 16**12


class Share(Output):
    """Some of the clips of a formatted directory as a formatted directory of its own.

    Its tables name the audio files of the whole.

    Args:
        clips: formatted clips.
        directory: to write.
        share: of the clips, above 0 and below 1.
        rest: the other clips instead.

    Raises:
        TSXError: if the share is not between 0 and 1, ``clips`` was not formatted, or no clip is
            in the share.
    """

    noun = "clips"
    keep_other = True

    def __init__(self, clips: PathLike, directory: PathLike, share: float, rest: bool = False):
        if not 0 < share < 1:
            raise TSXError(f"share: expected a number above 0 and below 1, found {share:g}")
        self.clips = Path(clips)
        rows = read_clip_tables(self.clips)
        self.wavs = {
            name: row.wav
            for name, row in rows.items()
            if (place(row.recording or name) < share) != rest
        }
        formatted = read_marker(self.clips / DONE, "run format again")
        super().__init__(
            directory,
            {"formatted": formatted, "share": share, "rest": rest},
            sorted(self.wavs),
        )
        if Path(directory).resolve() == self.clips.resolve():
            raise TSXError(f"{directory}: expected another directory than that of all clips")
        if not self.wavs:
            raise TSXError(f"{self.clips}: none of {len(rows)} clips is in a share of {share:g}")
        self.fs = int(formatted["fs"])

    def write_part(self, part: Path, items: Sequence[str], title: str) -> None:
        """Nothing: the merge writes all of it."""
        part.mkdir(parents=True, exist_ok=True)

    def merge(self, parts: Sequence[Path]) -> Facts:
        lengths = read_lengths(self.clips)
        tables = self._tables()
        for file, table in tables.items():
            write_table(self.directory / file, table)
        labels = _classes(tables)
        if labels:
            with atomic_write(self.directory / CLASSES) as stream:
                stream.writelines(f"{label}\n" for label in labels)
        write_table(self.directory / "utt2num_samples", {n: lengths[n] for n in self.wavs})
        write_table(self.directory / "wav.scp", self.wavs)
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(open(self.clips / FILE, "rb"))
            target = stack.enter_context(atomic_write(self.directory / FILE, "wb"))
            for name in sorted(lengths):
                energies = source.read(FRAME_BYTES * num_frames(lengths[name], self.fs))
                if name in self.wavs:
                    target.write(energies)
        return {}

    def expected_files(self, where: Path, items: Sequence[str]) -> Mapping[Path, Optional[int]]:
        if where != self.directory:
            return {}
        lengths = read_lengths(where)
        if set(lengths) != set(items):
            raise TSXError(f"{where / 'utt2num_samples'}: expected {len(items)} clips of the share")
        frames = sum(num_frames(lengths[name], self.fs) for name in lengths)
        files: Dict[Path, Optional[int]] = {where / FILE: FRAME_BYTES * frames}
        tables = self._tables()
        names = ["wav.scp", *tables, *([CLASSES] if LABELS in tables else [])]
        return {**files, **{where / name: None for name in names}}

    def summary(self, facts: Mapping[str, Any]) -> str:
        labels = _classes(self._tables())
        return f"{len(self.wavs)} clips" + (f" of {len(labels)} labels" if labels else "")

    def _tables(self) -> Dict[str, Dict[str, str]]:
        """The tables about these clips that are not empty, beside those that all clips are in."""
        paths = (self.clips / LABELS, text_file(self.clips))
        further = (self.clips / PHRASES, self.clips / RECORDINGS)
        tables = {path.name: read_table(path) for path in (*paths, *further) if path.is_file()}
        own = {
            file: {name: value for name, value in table.items() if name in self.wavs}
            for file, table in tables.items()
        }
        return {file: table for file, table in own.items() if table}


def _classes(tables: Mapping[str, Mapping[str, str]]) -> List[str]:
    """The labels, sorted."""
    return sorted({label for own in tables.get(LABELS, {}).values() for label in own.split(",")})

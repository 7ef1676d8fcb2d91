"""The clips of a formatted directory: the index in memory, energies and audio read on demand."""

import bisect
from collections.abc import Sequence as SequenceABC
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Union

import numpy as np

from tsx_espnet.audio import AudioFile
from tsx_espnet.clips.clip_tables import FORMAT_AGAIN, ClipRow, is_shipped, read_clip_tables
from tsx_espnet.clips.datadir import PHRASES, TEXT
from tsx_espnet.clips.energies import FILE, FRAME_BYTES, num_frames, read_energies
from tsx_espnet.conditions import hop_length
from tsx_espnet.conditions.words import parse_captions
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import DONE, PathLike, digest, read_marker, size_of

Array = np.ndarray


class Strings(SequenceABC):
    """Immutable strings in one block of memory.

    Forked workers would copy a list of strings page by page, as Python counts references inside
    each string.

    >>> Strings(["a", "bc"])[1]
    'bc'
    """

    def __init__(self, items: Iterable[str]):
        encoded = [item.encode("utf-8") for item in items]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([0] + [len(item) for item in encoded])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode("utf-8")


class ClipSet:
    """The clips of ``dump/<fs>/<set>``, as ``format_set`` leaves them, or of several.

    Args:
        directory: the formatted directory, or several.
        classes: labels to keep; clips left without a label are dropped, but not those that never
            had one.
        interference: a formatted directory of further clips, whatever their labels, that these are
            mixed with: ``clips_of`` does not find them, and ``long_enough`` tells them apart.

    Attributes:
        directories: where the clips are, that of the interference last.
        fs: sampling rate in Hz.
        hop: samples of a 10 ms frame.
        ids: names of the clips, sorted.
        classes: labels of the clips, sorted.

    Raises:
        TSXError: if a directory was not formatted, its tables do not fit together, two directories
            do not, or no clip is left.
    """

    def __init__(
        self,
        directory: Union[PathLike, Sequence[PathLike]],
        classes: Optional[Sequence[str]] = None,
        interference: Optional[PathLike] = None,
    ):
        several = [directory] if isinstance(directory, (str, Path)) else list(directory)
        self._own = tuple(Path(one) for one in several)
        self._interference = None if interference is None else Path(interference)
        self._known = None if classes is None else tuple(classes)
        self.directories = (*self._own, *filter(None, [self._interference]))
        tables, self.fs = self._read_tables()
        clips = {name: row for table in tables for name, row in table.items()}
        others = set(tables[-1]) if interference is not None else set()
        labels = {name: row.labels for name, row in clips.items()}
        if classes is not None:
            known = set(classes)
            for name in labels.keys() - others:
                labels[name] = [label for label in labels[name] if label in known]
        names = sorted(name for name, own in labels.items() if own or not clips[name].labels)
        if len(names) == len(others):
            raise TSXError(f"{self}: no clips" + (" of the given classes" if classes else ""))
        rows = [clips[name] for name in names]
        self.ids = Strings(names)
        self._paths = Strings(row.wav for row in rows)
        self._num_samples = np.array([row.num_samples for row in rows])
        self._index_labels([labels[name] for name in names])
        self._index_energies(tables, names)
        self._interfering = np.array([name in others for name in names])
        self._captions = _optional([row.captions for row in rows])
        self._phrases = _optional([row.phrases for row in rows])
        self._recordings = _optional([row.recording for row in rows], "")
        self.hop = hop_length(self.fs)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"ClipSet({str(self)!r}: {len(self)} clips, {self.fs} Hz)"

    def __str__(self) -> str:
        return ", ".join(str(directory) for directory in self.directories)

    def with_interference(self, directory: PathLike) -> "ClipSet":
        """These clips, and those of ``directory`` to mix them with."""
        try:
            return ClipSet(self._own, self._known, directory)
        except TSXError as error:
            raise TSXError(f"interference: {error}") from None

    def facts(self) -> Dict[str, Any]:
        """What identifies these clips, wherever they are stored.

        Raises:
            TSXError: if a directory does not say how it was formatted.
        """
        markers = [read_marker(one / DONE, FORMAT_AGAIN) for one in self._own]
        facts = {
            "formatted": markers[0] if len(markers) == 1 else markers,
            "classes": digest(",".join(self.classes).encode()),
        }
        if self._interference is not None:
            facts["interference"] = read_marker(self._interference / DONE, FORMAT_AGAIN)
        return facts

    def labels(self, name: str) -> Tuple[str, ...]:
        """Labels of a clip, most specific first, if it has any."""
        number = self._number(name)
        first, last = self._label_ends[number], self._label_ends[number + 1]
        return tuple(self.classes[label] for label in self._labels[first:last])

    def captions(self, name: str) -> Tuple[str, ...]:
        """Captions of a clip, if it has any."""
        return self._texts(self._captions, TEXT, name)

    def phrases(self, name: str) -> Tuple[str, ...]:
        """A phrase for each of the sounds in a clip, if they are known."""
        return self._texts(self._phrases, PHRASES, name)

    def recording(self, name: str) -> str:
        """The recording that a clip was cut from; empty if it is not known."""
        return self._recordings[self._number(name)] if self._recordings is not None else ""

    def path(self, name: str) -> str:
        """The audio file of a clip, relative to the current directory."""
        return self._paths[self._number(name)]

    def num_samples(self, name: str) -> int:
        """Length of a clip."""
        return int(self._num_samples[self._number(name)])

    def clips_of(self, label: str, min_samples: int = 1) -> Array:
        """Positions in ``ids`` of the clips that have a label and at least ``min_samples``.

        Those of the interference are not among them.
        """
        position = bisect.bisect_left(self.classes, label)
        if position == len(self.classes) or self.classes[position] != label:
            return np.zeros(0, dtype=np.int64)
        rows = np.flatnonzero(self._labels == position)
        clips = np.searchsorted(self._label_ends, rows, side="right") - 1
        return clips[(self._num_samples[clips] >= min_samples) & ~self._interfering[clips]]

    def long_enough(self, min_samples: int, interference: bool = False) -> Array:
        """Positions of the clips of at least ``min_samples``; or of those of the interference."""
        chosen = (self._num_samples >= min_samples) & (self._interfering == interference)
        return np.flatnonzero(chosen)

    def energies(self, name: str) -> Array:
        """Total, harmonic and percussive energy of each 10 ms frame, (F, 3) float32.

        Shape: F = ceil(num_samples / hop)

        Raises:
            TSXError: if they cannot be read, or there are none, as the clips are used as shipped.
        """
        number = self._number(name)
        path = self.directories[self._home[number]] / FILE
        if self._first_frame[number] < 0:
            raise TSXError(f"{path.parent}: clips as shipped, to be mixed by their plans alone")
        frames = num_frames(int(self._num_samples[number]), self.fs)
        try:
            found = read_energies(path, int(self._first_frame[number]), frames)
        except (OSError, ValueError) as error:
            raise TSXError(
                f"{path}: cannot read the energies of {name!r} ({error}); {FORMAT_AGAIN}"
            ) from None
        if not (found.min(initial=0.0) >= 0 and found.max(initial=0.0) < np.inf):
            raise TSXError(
                f"{path}: energies of {name!r}: expected finite numbers that are not negative; "
                f"{FORMAT_AGAIN}"
            )
        return found

    def read(self, name: str, start: int = 0, length: Optional[int] = None) -> Array:
        """Samples ``start`` to ``start + length`` of a clip, float32 (int16 / 32768).

        Raises:
            TSXError: if the segment lies outside the clip, or the file vanished or changed.
        """
        number = self._number(name)
        total = int(self._num_samples[number])
        length = total - start if length is None else length
        if start < 0 or length < 0 or start + length > total:
            wanted = f"{start}..{start + length}"
            raise TSXError(f"clip {name!r} has {total} samples, asked for {wanted}")
        path = self._paths[number]
        changed = f"{path}: changed since formatting"
        try:
            with AudioFile(path) as audio:
                if (audio.frames, audio.fs, audio.channels) != (total, self.fs, 1):
                    raise TSXError(
                        f"{changed}: expected {total} samples at {self.fs} Hz in 1 channel, found "
                        f"{audio.frames} at {audio.fs} Hz in {audio.channels}"
                    )
                samples = audio.read(start, length)
            if len(samples) != length:
                raise TSXError(f"{changed}: it ends early")
        except TSXError as error:
            raise TSXError(f"{error}; {FORMAT_AGAIN}") from None
        return samples

    def _read_tables(self) -> Tuple[List[Dict[str, ClipRow]], int]:
        """The clips of each directory by id, and their rate in Hz."""
        tables = [read_clip_tables(directory) for directory in self.directories]
        if not any(tables):
            raise TSXError(f"{self}: no clips")
        rates: Dict[int, str] = {}
        seen: Set[str] = set()
        for directory, table in zip(self.directories, tables):
            if seen & table.keys():
                both = min(seen & table.keys())
                raise TSXError(f"{self}: clip {both!r} is in more than one of them")
            seen.update(table)
            try:
                for name in sorted(table)[:1]:
                    with AudioFile(table[name].wav) as audio:
                        rates[audio.fs] = str(directory)
            except TSXError as error:
                raise TSXError(f"{error}; {FORMAT_AGAIN}") from None
        if len(rates) > 1:
            listed = ", ".join(f"{fs} Hz in {directory}" for fs, directory in rates.items())
            raise TSXError(f"expected one rate, found {listed}")
        return tables, next(iter(rates))

    def _index_labels(self, labels: Sequence[Sequence[str]]) -> None:
        self.classes = sorted({label for own in labels for label in own})
        position = {label: number for number, label in enumerate(self.classes)}
        self._labels = np.array([position[x] for own in labels for x in own], dtype=np.int32)
        self._label_ends = np.cumsum([0] + [len(own) for own in labels])

    def _index_energies(self, tables: Sequence[Dict[str, ClipRow]], names: Sequence[str]) -> None:
        """The directory of each clip, and its first frame in the energies there."""
        places: Dict[str, Tuple[int, int]] = {}
        for home, (directory, table) in enumerate(zip(self.directories, tables)):
            if is_shipped(directory):  # there are none
                places.update(dict.fromkeys(table, (home, -1)))
                continue
            first = 0
            for name in sorted(table):
                places[name] = (home, first)
                first += num_frames(table[name].num_samples, self.fs)
            path, size, found = directory / FILE, FRAME_BYTES * first, size_of(directory / FILE)
            if found != size:
                found = max(0, found)
                raise TSXError(f"{path}: expected {size} bytes, found {found}; {FORMAT_AGAIN}")
        self._home, self._first_frame = np.array([places[name] for name in names]).T

    def _texts(self, table: Optional[Strings], file: str, name: str) -> Tuple[str, ...]:
        if table is None:
            return ()
        return parse_captions(table[self._number(name)], f"{self}: {file}: {name}")

    def _number(self, name: str) -> int:
        number = bisect.bisect_left(self.ids, name)
        if number == len(self.ids) or self.ids[number] != name:
            raise TSXError(f"{self}: no clip {name!r}")
        return number


def _optional(values: Sequence[Optional[str]], missing: str = "[]") -> Optional[Strings]:
    """A column, by default of JSON lists, if any clip has a value."""
    if all(value is None for value in values):
        return None
    return Strings(missing if value is None else value for value in values)

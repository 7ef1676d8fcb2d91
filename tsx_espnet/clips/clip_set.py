"""The clips of a formatted directory: the index in memory, energies and audio read on demand."""

import bisect
import os
from collections.abc import Sequence as SequenceABC
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np

from tsx_espnet.audio import AudioFile
from tsx_espnet.clips.energies import FILE, FRAME_BYTES, num_frames, read_energies
from tsx_espnet.conditions import hop_length
from tsx_espnet.conditions.words import parse_captions
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import DONE, PathLike, digest, read_marker, read_table, size_of

Array = np.ndarray
_AGAIN = "run format again"


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


class ClipRow(NamedTuple):
    """What the tables say of a clip: audio, samples, labels, captions as JSON."""

    wav: str
    num_samples: int
    labels: List[str]
    captions: Optional[str]


def read_clip_tables(directory: Path) -> Dict[str, ClipRow]:
    """The clips of ``dump/<fs>/<set>`` by id.

    Raises:
        TSXError: if the directory was not formatted, or its tables do not fit together.
    """
    if not (directory / DONE).is_file():
        raise TSXError(f"{directory}: no formatted clips there; run format")
    try:
        labels = read_table(directory / "utt2labels")
        wavs, lengths = read_table(directory / "wav.scp"), read_lengths(directory)
        for file, table in (("wav.scp", wavs), ("utt2num_samples", lengths)):
            if table.keys() != labels.keys():
                odd = min(table.keys() ^ labels.keys())
                raise TSXError(f"{directory}: clip {odd!r} is in only one of utt2labels, {file}")
        captions: Dict[str, str] = {}
        if (directory / "utt2captions").is_file():
            captions = read_table(directory / "utt2captions")
    except TSXError as error:
        raise TSXError(f"{error}; {_AGAIN}") from None
    if wavs and not os.path.isfile(next(iter(wavs.values()))):  # moved since formatting?
        here = {name: str(directory / "wav" / Path(path).name) for name, path in wavs.items()}
        wavs = here if os.path.isfile(next(iter(here.values()))) else wavs
    return {
        name: ClipRow(wavs[name], lengths[name], labels[name].split(","), captions.get(name))
        for name in labels
    }


def read_lengths(directory: Path) -> Dict[str, int]:
    """Id -> samples, from ``utt2num_samples``; numbers stay far below 2^63.

    Raises:
        TSXError: if one is no positive integer.
    """
    path = directory / "utt2num_samples"
    table = read_table(path)
    for name, value in table.items():
        whole = value.isascii() and value.isdecimal() and len(value) <= 18
        if not whole or int(value) < 1:
            raise TSXError(f"{path}: {name}: expected a positive integer, found {value!r:.80}")
    return {name: int(value) for name, value in table.items()}


class ClipSet:
    """The clips of ``dump/<fs>/<set>``, as ``format_set`` leaves them, or of several.

    Args:
        directory: the formatted directory, or several.
        classes: labels to keep; clips left without a label are dropped.

    Attributes:
        directories: where the clips are.
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
    ):
        several = [directory] if isinstance(directory, (str, Path)) else directory
        self.directories = tuple(Path(one) for one in several)
        tables, self.fs = self._read_tables()
        clips = {name: row for table in tables for name, row in table.items()}
        labels = {name: row.labels for name, row in clips.items()}
        if classes is not None:
            known = set(classes)
            labels = {name: [x for x in own if x in known] for name, own in labels.items()}
        names = sorted(name for name, own in labels.items() if own)
        if not names:
            raise TSXError(f"{self}: no clips" + (" of the given classes" if classes else ""))
        rows = [clips[name] for name in names]
        self.ids = Strings(names)
        self._paths = Strings(row.wav for row in rows)
        self._num_samples = np.array([row.num_samples for row in rows])
        self._index_labels([labels[name] for name in names])
        self._index_energies(tables, names)
        self._captions = None
        if any(row.captions is not None for row in rows):
            self._captions = Strings(row.captions or "[]" for row in rows)
        self.hop = hop_length(self.fs)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"ClipSet({str(self)!r}: {len(self)} clips, {self.fs} Hz)"

    def __str__(self) -> str:
        return ", ".join(str(directory) for directory in self.directories)

    def facts(self) -> Dict[str, Any]:
        """What identifies these clips, wherever they are stored.

        Raises:
            TSXError: if a directory does not say how it was formatted.
        """
        markers = [read_marker(one / DONE, _AGAIN) for one in self.directories]
        return {
            "formatted": markers[0] if len(markers) == 1 else markers,
            "classes": digest(",".join(self.classes).encode()),
        }

    def labels(self, name: str) -> Tuple[str, ...]:
        """Labels of a clip, most specific first."""
        number = self._number(name)
        first, last = self._label_ends[number], self._label_ends[number + 1]
        return tuple(self.classes[label] for label in self._labels[first:last])

    def captions(self, name: str) -> Tuple[str, ...]:
        """Captions of a clip, if it has any."""
        if self._captions is None:
            return ()
        text = self._captions[self._number(name)]
        return parse_captions(text, f"{self}: utt2captions: {name}")

    def path(self, name: str) -> str:
        """The audio file of a clip, relative to the current directory."""
        return self._paths[self._number(name)]

    def num_samples(self, name: str) -> int:
        """Length of a clip."""
        return int(self._num_samples[self._number(name)])

    def clips_of(self, label: str, min_samples: int = 1) -> Array:
        """Positions in ``ids`` of the clips that have a label and at least ``min_samples``."""
        position = bisect.bisect_left(self.classes, label)
        if position == len(self.classes) or self.classes[position] != label:
            return np.zeros(0, dtype=np.int64)
        rows = np.flatnonzero(self._labels == position)
        clips = np.searchsorted(self._label_ends, rows, side="right") - 1
        return clips[self._num_samples[clips] >= min_samples]

    def energies(self, name: str) -> Array:
        """Total, harmonic and percussive energy of each 10 ms frame, (F, 3) float32.

        Shape: F = ceil(num_samples / hop)
        """
        number = self._number(name)
        path = self.directories[self._home[number]] / FILE
        frames = num_frames(int(self._num_samples[number]), self.fs)
        try:
            found = read_energies(path, int(self._first_frame[number]), frames)
        except (OSError, ValueError) as error:
            raise TSXError(
                f"{path}: cannot read the energies of {name!r} ({error}); {_AGAIN}"
            ) from None
        if not (found.min(initial=0.0) >= 0 and found.max(initial=0.0) < np.inf):
            raise TSXError(
                f"{path}: energies of {name!r}: expected finite numbers that are not negative; "
                f"{_AGAIN}"
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
            raise TSXError(f"{error}; {_AGAIN}") from None
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
                raise TSXError(f"{error}; {_AGAIN}") from None
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
            first = 0
            for name in sorted(table):
                places[name] = (home, first)
                first += num_frames(table[name].num_samples, self.fs)
            path, size, found = directory / FILE, FRAME_BYTES * first, size_of(directory / FILE)
            if found != size:
                raise TSXError(f"{path}: expected {size} bytes, found {max(0, found)}; {_AGAIN}")
        self._home, self._first_frame = np.array([places[name] for name in names]).T

    def _number(self, name: str) -> int:
        number = bisect.bisect_left(self.ids, name)
        if number == len(self.ids) or self.ids[number] != name:
            raise TSXError(f"{self}: no clip {name!r}")
        return number

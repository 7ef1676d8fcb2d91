"""The clips of a formatted directory: an index in memory, energies and audio read when asked."""

import bisect
from collections.abc import Sequence as SequenceABC
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Tuple

import numpy as np
import soundfile

from tsx_espnet.ark import read_matrix
from tsx_espnet.captions import parse_captions
from tsx_espnet.condition import hop_length
from tsx_espnet.error import TSXError
from tsx_espnet.files import DONE, PathLike, read_table

Array = np.ndarray


class Strings(SequenceABC):
    """Strings that never change, as one block of memory.

    A list of strings would be copied page by page into every forked worker, as Python counts
    references inside each string.

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


def read_classes(path: PathLike) -> List[str]:
    """Labels of a ``classes.txt``, one a line.

    Raises:
        TSXError: if the file is missing or holds no label.
    """
    path = Path(path)
    if not path.is_file():
        raise TSXError(f"{path}: no such file; the format stage (stage 2) writes classes.txt")
    classes = path.read_text(encoding="utf-8").split()
    if not classes:
        raise TSXError(f"{path}: holds no label")
    return classes


class ClipSet:
    """The clips of ``dump/<fs>/<set>``, as the format stage leaves them.

    Args:
        directory: the formatted directory.
        classes: labels to know; other labels are dropped, and clips left without any.

    Attributes:
        fs: sampling rate in Hz.
        hop: samples of a 10 ms frame.
        ids: names of the clips, sorted.
        classes: labels of the clips, sorted.

    Raises:
        TSXError: if the directory was not formatted, its tables do not fit together, or no clip is
            left.
    """

    def __init__(self, directory: PathLike, classes: Optional[Sequence[str]] = None):
        self.directory = Path(directory)
        if not (self.directory / DONE).is_file():
            raise TSXError(f"{directory}: no formatted clips there; run the format stage (stage 2)")
        labels = {name: value.split(",") for name, value in self._table("utt2labels").items()}
        files = ("wav.scp", "utt2num_samples", "energies.scp")
        wavs, lengths, energies = tables = tuple(map(self._table, files))
        for file, table in zip(files, tables):
            if table.keys() != labels.keys():
                odd = min(table.keys() ^ labels.keys())
                raise TSXError(f"{directory}: clip {odd!r} is in only one of utt2labels, {file}")
        if classes is not None:
            known = set(classes)
            labels = {name: [x for x in own if x in known] for name, own in labels.items()}
        names = sorted(name for name, own in labels.items() if own)
        if not names:
            raise TSXError(f"{directory}: no clips" + (" of the given classes" if classes else ""))
        self.ids = Strings(names)
        self._paths = Strings(self._moved([wavs[name] for name in names]))
        self._num_samples = np.array([self._length(name, lengths[name]) for name in names])
        self._index_labels([labels[name] for name in names])
        self._index_energies([energies[name] for name in names])
        self._captions = None
        if (self.directory / "utt2captions").is_file():
            captions = self._table("utt2captions")
            self._captions = Strings(captions.get(name, "[]") for name in names)
        self.fs = self._open(0).samplerate
        self.hop = hop_length(self.fs)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"ClipSet({str(self.directory)!r}: {len(self)} clips, {self.fs} Hz)"

    def labels(self, name: str) -> Tuple[str, ...]:
        """Labels of a clip, most specific first."""
        number = self._number(name)
        first, last = self._label_ends[number], self._label_ends[number + 1]
        return tuple(self.classes[label] for label in self._labels[first:last])

    def captions(self, name: str) -> Tuple[str, ...]:
        """Captions of a clip, none where the corpus has none."""
        if self._captions is None:
            return ()
        text = self._captions[self._number(name)]
        return parse_captions(text, f"{self.directory}/utt2captions: {name}")

    def path(self, name: str) -> str:
        """Where the audio of clip ``name`` is found from the current directory."""
        return self._paths[self._number(name)]

    def num_samples(self, name: str) -> int:
        """Length of a clip."""
        return int(self._num_samples[self._number(name)])

    def clips_of(self, label: str, min_samples: int = 1) -> Array:
        """Numbers (places in ``ids``) of the clips that have a label, and are long enough."""
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
        path, offset = self._arks[self._ark[number]], int(self._ark_offset[number])
        where = f"{path}:{offset}"
        try:
            found = read_matrix(path, offset)
        except (OSError, ValueError) as error:
            raise TSXError(f"{where}: cannot read the energies of {name!r}: {error}") from None
        expected = (-(-int(self._num_samples[number]) // self.hop), 3)
        if found.shape != expected:
            raise TSXError(
                f"{where}: energies of {name!r}: expected shape {expected}, found {found.shape}"
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
            asked = f"{start}..{start + length}"
            raise TSXError(f"clip {name!r} has {total} samples, asked for {asked}")
        with self._open(number) as audio:
            if (audio.frames, audio.samplerate, audio.channels) != (total, self.fs, 1):
                raise TSXError(
                    f"{self._paths[number]}: changed since formatting: expected {total} samples at "
                    f"{self.fs} Hz in 1 channel, found {audio.frames} at {audio.samplerate} Hz in "
                    f"{audio.channels}; run the format stage (stage 2) again"
                )
            audio.seek(start)
            return audio.read(length, dtype="float32")

    def _table(self, file: str):
        return read_table(self.directory / file)

    def _moved(self, paths: List[str]) -> List[str]:
        """Paths of files that are still there, if the directory was moved since formatting."""
        if Path(paths[0]).is_file():
            return paths
        for folder in (self.directory / "wav", self.directory):
            if (folder / Path(paths[0]).name).is_file():
                return [str(folder / Path(path).name) for path in paths]
        return paths

    def _length(self, name: str, value: str) -> int:
        if not value.isdecimal() or int(value) < 1:
            where = f"{self.directory}/utt2num_samples: {name}"
            raise TSXError(f"{where}: expected a positive integer, found {value!r}")
        return int(value)

    def _index_labels(self, labels: Sequence[Sequence[str]]) -> None:
        self.classes = sorted({label for own in labels for label in own})
        position = {label: number for number, label in enumerate(self.classes)}
        self._labels = np.array([position[x] for own in labels for x in own], dtype=np.int32)
        self._label_ends = np.cumsum([0] + [len(own) for own in labels])

    def _index_energies(self, places: Sequence[str]) -> None:
        split = [place.rpartition(":") for place in places]
        arks = sorted({path for path, _, _ in split})
        position = {path: number for number, path in enumerate(arks)}
        self._arks = self._moved(arks)
        self._ark = np.array([position[path] for path, _, _ in split], dtype=np.int32)
        if not all(offset.isdecimal() for _, _, offset in split):
            raise TSXError(f"{self.directory}/energies.scp: expected 'id file.ark:offset' lines")
        self._ark_offset = np.array([int(offset) for _, _, offset in split])

    def _number(self, name: str) -> int:
        number = bisect.bisect_left(self.ids, name)
        if number == len(self.ids) or self.ids[number] != name:
            raise TSXError(f"{self.directory}: no clip {name!r}")
        return number

    def _open(self, number: int) -> soundfile.SoundFile:
        path = self._paths[number]
        try:
            return soundfile.SoundFile(path)
        except (soundfile.SoundFileError, OSError) as error:
            reason = "no such file" if not Path(path).is_file() else str(error)
            raise TSXError(
                f"{path}: cannot read clip {self.ids[number]!r} ({reason}); "
                "run the format stage (stage 2) again"
            ) from None

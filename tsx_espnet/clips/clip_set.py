"""The clips of a formatted directory: an index in memory, energies and audio read when asked."""

import bisect
import os
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import soundfile

from tsx_espnet.audio import UNREADABLE
from tsx_espnet.clips.ark import read_matrix
from tsx_espnet.clips.clip_tables import ClipRow, read_clip_tables
from tsx_espnet.clips.strings import Strings
from tsx_espnet.conditions import hop_length
from tsx_espnet.conditions.words import parse_captions
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike

Array = np.ndarray
_AGAIN = "run the format stage (stage 2) again"


def read_classes(path: PathLike) -> List[str]:
    """Labels of a ``classes.txt``, one a line.

    Raises:
        TSXError: if the file is missing or holds no label.
    """
    path = Path(path)
    if not path.is_file():
        raise TSXError(f"{path}: no such file; the format stage (stage 2) writes classes.txt")
    try:
        classes = path.read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise TSXError(f"{path}: not UTF-8 text ({error.reason})") from None
    if not classes:
        raise TSXError(f"{path}: holds no label")
    return classes


class ClipSet:
    """The clips of ``dump/<fs>/<set>``, as the format stage leaves them, or of several such.

    Args:
        directory: the formatted directory, or several.
        classes: labels to know; other labels are dropped, and clips left without any.

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
        clips, self.fs = self._read_tables()
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
        self._arks = sorted({row.ark for row in rows})
        self._ark = np.array([self._arks.index(row.ark) for row in rows], dtype=np.int32)
        self._ark_offset = np.array([row.ark_offset for row in rows])
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

    @property
    def directory(self) -> Path:
        """Where the clips are, the first place of several."""
        return self.directories[0]

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
        return parse_captions(text, f"{self}: utt2captions: {name}")

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
            raise TSXError(
                f"{where}: cannot read the energies of {name!r} ({error}); {_AGAIN}"
            ) from None
        expected = (-(-int(self._num_samples[number]) // self.hop), 3)
        if found.shape != expected:
            raise TSXError(
                f"{where}: energies of {name!r}: expected shape {expected}, found {found.shape}; "
                f"{_AGAIN}"
            )
        if not (found.min(initial=0.0) >= 0 and found.max(initial=0.0) < np.inf):
            raise TSXError(
                f"{where}: energies of {name!r}: expected finite numbers that are not negative; "
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
            asked = f"{start}..{start + length}"
            raise TSXError(f"clip {name!r} has {total} samples, asked for {asked}")
        with _open(self._paths[number], name) as audio:
            if (audio.frames, audio.samplerate, audio.channels) != (total, self.fs, 1):
                raise TSXError(
                    f"{self._paths[number]}: changed since formatting: expected {total} samples at "
                    f"{self.fs} Hz in 1 channel, found {audio.frames} at {audio.samplerate} Hz in "
                    f"{audio.channels}; {_AGAIN}"
                )
            audio.seek(start)
            samples = audio.read(length, dtype="float32")
        if len(samples) != length:
            raise TSXError(
                f"{self._paths[number]}: changed since formatting: it ends early; {_AGAIN}"
            )
        return samples

    def _read_tables(self) -> Tuple[Dict[str, ClipRow], int]:
        """The clips of all directories by id, and their rate in Hz."""
        clips: Dict[str, ClipRow] = {}
        rates: Dict[int, str] = {}
        for directory in self.directories:
            found = read_clip_tables(directory)
            if not found:
                continue
            both = min(clips.keys() & found.keys(), default=None)
            if both is not None:
                raise TSXError(f"{self}: clip {both!r} is in more than one of them")
            clips.update(found)
            first = min(found)
            rates[_open(found[first].wav, first).samplerate] = str(directory)
        if len(rates) > 1:
            listed = ", ".join(f"{fs} Hz in {directory}" for fs, directory in rates.items())
            raise TSXError(f"expected one rate, found {listed}")
        if not clips:
            raise TSXError(f"{self}: no clips")
        return clips, next(iter(rates))

    def _index_labels(self, labels: Sequence[Sequence[str]]) -> None:
        self.classes = sorted({label for own in labels for label in own})
        position = {label: number for number, label in enumerate(self.classes)}
        self._labels = np.array([position[x] for own in labels for x in own], dtype=np.int32)
        self._label_ends = np.cumsum([0] + [len(own) for own in labels])

    def _number(self, name: str) -> int:
        number = bisect.bisect_left(self.ids, name)
        if number == len(self.ids) or self.ids[number] != name:
            raise TSXError(f"{self}: no clip {name!r}")
        return number


def _open(path: str, name: str) -> soundfile.SoundFile:
    try:
        if not os.path.isfile(path):  # "-" would be the standard input
            raise OSError
        return soundfile.SoundFile(path)
    except UNREADABLE as error:
        reason = "no such file" if not os.path.isfile(path) else str(error)
        raise TSXError(f"{path}: cannot read clip {name!r} ({reason}); {_AGAIN}") from None

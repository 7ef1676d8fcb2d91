"""The tables of a data directory, checked before any audio is read."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

from tsx_espnet.conditions import NOT_APPLICABLE
from tsx_espnet.conditions.words import parse_captions
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, digest, read_table

LABELS, TEXT, PHRASES = "utt2labels", "text", "utt2phrases"
RECORDINGS = "utt2recording"
OLD_TEXT = "utt2captions"  # what ``text`` was called


@dataclass(frozen=True)
class DataDir:
    """The clips of a data directory by id.

    Audio file, and of those that have some: labels, captions, phrases, the recording they were cut
    from.
    """

    path: Path
    wavs: Dict[str, Path]
    labels: Dict[str, Tuple[str, ...]]
    captions: Dict[str, Tuple[str, ...]]
    phrases: Dict[str, Tuple[str, ...]]
    recordings: Dict[str, str]

    @classmethod
    def read(cls, path: PathLike) -> "DataDir":
        """Read ``wav.scp``, and of the other tables those that there are.

        Ids that ``wav.scp`` does not hold are ignored, so that a subset of ``wav.scp`` is a subset
        of the data.

        Raises:
            TSXError: naming file and line, if a table is missing or malformed, a clip has neither a
                label nor a caption, or a label is empty, holds a space or occurs twice.
        """
        path = Path(path)
        if not path.is_dir():
            raise TSXError(f"{path}: no such data directory")
        scp = path / "wav.scp"
        wavs = {name: Path(value) for name, value in sorted(read_table(scp).items())}
        if not wavs:
            raise TSXError(f"{scp}: not one clip")
        for name, wav in wavs.items():
            if str(wav).endswith("|"):
                raise TSXError(f"{_line(scp, name)}: expected a file, found the command {wav}")
        text = text_file(path)
        names = [one for one in (path / LABELS, text) if one.is_file()]
        if not names:
            raise TSXError(f"{path}: expected {LABELS} or {TEXT}, found neither")
        labels, captions, phrases = (
            {name: parse(value, one, name) for name, value in _values(one, wavs)}
            for one, parse in ((path / LABELS, _labels), (text, _texts), (path / PHRASES, _texts))
        )
        for name in wavs:
            if name not in labels and not captions.get(name):
                where = " nor in ".join(map(str, names))
                raise TSXError(f"{_line(scp, name)}: clip {name!r} is not in {where}")
        recordings = dict(_values(path / RECORDINGS, wavs))
        return cls(path, wavs, labels, captions, phrases, recordings)

    def checksum(self) -> str:
        """A digest that changes with the tables (not with the audio they name)."""
        old, new = ("wav.scp", LABELS, OLD_TEXT), (TEXT, PHRASES, RECORDINGS)
        there = [name for name in (*old, *new) if (self.path / name).is_file()]
        names = {name: name.encode() for name in new}  # sets of before have none of these
        parts = [names.get(name, b"") + (self.path / name).read_bytes() for name in there]
        return digest(b"".join(parts))

    def refuse_overwriting(self, directory: Path) -> None:
        """Raise ``TSXError`` if one of the audio files lies in ``directory``."""
        target = os.path.realpath(directory)
        folders = {os.path.dirname(wav) for wav in self.wavs.values()}
        here = {folder for folder in folders if os.path.realpath(folder) == target}
        for name, wav in self.wavs.items():
            if os.path.dirname(wav) in here:
                raise TSXError(
                    f"{_line(self.path / 'wav.scp', name)}: {wav} lies where the formatted audio "
                    "would be written; choose another output directory"
                )


def text_file(directory: Path) -> Path:
    """The table of the captions of a directory, whether or not there is one.

    Raises:
        TSXError: if there are two, as it was called ``utt2captions`` before.
    """
    new, old = directory / TEXT, directory / OLD_TEXT
    if not old.is_file():
        return new
    if new.is_file():
        raise TSXError(f"{directory}: expected {TEXT} or {OLD_TEXT} (its older name), found both")
    return old


def _values(path: Path, wavs: Dict[str, Path]) -> List[Tuple[str, str]]:
    """The lines of a table, if it is there, of the clips of ``wav.scp``."""
    table = read_table(path) if path.is_file() else {}
    return [(name, table[name]) for name in wavs if name in table]


def _labels(text: str, path: Path, name: str) -> Tuple[str, ...]:
    labels = tuple(text.split(","))
    for label in labels:
        if not label or label.split() != [label]:
            raise TSXError(
                f"{_line(path, name)}: expected 'id Label1,Label2' without spaces or empty labels, "
                f"found {text!r}"
            )
    if len(set(labels)) < len(labels):
        raise TSXError(f"{_line(path, name)}: a label occurs twice in {text!r}")
    return labels


def _texts(text: str, path: Path, name: str) -> Tuple[str, ...]:
    """Captions or phrases; none of ``n/a``."""
    try:
        texts = parse_captions(text, "")
    except TSXError:
        texts = ()
    if not texts and text != NOT_APPLICABLE:
        raise TSXError(
            f'{_line(path, name)}: expected a text or a JSON list of texts ["...", ...], '
            f"found {text[:80]}"
        )
    return texts


def _line(path: Path, name: str) -> str:
    """``path:line`` of the entry ``name``; searched for only in case of an error."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if line.split(maxsplit=1)[:1] == [name]:
            return f"{path}:{number}"
    return str(path)


def read_classes(path: PathLike) -> List[str]:
    """Labels of a ``classes.txt``, one a line.

    Raises:
        TSXError: if the file is missing or holds no label.
    """
    path = Path(path)
    if not path.is_file():
        raise TSXError(f"{path}: no such file; format writes classes.txt of labels")
    try:
        classes = path.read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise TSXError(f"{path}: not UTF-8 text ({error.reason})") from None
    if not classes:
        raise TSXError(f"{path}: holds no label")
    return classes

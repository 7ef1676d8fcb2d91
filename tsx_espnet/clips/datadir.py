"""The tables of a data directory, checked before any audio is read."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, digest, parse_json, read_table

TABLES = ("wav.scp", "utt2labels", "utt2captions")


@dataclass(frozen=True)
class DataDir:
    """The clips of a data directory by id: audio file, labels, captions (if any)."""

    path: Path
    wavs: Dict[str, Path]
    labels: Dict[str, Tuple[str, ...]]
    captions: Dict[str, List[str]]

    @classmethod
    def read(cls, path: PathLike) -> "DataDir":
        """Read ``wav.scp``, ``utt2labels`` and, if it is there, ``utt2captions``.

        Labels of ids that ``wav.scp`` does not hold are ignored, so that a subset of ``wav.scp``
        is a subset of the data.

        Raises:
            TSXError: naming file and line, if a table is missing or malformed, a clip has no
                labels, or a label is empty, holds a space or occurs twice.
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
        labels = {}
        table = read_table(path / "utt2labels")
        for name in wavs:
            if name not in table:
                raise TSXError(f"{_line(scp, name)}: clip {name!r} is not in {path}/utt2labels")
            labels[name] = _labels(table[name], path / "utt2labels", name)
        captions = {}
        if (path / "utt2captions").is_file():
            for name, text in read_table(path / "utt2captions").items():
                captions[name] = _captions(text, path / "utt2captions", name)
        return cls(path, wavs, labels, {n: captions[n] for n in wavs if n in captions})

    def checksum(self) -> str:
        """A digest that changes with the tables (not with the audio they name)."""
        paths = [self.path / name for name in TABLES]
        return digest(b"".join(path.read_bytes() for path in paths if path.is_file()))

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


def _captions(text: str, path: Path, name: str) -> List[str]:
    try:
        captions = parse_json(text)
    except ValueError:
        captions = None
    if (
        not isinstance(captions, list)
        or not captions
        or not all(isinstance(caption, str) and caption.strip() for caption in captions)
    ):
        raise TSXError(
            f'{_line(path, name)}: expected a JSON list of captions ["...", ...], found {text[:80]}'
        )
    return captions


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
        raise TSXError(f"{path}: no such file; format writes classes.txt")
    try:
        classes = path.read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise TSXError(f"{path}: not UTF-8 text ({error.reason})") from None
    if not classes:
        raise TSXError(f"{path}: holds no label")
    return classes

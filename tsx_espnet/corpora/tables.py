"""The tables of a corpus, read and checked, and the data directories made from it."""

import csv
import os
import re
from pathlib import Path
from typing import Collection, Dict, Iterator, List, Mapping, Sequence, Tuple

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, check_id, write_table

SEEN, NEW = ("train", "valid", "test"), ("new_train", "new_test")
TABLES = ("utt2labels", "wav.scp", "utt2recording")
_EXAMPLES = re.compile(r"new_enroll_\d+(_draw\d+)?")  # see examples.py
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")
MAX_MISSING = 0.03  # of the clips of a set; with more, the download counts as incomplete


def read_csv(path: Path) -> Iterator[Tuple[int, List[str]]]:
    """Yield (line number, fields) of the rows that are not blank.

    Raises:
        TSXError: if the file is empty, not UTF-8 or no CSV.
    """
    empty = True
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            for row in reader:
                if row:
                    empty = False
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise TSXError(f"{path}: not UTF-8 text ({error.reason})") from None
    except csv.Error as error:
        raise TSXError(f"{path}:{reader.line_num}: not CSV ({error})") from None
    if empty:
        raise TSXError(f"{path}: the file is empty")


def read_records(path: Path, columns: Sequence[str]) -> Iterator[Tuple[str, Dict[str, str]]]:
    """Yield (``path:line``, row by column name) of a CSV with a header.

    Raises:
        TSXError: if a column is missing, or a row has not as many fields as the header.
    """
    rows = read_csv(path)
    _, header = next(rows)
    for name in columns:
        if name not in header:
            raise TSXError(f"{path}: no column {name!r}, found {', '.join(header)}")
    for number, row in rows:
        if len(row) != len(header):
            where = f"{path}:{number}"
            raise TSXError(f"{where}: expected {len(header)} fields, found {len(row)}")
        yield f"{path}:{number}", dict(zip(header, row))


def present(clips: Collection[str], directory: Path, title: str, url: str) -> List[str]:
    """The clips whose file ``<clip>.wav`` exists in ``directory``, sorted.

    Raises:
        TSXError: if more than 3 % are missing.
    """
    files = set(os.listdir(directory))
    found = sorted(name for name in clips if f"{name}.wav" in files)
    missing = sorted(set(clips).difference(found))
    if len(missing) > MAX_MISSING * len(clips):
        raise TSXError(
            f"{directory}: {len(missing)} of the {len(clips)} files of the {title} are missing "
            f"({missing[0]}.wav ...); incomplete download? It is at {url}"
        )
    return found


def check_layout(
    root: Path, corpus: str, folders: Sequence[str], files: Sequence[str], url: str
) -> None:
    """Raise ``TSXError`` if ``root`` lacks a folder, or the last folder a file."""
    expected = (
        f"expected the {corpus} corpus with {', '.join(folders)} "
        f"({folders[-1]} with {', '.join(files)}); get it from {url}"
    )
    if not root.is_dir():
        raise TSXError(f"{root}: no such directory; {expected}")
    missing = [name for name in folders if not (root / name).is_dir()]
    if missing:
        entries = sorted(os.listdir(root))
        found = ", ".join(entries[:5]) + (", ..." if len(entries) > 5 else "") or "nothing"
        raise TSXError(f"{root}: no {', '.join(missing)} in it, found {found}; {expected}")
    for path in (root / folders[-1] / name for name in files):
        if not path.is_file():
            raise TSXError(f"{path}: no such file; {expected}")


def write_sets(data: PathLike, sets: Mapping[str, Mapping[str, Tuple[PathLike, ...]]]) -> None:
    """Write the tables of each set, and remove those of sets no longer there.

    Args:
        data: directory of the data directories.
        sets: set -> clip -> labels with commas between them, audio file and, if it is known, the
            recording that the clip was cut from.
    """
    data = Path(data)
    for name, clips in sets.items():
        for column, file in enumerate(TABLES):
            table = {one: row[column] for one, row in clips.items() if column < len(row)}
            (data / name / file).unlink(missing_ok=True)
            if table or file != TABLES[-1]:
                write_table(data / name / file, table)
    there = {path.name for path in data.iterdir() if _EXAMPLES.fullmatch(path.name)}
    for name in {*SEEN, *NEW, *there}.difference(sets):
        for table in TABLES:
            (data / name / table).unlink(missing_ok=True)


def prepare_noise(root: PathLike, data: PathLike) -> int:
    """Write ``wav.scp`` and ``utt2labels`` of all recordings below ``root``; returns how many.

    The id of a recording is its path below ``root``, with ``_`` for characters not allowed in ids.

    Raises:
        TSXError: if there is no recording, or two have the same id.
    """
    root = Path(os.path.abspath(root))
    if not root.is_dir():
        raise TSXError(f"{root}: no such directory")
    wavs: Dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file():
            continue
        plain = re.sub(r"[^A-Za-z0-9_+-]+", "_", str(path.relative_to(root).with_suffix("")))
        name = check_id(plain.lstrip("_+-"), str(path))
        if name in wavs:
            raise TSXError(f"{path}: has the id {name!r}, as {wavs[name]} has; rename one of them")
        wavs[name] = path
    if not wavs:
        raise TSXError(f"{root}: no recording in it (expected {', '.join(AUDIO_SUFFIXES)})")
    write_table(Path(data) / "utt2labels", dict.fromkeys(wavs, "Noise"))
    write_table(Path(data) / "wav.scp", wavs)
    return len(wavs)

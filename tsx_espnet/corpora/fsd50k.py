"""FSD50K as it ships -> data directories ``train``, ``valid`` and ``test``.

Reference: E. Fonseca et al., "FSD50K: an open dataset of human-labeled sound events", TASLP 2022.
"""

import csv
import difflib
import os
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Set, Tuple

from tsx_espnet.error import TSXError
from tsx_espnet.files import PathLike, check_id, write_table

URL = "https://zenodo.org/record/4060432"
AUDIO = {"dev": "FSD50K.dev_audio", "eval": "FSD50K.eval_audio"}
GROUND_TRUTH = "FSD50K.ground_truth"
SETS = {"train": "train", "val": "valid"}  # the split column of dev.csv -> our name
MAX_MISSING = 0.03  # of the clips of a set; above it the download is taken for incomplete

Labels = Tuple[str, ...]


def prepare(root: PathLike, data: PathLike) -> Dict[str, Tuple[int, int]]:
    """Write ``wav.scp`` and ``utt2labels`` of FSD50K's three sets below ``data``.

    ``data/train`` and ``data/valid`` are the rows of ``dev.csv`` by their ``split`` column,
    ``data/test`` is ``eval.csv``. Labels keep the corpus's order: most specific first.

    Args:
        root: the directory that holds ``FSD50K.dev_audio`` and its neighbours.
        data: where to write; ``wav.scp`` holds absolute paths.

    Returns:
        (clips written, clips whose audio is missing) of each set.

    Raises:
        TSXError: if ``root`` is not FSD50K, a CSV is malformed, or more than 3 % of the audio
            files of a set are missing.
    """
    root = Path(os.path.abspath(root))
    _check_layout(root)
    truth = root / GROUND_TRUTH
    vocabulary = read_vocabulary(truth / "vocabulary.csv")
    seen: Dict[str, str] = {}
    clips: Dict[str, Dict[str, Labels]] = {"train": {}, "valid": {}}
    for fname, labels, split in _read_clips(truth / "dev.csv", vocabulary, SETS, seen):
        clips[SETS[split]][fname] = labels
    clips["test"] = {
        fname: labels for fname, labels, _ in _read_clips(truth / "eval.csv", vocabulary, (), seen)
    }
    # all sets are checked before the first file is written
    present = {name: _present(clips[name], _audio(root, name), f"{name} set") for name in clips}
    for name, fnames in present.items():
        out = Path(data) / name
        write_table(out / "utt2labels", {f: ",".join(clips[name][f]) for f in fnames})
        write_table(out / "wav.scp", {f: _audio(root, name) / f"{f}.wav" for f in fnames})
    return {name: (len(present[name]), len(clips[name]) - len(present[name])) for name in clips}


def read_vocabulary(path: PathLike) -> Tuple[str, ...]:
    """The labels of ``vocabulary.csv`` (rows ``index,label,mid`` without a header).

    Raises:
        TSXError: if the file is empty, not UTF-8, or a row is not of that form.
    """
    labels: List[str] = []
    for number, row in _read_csv(Path(path)):
        if len(row) != 3 or not row[0].isdigit():
            raise TSXError(f"{path}:{number}: expected 'index,label,mid', found {','.join(row)!r}")
        if row[1] in labels:
            raise TSXError(f"{path}:{number}: label {row[1]!r} occurs twice")
        labels.append(row[1])
    return tuple(labels)


def _audio(root: Path, name: str) -> Path:
    """Where the audio of our set ``name`` lies."""
    return root / AUDIO["eval" if name == "test" else "dev"]


def _check_layout(root: Path) -> None:
    """Raise ``TSXError`` unless ``root`` holds what FSD50K unpacks to."""
    folders = (*AUDIO.values(), GROUND_TRUTH)
    expected = (
        f"expected the FSD50K corpus with {', '.join(folders)} "
        f"({GROUND_TRUTH} with dev.csv, eval.csv, vocabulary.csv); get it from {URL}"
    )
    if not root.is_dir():
        raise TSXError(f"{root}: no such directory; {expected}")
    missing = [name for name in folders if not (root / name).is_dir()]
    if missing:
        entries = sorted(os.listdir(root))
        found = ", ".join(entries[:5]) + (", ..." if len(entries) > 5 else "") or "nothing"
        raise TSXError(f"{root}: no {', '.join(missing)} in it, found {found}; {expected}")
    for name in ("dev.csv", "eval.csv", "vocabulary.csv"):
        if not (root / GROUND_TRUTH / name).is_file():
            raise TSXError(f"{root / GROUND_TRUTH / name}: no such file; {expected}")


def _read_csv(path: Path) -> Iterator[Tuple[int, List[str]]]:
    """Yield (line number, fields) of the rows that are not blank."""
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


def _read_clips(
    path: Path, vocabulary: Sequence[str], splits: Sequence[str], seen: Dict[str, str]
) -> Iterator[Tuple[str, Labels, str]]:
    """Yield (fname, labels, split) of each clip; ``seen`` collects where each fname was read."""
    rows = _read_csv(path)
    _, header = next(rows)
    for name in ("fname", "labels", *(("split",) if splits else ())):
        if name not in header:
            raise TSXError(f"{path}: no column {name!r}, found {', '.join(header)}")
    known: Set[str] = set(vocabulary)
    before = len(seen)
    for number, row in rows:
        where = f"{path}:{number}"
        if len(row) != len(header):
            raise TSXError(f"{where}: expected {len(header)} fields, found {len(row)}")
        clip = dict(zip(header, row))
        fname = check_id(clip["fname"], where)
        if fname in seen:
            raise TSXError(f"{where}: clip {fname} occurs twice, first at {seen[fname]}")
        seen[fname] = where
        labels = tuple(dict.fromkeys(clip["labels"].split(",")))
        for label in labels:
            if label not in known:
                nearest = difflib.get_close_matches(label, vocabulary, n=1, cutoff=0.0)[0]
                raise TSXError(
                    f"{where}: clip {fname} has label {label!r}, which is not in vocabulary.csv "
                    f"(nearest: {nearest!r})"
                )
        split = clip["split"] if splits else ""
        if splits and split not in splits:
            raise TSXError(
                f"{where}: clip {fname} has split {split!r}, expected {' or '.join(splits)}"
            )
        yield fname, labels, split
    if len(seen) == before:
        raise TSXError(f"{path}: a header, but not one clip")


def _present(clips: Dict[str, Labels], directory: Path, title: str) -> List[str]:
    """The clips whose audio file exists, sorted."""
    files = set(os.listdir(directory))
    present = sorted(name for name in clips if f"{name}.wav" in files)
    missing = sorted(set(clips) - set(present))
    if not clips:
        raise TSXError(f"{title}: no clip in {directory.parent / GROUND_TRUTH / 'dev.csv'}")
    if len(missing) > MAX_MISSING * len(clips):
        raise TSXError(
            f"{directory}: {len(missing)} of the {len(clips)} files of the {title} are missing "
            f"({missing[0]}.wav ...); incomplete download? It is at {URL}"
        )
    return present

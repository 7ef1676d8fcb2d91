"""FSD50K as it ships -> data directories ``train``, ``valid`` and ``test``.

Reference: E. Fonseca et al., "FSD50K: an open dataset of human-labeled sound events", TASLP 2022.
"""

import os
from pathlib import Path
from typing import Collection, Dict, FrozenSet, Iterator, List, Sequence, Set, Tuple

from tsx_espnet.checks import did_you_mean
from tsx_espnet.corpora.tables import check_layout, present, read_csv, read_records
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, check_id, write_table

URL = "https://zenodo.org/record/4060432"
AUDIO = {"dev": "FSD50K.dev_audio", "eval": "FSD50K.eval_audio"}
GROUND_TRUTH = "FSD50K.ground_truth"
CSVS = ("dev.csv", "eval.csv", "vocabulary.csv")
SETS = {"train": "train", "val": "valid"}  # the split column of dev.csv -> our name

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
    clips = read_clips(root)
    # all sets are checked before the first file is written
    there = {}
    for name, labels in clips.items():
        if not labels:
            raise TSXError(f"{name} set: no clip in {Path(root) / GROUND_TRUTH / 'dev.csv'}")
        there[name] = present(labels, audio_of(root, name), f"{name} set", URL)
    for name, fnames in there.items():
        out = Path(data) / name
        write_table(out / "utt2labels", {f: ",".join(clips[name][f]) for f in fnames})
        write_table(out / "wav.scp", {f: audio_of(root, name) / f"{f}.wav" for f in fnames})
    return {name: (len(there[name]), len(clips[name]) - len(there[name])) for name in clips}


def read_clips(root: PathLike) -> Dict[str, Dict[str, Labels]]:
    """Labels of every clip of ``train``, ``valid`` and ``test``, most specific first.

    Raises:
        TSXError: if ``root`` is not FSD50K, or a CSV is malformed.
    """
    root = Path(root)
    check_layout(root, "FSD50K", (*AUDIO.values(), GROUND_TRUTH), CSVS, URL)
    truth = root / GROUND_TRUTH
    vocabulary = read_vocabulary(truth / "vocabulary.csv")
    seen: Dict[str, str] = {}
    clips: Dict[str, Dict[str, Labels]] = {"train": {}, "valid": {}, "test": {}}
    for fname, labels, split in _read_rows(truth / "dev.csv", vocabulary, SETS, seen):
        clips[SETS[split]][fname] = labels
    for fname, labels, _ in _read_rows(truth / "eval.csv", vocabulary, (), seen):
        clips["test"][fname] = labels
    return clips


def read_single_class_clips(
    root: PathLike, classes: Sequence[str], but: Collection[str] = ()
) -> Dict[str, Dict[str, Tuple[str, Path]]]:
    """``train`` (of FSD50K's development set) and ``test`` (evaluation): clip -> (class, file).

    FSD50K labels a clip with its classes and all of their ancestors, so all clips of a class share
    the labels of that class and its ancestors; a clip with more labels has another class too.

    Args:
        root: directory of FSD50K as it ships.
        classes: the classes.
        but: clips to leave out (Freesound ids, as FSD50K's are).

    Raises:
        TSXError: if ``root`` is not FSD50K, a CSV is malformed, a class is unknown, or more than
            3 % of the audio files needed from a set are missing.
    """
    shipped = read_clips(root)
    everything = [frozenset(labels) for clips in shipped.values() for labels in clips.values()]
    known = sorted(frozenset().union(*everything))
    expected: Dict[FrozenSet[str], str] = {}
    for label in classes:
        if label not in known:
            raise TSXError(f"new class {label!r}: not in FSD50K; {did_you_mean(label, known)}")
        expected[frozenset.intersection(*(own for own in everything if label in own))] = label
    found: Dict[str, Dict[str, Tuple[str, Path]]] = {"train": {}, "test": {}}
    left_out = set(but)
    for name, clips in shipped.items():
        folder = audio_of(root, name)
        wanted = {
            fname: expected[frozenset(labels)]
            for fname, labels in clips.items()
            if frozenset(labels) in expected and fname not in left_out
        }
        for fname in present(wanted, folder, f"{name} set of FSD50K", URL):
            place = found["test" if name == "test" else "train"]
            place[fname] = (wanted[fname], folder / f"{fname}.wav")
    return found


def audio_of(root: PathLike, name: str) -> Path:
    """Directory of the audio of our set ``name``."""
    return Path(os.path.abspath(root)) / AUDIO["eval" if name == "test" else "dev"]


def read_vocabulary(path: PathLike) -> Labels:
    """The labels of ``vocabulary.csv`` (rows ``index,label,mid`` without a header).

    Raises:
        TSXError: if the file is empty, not UTF-8, or a row is not of that form.
    """
    labels: List[str] = []
    for number, row in read_csv(Path(path)):
        if len(row) != 3 or not row[0].isdigit():
            raise TSXError(f"{path}:{number}: expected 'index,label,mid', found {','.join(row)!r}")
        if row[1] in labels:
            raise TSXError(f"{path}:{number}: label {row[1]!r} occurs twice")
        labels.append(row[1])
    return tuple(labels)


def _read_rows(
    path: Path, vocabulary: Sequence[str], splits: Sequence[str], seen: Dict[str, str]
) -> Iterator[Tuple[str, Labels, str]]:
    """Yield (fname, labels, split) of each clip; ``seen`` collects where each fname was read."""
    known: Set[str] = set(vocabulary)
    before = len(seen)
    for where, clip in read_records(path, ("fname", "labels", *(("split",) if splits else ()))):
        fname = check_id(clip["fname"], where)
        if fname in seen:
            raise TSXError(f"{where}: clip {fname} occurs twice, first at {seen[fname]}")
        seen[fname] = where
        labels = tuple(dict.fromkeys(clip["labels"].split(",")))
        for label in labels:
            if label not in known:
                raise TSXError(
                    f"{where}: clip {fname} has label {label!r}, which is not in vocabulary.csv; "
                    + did_you_mean(label, vocabulary)
                )
        split = clip["split"] if splits else ""
        if splits and split not in splits:
            raise TSXError(
                f"{where}: clip {fname} has split {split!r}, expected {' or '.join(splits)}"
            )
        yield fname, labels, split
    if len(seen) == before:
        raise TSXError(f"{path}: a header, but not one clip")

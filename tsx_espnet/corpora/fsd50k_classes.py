"""Clips of FSD50K that hold one class and no other, as single examples of that class."""

from pathlib import Path
from typing import Collection, Dict, FrozenSet, Sequence, Tuple

from tsx_espnet.checks import did_you_mean
from tsx_espnet.corpora import fsd50k
from tsx_espnet.corpora.tables import present
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike


def read_single_class_clips(
    root: PathLike, classes: Sequence[str], but: Collection[str] = ()
) -> Dict[str, Dict[str, Tuple[str, Path]]]:
    """``train`` (of FSD50K's development set) and ``test`` (evaluation): clip -> (class, file).

    FSD50K labels a clip with its classes and all of their ancestors. What every clip of a class is
    labelled with are that class and its ancestors; a clip with more has another class too.

    Args:
        root: directory of FSD50K as it ships.
        classes: the classes.
        but: clips (ids at Freesound, which are FSD50K's) to leave out.

    Raises:
        TSXError: if ``root`` is not FSD50K, a CSV is malformed, a class is unknown, or more than
            3 % of the audio files wanted of a set are missing.
    """
    shipped = fsd50k.read_clips(root)
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
        folder = fsd50k.audio_of(root, name)
        wanted = {
            fname: expected[frozenset(labels)]
            for fname, labels in clips.items()
            if frozenset(labels) in expected and fname not in left_out
        }
        for fname in present(wanted, folder, f"{name} set of FSD50K", fsd50k.URL):
            place = found["test" if name == "test" else "train"]
            place[fname] = (wanted[fname], folder / f"{fname}.wav")
    return found

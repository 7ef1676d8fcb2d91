"""FSDKaggle2018 as it ships -> data directories ``train``, ``valid``, ``test``, and of new classes.

Reference: E. Fonseca et al., "General-purpose tagging of Freesound audio with AudioSet labels: task
description, dataset, and baseline", DCASE 2018.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple

from tsx_espnet.checks import did_you_mean
from tsx_espnet.corpora.examples import EXAMPLES, choose_examples, hold_out
from tsx_espnet.corpora.fsd50k import read_single_class_clips
from tsx_espnet.corpora.fsdkaggle2018_clips import (
    AUDIO,
    URL,
    USAGES,
    Clip,
    Clips,
    check_corpus,
    read_clips,
)
from tsx_espnet.corpora.tables import SEEN, present, write_sets
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike

VALID_SHARE = 0.1


class Prepared(NamedTuple):
    """What was written: the sets, clips whose audio is missing, and classes left out as small."""

    sets: Dict[str, Clips]
    missing: Dict[str, int]
    dropped: List[str]


def prepare(
    root: PathLike,
    data: PathLike,
    valid_share: float = VALID_SHARE,
    new_classes: Sequence[str] = (),
    fsd50k: Optional[PathLike] = None,
    min_clips: int = 0,
    verified_only: bool = False,
    test_usage: str = "all",
    examples: Sequence[int] = EXAMPLES,
    num_draws: int = 1,
) -> Prepared:
    """Write ``wav.scp`` and ``utt2labels`` of each set below ``data``.

    ``test`` is the corpus's test set. Of each class of its training set, ``valid`` gets the share
    ``valid_share``: two clips at least, half of them at most, whole recordings, the same ones each
    time; ``train`` has the rest. New classes are in none of the three but in ``new_train`` and
    ``new_test``, from the same two sets of the corpus, or of FSD50K; ``new_enroll_<K>`` holds K
    clips of each, out of ``new_train``, and so do those of further draws, see ``choose_examples``.

    Args:
        root: the directory that holds ``FSDKaggle2018.audio_train`` and its neighbours.
        data: where to write; ``wav.scp`` holds absolute paths.
        valid_share: in [0, 0.5].
        new_classes: classes to hold out.
        fsd50k: directory of FSD50K, if the new classes are its; of its clips, those that have no
            other class and are no recording of FSDKaggle2018 are taken.
        min_clips: leave out classes with fewer clips than this in one of the three sets.
        verified_only: of the training set, only clips whose label was verified by a human.
        test_usage: ``all`` of the test set, or the part that counted for the ``Public`` or the
            ``Private`` score at Kaggle.
        examples: each K, none without new classes.
        num_draws: how often examples are chosen.

    Raises:
        TSXError: if ``root`` is not FSDKaggle2018, a CSV is malformed, more than 3 % of the audio
            files of a set are missing, a new class is unknown or too small, or no class is left.
    """
    _check_options(valid_share, min_clips, test_usage)
    root = Path(os.path.abspath(root))
    check_corpus(root)
    known = read_clips(root, "train")
    test = read_clips(root, "test", usage=test_usage, classes=_classes(known))
    both = min(known.keys() & test.keys(), default=None)
    if both is not None:
        raise TSXError(f"{root}: clip {both} is in the training set and in the test set")
    recordings = {clip.recording for clip in (*known.values(), *test.values())}
    shipped = {"train": known, "test": test}
    if verified_only:
        shipped["train"] = read_clips(root, "train", verified_only=True)
    there, missing = {}, {}
    for name, clips in shipped.items():
        names = present(clips, root / AUDIO[name], f"{name} set", URL)
        there[name] = {one: clips[one] for one in names}
        missing[name] = len(clips) - len(names)
    new = _new_sets(there, new_classes, fsd50k, recordings)
    for name, clips in new.items():
        _check_new(name, clips, new_classes, min_clips)
    sets, dropped = _seen_sets(there, new_classes, valid_share, min_clips)
    sets.update(new)
    if new:
        sets.update(_example_sets(new["new_train"], examples, num_draws))
    write_sets(
        data,
        {
            name: {one: (clip.label, clip.wav) for one, clip in clips.items()}
            for name, clips in sets.items()
        },
    )
    return Prepared(sets, missing, dropped)


def _check_options(valid_share: float, min_clips: int, test_usage: str) -> None:
    if not 0 <= valid_share <= 0.5:
        raise TSXError(f"valid_share: expected a number in [0, 0.5], found {valid_share}")
    if min_clips < 0:
        raise TSXError(f"min_clips: expected 0 or more, found {min_clips}")
    if test_usage not in ("all", *USAGES):
        raise TSXError(f"test_usage: expected all, {' or '.join(USAGES)}, found {test_usage!r}")


def _classes(clips: Clips) -> List[str]:
    return sorted({clip.label for clip in clips.values()})


def _of(clips: Clips, labels: Collection[str]) -> Clips:
    return {name: clip for name, clip in clips.items() if clip.label in labels}


def _new_sets(
    there: Dict[str, Clips],
    new_classes: Sequence[str],
    fsd50k: Optional[PathLike],
    recordings: Collection[str],
) -> Dict[str, Clips]:
    """``new_train`` and ``new_test``, if there are new classes."""
    if fsd50k is not None and not new_classes:
        raise TSXError("new classes are missing: FSD50K is there for them alone")
    if not new_classes:
        return {}
    ours = _classes(there["train"])
    for label in new_classes:
        if fsd50k is None and label not in ours:
            raise TSXError(
                f"new class {label!r}: not in FSDKaggle2018; {did_you_mean(label, ours)}"
            )
        if fsd50k is not None and label in ours:
            raise TSXError(f"new class {label!r}: a class of FSDKaggle2018; choose another one")
    if fsd50k is None:
        return {f"new_{name}": _of(clips, new_classes) for name, clips in there.items()}
    found = read_single_class_clips(fsd50k, new_classes, but=recordings)
    return {
        f"new_{name}": {
            f"fsd50k_{fname}": Clip(label, wav, fname) for fname, (label, wav) in clips.items()
        }
        for name, clips in found.items()
    }


def _check_new(name: str, clips: Clips, new_classes: Sequence[str], min_clips: int) -> None:
    count = Counter(clip.label for clip in clips.values())
    for label in new_classes:
        if count[label] < max(1, min_clips):
            raise TSXError(
                f"new class {label!r}: expected {max(1, min_clips)} clips or more in {name}, "
                f"found {count[label]}"
            )


def _example_sets(clips: Clips, numbers: Sequence[int], num_draws: int) -> Dict[str, Clips]:
    chosen = choose_examples(
        {name: clip.label for name, clip in clips.items()},
        {name: clip.recording for name, clip in clips.items()},
        numbers,
        num_draws,
    )
    return {
        name: {one: clips[clip] for one, clip in members.items()}
        for name, members in chosen.items()
    }


def _seen_sets(
    there: Dict[str, Clips], new_classes: Sequence[str], valid_share: float, min_clips: int
) -> Tuple[Dict[str, Clips], List[str]]:
    """``train``, ``valid`` and ``test``, and the classes that were left out as too small."""
    classes = [label for label in _classes(there["train"]) if label not in set(new_classes)]
    sets: Dict[str, Clips] = {name: {} for name in SEEN}
    dropped = []
    for label in classes:
        of_class = _of(there["train"], (label,))
        valid = hold_out({name: clip.recording for name, clip in of_class.items()}, valid_share)
        own = {
            "train": {name: clip for name, clip in of_class.items() if name not in valid},
            "valid": {name: of_class[name] for name in valid},
            "test": _of(there["test"], (label,)),
        }
        if any(len(own[name]) < min_clips for name in SEEN if valid_share or name != "valid"):
            dropped.append(label)
            continue
        for name, clips in own.items():
            sets[name].update(clips)
    if not valid_share:
        del sets["valid"]
    for name, clips in sets.items():
        if not clips:
            small = (
                f", {len(dropped)} of them under {min_clips} clips (min_clips)" if dropped else ""
            )
            raise TSXError(
                f"{name}: no clip is left of {len(classes)} classes that are not new{small}"
            )
    return sets, dropped

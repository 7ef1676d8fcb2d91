"""FSDKaggle2018 as it ships -> data directories ``train``, ``valid``, ``test``, and of new classes.

References:
    E. Fonseca et al., "General-purpose tagging of Freesound audio with AudioSet labels: task
    description, dataset, and baseline", DCASE 2018.

    [SoundBeam] Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", Interspeech 2021, section 5.1.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple

from tsx_espnet.checks import check_at_least, did_you_mean
from tsx_espnet.corpora.examples import EXAMPLES, choose_examples, hold_out
from tsx_espnet.corpora.fsd50k import read_single_class_clips
from tsx_espnet.corpora.tables import SEEN, check_layout, present, read_records, write_sets
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, check_id

URL = "https://zenodo.org/record/2552860"
AUDIO = {"train": "FSDKaggle2018.audio_train", "test": "FSDKaggle2018.audio_test"}
META = "FSDKaggle2018.meta"
CSVS = {
    "train": "train_post_competition.csv",
    "test": "test_post_competition_scoring_clips.csv",
}
USAGES = ("Public", "Private")  # which of its two test scores a clip counted for at Kaggle
VALID_SHARE = 0.1
# of FSD50K, ten as in [SoundBeam]; of its own, that names only the first three here
NEW_CLASSES = (
    *("Male_speech_and_man_speaking", "Electric_guitar", "Camera"),
    *("Accordion", "Crow", "Crying_and_sobbing", "Frog", "Siren", "Sneeze", "Toilet_flush"),
)


class Clip(NamedTuple):
    """One clip: its class, its audio file, and its recording at Freesound."""

    label: str
    wav: Path
    recording: str


Clips = Dict[str, Clip]


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
    """Write ``wav.scp``, ``utt2labels`` and ``utt2recording`` of each set below ``data``.

    ``test`` is the corpus's test set. Of each class of its training set, ``valid`` gets the share
    ``valid_share``: two clips at least, half of them at most, whole recordings, the same ones each
    time; ``train`` has the rest. New classes are in ``new_train`` and ``new_test`` instead, from
    the same two sets of the corpus, or from FSD50K; ``new_enroll_<K>`` and further draws (see
    ``choose_examples``) hold K clips of each out of ``new_train``.

    Args:
        root: the directory that holds ``FSDKaggle2018.audio_train`` and its neighbours.
        data: where to write; ``wav.scp`` holds absolute paths.
        valid_share: in [0, 0.5].
        new_classes: classes to hold out; if none are given, ``NEW_CLASSES`` with ``fsd50k``.
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
    if not 0 <= valid_share <= 0.5:
        raise TSXError(f"valid_share: expected a number in [0, 0.5], found {valid_share}")
    check_at_least(0, min_clips=min_clips)
    if fsd50k is not None and not new_classes:
        new_classes = NEW_CLASSES
    if test_usage not in ("all", *USAGES):
        raise TSXError(f"test_usage: expected all, {' or '.join(USAGES)}, found {test_usage!r}")
    root = Path(os.path.abspath(root))
    check_layout(root, "FSDKaggle2018", (*AUDIO.values(), META), tuple(CSVS.values()), URL)
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
        count = Counter(clip.label for clip in clips.values())
        for label in new_classes:
            if count[label] < max(1, min_clips):
                raise TSXError(
                    f"new class {label!r}: expected {max(1, min_clips)} clips or more in {name}, "
                    f"found {count[label]}"
                )
    sets, dropped = _seen_sets(there, new_classes, valid_share, min_clips)
    sets.update(new)
    if new:
        tested = {clip.recording for clip in new["new_test"].values()}
        pool = {name: c for name, c in new["new_train"].items() if c.recording not in tested}
        labels = {name: clip.label for name, clip in pool.items()}
        for label in set(new_classes).difference(labels.values()):
            raise TSXError(f"new class {label!r}: all recordings in new_train are in new_test too")
        recordings = {name: clip.recording for name, clip in pool.items()}
        for name, chosen in choose_examples(labels, recordings, examples, num_draws).items():
            sets[name] = {one: pool[clip] for one, clip in chosen.items()}
    write_sets(data, sets)
    return Prepared(sets, missing, dropped)


def read_clips(
    root: Path,
    name: str,
    usage: str = "all",
    classes: Optional[Collection[str]] = None,
    verified_only: bool = False,
) -> Clips:
    """Clips of the ``train`` or the ``test`` set.

    Args:
        usage: of the test set, ``all``, or one of ``USAGES``; ignored clips are left out.
        classes: the only ones that may occur, if given.
        verified_only: of the training set, only clips that are manually verified.

    Raises:
        TSXError: naming file and line, for what is not as in the corpus.
    """
    path = root / META / CSVS[name]
    flag = "manually_verified" if name == "train" else "usage"
    clips: Clips = {}
    seen: Dict[str, str] = {}
    for where, row in read_records(path, ("fname", "label", flag, "freesound_id")):
        fname = row["fname"]
        if not fname.endswith(".wav"):
            raise TSXError(f"{where}: expected a file name that ends in .wav, found {fname!r}")
        clip = check_id(fname[: -len(".wav")], where)
        if clip in seen:
            raise TSXError(f"{where}: clip {clip} occurs twice, first at {seen[clip]}")
        seen[clip] = where
        allowed = ("0", "1") if name == "train" else (*USAGES, "Ignored")
        if row[flag] not in allowed:
            raise TSXError(f"{where}: {flag}: expected {' or '.join(allowed)}, found {row[flag]!r}")
        if row[flag] == "Ignored" or usage not in ("all", row[flag]):
            continue
        if verified_only and row[flag] == "0":
            continue
        label = row["label"]
        if not label or label.split() != [label] or "," in label:
            raise TSXError(f"{where}: expected a label without space or comma, found {label!r}")
        if classes is not None and label not in classes:
            hint = did_you_mean(label, classes)
            raise TSXError(f"{where}: label {label!r} does not occur in {CSVS['train']}; {hint}")
        clips[clip] = Clip(label, root / AUDIO[name] / fname, row["freesound_id"] or clip)
    if not clips:
        raise TSXError(f"{path}: not one clip that is wanted")
    return clips


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


def _seen_sets(
    there: Dict[str, Clips], new_classes: Sequence[str], valid_share: float, min_clips: int
) -> Tuple[Dict[str, Clips], List[str]]:
    """``train``, ``valid`` and ``test``, and the classes that were left out as too small."""
    classes = [label for label in _classes(there["train"]) if label not in new_classes]
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
            few = f", {len(dropped)} of them under {min_clips} clips (min_clips)" if dropped else ""
            raise TSXError(
                f"{name}: no clip is left of {len(classes)} classes that are not new{few}"
            )
    return sets, dropped

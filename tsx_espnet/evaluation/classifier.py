"""How well a classifier knows the sounds of some clips, alone and in pairs: average precision.

A classifier that separation uses knows the clips that it was trained on better than others. If
separation is trained on the same clips, it learns to trust it too much, so the numbers of the
training clips stand beside those of the others.
"""

import dataclasses
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch

from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import progress
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.markdown import bullets, markdown, number, plain
from tsx_espnet.layers.basic import level_of
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.presence import presence
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.pretrained.classifier import AbsClassifier
from tsx_espnet.pretrained.store import load
from tsx_espnet.tables import PathLike, atomic_write

SOUNDS = {"single sounds": 1, "pairs": 2}
BATCH_SIZE = 16


class Precision(NamedTuple):
    """Of one kind of sounds from one set of clips, by label: average precision and positives."""

    clips: str
    sounds: str
    values: Dict[str, float]
    positives: Dict[str, int]

    @property
    def mean(self) -> Optional[float]:
        """Mean average precision (mAP), over the labels that occur."""
        return float(np.mean(list(self.values.values()))) if self.values else None


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Sum over the thresholds of precision times gain in recall; equal scores share a threshold.

    Shape: truth (N,) bool with at least one positive, scores (N,)

    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]))
    0.8333333333333333
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision = hits[last] / (last + 1)
    gain = np.diff(hits[last], prepend=0) / hits[-1]
    return float((precision * gain).sum())


def score_classifier(
    directory: PathLike,
    clips: Sequence[PathLike],
    mixing_config: PathLike,
    num_mixtures: int = 1000,
    seed: int = 0,
    out: Optional[PathLike] = None,
) -> str:
    """Mean average precision on mixtures of clips; return what to print.

    A label belongs to a mixture in which it sounds; its score is the largest of all frames. Of
    the labels, those count that both the clips and the classifier have.

    Args:
        directory: a classifier.
        clips: directories of formatted clips.
        mixing_config: yaml of how they are mixed; the number of sources is 1, then 2.
        num_mixtures: of each.
        seed: of the mixtures.
        out: a Markdown file to write it to, with every label.

    Raises:
        TSXError: if there is no classifier, or a set of clips has none of its labels.
    """
    check_at_least(1, num_mixtures=num_mixtures)
    config = MixingConfig.from_yaml(mixing_config)
    classifier = load(directory)
    if not isinstance(classifier, AbsClassifier):
        raise TSXError(f"{directory}: expected a classifier, found a {type(classifier).__name__}")
    classifier.requires_grad_(False).eval()
    found: List[Precision] = []
    for one in clips:
        own = ClipSet(one)
        known = shared_labels(own.classes, classifier.labels)
        if not known:
            raise TSXError(
                f"{one}: expected labels of the classifier {directory} ({classifier.labels[0]}, "
                f"...), found {', '.join(own.classes[:3]) or 'none'}"
            )
        for sounds, count in SOUNDS.items():
            sampler = Sampler(
                ClipSet(one, list(known)), dataclasses.replace(config, num_sources=count)
            )
            names = (Path(one).name, sounds)
            found.append(_score(classifier, sampler, known, num_mixtures, seed, names))
    title = f"Mean average precision of {directory}"
    table, notes = _means(found), bullets(_notes(classifier, num_mixtures))
    printed = [title, plain(table), notes]
    if out is not None:
        labels = markdown(_by_label(found))
        with atomic_write(out) as stream:
            parts = [f"# {title}", markdown(table), notes, "## Labels", labels]
            stream.write("\n\n".join(parts) + "\n")
        printed.append(f"All of it: {out}")
    return "\n\n".join(printed)


def shared_labels(classes: Sequence[str], labels: Sequence[str]) -> Dict[str, int]:
    """Labels of clips that a classifier has too -> their numbers there.

    AudioSet's names are spelt differently by different data sets.

    >>> shared_labels(["Bark", "Male_speech_and_man_speaking"], ["Male speech, man speaking"])
    {'Male_speech_and_man_speaking': 0}
    """
    numbers = {_spelling(label): number for number, label in enumerate(labels)}
    pairs = {label: numbers.get(_spelling(label)) for label in classes}
    return {label: number for label, number in pairs.items() if number is not None}


def _spelling(label: str) -> str:
    words = label.lower().replace("_", " ").replace(", and ", " and ").replace(", ", " and ")
    return " ".join(words.split())


def _score(
    classifier: AbsClassifier,
    sampler: Sampler,
    known: Dict[str, int],
    num_mixtures: int,
    seed: int,
    names: Tuple[str, str],
) -> Precision:
    """Of the clips that a sampler mixes; ``names`` are of their set and of the kind of sounds."""
    labels = list(known)
    scores, truth = [], []
    for start in progress(range(0, num_mixtures, BATCH_SIZE), ": ".join(names)):
        numbers = range(start, min(start + BATCH_SIZE, num_mixtures))
        drawn = [sampler.render(sampler.draw(seed, 0, number)) for number in numbers]
        truth += [presence(one, labels, sampler.clips.hop).any(axis=0) for one in drawn]
        mixtures = torch.from_numpy(np.stack([one.mixture for one in drawn]))
        lengths = torch.full((len(mixtures),), mixtures.shape[1])
        logits = classifier(mixtures / level_of(mixtures, lengths), sampler.fs)
        scores.append(logits.amax(dim=1).numpy())
    there, heard = np.stack(truth), np.concatenate(scores)[:, list(known.values())]
    values = {
        label: average_precision(there[:, place], heard[:, place])
        for place, label in enumerate(labels)
        if there[:, place].any()
    }
    positives = {label: int(there[:, place].sum()) for place, label in enumerate(labels)}
    return Precision(*names, values, positives)


def _means(found: Sequence[Precision]) -> List[List[str]]:
    """A row for each set of clips."""
    rows = [["set of clips", *SOUNDS, "labels"]]
    for first in range(0, len(found), len(SOUNDS)):
        own = found[first : first + len(SOUNDS)]
        most = max(len(one.values) for one in own)
        rows.append([own[0].clips, *(number(one.mean, 3) for one in own), str(most)])
    return rows


def _by_label(found: Sequence[Precision]) -> List[List[str]]:
    """A row for each label, sorted."""
    rows = [["label", *(f"{one.clips}: {one.sounds}" for one in found)]]
    for label in sorted({label for one in found for label in one.values}):
        cells = [
            f"{number(one.values.get(label), 3)} ({one.positives.get(label, 0)})" for one in found
        ]
        rows.append([label, *cells])
    return rows


def _notes(classifier: AbsClassifier, num_mixtures: int) -> List[str]:
    return [
        f"{num_mixtures} mixtures of each kind, drawn by class; a label's score is the largest of "
        "the frames, its average precision is over the mixtures, and all labels count alike.",
        f"{len(classifier.labels)} labels, {classifier.fs} Hz, SHA-256 {classifier.digest[:12]}.",
    ]

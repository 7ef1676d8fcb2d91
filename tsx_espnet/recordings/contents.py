"""What the outputs of a recording hold: whether anything, which sounds, and when."""

import csv
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import torch

from tsx_espnet.layers.basic import level_of
from tsx_espnet.pretrained.classifier import AbsClassifier
from tsx_espnet.tables import PathLike

ACTIVE = 0.01  # of the power of the mixture: -20 dB
TOUCHING = 1e-6  # seconds


class Heard(NamedTuple):
    """A time in which a classifier hears a sound.

    Args:
        start, end: in seconds.
        probability: the highest in this time.
    """

    label: str
    start: float
    end: float
    probability: float


class Sound(NamedTuple):
    """What one output holds.

    Args:
        active: whether it has more than 1 % (-20 dB) of the power of the mixture in any segment.
        level: its power relative to the mixture, over the whole recording, in dB.
        heard: by the classifier, in the segments in which it is active, sorted by time.
    """

    active: bool
    level: float
    heard: Tuple[Heard, ...]

    @property
    def labels(self) -> Tuple[str, ...]:
        """What is heard anywhere, the most probable first."""
        best = sorted(self.heard, key=lambda one: -one.probability)
        return tuple(dict.fromkeys(one.label for one in best))


class Contents:
    """Gathers what the M outputs of a recording hold, segment by segment.

    Args:
        num_outputs: M.
        fs: of the outputs in Hz.
        classifier: without one, nothing has a label.
        threshold: the probability from which on a sound counts as heard.
    """

    def __init__(
        self,
        num_outputs: int,
        fs: int,
        classifier: Optional[AbsClassifier] = None,
        threshold: float = 0.5,
    ):
        self.fs, self.classifier, self.threshold = fs, classifier, threshold
        self.active = np.zeros(num_outputs, dtype=bool)
        self.energy, self.mixture_energy = np.zeros(num_outputs), 0.0
        self.heard: List[List[Heard]] = [[] for _ in range(num_outputs)]

    def add(self, start: float, outputs: torch.Tensor, mixture: torch.Tensor, mono: torch.Tensor):
        """Another segment, which starts at a time in seconds, not after the end of the last one.

        Shape:
            outputs (M, C, T), mixture (C, T), mono (C,): weights of the channels in the signal
            that is classified
        """
        energy = outputs.double().square().sum(dim=(1, 2)).cpu().numpy()
        mixture_energy = mixture.double().square().sum().item()
        active = energy > ACTIVE * mixture_energy
        self.active |= active
        self.energy += energy
        self.mixture_energy += mixture_energy
        if self.classifier is None:
            return
        signal = (mono @ mixture).unsqueeze(0)
        # one gain for all: by itself, what leaked into an output would be as loud as a sound
        level = level_of(signal, torch.full((1,), signal.shape[1], device=signal.device))
        for number in np.flatnonzero(active):
            logits = self.classifier((mono @ outputs[number]).unsqueeze(0) / level, self.fs)
            probability = logits[0].sigmoid().cpu().numpy()
            times = self._times(start, signal.shape[1] / self.fs, probability)
            self.heard[number] = joined([*self.heard[number], *times])

    def _times(self, start: float, duration: float, probability: np.ndarray) -> Iterator[Heard]:
        """The sounds in frames (F, J) from ``start`` on."""
        hop = self.classifier.hop / self.classifier.fs
        above = probability >= self.threshold
        for number in np.flatnonzero(above.any(axis=0)):
            edges = np.diff(above[:, number].astype(int), prepend=0, append=0)
            ends = (np.flatnonzero(edges == step).tolist() for step in (1, -1))
            for first, end in zip(*ends):
                highest = float(probability[first:end, number].max())
                until = start + min(end * hop, duration)
                yield Heard(self.classifier.labels[number], start + first * hop, until, highest)

    def sounds(self) -> List[Sound]:
        """What each output holds, up to now."""
        with np.errstate(divide="ignore", invalid="ignore"):
            level = 10 * np.log10(self.energy / self.mixture_energy)
        level = np.nan_to_num(level, nan=-np.inf, neginf=-np.inf)  # of silence
        return [
            Sound(bool(active), float(level), tuple(heard))
            for active, level, heard in zip(self.active, level, self.heard)
        ]


def joined(times: Iterable[Heard]) -> List[Heard]:
    """Times of a label that overlap or touch become one; sorted by start and label.

    >>> joined([Heard("Bark", 1.0, 2.0, 0.6), Heard("Bark", 0.0, 1.0, 0.9)])
    [Heard(label='Bark', start=0.0, end=2.0, probability=0.9)]
    """
    latest: Dict[str, Heard] = {}
    over = []
    for one in sorted(times, key=lambda one: one.start):
        last = latest.get(one.label)
        if last is not None and one.start > last.end + TOUCHING:
            over.append(last)
        elif last is not None:
            one = Heard(one.label, last.start, *map(max, last[2:], one[2:]))
        latest[one.label] = one
    return sorted([*over, *latest.values()], key=lambda one: (one.start, one.label))


def write_tables(directory: PathLike, sounds: Mapping[str, Sound], labelled: bool) -> None:
    """Write what files hold: ``outputs.csv``, and if they are ``labelled``, ``labels.csv``.

    Args:
        sounds: name of a file -> what it holds.
    """
    tables = {
        "outputs.csv": [
            ("file", "active", "level", "labels"),
            *(
                (name, int(one.active), f"{one.level:.1f}", "; ".join(one.labels))
                for name, one in sounds.items()
            ),
        ],
        "labels.csv": [
            ("file", "label", "start", "end", "probability"),
            *(
                (name, label, f"{start:.2f}", f"{end:.2f}", f"{probability:.3f}")
                for name, one in sounds.items()
                for label, start, end, probability in one.heard
            ),
        ],
    }
    for name, rows in tables.items():
        if labelled or name != "labels.csv":
            with open(Path(directory) / name, "w", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows(rows)

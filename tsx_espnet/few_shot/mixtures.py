"""Mixtures to adapt new classes with: of a fixed set, or drawn from training clips and examples.

Section 3 of [SoundBeam]: an adaptation set is made "by mixing sounds from the training data and the
K enrollment audio samples"; a sound of a new class is the target. They are read, or rendered, on
demand, so memory does not grow with their number.

References:
    [SoundBeam] Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", Interspeech 2021.
"""

import dataclasses
from collections.abc import Sequence as AbstractSequence
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from tsx_espnet.checks import check_at_least
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import MIXTURE, TARGET
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.tables import PathLike


@dataclasses.dataclass(frozen=True)
class AdaptationOptions:
    """Which mixtures, and how they are used; defaults of [SoundBeam] Sec. 5.1 and 5.2, where given.

    Args:
        mixtures: a fixed set of mixtures, or None: they are drawn.
        clips: formatted training clips to draw them from, with the examples of the new classes;
            None: those that the model was trained on.
        num_mixtures: how many are drawn.
        num_epochs: how often all of them are seen.
        lr: the learning rate, of Adam.
        batch_size: mixtures a step.
    """

    mixtures: Optional[PathLike] = None
    clips: Optional[PathLike] = None
    num_mixtures: int = 1000
    num_epochs: int = 10
    lr: float = 1e-3
    batch_size: int = 8


class AdaptationMixture(NamedTuple):
    """A mixture (T,) and its target (T,), float32 at the model's rate, and the target's class."""

    mixture: np.ndarray
    target: np.ndarray
    label: str


def training_clips(config: Mapping[str, Any]) -> Path:
    """The clips that an experiment was trained on.

    Raises:
        TSXError: if they are not there.
    """
    clips = config.get("train_clips")
    if clips is None or not Path(clips).is_dir():
        where = "it does not say which" if clips is None else f"{clips} is not there"
        raise TSXError(
            "adaptation mixes the recordings with clips that the model was trained on, and "
            f"{where}: expected a directory of formatted clips"
        )
    return Path(clips)


class FixedMixtures(AbstractSequence):
    """A fixed set of mixtures, every target of a new class.

    Args:
        directory: the set.
        labels: the new classes.
        fs: the model's rate in Hz.

    Raises:
        TSXError: naming the set or the file, if it is not complete, a target is of another class,
            or a file has another rate or length than the others.
    """

    def __init__(self, directory: PathLike, labels: Sequence[str], fs: int):
        self.mixtures, self.fs = MixtureSet(directory), fs
        self.labels = self.mixtures.table("utt2class")
        for name, label in self.labels.items():
            if label not in labels:
                raise TSXError(
                    f"{directory}/utt2class: {name}: expected a target of a new class "
                    f"({', '.join(labels)}), found {label!r}"
                )
        lengths: Dict[int, str] = {}
        for sound in (MIXTURE, TARGET):
            for name, length in self.mixtures.lengths(fs, sound).items():
                lengths.setdefault(length, self.mixtures.paths(sound)[name])
        if len(lengths) > 1:
            listed = ", ".join(f"{length} samples in {path}" for length, path in lengths.items())
            raise TSXError(f"{directory}: expected one length, found {listed}")

    def __len__(self) -> int:
        return len(self.mixtures.ids)

    def __getitem__(self, index: int) -> AdaptationMixture:
        name = self.mixtures.ids[index]
        sounds = (self.mixtures.read(sound, name, fs=self.fs) for sound in (MIXTURE, TARGET))
        return AdaptationMixture(*sounds, self.labels[name])


class DrawnMixtures(AbstractSequence):
    """Mixtures of one example of a new class, the target, with training clips of known classes.

    Mixed as in training (``mixing_conf`` of the experiment), except that classes are combined at
    random whatever the ``strategy``.

    Args:
        config: the configuration of the experiment.
        known: classes that the other sources are drawn from.
        labels: the new classes.
        clips: formatted training clips.
        examples: the formatted recordings of the new classes.
        number: of mixtures.
        seed: of the draws.

    Raises:
        TSXError: if the rates differ, ``clips`` holds a new class, ``examples`` none of a class, or
            nothing can be mixed.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        known: Sequence[str],
        labels: Sequence[str],
        clips: PathLike,
        examples: PathLike,
        number: int = AdaptationOptions.num_mixtures,
        seed: int = 0,
    ):
        check_at_least(1, num_mixtures=number)
        mixing = _mixing_config(config)
        _check_clips(ClipSet(clips, [*known, *labels]), labels, int(config["fs"]))
        together = ClipSet([clips, examples], [*known, *labels])
        least = mixing.least_samples(together.fs)
        for label in labels:
            if not len(together.clips_of(label, least)):
                raise TSXError(
                    f"{examples}: expected an example of {label} of {mixing.min_sounding:g} s "
                    "(min_sounding of the mixing config) or more, found none"
                )
        self.sampler = Sampler(together, mixing, new_classes=labels, target="new")
        self.seed = seed
        self._plans: list = [None] * number

    def __len__(self) -> int:
        return len(self._plans)

    def __getitem__(self, index: int) -> AdaptationMixture:
        plan = self.plan(index)
        rendered = self.sampler.render(plan)
        label = plan.conditions.get("class", plan.members()[0].label)
        return AdaptationMixture(rendered.mixture, rendered.components[plan.target], label)

    def plan(self, index: int) -> Plan:
        """The plan of mixture ``index``."""
        plan: Optional[Plan] = self._plans[index]
        if plan is None:
            plan = self._plans[index] = self.sampler.draw(self.seed, 0, index)
        return plan


def _mixing_config(config: Mapping[str, Any]) -> MixingConfig:
    options = config.get("mixing_conf")
    if not options:
        raise TSXError(
            "the model was trained on a fixed set of mixtures, so how to mix is not known; adapt "
            "with a fixed set too"
        )
    mixing = MixingConfig.from_dict(options, "mixing_conf of the experiment")
    one = {"component_sources": 1, "num_targets": 1}
    return dataclasses.replace(mixing, strategy="random", enrollments=0, **one)


def _check_clips(clips: ClipSet, labels: Sequence[str], fs: int) -> None:
    if clips.fs != fs:
        raise TSXError(f"{clips}: expected {fs} Hz as the model, found {clips.fs} Hz")
    held = [label for label in labels if label in clips.classes]
    if held:
        raise TSXError(
            f"{clips}: holds clips of the new class {held[0]!r}, among which its examples would be "
            "lost; choose other clips to mix with, or another label"
        )

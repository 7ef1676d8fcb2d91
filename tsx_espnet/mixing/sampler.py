"""Draws mixtures: the same plan for the same (seed, epoch, index), in any process."""

import dataclasses
from collections import Counter
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.checks import Fields
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import Sources
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.background import draw_background, open_noise
from tsx_espnet.mixing.components import Components, consecutive
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.crop import Crop, Refused
from tsx_espnet.mixing.enrollment import (
    all_enrollments,
    check_enrollments,
    draw_enrollments,
    draw_excerpt,
)
from tsx_espnet.mixing.pairing import Wanted, collide, open_pairing
from tsx_espnet.mixing.placement import lay_out
from tsx_espnet.mixing.plan import Enrollment, Plan
from tsx_espnet.mixing.query import Query
from tsx_espnet.mixing.render import Rendered
from tsx_espnet.mixing.superclasses import load_superclasses

MAX_REFUSED = 1000
HOLD = 50  # refused draws before another first class is tried
TARGETS = ("any", "new", "seen")


class Sampler:
    """Draws mixtures of one or more sources from clips ([OCT] Sec. 3.1, [SoundBeam] Sec. 5.1).

    Args:
        clips: what is mixed; the interference that ``config`` names is opened here.
        config: how.
        superclasses: sub-classes of each super-class, for the strategies ``different`` and
            ``same``; None: those that ``config`` names.
        new_classes: if given, exactly one source of every mixture is of one of these classes.
        target: ``any`` of the sources, the ``new`` one, or one of those ``seen`` in training.
        examples: instead of drawing enrollments among ``clips``, give each target all of these
            that are of its class.

    Raises:
        TSXError: if nothing can be drawn from these clips, with the reason.
    """

    def __init__(
        self,
        clips: ClipSet,
        config: MixingConfig,
        superclasses: Optional[Mapping[str, Sequence[str]]] = None,
        new_classes: Optional[Sequence[str]] = None,
        target: str = "any",
        examples: Optional[ClipSet] = None,
    ):
        if config.interference is not None:
            clips = clips.with_interference(config.interference)
        self.clips = clips
        self.config = config
        self.noise = open_noise(config.background, clips.fs)
        self.new_classes = None if new_classes is None else sorted(new_classes)
        self.target = target
        self.examples = examples
        self._check_target()
        self._splits = config.splits_clips and examples is None
        least = config.least_samples(clips.fs) * (2 if self._splits else 1)
        if not len(clips.long_enough(least)):
            twice = "twice " if self._splits else ""
            raise TSXError(
                f"{clips}: all {len(clips.long_enough(0))} clips are shorter than {twice}"
                f"min_sounding = {config.min_sounding:g} s"
            )
        try:
            if not self._splits:
                check_enrollments(clips, config, examples)
            self.superclasses: Optional[Dict[str, Sequence[str]]] = None
            if config.strategy in ("different", "same"):
                if superclasses is None:
                    superclasses = load_superclasses(config.superclasses)
                self.superclasses = {group: list(subs) for group, subs in superclasses.items()}
            self._pairing = open_pairing(
                clips, least, config, self.superclasses, self.new_classes
            )
            self.draw(0, 0, 0)
        except TSXError as error:
            raise TSXError(f"{clips}: nothing can be mixed: {error}") from None

    def draw(self, seed: int, epoch: int, index: int, name: Optional[str] = None) -> Plan:
        """The plan of mixture ``index`` of an epoch; ``name`` is its id.

        The number of sources and the first class (or clip) are held while crops and the other
        sources are drawn again after a refusal, so that they stay uniform; after 50 refusals the
        first is drawn again too.

        Raises:
            TSXError: if a number is outside [0, 2^32), or after 1000 refusals, with their reasons.
        """
        origin = {"seed": seed, "epoch": epoch, "index": index}
        for which, number in origin.items():
            if not 0 <= number < 2**32:  # larger ones would run into the next word of the seed
                raise TSXError(f"{which}: expected an integer in [0, 2^32), found {number}")
        name = name or f"s{seed}e{epoch}i{index}"
        rng = np.random.default_rng(np.random.SeedSequence([seed, epoch, index]))
        number = self._draw_number(rng)
        refused: Counter = Counter()
        for attempt in range(MAX_REFUSED):
            if attempt % HOLD == 0:
                first = self._pairing.first(rng)
            try:
                drawn = self._try(rng, first, number, name)
            except Refused as reason:
                refused[str(reason)] += 1
                continue
            return Plan(id=name, **drawn, **origin)
        reasons = ", ".join(f"{count} {reason}" for reason, count in refused.most_common())
        raise TSXError(f"{MAX_REFUSED} draws refused: {reasons}")

    @property
    def fs(self) -> int:
        """Sampling rate in Hz."""
        return self.clips.fs

    def render(self, plan: Plan) -> Rendered:
        """Render a plan that was drawn here, see ``Rendered.of``."""
        return Rendered.of(plan, self.clips, self.noise, self.examples)

    def _check_target(self) -> None:
        Fields(vars(self)).choice("target", TARGETS)
        if self.new_classes is None and self.target != "any":
            raise TSXError(f"target {self.target}: only with new classes")
        if self.new_classes is not None and self.config.strategy != "random":
            raise TSXError(f"new classes: only with strategy random, not {self.config.strategy}")
        if not self._targets(self.config.source_counts[0]):
            raise TSXError("target seen: expected two sources or more, none of the interference")

    def _targets(self, number: int) -> Sequence[int]:
        """The components of ``number`` sources that can be the target; a new class comes first."""
        config = self.config
        number = 1 if config.interference is not None else number // config.component_sources
        return {"any": range(number), "new": (0,), "seen": range(1, number)}[self.target]

    def _draw_number(self, rng: np.random.Generator) -> int:
        """How many sources are mixed."""
        low, high = self.config.source_counts
        step = self.config.component_sources
        return low if low == high else step * int(rng.integers(low // step, high // step + 1))

    def _try(
        self, rng: np.random.Generator, first: Wanted, number: int, name: str
    ) -> Dict[str, Any]:
        """The fields of the plan ``name`` of ``number`` sources, except its name and its origin.

        Raises:
            Refused: if the draw makes no mixture.
        """
        clips, config, targets = self.clips, self.config, self._targets(number)
        wanted = [first]
        while len(wanted) < number:
            wanted.append(self._pairing.next(rng, wanted))
        names = [clips.ids[int(one.clips[rng.integers(len(one.clips))])] for one in wanted]
        labels = tuple(clips.labels(name) for name in names)
        if collide(wanted, labels):
            raise Refused("shared label")
        crops = [
            Crop.draw(rng, clips, clip, one.label, own, config, self._splits and place in targets)
            for place, (clip, one, own) in enumerate(zip(names, wanted, labels))
        ]
        num_samples = config.num_frames(clips.fs) * clips.hop
        background, noise_energy = None, None
        if config.background is not None:
            background, noise_energy = draw_background(
                rng, config.background, num_samples, clips.fs, self.noise
            )
        tracks = [crop.track for crop in crops]
        layout = lay_out(rng, tracks, clips.fs, config, noise_energy)
        target = int(targets[rng.integers(len(targets))])
        sources = Sources(
            layout.tracks,
            clips.fs,
            target,
            labels,
            captions=[clips.captions(name) for name in names],
            margins=config.condition_margins,
            class_level=config.class_level,
            text_variants=config.text_variants,
            random_signals=config.signal_values == "random",
            drawn=[one.label for one in wanted] if config.text_of == "drawn" else None,
        )
        partition = consecutive(len(crops), config.component_sources)
        components = Components(sources, partition, rng)
        conditions = components.conditions(target, rng)
        energy = components.joined.tracks[..., 0].sum(axis=1)
        rest = np.delete(energy, target).sum()
        if background is not None:
            background = dataclasses.replace(background, gain=layout.noise_gain)
            rest += layout.noise_gain**2 * noise_energy
        level = 10 * np.log10(np.array([energy[target], rest])) if rest > 0 else None
        placed = zip(crops, layout.first, layout.length, layout.offset, layout.gains)
        return {
            "fs": clips.fs,
            "num_samples": num_samples,
            "sources": tuple(crop.place(clips, *row) for crop, *row in placed),
            "target": target,
            "conditions": conditions,
            "snr": None if level is None else float(level[0] - level[1]),
            "overlap": layout.overlap,
            "background": background,
            "components": partition,
            **self._draw_queries(rng, crops, components, target, conditions, name),
        }

    def _draw_queries(
        self,
        rng: np.random.Generator,
        crops: Sequence[Crop],
        components: Components,
        target: int,
        conditions: Mapping[str, str],
        name: str,
    ) -> Dict[str, Any]:
        """The enrollments, and the queries beyond the target's conditions; drawn last, the target's
        first, to change no other draw."""
        enrollments = self._draw_enrollments(rng, crops, target, conditions)
        queries = components.part_queries(name, target)
        for number in self._targets(len(crops)) if self.config.num_targets == "all" else ():
            if number == target:
                continue
            own = components.conditions(number, rng)
            queries += tuple(Query(name, number, 0, *one) for one in own.items())
            queries += components.part_queries(name, number)
            drawn = self._draw_enrollments(rng, crops, number, own)
            enrollments += tuple(dataclasses.replace(one, component=number) for one in drawn)
        return {"enrollments": enrollments, "queries": queries}

    def _draw_enrollments(
        self,
        rng: np.random.Generator,
        crops: Sequence[Crop],
        target: int,
        conditions: Mapping[str, str],
    ) -> Tuple[Enrollment, ...]:
        """Of the class that the target is queried by, or the rest of its own clip."""
        wanted, clips, config = crops[target], self.clips, self.config
        if wanted.rest is not None:
            return (draw_excerpt(rng, clips, wanted.clip, config, wanted.rest),)
        label = conditions.get("class")
        if label is None:  # none that only the target has
            return ()
        if self.examples is not None:
            return all_enrollments(self.examples, label)
        if not config.enrollments:
            return ()
        foreign = {x for crop in crops for x in crop.labels}.difference(wanted.labels)
        candidates = clips.clips_of(label, config.least_samples(clips.fs))
        return draw_enrollments(rng, clips, candidates, wanted.clip, foreign, config)

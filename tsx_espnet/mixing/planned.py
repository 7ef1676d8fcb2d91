"""Given plans as training mixtures: those of a corpus that comes mixed, or of a mixture set."""

import dataclasses
from typing import Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.render import Rendered

# what holds of a mixture, not of its sources
_OF_MIXTURES = (
    *("conditions", "snr", "overlap", "background"),
    *("enrollments", "components", "queries"),
)


class PlannedMixtures:
    """Plays plans in an order that is drawn anew for each (seed, epoch).

    Each is played once before any is played again. What ``draw`` returns has the origin (seed,
    epoch, index) that it was asked for.

    Args:
        plans: what is played.
        clips: what they are made from.
        noise: recordings of noise, if backgrounds are made from them.
        examples: what enrollments are taken from, if not from ``clips``.
        remix: exchange the first sources (FUSS: backgrounds) of the plans: each is played once with
            the further sources of another plan, drawn anew as the order is.

    Raises:
        TSXError: if there is no plan, or one needs a clip that is not there or is too short, or
            the first one cannot be rendered; to ``remix``, if their lengths differ or more is known
            of one than its sources.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        clips: ClipSet,
        noise: Optional[ClipSet] = None,
        examples: Optional[ClipSet] = None,
        remix: bool = False,
    ):
        if not plans:
            raise TSXError("expected one plan or more, found none")
        self.plans = plans
        self.clips = clips
        self.noise = noise
        self.examples = examples or clips
        self.remix = remix
        for plan in plans:
            self._check(plan)
        self.render(plans[0])  # are these the clips, and is there noise?
        self._order: Tuple[Tuple[int, ...], np.ndarray] = ((), np.zeros((2, 0), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.plans)

    @property
    def fs(self) -> int:
        """Sampling rate in Hz."""
        return self.clips.fs

    def draw(self, seed: int, epoch: int, index: int, name: Optional[str] = None) -> Plan:
        """The plan at place ``index`` of an epoch; after the last one, all are played again."""
        turn, place = divmod(index, len(self.plans))
        order = (seed, epoch, turn)
        if self._order[0] != order:
            rng = np.random.default_rng(np.random.SeedSequence(order))
            orders = [rng.permutation(len(self.plans)) for _ in range(2)]
            self._order = (order, np.stack(orders))
        first, further = self._order[1][:, place]
        plan = self.plans[first]
        if self.remix:
            other = self.plans[further]
            sources = (plan.sources[0], *other.sources[1:])
            name_of_both = f"{plan.id}+{other.id}"
            plan = dataclasses.replace(plan, id=name_of_both, sources=sources, target=0)
        plan = dataclasses.replace(plan, seed=seed, epoch=epoch, index=index)
        return plan if name is None else plan.renamed(name)

    def render(self, plan: Plan) -> Rendered:
        """Render a plan, see ``Rendered.of``."""
        return Rendered.of(plan, self.clips, self.noise, self.examples)

    def _check(self, plan: Plan) -> None:
        if self.remix:
            self._check_remix(plan)
        used = [(self.clips, one) for one in plan.sources]
        used += [(self.examples, one) for one in plan.enrollments]
        for clips, one in used:
            try:
                total = clips.num_samples(one.clip)
            except TSXError as error:
                raise TSXError(f"{plan.id}: {error}") from None
            end = one.start + one.length
            if end > total:
                raise TSXError(
                    f"{plan.id}: needs samples {one.start} to {end} of clip {one.clip!r}, which "
                    f"has {total} in {clips}"
                )

    def _check_remix(self, plan: Plan) -> None:
        length = self.plans[0].num_samples
        if plan.num_samples != length:
            raise TSXError(
                f"remix: {plan.id}: expected {length} samples as {self.plans[0].id}, found "
                f"{plan.num_samples}"
            )
        known = [name for name in _OF_MIXTURES if getattr(plan, name) not in (None, (), {})]
        if known:
            raise TSXError(f"remix: {plan.id}: expected sources alone, found {', '.join(known)}")

"""From a plan to sound."""

import dataclasses
from typing import Dict, Optional, Protocol, Tuple

import numpy as np

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.background import render_background
from tsx_espnet.mixing.plan import Plan

Enrollments = Dict[int, Tuple[np.ndarray, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Rendered:
    """A mixture as sound, float32; ``mixture == components[plan.target] + other`` holds exactly.

    Args:
        plan: what it was made from.
        mixture: (T,).
        components: (C, T), as they stand in the mixture.
        background: (T,), if there is one.
        other: (T,), all that is not the target of the plan.
        enrollments: component -> its enrollments, each (L,) of its own length.
        stream: which of several streams it belongs to, see ``streams.py``.
    """

    plan: Plan
    mixture: np.ndarray
    components: np.ndarray
    background: Optional[np.ndarray]
    other: np.ndarray
    enrollments: Enrollments
    stream: int = 0

    @classmethod
    def of(
        cls,
        plan: Plan,
        clips: ClipSet,
        noise: Optional[ClipSet] = None,
        examples: Optional[ClipSet] = None,
    ) -> "Rendered":
        """Render a plan; the same bits each time.

        Args:
            noise: recordings of noise; needed if the background is one of them.
            examples: what enrollments are taken from, if not from ``clips``.

        Raises:
            TSXError: if a clip is not there, has changed, or has another rate than the plan.
        """
        rows = join(plan, render_sources(plan, clips, noise))
        other, mixture = mix(rows, plan.target)
        number = len(plan.partition)
        background = None if plan.background is None else rows[number]
        enrollments = render_enrollments(plan, examples or clips)
        return cls(plan, mixture, rows[:number], background, other, enrollments)


class Draws(Protocol):
    """Mixtures to train on, the same ones in any process and after any interruption.

    Attributes:
        fs: sampling rate in Hz.
    """

    fs: int

    def draw(self, seed: int, epoch: int, index: int, name: Optional[str] = None) -> Plan:
        """The plan of mixture ``index`` of an epoch, given by these numbers alone.

        Args:
            name: its id; by default it says where the plan comes from.
        """

    def render(self, plan: Plan) -> Rendered:
        """Render a plan that ``draw`` made."""


def render_sources(plan: Plan, clips: ClipSet, noise: Optional[ClipSet] = None) -> np.ndarray:
    """The sources of a plan as they stand in the mixture, the background last if there is one.

    Shape: (M, T) float32, or (M + 1, T)

    Args:
        noise: recordings of noise; needed if the background is one of them.

    Raises:
        TSXError: if a clip is not there, has changed, or has another rate than the plan.
    """
    for there in (clips, noise):
        if there is not None and plan.fs != there.fs:
            raise TSXError(f"{plan.id}: made for {plan.fs} Hz, but {there} has {there.fs} Hz")
    rows = len(plan.sources) + (plan.background is not None)
    sources = np.zeros((rows, plan.num_samples), dtype=np.float32)
    for row, placed in zip(sources, plan.sources):
        samples = clips.read(placed.clip, placed.start, placed.length)
        row[placed.offset : placed.offset + placed.length] = samples * np.float32(placed.gain)
    if plan.background is not None:
        try:
            sources[-1] = render_background(plan.background, plan.num_samples, plan.fs, noise)
        except TSXError as error:
            raise TSXError(f"{plan.id}: {error}") from None
    return sources


def join(plan: Plan, sources: np.ndarray) -> np.ndarray:
    """The components of a plan: the sums of their sources.

    Shape: (M, T) -> (C, T); a row more, the background, is left as it is
    """
    if not plan.components:
        return sources
    rows = [sources[list(numbers)].sum(axis=0) for numbers in plan.components]
    return np.stack([*rows, *sources[len(plan.sources) :]])


def mix(sources: np.ndarray, target: int) -> Tuple[np.ndarray, np.ndarray]:
    """What is not the target, and the mixture, both (T,).

    ``mixture == sources[target] + other`` holds exactly, as it is how the mixture is made.
    """
    other = np.zeros_like(sources[target])
    for number, source in enumerate(sources):
        if number != target:
            other += source
    return other, sources[target] + other


def render(
    plan: Plan, clips: ClipSet, noise: Optional[ClipSet] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """Sources (see ``render_sources``) and mixture (T,), float32; the same bits each time."""
    sources = render_sources(plan, clips, noise)
    return sources, mix(join(plan, sources), plan.target)[1]


def render_enrollments(plan: Plan, clips: ClipSet) -> Enrollments:
    """Component -> its enrollments as recorded, each (L,) float32 of its own length."""
    rendered: Enrollments = {}
    for one in plan.enrollments:
        component = plan.component_of(one)
        samples = clips.read(one.clip, one.start, one.length)
        rendered[component] = (*rendered.get(component, ()), samples)
    return rendered

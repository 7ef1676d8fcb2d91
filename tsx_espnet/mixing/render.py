"""From a plan to sound."""

from typing import Optional, Tuple

import numpy as np

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.background import render_background
from tsx_espnet.mixing.plan import Plan


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
    return sources, mix(sources, plan.target)[1]


def render_enrollments(plan: Plan, clips: ClipSet) -> Tuple[np.ndarray, ...]:
    """The enrollments of a plan as recorded, each (L,) float32 of its own length."""
    return tuple(clips.read(one.clip, one.start, one.length) for one in plan.enrollments)

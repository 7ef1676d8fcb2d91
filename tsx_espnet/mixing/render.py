"""From a plan to sound."""

from typing import Tuple

import numpy as np

from tsx_espnet.error import TSXError
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.sources import ClipSet


def render_sources(plan: Plan, clips: ClipSet) -> np.ndarray:
    """The sources of a plan as they stand in the mixture, (M, T) float32.

    Raises:
        TSXError: if a clip is not there, has changed, or has another rate than the plan.
    """
    if plan.fs != clips.fs:
        raise TSXError(f"{plan.id}: made for {plan.fs} Hz, but {clips.directory} has {clips.fs} Hz")
    sources = np.zeros((len(plan.sources), plan.num_samples), dtype=np.float32)
    for row, placed in zip(sources, plan.sources):
        samples = clips.read(placed.clip, placed.start, placed.length)
        row[placed.offset : placed.offset + placed.length] = samples * np.float32(placed.gain)
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


def render(plan: Plan, clips: ClipSet) -> Tuple[np.ndarray, np.ndarray]:
    """Sources (M, T) and mixture (T,), float32; the same bits each time."""
    sources = render_sources(plan, clips)
    return sources, mix(sources, plan.target)[1]

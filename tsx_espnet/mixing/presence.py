"""Which classes can be heard at what time of a mixture."""

from typing import Sequence

import numpy as np

from tsx_espnet.conditions import hop_length
from tsx_espnet.conditions.condition import sounding
from tsx_espnet.mixing.render import Rendered


def presence(rendered: Rendered, classes: Sequence[str], hop: int) -> np.ndarray:
    """1 where a source with the label sounds, anywhere in the frame, else 0.

    Shape: (F, J) float32, F = ceil(T / hop)

    Args:
        classes: J labels; others are ignored.
        hop: samples of a frame, whole 10 ms.
    """
    plan = rendered.plan
    heard = sounding(_energies(rendered.components, hop_length(plan.fs)), plan.fs)
    step = hop // hop_length(plan.fs)
    frames = -(-heard.shape[1] // step)
    heard = np.pad(heard, ((0, 0), (0, frames * step - heard.shape[1])))
    heard = heard.reshape(len(heard), frames, step).any(axis=2)
    labels = [{x for one in plan.members(c) for x in one.labels} for c in range(len(heard))]
    has = np.array([[name in own for name in classes] for own in labels])
    return (heard[:, :, None] & has[:, None, :]).any(axis=0).astype(np.float32)


def _energies(components: np.ndarray, hop: int) -> np.ndarray:
    """Energy of each 10 ms frame: (C, T) -> (C, F)."""
    number, num_samples = components.shape
    frames = -(-num_samples // hop)
    padded = np.zeros((number, frames * hop))
    padded[:, :num_samples] = components
    return (padded.reshape(number, frames, hop) ** 2).sum(axis=2)

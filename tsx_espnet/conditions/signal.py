"""Signal properties of a source, relative to the other sources of the mixture ([OCT] Sec. 2).

With more than two sources, ``low`` means lower than all others, ``second`` later than all others;
a target in between has no value.

References:
    [OCT] Tzinis et al., "Optimal condition training for target source separation", 2022.
"""

from typing import Optional

import numpy as np

from tsx_espnet.conditions.condition import Condition, Sources

_TINY = 1e-12  # energy of a frame far below one bit of 16


class SignalCondition(Condition):
    """A number for each source; the value says whether the target's is the least or the greatest.

    A subclass sets ``name``, two ``values`` (least, greatest), ``margin``, and ``measure``.
    """

    def measure(self, sources: Sources) -> Optional[np.ndarray]:
        """The number of each source, (M,), in the unit of ``margin``; None if undefined."""
        raise NotImplementedError

    def read(self, sources: Sources, rng: Optional[np.random.Generator] = None) -> Optional[str]:
        """The value if the target differs from every other source by the margin, to one side."""
        numbers = self.measure(sources)
        if numbers is None:
            return None
        side = _side(numbers, sources.target, sources.margins.get(self.name, self.margin))
        return None if side is None else self.values[side]


class Energy(SignalCondition):
    """Level over the mixture, in dB."""

    name = "energy"
    values = ("low", "high")
    help = "low or high: the softer or the louder sound"
    margin = 0.1
    margin_option = "level_margin"

    def measure(self, sources: Sources) -> np.ndarray:
        return 10 * np.log10(sources.energy[:, 0] + _TINY)


class Harmonicity(SignalCondition):
    """10 log10(harmonic / percussive energy) in the mixture; undefined for silence."""

    name = "harmonicity"
    values = ("percussive", "harmonic")
    help = "percussive or harmonic"
    margin = 0.5
    margin_option = "harmonicity_margin"

    def measure(self, sources: Sources) -> Optional[np.ndarray]:
        if not sources.sounding.any(axis=1).all():
            return None
        return 10 * np.log10((sources.energy[:, 1] + _TINY) / (sources.energy[:, 2] + _TINY))


class Order(SignalCondition):
    """First sounding frame in the mixture, in seconds; undefined for silence."""

    name = "order"
    values = ("first", "second")
    help = "first or second to be heard"
    margin = 0.1
    margin_option = "onset_margin"

    def measure(self, sources: Sources) -> Optional[np.ndarray]:
        if not sources.sounding.any(axis=1).all():
            return None
        return sources.sounding.argmax(axis=1) * sources.hop / sources.fs


def _side(numbers: np.ndarray, target: int, margin: float) -> Optional[int]:
    """0 if the target lies below every other number by the margin, 1 if above, else None."""
    difference = numbers[target] - np.delete(numbers, target)
    if difference.size and np.all(np.abs(difference) >= max(margin - 1e-9, 1e-9)):
        if np.all(difference < 0):
            return 0
        if np.all(difference > 0):
            return 1
    return None

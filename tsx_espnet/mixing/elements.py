"""What a plan is made of: placed sources, background noise, enrollments."""

from dataclasses import dataclass
from typing import Any, Optional, Tuple, Union

from tsx_espnet.checks import Fields, is_line
from tsx_espnet.tables import check_id

MOST_SAMPLES = 2**40


@dataclass(frozen=True)
class Placement:
    """One source: samples ``start`` to ``start + length`` of a clip, at ``offset``, times ``gain``.

    ``label`` is the class it was drawn for, ``labels`` are all labels of the clip; "" and () if it
    has none.
    """

    clip: str
    label: str
    labels: Tuple[str, ...]
    start: int
    length: int
    offset: int
    gain: float

    @classmethod
    def from_record(cls, found: Any, num_samples: int, where: str) -> "Placement":
        """From JSON, in a mixture of ``num_samples``.

        Raises:
            TSXError: naming ``where`` and the field that is wrong, as the others below.
        """
        source = Fields.of_record(cls, found, where)
        check_id(source.text("clip"), f"{where}: clip")
        labels = source.values["labels"]
        if not isinstance(labels, list) or not all(map(is_line, labels)):
            source.refuse("labels", "a list of names")
        if labels or source.values["label"] != "":
            source.text("label")
        source.values["labels"] = tuple(labels)
        source.integer("start", 0, MOST_SAMPLES)
        source.integer("offset", 0, num_samples - 1)
        source.integer("length", 1, num_samples - source.values["offset"])
        source.number("gain", 0, 1e9)
        return cls(**source.values)


@dataclass(frozen=True)
class GeneratedNoise:
    """Background noise made from ``seed``, ``slope`` dB an octave, times ``gain``."""

    seed: int
    slope: float
    gain: float


@dataclass(frozen=True)
class RecordedNoise:
    """Background noise from sample ``start`` of a clip of noise, times ``gain``."""

    clip: str
    start: int
    gain: float


Background = Union[GeneratedNoise, RecordedNoise]


def background_from_record(found: Any, where: str) -> Background:
    """From JSON: a recording has a clip."""
    recorded = isinstance(found, dict) and "clip" in found
    noise = Fields.of_record(RecordedNoise if recorded else GeneratedNoise, found, where)
    noise.number("gain", 0, 1e9)
    if recorded:
        check_id(noise.text("clip"), f"{where}: clip")
        noise.integer("start", 0, MOST_SAMPLES)
        return RecordedNoise(**noise.values)
    noise.integer("seed", 0, 2**63)
    noise.number("slope", -100, 100)
    return GeneratedNoise(**noise.values)


@dataclass(frozen=True)
class Enrollment:
    """A recording that queries a component: samples ``start`` to ``start + length`` of a clip.

    ``component`` is the number of the component; None: the target of the plan.
    """

    clip: str
    start: int
    length: int
    component: Optional[int] = None

    @classmethod
    def from_record(cls, found: Any, num_components: int, where: str) -> "Enrollment":
        """From JSON, of a mixture of ``num_components``."""
        excerpt = Fields.of_record(cls, found, where)
        check_id(excerpt.text("clip"), f"{where}: clip")
        excerpt.integer("start", 0, MOST_SAMPLES)
        excerpt.integer("length", 1, MOST_SAMPLES)
        if excerpt.values["component"] is not None:
            excerpt.integer("component", 0, num_components - 1)
        return cls(**excerpt.values)

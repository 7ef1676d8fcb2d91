"""The enrollments of a target: other recordings of its class ([SoundBeam] Sec. 5.1), or its own.

Several clips may be cut from one recording: unless ``enrollment_from: other_clip``, none of them is
an enrollment of another. A clip that gives both source and enrollment is cut in two first, so that
they share no sample.
"""

from collections import Counter
from typing import Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import hop_length
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.crop import Refused, Region, draw_crop
from tsx_espnet.mixing.elements import Enrollment


def check_enrollments(
    clips: ClipSet, config: MixingConfig, examples: Optional[ClipSet] = None
) -> None:
    """Check that there can be enrollments of each clip among other ones, or the ``examples``.

    Raises:
        TSXError: naming a clip that has no label, or the classes that have too few clips or
            recordings.
    """
    if not config.enrollments and examples is None:
        return
    least = config.least_samples(clips.fs)
    if config.strategy == "clips":
        for number in clips.long_enough(least):
            name = clips.ids[int(number)]
            if not clips.labels(name):
                without = "" if examples is not None else "; enrollment_from: same needs none"
                raise TSXError(
                    f"enrollments: clip {name!r} has no label to find another clip by{without}"
                )
    if examples is not None:
        return
    numbers = {label: len(clips.clips_of(label, least)) for label in clips.classes}
    few = [label for label, number in numbers.items() if 0 < number <= config.enrollments]
    if few:
        named = ", ".join(f"{label} ({numbers[label]})" for label in few[:5])
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        raise TSXError(
            f"enrollments: {config.enrollments} needs {config.enrollments + 1} clips of each "
            f"class, as no target is its own; found too few of {named}{more}"
        )
    if config.enrollment_from == "other_clip":
        return
    others = {x: _fewest_others(clips, x, least) for x, number in numbers.items() if number}
    few = [label for label, number in others.items() if number < config.enrollments]
    if few:
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        raise TSXError(
            f"enrollments: expected {config.enrollments} of other recordings than the target's, "
            f"found too few in {', '.join(few[:5])}{more}; leave them out, or allow clips of the "
            "same recording (enrollment_from: other_clip)"
        )


def _fewest_others(clips: ClipSet, label: str, least: int) -> int:
    """How many clips of a class are not of the recording that most of them are of."""
    names = [clips.ids[int(number)] for number in clips.clips_of(label, least)]
    return len(names) - max(Counter(clips.recording(x) or (x,) for x in names).values())


def all_enrollments(examples: ClipSet, label: str) -> Tuple[Enrollment, ...]:
    """The examples of a class, whole, sorted by id: the same for each of its mixtures.

    Raises:
        TSXError: if there is none.
    """
    names = [examples.ids[int(number)] for number in examples.clips_of(label)]
    if not names:
        raise TSXError(f"{examples}: holds no example of {label}")
    return tuple(Enrollment(name, 0, examples.num_samples(name)) for name in names)


def draw_enrollments(
    rng: np.random.Generator,
    clips: ClipSet,
    candidates: Sequence[int],
    target: str,
    foreign: Sequence[str],
    config: MixingConfig,
) -> Tuple[Enrollment, ...]:
    """``config.enrollments`` different clips, each whole or a part of ``enrollment_duration`` s.

    Args:
        candidates: numbers of the clips of the target's class.
        target: the clip that is never drawn, nor one of its recording.
        foreign: labels that an enrollment must not have, those of the other sources.

    Raises:
        Refused: if there are too few.
    """
    drawn = []
    own = clips.recording(target) if config.enrollment_from == "other" else ""
    for number in rng.permutation(len(candidates)):
        clip = clips.ids[int(candidates[number])]
        if clip == target or (own and clips.recording(clip) == own):
            continue
        if not set(foreign).isdisjoint(clips.labels(clip)):
            continue
        try:
            drawn.append(draw_excerpt(rng, clips, clip, config))
        except Refused:  # no part of this one can be used
            continue
        if len(drawn) == config.enrollments:
            return tuple(drawn)
    raise Refused("no enrollment without the other sources' labels")


def draw_excerpt(
    rng: np.random.Generator,
    clips: ClipSet,
    clip: str,
    config: MixingConfig,
    region: Optional[Region] = None,
) -> Enrollment:
    """At most ``enrollment_duration`` s of a clip, or of a ``region`` of it.

    Raises:
        Refused: if no such part sounds long enough.
    """
    hop, total = clips.hop, clips.num_samples(clip)
    longest = round(config.enrollment_duration * clips.fs / hop_length(clips.fs))
    begin, end = region or (0, -(-total // hop))
    if min(end * hop, total) - begin * hop <= longest * hop:
        return Enrollment(clip, begin * hop, min(end * hop, total) - begin * hop)
    energies = clips.energies(clip)
    first, length = draw_crop(
        rng, energies, clips.fs, longest, config.min_sounding, region=(begin, end)
    )
    start = first * hop
    return Enrollment(clip, start, min(length * hop, total - start))

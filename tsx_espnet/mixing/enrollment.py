"""The enrollments of a target: other recordings of its class ([SoundBeam] Sec. 5.1)."""

from typing import Mapping, Sequence, Tuple

import numpy as np

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import hop_length
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.placement import Refused, draw_crop
from tsx_espnet.mixing.plan import Enrollment


def check_enough_clips(clips_of: Mapping[str, np.ndarray], enrollments: int) -> None:
    """Raise ``TSXError`` naming the classes that have too few clips for ``enrollments`` beside one.

    Args:
        clips_of: class -> numbers of its clips.
    """
    few = [label for label, clips in sorted(clips_of.items()) if len(clips) <= enrollments]
    if enrollments and few:
        named = ", ".join(f"{label} ({len(clips_of[label])})" for label in few[:5])
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        raise TSXError(
            f"enrollments: {enrollments} needs {enrollments + 1} clips of each class, as no target "
            f"is its own; found too few of {named}{more}"
        )


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
        target: the clip that is never drawn.
        foreign: labels that an enrollment must not have, those of the other sources.

    Raises:
        Refused: if there are too few.
    """
    drawn = []
    for number in rng.permutation(len(candidates)):
        clip = clips.ids[int(candidates[number])]
        if clip == target or not set(foreign).isdisjoint(clips.labels(clip)):
            continue
        try:
            drawn.append(_excerpt(rng, clips, clip, config))
        except Refused:  # no part of this one can be used
            continue
        if len(drawn) == config.enrollments:
            return tuple(drawn)
    raise Refused("no enrollment without the other sources' labels")


def _excerpt(
    rng: np.random.Generator, clips: ClipSet, clip: str, config: MixingConfig
) -> Enrollment:
    total = clips.num_samples(clip)
    longest = round(config.enrollment_duration * clips.fs / hop_length(clips.fs))
    if total <= longest * clips.hop:
        return Enrollment(clip, 0, total)
    energies = clips.energies(clip)
    first, length = draw_crop(rng, energies, clips.fs, longest, config.min_sounding)
    start = first * clips.hop
    return Enrollment(clip, start, min(length * clips.hop, total - start))

"""Clips of a class, chosen reproducibly: held out, or examples of a new class."""

import hashlib
import math
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from tsx_espnet.checks import check_at_least
from tsx_espnet.errors import TSXError

EXAMPLES = (1, 5, 10)  # of each new class, as in the SoundBeam paper
MOST = 99  # of a class, as the rank in an id has two digits


def example_numbers(text: str) -> Tuple[int, ...]:
    """The numbers of examples in an option.

    >>> example_numbers("10,1,5"), example_numbers("")
    ((1, 5, 10), ())

    Raises:
        TSXError: if they are not numbers from 1 to 99.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not word.isascii() or not word.isdecimal() or not 1 <= int(word) <= MOST:
            raise TSXError(f"examples: expected numbers from 1 to {MOST}, found {word!r}")
    return tuple(sorted({int(word) for word in words}))


def drawn(draw: int) -> str:
    """The suffix of a draw in a name; the first has none.

    >>> drawn(0), drawn(2)
    ('', '_draw2')
    """
    return f"_draw{draw}" if draw else ""


def rank_clips(
    recordings: Mapping[str, str], seed: int = 0, taken: Optional[Mapping[str, int]] = None
) -> List[str]:
    """The clips of one class, in a pseudorandom order.

    The second clip of a recording comes after the first of every recording, so that the first few
    differ as much as possible. Recordings that were taken before come after the others, as do the
    clips of one recording; of those taken, the ones among more examples come first.

    >>> rank_clips({"a": "1", "b": "1", "c": "2", "d": "3"})
    ['c', 'a', 'd', 'b']
    >>> rank_clips({"a": "1", "b": "1", "c": "2", "d": "3"}, taken={"c": 5, "a": 1})
    ['d', 'c', 'b', 'a']

    Args:
        recordings: clip -> the recording that it was taken from.
        seed: of the order.
        taken: of the clips that were taken before, among how few examples.
    """
    among = {clip: (taken or {}).get(clip, math.inf) for clip in recordings}
    fewest: Dict[str, float] = {}
    for clip, recording in recordings.items():
        fewest[recording] = min(among[clip], fewest.get(recording, math.inf))
    before: Dict[str, int] = {}
    place: Dict[str, Tuple[int, float]] = {}
    order = sorted(recordings, key=lambda clip: hashlib.sha1(f"{seed} {clip}".encode()).hexdigest())
    for clip in sorted(order, key=lambda clip: -among[clip]):
        recording = recordings[clip]
        place[clip] = before.get(recording, 0), -fewest[recording]
        before[recording] = before.get(recording, 0) + 1
    return sorted(order, key=place.__getitem__)


def choose_examples(
    labels: Mapping[str, str],
    recordings: Mapping[str, str],
    numbers: Sequence[int] = EXAMPLES,
    num_draws: int = 1,
) -> Dict[str, Dict[str, str]]:
    """Sets ``new_enroll_<K>`` of K examples of each class: id -> clip; the larger hold the smaller.

    Further draws are ``new_enroll_<K>_draw1``, ``new_enroll_<K>_draw2``, ...: each takes other
    recordings than the draws before, as long as there are any, then those taken for a greater K.

    Ids are ``01_<clip>``, ``02_<clip>``, ..., in the order of choice when sorted, and different
    from those in ``new_train``.

    >>> choose_examples({"a": "Meow", "b": "Meow"}, {"a": "1", "b": "2"}, [1])
    {'new_enroll_1': {'01_a': 'a'}}

    Args:
        labels: clip -> its class.
        recordings: clip -> the recording that it was taken from.
        numbers: each K, from 1 to 99.
        num_draws: at least 1.

    Raises:
        TSXError: for a number out of range, or naming the classes with too few clips.
    """
    for number in numbers:
        if not 1 <= number <= MOST:
            raise TSXError(f"examples: expected numbers from 1 to {MOST}, found {number}")
    check_at_least(1, num_draws=num_draws)
    of_class: Dict[str, Dict[str, str]] = {}
    for clip, label in sorted(labels.items()):
        of_class.setdefault(label, {})[clip] = recordings[clip]
    most = max(numbers, default=0)
    few = [f"{label} ({len(own)})" for label, own in sorted(of_class.items()) if len(own) < most]
    if few:
        raise TSXError(
            f"examples: {most} of each new class are wanted; found too few clips in new_train of "
            f"{', '.join(few)}"
        )
    sets: Dict[str, Dict[str, str]] = {}
    taken: Dict[str, int] = {}  # clip -> the smallest number of examples that it is among
    for draw in range(num_draws):
        ranked = sorted(
            (f"{rank:02d}_{clip}", rank, clip)
            for own in of_class.values()
            for rank, clip in enumerate(rank_clips(own, draw, taken), start=1)
        )
        for number in sorted(set(numbers)):
            chosen = {name: clip for name, rank, clip in ranked if rank <= number}
            sets[f"new_enroll_{number}{drawn(draw)}"] = chosen
            for clip in chosen.values():
                taken[clip] = min(number, taken.get(clip, number))
    return sets


def hold_out(recordings: Mapping[str, str], share: float) -> List[str]:
    """Some of the clips of one class: whole recordings, in a pseudorandom order.

    At least two clips, and of two recordings where those fit, so that each has another of its
    class; at most half; none if ``share`` is 0.

    >>> hold_out({"a": "1", "b": "1", "c": "2", "d": "3", "e": "4"}, 0.2)
    ['d', 'e']

    Args:
        recordings: clip -> the recording that it was taken from.
        share: of all clips.
    """
    clips: Dict[str, List[str]] = {}
    for clip, recording in sorted(recordings.items()):
        clips.setdefault(recording, []).append(clip)
    most = len(recordings) // 2
    wanted = min(max(2, round(share * len(recordings))), most) if share else 0
    held: List[str] = []
    number = 0  # of recordings
    for recording in sorted(clips, key=lambda name: hashlib.sha1(name.encode()).hexdigest()):
        enough = len(held) >= wanted and (number > 1 or not wanted)
        if not enough and len(held) + len(clips[recording]) <= most:
            held += clips[recording]
            number += 1
    return sorted(held)

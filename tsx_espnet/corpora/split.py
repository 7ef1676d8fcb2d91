"""Holding clips out of training, the same ones each time."""

import hashlib
from typing import Dict, List, Mapping


def hold_out(recordings: Mapping[str, str], share: float) -> List[str]:
    """Some of the clips of one class: whole recordings, in an order that looks random but is fixed.

    Two clips at least, so that each has another one of its class, and half of all at most; none
    where ``share`` is 0.

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
    for recording in sorted(clips, key=lambda name: hashlib.sha1(name.encode()).hexdigest()):
        if len(held) < wanted and len(held) + len(clips[recording]) <= most:
            held += clips[recording]
    return sorted(held)

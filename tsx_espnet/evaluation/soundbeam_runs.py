"""Which directories hold the runs behind the tables of the SoundBeam paper."""

import re
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

from tsx_espnet.evaluation.scores import FILE
from tsx_espnet.evaluation.soundbeam_paper import METHODS, NEW, NEW_CLASSES, PLACES, Place
from tsx_espnet.evaluation.system import INFER

KIND = "random_soundbeam"  # the recipe's way of mixing (conf/mix_<kind>.yaml)


class Tag(NamedTuple):
    """The parts of the name of an experiment; a tag without ``_seed<k>`` is a seed of its own."""

    size: str
    method: str
    seed: str


class Run(NamedTuple):
    """What may differ between two answers that are otherwise of the same kind.

    Attributes:
        seed: of the training.
        draw: of the recordings that new classes are known by.
    """

    seed: str
    draw: int


def scored_places(path: Path, kind: str) -> List[Tuple[Place, int]]:
    """Where an experiment has scores, and of which draw of the recordings."""
    named = [one.name for room in (INFER, NEW_CLASSES) for one in (path / room).glob("*_draw*")]
    found = [re.fullmatch(r".+_K\d+_draw([1-9]\d*)", name, re.ASCII) for name in named]
    draws = sorted({0, *(int(match[1]) for match in found if match)})
    return [
        (place, draw)
        for place in PLACES
        for draw in (draws if place.test == NEW else [0])
        if (path / place.directory(kind, draw) / FILE).is_file()
    ]


def parse_tag(tag: str, kind: str) -> Optional[Tag]:
    """The parts of a tag; None if it is none of the tables.

    >>> tuple(parse_tag("small_mixed_el_random_soundbeam_seed2", KIND))
    ('small', 'mixed_el', '2')
    """
    pattern = f"(?:(.+)_)?({'|'.join(METHODS)})_{re.escape(kind)}(?:_seed([0-9]+))?"
    match = re.fullmatch(pattern, tag)
    return Tag(*(group or "" for group in match.groups())) if match else None


def nothing_found(directory: Path, size: Optional[str], kind: str) -> str:
    """The message for a directory without any run of ``size``."""
    tags = filter(None, (parse_tag(path.name, kind) for path in directory.iterdir()))
    sizes = sorted({tag.size for tag in tags} - {size or ""})
    found = [f"--size {other}" if other else "no --size" for other in sizes]
    prefix = f"{size}_" if size else ""
    places = ", ".join(dict.fromkeys(_pattern(place, kind) for place in PLACES))
    return (
        f"{directory}: no scored experiment of SoundBeam; expected "
        f"{prefix}<method>_{kind}[_seed<k>], method one of {', '.join(METHODS)}, with {FILE} "
        f"(stage 7) in one of {places}"
    ) + (f"; there are some of {', '.join(found)}" if found else "")


def _pattern(place: Place, kind: str) -> str:
    path = place.directory(kind).as_posix()
    return path.replace(f"K{place.shots}", "K<K>").replace(f"{place.init}_K", "<init>_K")

"""What a source can be asked by, and how that is read off the sources of a mixture.

Six conditions: three signal properties with two values each, relative to the other sources of the
mixture ([OCT] Sec. 2), and three open ones: an example, the class and the text. Where a condition
does not tell the target from every other source, it is not applicable and never used.

    energy       low / high              level over the mixture
    harmonicity  percussive / harmonic   10 log10(harmonic / percussive energy) of what is mixed
    order        first / second          first sounding frame in the mixture
    enrollment   recordings              not of the mixture: whoever mixes it finds them
    class        a label                 one that no other source has
    text         a phrase                that label in words, a synonym of it, or a caption

References:
    [OCT] Tzinis et al., "Optimal condition training for target source separation", 2022.
"""

import functools
import json
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.errors import TSXError

NOT_APPLICABLE = "n/a"
ENROLLMENT = "enrollment"
# stands where a condition does, for models that are not asked for anything
UNCONDITIONAL = "unconditional"
CONDITIONS: Dict[str, Optional[Tuple[str, str]]] = {
    "energy": ("low", "high"),
    "harmonicity": ("percussive", "harmonic"),
    "order": ("first", "second"),
    ENROLLMENT: None,
    "class": None,
    "text": None,
}
ASKED = (*CONDITIONS, UNCONDITIONAL)  # whatever an estimate may be made under
ANY = "any"  # the value of UNCONDITIONAL, whatever the mixture
SOUNDING_RANGE = 40.0  # dB under the loudest frame
SOUNDING_FLOOR = -60.0  # dB re full scale
SYNONYMS = Path(__file__).parent / "data" / "synonyms.json"
_TINY = 1e-12  # energy of a frame far below one bit of 16


class Margins(NamedTuple):
    """Smallest differences that count: energy and harmonicity in dB, onsets in seconds."""

    level: float
    harmonicity: float
    onset: float


def values(name: str) -> Optional[Tuple[str, str]]:
    """The two values of a condition, or None for an open one (enrollment, class, text).

    >>> values("energy"), values("text")
    (('low', 'high'), None)

    Raises:
        TSXError: if there is no condition of this name.
    """
    if name not in CONDITIONS:
        raise TSXError(f"no condition {name!r}: expected one of {', '.join(CONDITIONS)}")
    return CONDITIONS[name]


def hop_length(fs: int) -> int:
    """Samples of a 10 ms frame, the grid of all energies, at ``fs`` Hz."""
    return round(fs / 100)


def sounding(energy: np.ndarray, fs: int) -> np.ndarray:
    """Frames loud enough to be heard.

    Shape: energy (..., F), sum of squares of each 10 ms frame -> bool (..., F)

    A frame sounds if it lies within 40 dB of the loudest frame and above -60 dB re full scale.
    """
    floor = hop_length(fs) * 10 ** (SOUNDING_FLOOR / 10)
    loudest = energy.max(axis=-1, keepdims=True, initial=0.0)
    return energy > np.maximum(loudest * 10 ** (-SOUNDING_RANGE / 10), floor)


def phrase(label: str) -> str:
    """A label in words.

    >>> phrase("Chirp_and_tweet"), phrase("Fill_(with_liquid)")
    ('chirp and tweet', 'fill with liquid')
    """
    return " ".join(re.sub(r"[()]", " ", label.replace("_", " ")).lower().split())


@functools.lru_cache(maxsize=None)
def _synonym_table() -> Dict[str, Tuple[str, ...]]:
    if not SYNONYMS.is_file():
        return {}
    table = json.loads(SYNONYMS.read_text(encoding="utf-8"))
    return {label: tuple(phrases) for label, phrases in table.items()}


def synonyms(label: str) -> Tuple[str, ...]:
    """Other phrases for a label; none for a label that the table does not hold."""
    return _synonym_table().get(label, ())


def phrases_of(labels: Sequence[str], captions: Sequence[str] = ()) -> Tuple[str, ...]:
    """Every phrase by which a source of these labels and captions can be asked, each once."""
    found = [text for label in labels for text in (phrase(label), *synonyms(label))]
    return tuple(dict.fromkeys(found + list(captions)))


def unshared(items: Sequence[Sequence[str]], target: int) -> List[str]:
    """What the target has and no other source has, in the target's order."""
    others = {item for m, owned in enumerate(items) if m != target for item in owned}
    return [item for item in items[target] if item not in others]


def _side(numbers: np.ndarray, target: int, margin: float) -> Optional[int]:
    """0 if the target lies below every other number by the margin, 1 if above, else None."""
    difference = numbers[target] - np.delete(numbers, target)
    if difference.size and np.all(np.abs(difference) >= max(margin - 1e-9, 1e-9)):
        if np.all(difference < 0):
            return 0
        if np.all(difference > 0):
            return 1
    return None


def read_signal_conditions(
    tracks: np.ndarray, fs: int, target: int, margins: Margins
) -> Dict[str, str]:
    """The applicable ones of energy, harmonicity and order.

    Shape: tracks (M, F, 3), total, harmonic and percussive energy of each 10 ms frame of each
    source as it stands in the mixture, gains applied.

    With more than two sources, ``low`` means lower than every other one, and so on; a target in
    between has no value. ``second`` then means after every other one.
    """
    energy = tracks.sum(axis=1, dtype=np.float64)
    numbers = {
        "energy": (10 * np.log10(energy[:, 0] + _TINY), margins.level),
        "harmonicity": (
            10 * np.log10((energy[:, 1] + _TINY) / (energy[:, 2] + _TINY)),
            margins.harmonicity,
        ),
    }
    heard = sounding(tracks[..., 0], fs)
    if heard.any(axis=1).all():
        numbers["order"] = (heard.argmax(axis=1) * hop_length(fs) / fs, margins.onset)
    else:  # a silent source has neither an onset nor a character
        del numbers["harmonicity"]
    read = {}
    for name, (measured, margin) in numbers.items():
        side = _side(measured, target, margin)
        if side is not None:
            read[name] = CONDITIONS[name][side]
    return read


def read_text(
    labels: Sequence[Sequence[str]],
    target: int,
    captions: Optional[Sequence[Sequence[str]]] = None,
    rng: Optional[np.random.Generator] = None,
) -> Optional[str]:
    """A text that belongs to the target alone, or None.

    Without ``rng``: the first such caption, else the most specific such label as a phrase. With
    it, a kind of text is drawn (label, synonym, caption; those there are), then one of that kind.
    """
    own_captions = unshared(captions, target) if captions else []
    own_labels = unshared(labels, target)[:1]
    plain = [phrase(label) for label in own_labels]
    if rng is None:
        return next(iter(own_captions + plain), None)
    # a phrase that also fits another source would ask for both
    others = {text for m, row in enumerate(labels) if m != target for text in phrases_of(row)}
    other_words = [text for label in own_labels for text in synonyms(label) if text not in others]
    kinds = [kind for kind in (plain, other_words, own_captions) if kind]
    if not kinds:
        return None
    kind = kinds[rng.integers(len(kinds))]
    return kind[rng.integers(len(kind))]


def read_conditions(
    tracks: np.ndarray,
    fs: int,
    target: int,
    labels: Sequence[Sequence[str]],
    margins: Margins,
    captions: Optional[Sequence[Sequence[str]]] = None,
    class_level: str = "specific",
    text_variants: bool = False,
    rng: Optional[np.random.Generator] = None,
) -> Dict[str, str]:
    """The conditions that tell the target from every other source, in the order of ``CONDITIONS``.

    Shape: tracks (M, F, 3), see ``read_signal_conditions``

    Args:
        fs: sampling rate in Hz.
        target: number of the target among the sources.
        labels: labels of each source, most specific first.
        captions: captions of each source.
        class_level: ``specific``: the target's most specific label that no other source has;
            ``any``: one of those labels, drawn.
        text_variants: draw the text among phrase, synonyms and captions.
        rng: for what is drawn.
    """
    read = read_signal_conditions(tracks, fs, target, margins)
    own = unshared(labels, target)
    if own:
        read["class"] = own[rng.integers(len(own))] if class_level == "any" else own[0]
    text = read_text(labels, target, captions, rng if text_variants else None)
    if text is not None:
        read["text"] = text
    return read

"""The base class of conditions, and the sources of a mixture that their values are read from."""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.checks import nearest
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import parse_json

if TYPE_CHECKING:
    from tsx_espnet.vocabulary import Vocabulary

NOT_APPLICABLE = "n/a"
NO_VALUE = -1
ANY = "any"  # the value of a condition that is not queried
SOUNDING_RANGE = 40.0  # dB under the loudest frame
SOUNDING_FLOOR = -60.0  # dB re full scale


def hop_length(fs: int) -> int:
    """Samples per 10 ms frame, the grid of all energies, at ``fs`` Hz."""
    return round(fs / 100)


def sounding(energy: np.ndarray, fs: int) -> np.ndarray:
    """Frames loud enough to be heard.

    Shape: energy (..., F), sum of squares of each 10 ms frame -> bool (..., F)

    A frame sounds if it lies within 40 dB of the loudest frame and above -60 dB re full scale.
    """
    floor = hop_length(fs) * 10 ** (SOUNDING_FLOOR / 10)
    loudest = energy.max(axis=-1, keepdims=True, initial=0.0)
    return energy > np.maximum(loudest * 10 ** (-SOUNDING_RANGE / 10), floor)


@dataclasses.dataclass(frozen=True)
class Sources:
    """The sources of a mixture, from which conditions are read.

    Args:
        tracks: (M, F, 3), total, harmonic and percussive energy of each 10 ms frame of each source
            in the mixture, gains applied.
        fs: sampling rate in Hz.
        target: index of the target.
        labels: labels of each source, most specific first.
        captions: captions of each source.
        margins: condition -> smallest difference that counts; by default that of the condition.
        class_level: ``specific``: the class is the target's most specific label that no other
            source has; ``any``: one of those labels, drawn.
        text_variants: draw the text among phrase, synonyms and captions.
        random_signals: exchange the values of signal conditions with probability 1/2.
        drawn: the label each source was drawn for ("" if none), if the text is to be of that one.
    """

    tracks: np.ndarray
    fs: int
    target: int
    labels: Sequence[Sequence[str]]
    captions: Optional[Sequence[Sequence[str]]] = None
    margins: Mapping[str, float] = dataclasses.field(default_factory=dict)
    class_level: str = "specific"
    text_variants: bool = False
    drawn: Optional[Sequence[str]] = None
    random_signals: bool = False

    @functools.cached_property
    def energy(self) -> np.ndarray:
        """(M, 3): total, harmonic and percussive energy over the mixture."""
        return self.tracks.sum(axis=1, dtype=np.float64)

    @functools.cached_property
    def sounding(self) -> np.ndarray:
        """(M, F) bool: the frames in which each source can be heard."""
        return sounding(self.tracks[..., 0], self.fs)

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return hop_length(self.fs)


class Condition:
    """One way to say which sound of a mixture is wanted.

    By default, a closed set of values with a trainable vector each; a subclass sets the attributes
    and overrides the steps in which it differs.

    Attributes:
        name: in yaml, tables and files, as in ``utt2<name>`` of a mixture set.
        values: in the order of their vectors; None: open (a text, a recording).
        help: one line for ``--help``.
        keyword: of ``TargetSoundExtractor`` and, as ``--keyword``, of ``tsx-extract``; by default
            the name.
        option: arguments of argparse for that option, if it is not one string.
        margin: smallest difference between sources that counts, if there are differences.
        margin_option: option of the mixing config that sets it; None: ``margins: {name: ...}``.
        conditioner: default kind of the conditioner.
        gives: what ``encode`` can make of a value: ``index``, ``vector``, ``tokens``, ``samples``;
            a conditioner says which of them it ``takes``.
        queried: False if there is no query, and so nothing to look up in a mixture set.
        planned: whether the value is in the plan of a mixture.
    """

    name: str = ""
    values: Optional[Tuple[str, ...]] = None
    help: str = ""
    keyword: str = ""
    option: Mapping[str, Any] = {}
    margin: Optional[float] = None
    margin_option: Optional[str] = None
    conditioner: str = "onehot"
    gives: Tuple[str, ...] = ("index",)
    queried: bool = True
    planned: bool = True

    def __init__(self) -> None:
        self.keyword = self.keyword or self.name

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__qualname__}()"

    @property
    def file(self) -> Optional[str]:
        """The table of a mixture set that holds the value for every mixture."""
        return f"utt2{self.name}" if self.queried else None

    def read(self, sources: Sources, rng: Optional[np.random.Generator]) -> Optional[str]:
        """The value that tells the target from every other source; None: not applicable."""
        return None

    def query(self, asked: Any) -> str:
        """The value that a user means by ``asked``.

        Raises:
            TSXError: if it cannot be one.
        """
        if not isinstance(asked, str):
            raise TSXError(f"{self.name}: expected a string, found {type(asked).__name__}")
        if asked == NOT_APPLICABLE:
            raise TSXError(f"{self.name}: expected something to query by, found {asked!r}")
        return asked

    def split(self, value: str) -> List[str]:
        """The values that ``value`` stands for, each encoded by itself."""
        return [value]

    def known(self, vocabulary: "Vocabulary") -> Optional[Tuple[str, ...]]:
        """All values of a model; None for an open condition."""
        return self.values

    def words(self, value: str) -> str:
        """A value in words, if the condition gives vectors or tokens."""
        return value

    def encode(self, value: str, vocabulary: "Vocabulary", takes: str) -> np.ndarray:
        """The array of ``value`` for a conditioner that takes ``takes``.

        Shape:
            index: (1,) int64, ``-1`` for "not applicable";
            vector: (L, E) float32, the vectors of ``words``, and tokens: (L,) int64, L = 0 for
            "not applicable"

        Raises:
            TSXError: if the condition gives no such thing, or the value is unknown, with the known
                ones, or the nearest of many.
        """
        self.check_gives(takes, f"a conditioner that takes {takes}")
        if takes == "index":
            return self._index(value, vocabulary)
        words = None if value == NOT_APPLICABLE else self.words(value)
        return vocabulary.vectors(words) if takes == "vector" else vocabulary.tokens(words)

    def check_gives(self, takes: str, conditioner: str) -> None:
        """Raise ``TSXError``, naming the ``conditioner``, unless it takes what is given."""
        if takes not in self.gives:
            expected = " or ".join(self.gives)
            raise TSXError(
                f"condition {self.name}: expected a conditioner that takes {expected}, "
                f"found {conditioner}"
            )

    def _index(self, value: str, vocabulary: "Vocabulary") -> np.ndarray:
        if value == NOT_APPLICABLE:
            return np.array([NO_VALUE])
        known = self.known(vocabulary)
        if value not in known:
            if self.values is not None:
                expected = " or ".join(self.values)
                raise TSXError(f"unknown {self.name} {value!r}; expected {expected}")
            raise TSXError(unknown_value(self.name, value, known))
        return np.array([known.index(value)])

    def conditioner_options(self, kind: str, vocabulary: "Vocabulary") -> Dict[str, Any]:
        """Options of a conditioner of this ``kind`` that follow from the vocabulary."""
        known, table = self.known(vocabulary), vocabulary.text_table
        if kind == "onehot" and known is not None:
            return {"num_values": len(known)}
        return {"input_dim": table.dim} if kind == "text" and table is not None else {}


def parse_strings(text: str, expected: str) -> List[str]:
    """The strings of a JSON list.

    Raises:
        TSXError: saying what was ``expected``, if ``text`` is something else.
    """
    try:
        items = parse_json(text)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise TSXError(f"{expected}, found {text!r:.80}")
    return items


def unknown_value(condition: str, value: str, known: Sequence[str]) -> str:
    """The message for an unknown value, naming the nearest known ones.

    >>> unknown_value("class", "bark", ["Bark", "Meow"])
    "unknown class 'bark'; nearest known: 'Bark'"
    """
    asked = value.lower().replace(" ", "_")
    found = nearest(asked, known, 3, cutoff=0.5)
    found += [name for name in known if asked in name.lower() and name not in found]
    names = found[:3] or list(known)[:10]
    return f"unknown {condition} {value!r}; nearest known: {', '.join(map(repr, names))}"

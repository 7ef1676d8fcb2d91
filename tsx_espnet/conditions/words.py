"""Queries in words: the class of a sound, and a text.

The class is a label that no other source has; the text that label in words, a synonym of it, or a
caption of the clip. ``text`` has a caption of each clip, or a JSON list of several.
"""

import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np

from tsx_espnet.conditions.condition import NOT_APPLICABLE, Condition, Sources, parse_strings
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import parse_json

if TYPE_CHECKING:
    from tsx_espnet.vocabulary import Vocabulary

SYNONYMS = Path(__file__).parents[1] / "data" / "synonyms.json"
_LIST = re.compile(r'\[\s*"')  # "[Music] a man sings" is a caption
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class ClassLabel(Condition):
    """A label of the target that no other source has."""

    name = "class"
    keyword = "class_label"
    help = "a label the model was trained on, or one that was added to it"
    gives = ("index", "vector", "tokens")

    def known(self, vocabulary: "Vocabulary") -> Tuple[str, ...]:
        return vocabulary.classes

    def words(self, value: str) -> str:
        return phrase(value)

    def read(self, sources: Sources, rng: Optional[np.random.Generator]) -> Optional[str]:
        """The most specific such label; one of them, drawn, if ``class_level`` is ``any``."""
        own = unshared(sources.labels, sources.target)
        if not own:
            return None
        return own[rng.integers(len(own))] if sources.class_level == "any" else own[0]


class Text(Condition):
    """A phrase that fits the target alone."""

    name = "text"
    help = "what it sounds like, in words"
    conditioner = "text"
    gives = ("vector", "tokens")

    def read(self, sources: Sources, rng: Optional[np.random.Generator]) -> Optional[str]:
        """The first caption that only the target has, else its most specific label as a phrase.

        If the sources were ``drawn`` for labels, it is the first name of the target's, as long as
        only the target has it. With ``text_variants`` a kind of text is drawn (label, synonym or
        caption), then a text of that kind.
        """
        target, labels = sources.target, sources.labels
        taken = _taken(sources)
        own_captions = unshared(sources.captions, target) if sources.captions else []
        own_captions = [caption for caption in own_captions if caption not in taken]
        own_labels, name = unshared(labels, target), phrase
        if sources.drawn is None:
            own_labels = own_labels[:1]
        else:
            own_labels = [label for label in own_labels if label == sources.drawn[target]]
            own_captions, name = [], first_name
            others = [row for m, row in enumerate(labels) if m != target]
            taken |= {f(label) for row in others for label in row for f in (phrase, first_name)}
        plain = [text for text in map(name, own_labels) if text not in taken]
        if not sources.text_variants or rng is None:
            return next(iter(own_captions + plain), None)
        # phrases that also fit another source would query both
        others = {text for m, row in enumerate(labels) if m != target for text in phrases_of(row)}
        others |= taken
        other_words = [word for label in own_labels for word in synonyms(label)]
        other_words = [word for word in other_words if word not in others]
        kinds = [kind for kind in (plain, other_words, own_captions) if kind]
        if not kinds:
            return None
        kind = kinds[rng.integers(len(kinds))]
        return kind[rng.integers(len(kind))]

    def query(self, asked: Any) -> str:
        phrase = super().query(asked)
        if not phrase.strip():
            raise TSXError("text: expected a phrase, found an empty one")
        return phrase


def phrase(label: str) -> str:
    """A label in words.

    >>> phrase("Chirp_and_tweet"), phrase("Fill_(with_liquid)")
    ('chirp and tweet', 'fill with liquid')
    """
    return " ".join(re.sub(r"[()]", " ", label.replace("_", " ")).lower().split())


def first_name(label: str) -> str:
    """The first of the names that a label of FSD50K joins by "and", in words, without remarks.

    >>> first_name("Boat_and_Water_vehicle"), first_name("Fill_(with_liquid)")
    ('boat', 'fill')
    """
    return phrase(label.split("_and_")[0].split("_(")[0])


@functools.lru_cache(maxsize=None)
def _synonym_table() -> Dict[str, Tuple[str, ...]]:
    table = json.loads(SYNONYMS.read_text(encoding="utf-8"))
    return {label: tuple(phrases) for label, phrases in table.items()}


def synonyms(label: str) -> Tuple[str, ...]:
    """Other phrases for a label; none if the table does not have it."""
    return _synonym_table().get(label, ())


def phrases_of(labels: Sequence[str], captions: Sequence[str] = ()) -> Tuple[str, ...]:
    """Every phrase by which a source of these labels and captions can be queried, each once."""
    found = [text for label in labels for text in (phrase(label), *synonyms(label))]
    return tuple(dict.fromkeys(found + list(captions)))


def unshared(items: Sequence[Sequence[str]], target: int) -> List[str]:
    """The items that only the target has, in its order."""
    others = {item for m, owned in enumerate(items) if m != target for item in owned}
    return [item for item in items[target] if item not in others]


def _taken(sources: Sources) -> Set[str]:
    """Every phrase for another source, if the target or that source has no label to go by."""
    labels = sources.labels
    captions = sources.captions or [()] * len(labels)
    others = [m for m in range(len(labels)) if m != sources.target]
    unclear = [m for m in others if not (labels[m] and labels[sources.target])]
    return {text for m in unclear for text in phrases_of(labels[m], captions[m])}


def parse_captions(text: str, where: str) -> Tuple[str, ...]:
    """The captions of a clip: one as it stands, or a JSON list; each as one line, single spaces.

    Text vectors are looked up by the exact phrase, so all captions are normalised here.

    >>> parse_captions('["A dog  barks.", " "]', "text: clip1")
    ('A dog barks.',)
    >>> parse_captions("[Music] A dog barks.", "text: clip1")
    ('[Music] A dog barks.',)

    Raises:
        TSXError: naming ``where``, if ``text`` begins as a JSON list but is no list of texts.
    """
    captions = [text]
    if _LIST.match(text) or _is_list(text):
        captions = parse_strings(text, f"{where}: expected a caption or a JSON list of captions")
    lines = (" ".join(_CONTROL.sub(" ", caption).split()) for caption in captions)
    return tuple(line for line in lines if line and line != NOT_APPLICABLE)


def _is_list(text: str) -> bool:
    try:
        return text.startswith("[") and isinstance(parse_json(text), list)
    except ValueError:
        return False

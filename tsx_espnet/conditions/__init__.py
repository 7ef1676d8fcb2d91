"""The conditions by which a sound of a mixture can be queried, in one table.

    energy       low / high              level over the mixture
    harmonicity  percussive / harmonic   10 log10(harmonic / percussive energy) of what is mixed
    order        first / second          first sounding frame in the mixture
    enrollment   recordings              of other instances, found when the mixture is drawn
    class        a label                 one that no other source has
    text         a phrase                that label in words, a synonym of it, or a caption

A condition that does not tell the target from every other source is not applicable, and not used.
``unconditional`` takes the place of a condition in models that are not queried.

The environment variable ``TSX_PLUGINS`` names modules (``A,B``) that register more conditions, see
``docs/adding_a_condition.md``. Every process imports them when it first uses the table.
"""

import importlib
import os
import re
import sys
import zlib
from typing import Dict, Iterator, Mapping, Optional

import numpy as np

from tsx_espnet.conditions.condition import (
    ANY,
    NOT_APPLICABLE,
    SOUNDING_FLOOR,
    Condition,
    Sources,
    hop_length,
    sounding,
    unknown_value,
)
from tsx_espnet.conditions.enrollment import Enrollment
from tsx_espnet.conditions.signal import Energy, Harmonicity, Order, SignalCondition
from tsx_espnet.conditions.words import ClassLabel, Text, first_name, phrase, phrases_of, synonyms
from tsx_espnet.errors import TSXError

# fmt: off
__all__ = [
    "ANY", "ASKED", "CONDITIONS", "ENROLLMENT", "NOT_APPLICABLE", "PLUGINS", "SOUNDING_FLOOR",
    "UNCONDITIONAL", "Condition", "SignalCondition", "Sources", "by_keyword", "find",
    "first_name", "hop_length", "phrase", "phrases_of", "read_conditions", "register", "sounding",
    "synonyms",
]
# fmt: on

PLUGINS = "TSX_PLUGINS"
# words with another meaning in tables, batches and commands
RESERVED = (
    *("also", "any", "best", "blocks", "but", "device", "force", "fs", "help", "loss", "mixture"),
    *("model", "model_file", "oracle", "out", "progress", "queries", "query_weight", "rest"),
    *("self", "sources", "speech_mix", "speech_ref1", "speech_ref2"),
)


class Unconditional(Condition):
    """No query at all, for models trained with PIT."""

    name = "unconditional"
    help = "two sounds in any order (a model trained with PIT)"
    option = {"action": "store_true"}
    conditioner = "null"
    queried = False

    def query(self, asked: bool) -> str:
        return ANY

    def encode(self, value: str, vocabulary, takes: str) -> np.ndarray:
        return np.array([0])


_BUILT_IN = (Energy(), Harmonicity(), Order(), Enrollment(), ClassLabel(), Text())
_TABLE: Dict[str, Condition] = {one.name: one for one in (*_BUILT_IN, Unconditional())}
ENROLLMENT = Enrollment.name
UNCONDITIONAL = Unconditional.name


class _View(Mapping[str, Condition]):
    """Conditions by name, in the order of registration; those not queried come last, if at all."""

    def __init__(self, *queried: bool):
        self._queried = queried

    def _table(self) -> Dict[str, Condition]:
        load_plugins()
        table = _TABLE.values()
        ordered = [one for kind in self._queried for one in table if one.queried == kind]
        return {one.name: one for one in ordered}

    def __getitem__(self, name: str) -> Condition:
        return self._table()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table())

    def __len__(self) -> int:
        return len(self._table())


CONDITIONS: Mapping[str, Condition] = _View(True)
ASKED: Mapping[str, Condition] = _View(True, False)  # with ``unconditional``


def register(condition: Condition) -> None:
    """Put a condition into the table.

    Raises:
        TSXError: if its name or keyword is taken or cannot stand in a file name, or its values are
            not at least two different words.
    """
    name, keyword = condition.name, condition.keyword
    for word in (name, keyword):
        if not re.fullmatch("[a-z][a-z0-9_]*", word) or word in RESERVED:
            raise TSXError(
                f"condition {name!r}: expected small letters, digits and _ for its name and "
                f"keyword, and none of {', '.join(RESERVED)}; found {word!r}"
            )
    for known in _TABLE.values():
        if {name, keyword} & {known.name, known.keyword}:
            raise TSXError(f"condition {name!r} is registered already, as {known!r}")
    if condition.values is not None:
        words = set(condition.values) - {NOT_APPLICABLE}
        good = all(isinstance(word, str) and re.fullmatch(r"\S+", word) for word in words)
        if not good or not 2 <= len(words) == len(condition.values):
            raise TSXError(
                f"condition {name!r}: expected at least two different values, single words, "
                f"found {condition.values!r}"
            )
    _TABLE[name] = condition


def load_plugins() -> None:
    """Import the modules that ``TSX_PLUGINS`` names, once.

    Raises:
        TSXError: if there is no such module.
    """
    for module in filter(None, os.environ.get(PLUGINS, "").split(",")):
        if module not in sys.modules:
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                raise TSXError(
                    f"{PLUGINS}={os.environ[PLUGINS]}: {error}; is its directory in PYTHONPATH?"
                ) from None


def find(name: str) -> Condition:
    """The condition of a name, ``unconditional`` included.

    >>> find("energy").values, find("text").values
    (('low', 'high'), None)

    Raises:
        TSXError: if there is none.
    """
    if name not in ASKED:
        raise TSXError(
            f"no condition {name!r}: expected one of {', '.join(CONDITIONS)}, or one of a module "
            f"that {PLUGINS} names"
        )
    return _TABLE[name]


def by_keyword(keyword: str) -> Condition:
    """The condition that ``TargetSoundExtractor`` and ``tsx-extract`` call ``keyword``.

    Raises:
        TSXError: if there is none, with the nearest keywords.
    """
    known = {condition.keyword: condition for condition in ASKED.values()}
    if keyword not in known:
        raise TSXError(unknown_value("condition", keyword, tuple(known)))
    return known[keyword]


def read_conditions(
    sources: Sources, rng: Optional[np.random.Generator] = None
) -> Dict[str, str]:
    """The conditions that tell the target from every other source, in the order of ``CONDITIONS``.

    A condition of a plugin draws from a stream of its own, so that it changes no other draw; so do
    the ``random_signals``, which are exchanged for all targets of a mixture or for none.
    """
    read = {}
    for name, condition in CONDITIONS.items():
        own = rng if rng is None or condition in _BUILT_IN else _stream(rng, name)
        value = condition.read(sources, own)
        if sources.random_signals and value is not None and isinstance(condition, SignalCondition):
            first, second = condition.values
            if _stream(rng, name).random() < 0.5:
                value = second if value == first else first
        if value is not None:
            read[name] = value
    return read


def _stream(rng: np.random.Generator, name: str) -> np.random.Generator:
    """A stream given by the seed of ``rng`` and a name; ``rng`` itself is not advanced."""
    seed = rng.bit_generator.seed_seq
    key = (*seed.spawn_key, zlib.crc32(name.encode()))
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=key))

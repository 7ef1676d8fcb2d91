"""The labels, phrases and sampling rate that the values of a model's conditions refer to."""

import dataclasses
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import numpy as np

from tsx_espnet.conditions import find
from tsx_espnet.errors import TSXError
from tsx_espnet.parts import find as find_part
from tsx_espnet.pretrained.store import Networks
from tsx_espnet.pretrained.text_table import TextTable

# as in a configuration: name -> options, which may name a ``conditioner``
Conditions = Mapping[str, Optional[Mapping[str, Any]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """The labels, phrases and sampling rate of a model.

    Args:
        classes: the labels of the class condition; their order is the order of the table's rows.
        text_table: vectors of phrases, for conditioners that take vectors.
        fs: sampling rate of enrollments in Hz; by default that of their files.
        embed_phrase: phrase -> (L, E), for phrases that are not in the table.
        takes: condition -> what its conditioner takes (see ``takes_of``); by default what the
            condition's usual conditioner takes.
        tokenize: phrase -> (L,) int64, for conditioners that take tokens.
    """

    classes: Tuple[str, ...] = ()
    text_table: Optional[TextTable] = None
    fs: Optional[int] = None
    embed_phrase: Optional[Callable[[str], np.ndarray]] = None
    takes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tokenize: Optional[Callable[[str], np.ndarray]] = None

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))

    def encode(self, condition: str, value: str) -> np.ndarray:
        """The array of a value, as ``Condition.encode`` of its condition."""
        takes = self.takes.get(condition) or takes_of({condition: None})[condition]
        return find(condition).encode(value, self, takes)

    def vectors(self, phrase: Optional[str]) -> np.ndarray:
        """The vectors of a phrase: (L, E) float32; L = 0 for None.

        Raises:
            TSXError: if there is no table of vectors, or the phrase is not in it and there is no
                language model to embed it.
        """
        table = self.text_table
        if phrase is None and table is not None:
            return np.zeros((0, table.dim), dtype=np.float32)
        if self.embed_phrase is not None and (table is None or phrase not in table):
            return self.embed_phrase(phrase)
        if table is None:
            raise TSXError("text needs a table of embeddings: tsx_espnet.bin.embed_text makes one")
        return table[phrase][np.newaxis]

    def tokens(self, phrase: Optional[str]) -> np.ndarray:
        """The tokens of a phrase: (L,) int64; L = 0 for None.

        Raises:
            TSXError: if there is no tokenizer.
        """
        if phrase is None:
            return np.zeros(0, dtype=np.int64)
        if self.tokenize is None:
            raise TSXError("tokens of a text: expected a pretrained tokenizer, found none")
        return self.tokenize(phrase)


def takes_of(conditions: Conditions) -> Dict[str, str]:
    """What the conditioner of each condition takes.

    >>> takes_of({"energy": {}, "text": {}, "class": {"conditioner": "text"}})
    {'energy': 'index', 'text': 'vector', 'class': 'vector'}

    Raises:
        TSXError: if there is no such condition or conditioner.
    """
    kinds = {name: kind_of(name, conf) for name, conf in conditions.items()}
    return {name: find_part("conditioner", kind).takes for name, kind in kinds.items()}


def kind_of(condition: str, conf: Optional[Mapping[str, Any]]) -> str:
    """The kind of conditioner that a condition with these options has."""
    return (conf or {}).get("conditioner", find(condition).conditioner)


def find_tokenizer(
    config: Mapping[str, Any], networks: Networks
) -> Optional[Callable[[str], np.ndarray]]:
    """``Vocabulary.tokenize`` of a configuration; None if no conditioner takes tokens.

    Raises:
        TSXError: if its network is missing or has no tokenizer, or two networks are named.
    """
    users: Dict[str, str] = {}
    usual = config.get("conditioner_conf") or {}
    for name, takes in takes_of(config["conditions"]).items():
        conf = config["conditions"][name] or {}
        conf = {**(usual.get(kind_of(name, conf)) or {}), **conf}
        if takes == "tokens" and isinstance(conf.get("pretrained"), str):
            users[name] = conf["pretrained"]
    if len(set(users.values())) > 1:
        found = ", ".join(f"{network} for {name}" for name, network in users.items())
        raise TSXError(f"--conditions: expected tokens of one pretrained network, found {found}")
    network = next(iter(users.values()), None)
    return None if network is None else networks.tokenizer(network).one

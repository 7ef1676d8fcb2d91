import json
import re
from collections import Counter

from tsx_espnet.conditions.words import SYNONYMS, phrase
from tsx_espnet.mixing.superclasses import load_superclasses

PAIRS = json.loads(SYNONYMS.read_text(encoding="utf-8"), object_pairs_hook=lambda pairs: pairs)


def test_every_label_of_fsd50k_once():
    labels = [label for label, _ in PAIRS]
    assert len(labels) == 200 and labels == sorted(set(labels))
    for superclass, subclasses in load_superclasses().items():
        assert {superclass, *subclasses} <= set(labels)


def test_phrases_are_two_to_four_and_plain_lower_case():
    for label, phrases in PAIRS:
        assert 2 <= len(phrases) <= 4, label
        for text in phrases:
            assert re.fullmatch(r"[a-z]+([ -][a-z]+)*", text), text


def test_a_phrase_belongs_to_one_label():
    def plain(label):  # "Rattle_(instrument)" may also be asked as "rattle"
        return {phrase(label), phrase(re.sub(r"_\(.*\)", "", label))}

    owners = Counter(text for label, phrases in PAIRS for text in {*phrases})
    assert [text for text, count in owners.items() if count > 1] == []
    names = set().union(*(plain(label) for label, _ in PAIRS))
    assert names.isdisjoint(owners)
    assert all(len(set(phrases)) == len(phrases) for _, phrases in PAIRS)

"""Captions: one line each, the same wherever they are read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.conditions.words import parse_captions
from tsx_espnet.errors import TSXError


@given(st.lists(st.text(max_size=20), max_size=5))
def test_captions_are_lines_and_stay_what_they_are(texts):
    captions = parse_captions(json.dumps(texts), "here")
    for caption in captions:
        assert caption and caption == " ".join(caption.split()) and min(caption) >= " "
        caption.encode("utf-8")
    assert parse_captions(json.dumps(captions), "here") == captions


def test_words_are_kept():
    text = json.dumps(["A cat  meows.\n", "n/a", " ", "Meow, \x07\ud800meow — 猫."])
    assert parse_captions(text, "here") == ("A cat meows.", "Meow, meow — 猫.")


@pytest.mark.parametrize("text", ["A cat meows.", '"A cat"', '{"a": "cat"}', '["a cat", 3]', "[1"])
def test_anything_else_is_named(text):
    with pytest.raises(TSXError, match="utt2captions: c1: expected a JSON list of captions, found"):
        parse_captions(text, "utt2captions: c1")

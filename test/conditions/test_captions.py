"""Captions: one line each, the same wherever they are read."""

import json
import re

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


@pytest.mark.parametrize(
    "text",
    ["A cat, a dog.", '"A cat"', '{"a": "cat"}', "[1", "[Music] A man sings", "[a], [b]", "猫"],
)
def test_one_caption_needs_no_list(text):
    assert parse_captions(text, "here") == (text,)
    assert parse_captions(json.dumps([text]), "here") == (text,)


@given(st.text(max_size=30))
def test_any_text_is_one_caption_or_a_list(text):
    """Whatever stands in a table: a list is read as one, all else is a caption of its own."""
    try:
        captions = parse_captions(text, "here")
    except TSXError as error:
        assert text.startswith("[") and str(error).startswith("here: expected a caption or a JSON")
        return
    if not text.startswith("["):
        assert captions in ((), (" ".join(re.sub("[\x00-\x1f\x7f]", " ", text).split()),))


@pytest.mark.parametrize("text", ['["a cat", 3]', '["a cat', '[ "a cat" "a dog"]', "[1]", "[[]]"])
def test_a_broken_list_is_named(text):
    expected = "text: c1: expected a caption or a JSON list of captions, found"
    with pytest.raises(TSXError, match=expected):
        parse_captions(text, "text: c1")

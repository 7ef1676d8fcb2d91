"""Classes and texts: what belongs to the target alone, and what is drawn of it."""

import json

import numpy as np
import pytest

from tsx_espnet.conditions import (
    Sources,
    first_name,
    phrase,
    phrases_of,
    read_conditions,
    synonyms,
    words,
)

LABELS = (("Bark", "Dog", "Animal"), ("Meow", "Cat", "Animal"))


def read(labels=LABELS, target=0, rng=None, **options):
    """The conditions of sources that do not differ as signals."""
    tracks = np.ones((len(labels), 100, 3))
    return read_conditions(Sources(tracks, 8000, target, labels, **options), rng)


def test_phrases():
    assert phrase("Chirp_and_tweet") == "chirp and tweet"
    assert phrase("Zipper_(clothing)") == "zipper clothing"
    assert phrase("Tick-tock") == "tick-tock"


@pytest.fixture
def synonym_file(tmp_path, monkeypatch):
    table = {"Bark": ["dog barking", "pet"], "Meow": ["pet"], "Dog": ["a dog"]}
    (tmp_path / "synonyms.json").write_text(json.dumps(table))
    monkeypatch.setattr(words, "SYNONYMS", tmp_path / "synonyms.json")
    words._synonym_table.cache_clear()
    yield
    words._synonym_table.cache_clear()


def test_synonyms(synonym_file):
    assert synonyms("Bark") == ("dog barking", "pet")
    assert synonyms("Unheard_of") == ()
    expected = ("bark", "dog barking", "pet", "dog", "a dog", "A loud dog.")
    assert phrases_of(["Bark", "Dog"], ["A loud dog."]) == expected


def test_shipped_synonyms_are_lists_of_phrases():
    words._synonym_table.cache_clear()
    for label, phrases in words._synonym_table().items():
        assert phrases and all(p == " ".join(p.split()) for p in phrases), label


def draws(rng_seed=0, number=300, labels=LABELS, **options):
    rng = np.random.default_rng(rng_seed)
    return [read(labels, rng=rng, **options) for _ in range(number)]


def test_class_is_the_most_specific_or_any_that_only_the_target_has():
    labels = (("Animal", "Bark", "Dog"), ("Growling", "Dog", "Animal"))
    assert read(labels)["class"] == "Bark"
    assert {found["class"] for found in draws(class_level="any")} == {"Bark", "Dog"}
    nested = (("Dog", "Animal"), ("Bark", "Dog", "Animal"))
    assert read(nested) == {}
    assert read(nested, target=1)["text"] == "bark"


def test_text_in_training_is_any_phrase_that_fits_the_target_only(synonym_file):
    found = {found["text"] for found in draws(text_variants=True)}
    assert found == {"bark", "dog barking"}  # a "pet" is the cat too
    plain = sum(found["text"] == "bark" for found in draws(text_variants=True))
    assert 100 < plain < 200  # a kind is drawn, then one of the kind


def test_captions(synonym_file):
    captions = (["Both.", "A dog is barking.", "A hound."], ["Both."])
    assert read(captions=captions)["text"] == "A dog is barking."
    found = {found["text"] for found in draws(text_variants=True, captions=captions)}
    assert found == {"bark", "dog barking", "A dog is barking.", "A hound."}
    same = (("Sound",), ("Sound",))  # a corpus of captions needs no labels
    assert read(same, captions=captions) == {"text": "A dog is barking."}


BOATS = (("Motorboat", "Boat_and_Water_vehicle", "Vehicle"), ("Car", "Vehicle"))


@pytest.mark.parametrize(
    "drawn, text",
    [
        ("Motorboat", "motorboat"),
        ("Boat_and_Water_vehicle", "boat"),  # the first of its names
        ("Vehicle", None),  # the car has it too
        ("", None),  # a source that was drawn for no label
    ],
)
def test_the_text_of_the_drawn_label(drawn, text):
    captions = (["An engine on a lake."], [])
    for rng in (None, np.random.default_rng(0)):
        found = read(BOATS, rng=rng, captions=captions, drawn=[drawn, "Car"])
        assert found.get("text") == text
        assert found["class"] == "Motorboat"  # as ever


def test_the_name_of_a_drawn_label_fits_no_other_source():
    labels = (("Boat_and_Water_vehicle",), ("Boat",))
    assert "text" not in read(labels, drawn=["Boat_and_Water_vehicle", "Boat"])
    labels = (("Boat",), ("Boat_and_Ship",))
    assert "text" not in read(labels, drawn=["Boat", "Boat_and_Ship"])


@pytest.mark.parametrize(
    "label, name",  # as in the list of the authors of the OCT paper
    [
        ("Bathtub_(filling_or_washing)", "bathtub"), ("Coin_(dropping)", "coin"),
        ("Cupboard_open_or_close", "cupboard open or close"), ("Crying_and_sobbing", "crying"),
        ("Fixed-wing_aircraft_and_airplane", "fixed-wing aircraft"), ("Tick-tock", "tick-tock"),
        ("Motor_vehicle_(road)", "motor vehicle"), ("Rattle_(instrument)", "rattle"),
        ("Whoosh_and_swoosh_and_swish", "whoosh"),
    ],
)  # fmt: skip
def test_the_first_name_of_a_label(label, name):
    assert first_name(label) == name


def test_variants_of_the_drawn_label(synonym_file):
    labels = (("Bark", "Dog", "Animal"), ("Rain",))
    found = {one["text"] for one in draws(labels=labels, drawn=["Dog", ""], text_variants=True)}
    assert found == {"dog", "a dog"}

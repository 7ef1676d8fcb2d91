import json

import numpy as np
import pytest

from tsx_espnet.audio import write_float_wav
from tsx_espnet.conditions import CONDITIONS, NOT_APPLICABLE, find
from tsx_espnet.conditions.condition import unknown_value
from tsx_espnet.errors import TSXError
from tsx_espnet.vocabulary import Vocabulary


@pytest.mark.parametrize(
    "condition, value, row",
    [
        ("energy", "low", 0),
        ("energy", "high", 1),
        ("harmonicity", "percussive", 0),
        ("harmonicity", "harmonic", 1),
        ("order", "first", 0),
        ("order", "second", 1),
        ("class", "Bark", 0),
        ("class", "Rain", 2),
    ],
)
def test_rows_of_the_tables(vocabulary, condition, value, row):
    encoded = vocabulary.encode(condition, value)
    assert encoded.tolist() == [row] and encoded.dtype == np.int64


def test_not_applicable(vocabulary):
    for condition in CONDITIONS:
        encoded = vocabulary.encode(condition, NOT_APPLICABLE)
        if condition == "text":
            assert encoded.shape == (0, 8) and encoded.dtype == np.float32
        elif condition == "enrollment":
            assert encoded.shape == (0,) and encoded.dtype == np.float32
        else:
            assert encoded.tolist() == [-1]


def test_text_is_a_row_of_the_table(vocabulary):
    encoded = vocabulary.encode("text", "rain")
    np.testing.assert_array_equal(encoded, vocabulary.text_table.embeddings[2:3])
    with pytest.raises(TSXError, match=r"no text embedding of 'rains' .*; did you mean rain\?"):
        vocabulary.encode("text", "rains")
    with pytest.raises(TSXError, match="text needs a table of embeddings: tsx_espnet.bin.embed"):
        Vocabulary().encode("text", "rain")


def test_an_enrollment_is_read_at_the_rate_of_the_model(vocabulary, tmp_path):
    path, samples = tmp_path / "a dog.wav", np.linspace(-0.5, 0.5, 70, dtype=np.float32)
    write_float_wav(path, samples, 8000)
    for value in (str(path), json.dumps([str(path)])):
        np.testing.assert_array_equal(vocabulary.encode("enrollment", value), samples)
    write_float_wav(path, samples, 16000)
    assert vocabulary.encode("enrollment", str(path)).shape == (35,)
    assert Vocabulary().encode("enrollment", str(path)).shape == (70,)


def test_several_enrollments_are_told_apart_but_never_an_array(vocabulary):
    several = '["a.wav", "b.wav"]'
    assert find("enrollment").split(several) == ["a.wav", "b.wav"]
    assert find("text").split(several) == [several]
    with pytest.raises(TSXError, match="expected one enrollment per mixture, found 2: .*a.wav"):
        vocabulary.encode("enrollment", several)


def test_number_of_values(vocabulary):
    def options(name, vocabulary):
        return find(name).conditioner_options("onehot", vocabulary)

    names = ("energy", "order", "class")
    assert [options(name, vocabulary)["num_values"] for name in names] == [2, 2, 3]
    assert options("class", Vocabulary()) == {"num_values": 0}


@pytest.mark.parametrize(
    "condition, value, nearest",
    [
        ("class", "Barck", "'Bark'"),
        ("class", "bark", "'Bark'"),
        ("class", "zzzzz", "'Bark', 'Meow', 'Rain'"),
    ],
)
def test_an_unknown_value_names_the_nearest(vocabulary, condition, value, nearest):
    with pytest.raises(TSXError) as error:
        vocabulary.encode(condition, value)
    assert str(error.value) == f"unknown {condition} {value!r}; nearest known: {nearest}"


@pytest.mark.parametrize(
    "condition, value, values",
    [("energy", "loud", "low or high"), ("order", "", "first or second")],
)
def test_of_two_values_both_are_named(vocabulary, condition, value, values):
    """The nearest word to "loud" was "low", its opposite."""
    with pytest.raises(TSXError) as error:
        vocabulary.encode(condition, value)
    assert str(error.value) == f"unknown {condition} {value!r}; expected {values}"


def test_nearest_labels_are_found_by_a_part_of_the_name_and_in_words():
    labels = ["Acoustic_guitar", "Bass_guitar", "Chirp_and_tweet", "Rain", "Raindrop"]
    message = unknown_value("class", "guitar", labels)
    assert "'Acoustic_guitar'" in message and "'Bass_guitar'" in message and "Rain" not in message
    assert "'Chirp_and_tweet'" in unknown_value("class", "chirp and tweets", labels)
    assert message.count("\n") == 0


def test_an_unknown_condition_is_named(vocabulary):
    with pytest.raises(TSXError, match="no condition 'loudness': expected one of energy"):
        vocabulary.encode("loudness", "high")

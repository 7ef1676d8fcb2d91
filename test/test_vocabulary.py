import dataclasses
import json

import numpy as np
import pytest

from tsx_espnet.audio import write_float_wav
from tsx_espnet.conditions import CONDITIONS, NOT_APPLICABLE, find
from tsx_espnet.conditions.condition import unknown_value
from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.loading import Tokenizer
from tsx_espnet.pretrained.store import Networks
from tsx_espnet.vocabulary import Vocabulary, find_tokenizer, takes_of


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


def test_what_conditioners_take():
    conditions = {"energy": None, "class": {"conditioner": "text"}, "text": {"activation": "relu"}}
    assert takes_of(conditions) == {"energy": "index", "class": "vector", "text": "vector"}
    assert takes_of({"enrollment": {}}) == {"enrollment": "samples"}
    with pytest.raises(TSXError, match="--conditioner: expected one of .* found 'clap'"):
        takes_of({"text": {"conditioner": "clap"}})


def tokenize(phrase):
    return np.array([len(word) for word in phrase.split()])


def test_a_class_is_an_index_to_one_conditioner_and_a_phrase_to_another(vocabulary):
    def encode(takes, value):
        given = {"takes": {"class": takes, "text": takes}, "tokenize": tokenize}
        return dataclasses.replace(vocabulary, **given).encode("class", value)

    assert encode("index", "Rain").tolist() == [2]
    np.testing.assert_array_equal(encode("vector", "Rain"), vocabulary.text_table["rain"][None])
    assert encode("tokens", "Chirp_and_tweet").tolist() == [5, 3, 5]  # of "chirp and tweet"
    assert encode("vector", NOT_APPLICABLE).shape == (0, 8)
    found = encode("tokens", NOT_APPLICABLE)
    assert found.shape == (0,) and found.dtype == np.int64


def test_the_same_phrase_by_text_and_by_class_is_the_same_array(vocabulary):
    for takes in ("vector", "tokens"):
        given = {"takes": {"class": takes, "text": takes}, "tokenize": tokenize}
        both = dataclasses.replace(vocabulary, **given)
        np.testing.assert_array_equal(both.encode("class", "Bark"), both.encode("text", "bark"))


@pytest.mark.parametrize(
    "condition, takes, given",
    [
        ("energy", "vector", "index"),
        ("text", "index", "vector or tokens"),
        ("text", "samples", "vector or tokens"),
        ("class", "samples", "index or vector or tokens"),
        ("enrollment", "vector", "samples"),
    ],
)
def test_what_a_condition_cannot_give_is_refused(vocabulary, condition, takes, given):
    other = dataclasses.replace(vocabulary, takes={condition: takes}, tokenize=tokenize)
    message = (
        f"condition {condition}: expected a conditioner that takes {given}, "
        f"found a conditioner that takes {takes}"
    )
    for value in ("low", NOT_APPLICABLE):
        with pytest.raises(TSXError) as error:
            other.encode(condition, value)
        assert str(error.value) == message


def test_tokens_without_a_tokenizer(vocabulary):
    with pytest.raises(TSXError, match="tokens of a text: expected a pretrained tokenizer, found"):
        dataclasses.replace(vocabulary, takes={"text": "tokens"}).encode("text", "rain")


def test_the_tokenizer_is_that_of_the_network_that_the_conditioners_name(tiny_clap, tiny_bert):
    networks = Networks({"clap": tiny_clap, "bert": tiny_bert}, {})
    tokens = {"conditioner": "tokens", "pretrained": "bert"}
    config = {"conditions": {"energy": {}, "text": tokens, "class": tokens}}
    expected = Tokenizer(tiny_bert).one("a dog")
    np.testing.assert_array_equal(find_tokenizer(config, networks)("a dog"), expected)
    usual = {
        "conditions": {"text": {"conditioner": "tokens"}},
        "conditioner_conf": {"tokens": {"pretrained": "clap"}},
    }
    expected = Tokenizer(tiny_clap).one("a dog")
    np.testing.assert_array_equal(find_tokenizer(usual, networks)("a dog"), expected)
    assert find_tokenizer({"conditions": {"text": {}, "energy": None}}, networks) is None
    config["conditions"]["class"] = {**tokens, "pretrained": "clap"}
    with pytest.raises(TSXError, match="of one pretrained network, found bert for text, clap for"):
        find_tokenizer(config, networks)
    with pytest.raises(TSXError, match="expected the directory of 'bert', found those of none"):
        find_tokenizer({"conditions": {"text": tokens}}, Networks({}, {}))

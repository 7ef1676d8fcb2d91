import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.text_table import TextTable

PHRASES = ["bark", 'a dog\'s "bark"', "pluie — дождь", "rain"]


@pytest.fixture
def table():
    vectors = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    return TextTable(PHRASES, vectors, "some/model", "mean")


def test_round_trip(table, tmp_path):
    table.write(tmp_path / "x" / "table.safetensors")
    read = TextTable.read(tmp_path / "x" / "table.safetensors")
    assert list(read) == PHRASES and len(read) == 4 and read.dim == 3
    assert (read.language_model, read.pooling) == ("some/model", "mean")
    for phrase in PHRASES:
        np.testing.assert_array_equal(read[phrase], table[phrase])
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["table.safetensors"]


def test_others_can_read_the_file(table, tmp_path):
    path = tmp_path / "table.safetensors"
    table.write(path)
    with safe_open(path, framework="np") as stream:
        assert list(stream.keys()) == ["embeddings"]
        assert json.loads(stream.metadata()["phrases"]) == PHRASES
        np.testing.assert_array_equal(stream.get_tensor("embeddings")[3], table["rain"])


def test_an_unknown_phrase_names_the_nearest(table):
    assert "rain" in table and "rains" not in table
    with pytest.raises(TSXError, match=r"no text embedding of 'rains' .*; did you mean rain\?"):
        table["rains"]


@pytest.mark.parametrize("shape", [(3, 3), (4,), (4, 3, 1)])
def test_vectors_that_are_not_one_a_phrase_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(4, E\) embeddings"):
        TextTable(PHRASES, np.zeros(shape, np.float32), "model", "mean")


def test_a_phrase_that_occurs_twice_is_refused():
    """It would be written once, beside two vectors, into a file that cannot be read."""
    with pytest.raises(ValueError, match="'bark' occurs twice"):
        TextTable(["bark", "rain", "bark"], np.zeros((3, 2), np.float32), "model", "mean")


def damage(path, kind):
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-5])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("phrase 0.1 0.2\n")
    elif kind == "weights":
        save_file({"encoder.weight": np.zeros((2, 2), np.float32)}, path)
    else:
        metadata = {"phrases": '["bark"]', "language_model": "model", "pooling": "mean"}
        tensors = {"embeddings": np.zeros((1, 2), np.float32)}
        if kind == "no pooling":
            del metadata["pooling"]
        elif kind == "too few":
            metadata["phrases"] = json.dumps(PHRASES)
        elif kind == "other tensor":
            tensors["vectors"] = tensors.pop("embeddings")
        elif kind == "phrases":
            metadata["phrases"] = "bark"
        elif kind == "a number":
            metadata["phrases"] = "5"
        elif kind == "no array":
            tensors["embeddings"] = np.zeros(1, np.float32)
        save_file(tensors, path, metadata)


@pytest.mark.parametrize(
    "kind",
    [
        *("truncated", "empty", "text", "weights"),
        *("no pooling", "too few", "other tensor", "phrases", "a number", "no array"),
    ],
)
def test_a_foreign_or_damaged_file_is_named(table, tmp_path, kind):
    path = tmp_path / "table.safetensors"
    table.write(path)
    damage(path, kind)
    with pytest.raises(TSXError) as error:
        TextTable.read(path)
    assert str(error.value).startswith(f"{path}: not a table of text embeddings")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TSXError, match="none.safetensors: no such file; embed_text makes it"):
        TextTable.read(tmp_path / "none.safetensors")

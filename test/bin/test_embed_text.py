"""The command embed_text: which phrases, and that a complete table is left alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tsx_espnet.bin.embed_text import main, phrases_in
from tsx_espnet.conditions import words
from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.language_model import LanguageModel
from tsx_espnet.pretrained.store import digest_of
from tsx_espnet.pretrained.text_table import TextTable


@pytest.fixture(autouse=True)
def synonyms(tmp_path, monkeypatch):
    (tmp_path / "synonyms.json").write_text(json.dumps({"Bark": ["dog barking"]}))
    monkeypatch.setattr(words, "SYNONYMS", tmp_path / "synonyms.json")
    words._synonym_table.cache_clear()
    yield
    words._synonym_table.cache_clear()


@pytest.fixture
def data(tmp_path):
    for name, labels, captions in (
        ("train", "c1 Bark,Dog\nc2 Rain\n", None),
        ("test", "c3 Fill_(with_liquid),Rain\nc4 Rain\n", 'c3 ["A man, pouring", "water"]\n'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "utt2labels").write_text(labels)
        if captions:
            (tmp_path / name / "text").write_text(captions)
    return [str(tmp_path / "train"), str(tmp_path / "test")]


@pytest.fixture
def embed(data, tiny_bert, tmp_path):
    def embed(*options, data=data):
        out = tmp_path / "text" / "table.safetensors"
        main(["--data", *data, "--out", str(out), "--language_model", str(tiny_bert), *options])
        return TextTable.read(out)

    return embed


def test_every_phrase_of_labels_synonyms_and_captions(data, embed):
    assert phrases_in(data[0]) == ["bark", "dog", "dog barking", "rain"]
    assert phrases_in(data[1]) == ["A man, pouring", "fill with liquid", "rain", "water"]
    expected = ["A man, pouring", "bark", "dog", "dog barking", "fill with liquid", "rain", "water"]
    assert list(embed()) == expected


def test_the_first_names_of_drawn_labels_are_embedded_if_they_are_asked_by(tmp_path, embed):
    (tmp_path / "boats").mkdir()
    (tmp_path / "boats" / "utt2labels").write_text("c1 Boat_and_Water_vehicle,Vehicle\n")
    (tmp_path / "mix.yaml").write_text("text_of: drawn\n")
    (tmp_path / "hard.yaml").write_text("duration: 5.0\n")
    boats = [str(tmp_path / "boats")]
    more = ["--mixing_config", str(tmp_path / "hard.yaml")]
    assert list(embed(*more, data=boats)) == ["boat and water vehicle", "vehicle"]
    more[1] = str(tmp_path / "mix.yaml")
    assert list(embed(*more, data=boats)) == ["boat", "boat and water vehicle", "vehicle"]


def test_captions_are_embedded_as_mixtures_ask_by_them(data):
    """They were embedded as written, but queried on one line: training ended at the first."""
    captions = ["A dog  barks\tloudly.", "Woof\n"]
    (Path(data[1]) / "text").write_text(f"c3 {json.dumps(captions)}\n")
    assert {"A dog barks loudly.", "Woof"} < set(phrases_in(data[1]))


def test_captions_without_labels_and_phrases(tmp_path):
    (tmp_path / "text").write_text('c1 [Music] plays\nc2 ["A dog barks", "Woof"]\nc3 n/a\n')
    (tmp_path / "utt2phrases").write_text('c1 ["a flute", "rain"]\n')
    assert phrases_in(str(tmp_path)) == ["A dog barks", "Woof", "[Music] plays", "a flute", "rain"]


def test_vectors_are_the_language_models(embed, tiny_bert):
    table = embed("--pooling", "first")
    assert (table.language_model, table.pooling) == (str(tiny_bert), "first")
    vector = LanguageModel(str(tiny_bert), "first").embed(["dog barking"])[0]
    np.testing.assert_allclose(table["dog barking"], vector, atol=1e-5)


def test_a_table_that_holds_all_is_left_alone(embed, data, tmp_path, monkeypatch, capsys):
    embed()
    path = tmp_path / "text" / "table.safetensors"
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(LanguageModel, "__init__", None)
    embed()
    embed(data=data[:1])
    assert "already done (4 phrases" in capsys.readouterr().out
    assert path.stat().st_mtime_ns == before


def test_a_table_that_lacks_a_phrase_or_has_another_pooling_is_made_again(embed, data):
    assert "water" not in embed(data=data[:1])
    assert "water" in embed()
    assert embed("--pooling", "first").pooling == "first"


def test_of_a_model_that_was_trained_again_the_vectors_are_made_again(data, tiny_bert, tmp_path):
    """Its directory, and so its name, are those of before."""
    model = shutil.copytree(tiny_bert, tmp_path / "model")
    out = tmp_path / "table.safetensors"
    words = ["--data", *data, "--out", str(out), "--language_model", str(model)]
    main(words)
    first = TextTable.read(out)
    assert first.digest == digest_of(tiny_bert)
    state = load_file(model / "model.safetensors")
    state = {name: tensor + 0.1 for name, tensor in state.items()}
    save_file(state, model / "model.safetensors", {"format": "pt"})
    main(words)
    second = TextTable.read(out)
    assert second.digest == digest_of(model) != first.digest
    assert np.abs(second["rain"] - first["rain"]).max() > 1e-3
    with pytest.raises(TSXError, match="expected that of the text vectors, with SHA-256 .*, found"):
        LanguageModel(str(model), "mean", first.digest)
    LanguageModel(str(model), "mean", second.digest)


def test_a_table_of_before_is_left_alone(data, tiny_bert, tmp_path, monkeypatch):
    """It does not say which files it was made from."""
    out = tmp_path / "table.safetensors"
    words = ["--data", *data, "--out", str(out), "--language_model", str(tiny_bert)]
    main(words)
    table = TextTable.read(out)
    TextTable(list(table), table.embeddings, table.language_model, table.pooling).write(out)
    monkeypatch.setattr(LanguageModel, "__init__", None)
    main(words)
    assert TextTable.read(out).digest is None


@pytest.mark.parametrize("num_jobs", [2, 3, 9])
def test_any_number_of_jobs_gives_the_same_bits(
    embed, data, tiny_bert, tmp_path, monkeypatch, num_jobs
):
    monkeypatch.setattr("tsx_espnet.pretrained.text_table.BATCH_SIZE", 3)
    monkeypatch.setattr("tsx_espnet.pretrained.language_model.BATCH_SIZE", 3)
    path = tmp_path / "text" / "table.safetensors"
    whole = embed()
    path.unlink()
    words = ["--data", *data, "--out", str(path), "--num_jobs", str(num_jobs)]
    words += ["--language_model", str(tiny_bert)]
    for job in range(1, num_jobs + 1):
        with pytest.raises(TSXError, match=f"table.parts.{num_jobs}/{job}: this part is not fin"):
            main([*words, "--merge"])
        main([*words, "--job", str(job)])
    main([*words, "--merge"])
    found = TextTable.read(path)
    assert list(found) == list(whole)
    np.testing.assert_array_equal(found.embeddings, whole.embeddings)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_part_of_another_language_model_is_made_again(data, tiny_bert, tmp_path):
    path = tmp_path / "table.safetensors"
    words = ["--data", *data, "--out", str(path), "--language_model", str(tiny_bert)]
    words += ["--num_jobs", "1"]
    main([*words, "--job", "1", "--pooling", "first"])
    with pytest.raises(TSXError, match="this part is not finished"):
        main([*words, "--merge"])
    main([*words, "--job", "1"])
    main([*words, "--merge"])
    assert TextTable.read(path).pooling == "mean"


def test_mistakes_are_named(embed, data, tmp_path):
    with pytest.raises(TSXError, match="none: expected utt2labels or text, found neither"):
        embed(data=[str(tmp_path / "none")])
    (tmp_path / "test" / "text").write_text('c3 ["A man pouring water", 3]\n')
    with pytest.raises(TSXError, match="test/text: c3: expected a caption or a JSON list"):
        embed()
    (tmp_path / "test" / "text").unlink()
    for name in ("train", "test"):
        (tmp_path / name / "utt2labels").write_text("")
    with pytest.raises(TSXError, match="no phrase in .*train, .*test$"):
        embed()
    assert not (tmp_path / "text").exists()


def test_a_foreign_file_is_not_overwritten(embed, tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "table.safetensors").write_text("mine")
    with pytest.raises(TSXError, match="table.safetensors: not a table of text embeddings"):
        embed()
    assert (tmp_path / "text" / "table.safetensors").read_text() == "mine"

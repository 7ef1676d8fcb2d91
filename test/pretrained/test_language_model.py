"""Language models: the real sentence-BERT, and a random one of 8 dimensions, against others."""

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained import language_model
from tsx_espnet.pretrained.language_model import SBERT, LanguageModel, find_language_model

PHRASES = ["a dog barking", "dog bark", "rain falling", "meow", "a very, very long caption of rain"]


@pytest.fixture(scope="module")
def sentence_bert():
    pytest.importorskip(language_model.SBERT_PACKAGE)
    return LanguageModel()


def cosine(one, two):
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


def test_meaning(sentence_bert):
    barking, bark, rain = sentence_bert.embed(PHRASES[:3])
    assert cosine(barking, bark) > cosine(barking, rain) + 0.3


def test_mean_pooling_is_what_sentence_transformers_do(sentence_bert):
    """Before their last step, which scales every vector to length 1."""
    models = pytest.importorskip("sentence_transformers")
    theirs = models.SentenceTransformer(find_language_model(SBERT), device="cpu")
    kinds = [type(module).__name__ for module in theirs]
    assert kinds == ["Transformer", "Pooling", "Normalize"]
    expected = models.SentenceTransformer(modules=list(theirs)[:2], device="cpu").encode(PHRASES)
    found = sentence_bert.embed(PHRASES)
    assert found.shape == (5, 384) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (np.linalg.norm(found, axis=1) > 1.5).all()


def test_the_installed_package_is_found():
    pytest.importorskip(language_model.SBERT_PACKAGE)
    for name in (SBERT, f"sentence-transformers/{SBERT}"):
        directory = Path(find_language_model(name))
        weights = (directory / "model.safetensors").read_bytes()
        assert hashlib.sha256(weights).hexdigest() == language_model.SBERT_SHA256


@pytest.fixture
def fake_package(tmp_path, monkeypatch):
    """A package of the same name ahead of the installed one."""
    package = tmp_path / "site" / language_model.SBERT_PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, language_model.SBERT_PACKAGE, raising=False)
    importlib.invalidate_caches()
    return package


def test_a_tampered_copy_is_refused(fake_package):
    package = pytest.importorskip(language_model.SBERT_PACKAGE)
    assert Path(package.__file__).parent == fake_package
    weights = fake_package / "model" / "model.safetensors"
    weights.write_bytes(b"other weights")
    with pytest.raises(TSXError) as error:
        find_language_model(SBERT)
    found = hashlib.sha256(b"other weights").hexdigest()
    expected = f"{weights}: expected SHA-256 {language_model.SBERT_SHA256}, found {found}"
    assert str(error.value) == expected
    with pytest.raises(TSXError, match="expected SHA-256"):
        LanguageModel()


def test_a_package_without_weights_is_refused(fake_package):
    with pytest.raises(TSXError, match="no model.safetensors in the package"):
        find_language_model(SBERT)


def test_without_the_package_it_is_looked_for_on_the_hub(monkeypatch):
    monkeypatch.setattr(language_model, "SBERT_PACKAGE", "no_such_package_anywhere")
    assert find_language_model(SBERT) == f"sentence-transformers/{SBERT}"
    assert find_language_model("bert-base-uncased") == "bert-base-uncased"


@pytest.fixture(scope="module")
def states(tiny_bert):
    """phrase -> vectors of its tokens, one phrase at a time through transformers alone."""
    import torch
    from transformers import AutoModel

    words = (tiny_bert / "vocab.txt").read_text().split()
    model = AutoModel.from_pretrained(tiny_bert).eval()

    def states(*tokens):
        ids = [words.index(token) for token in ("[CLS]", *tokens, "[SEP]")]
        with torch.no_grad():
            return model(torch.tensor([ids])).last_hidden_state[0].numpy()

    return states


def test_pooling_of_a_local_model(tiny_bert, states):
    phrases = ["A dog barking", "rain", "xyz"]
    expected = [states("a", "dog", "bark", "##ing"), states("rain"), states("[UNK]")]
    first = LanguageModel(str(tiny_bert), pooling="first").embed(phrases)
    np.testing.assert_allclose(first, [tokens[0] for tokens in expected], atol=1e-5)
    mean = LanguageModel(str(tiny_bert), pooling="mean").embed(phrases)
    np.testing.assert_allclose(mean, [tokens.mean(axis=0) for tokens in expected], atol=1e-5)
    assert first.dtype == np.float32 and first.shape == (3, 8)


def test_a_phrase_is_the_same_whatever_else_is_in_the_list(tiny_bert):
    model = LanguageModel(str(tiny_bert))
    phrases = [" ".join(["rain"] * (1 + n % 9)) for n in range(150)]  # three batches
    together = model.embed(phrases)
    assert together.shape == (150, 8)
    for n in (0, 8, 63, 64, 149):
        np.testing.assert_allclose(together[n], model.embed([phrases[n]])[0], atol=1e-5)


def test_a_caption_beyond_the_models_length_is_cut(tiny_bert, states):
    tokens = ["rain"] * 14  # the model takes 16 with the two at the ends
    found = LanguageModel(str(tiny_bert)).embed([" ".join(["rain"] * 40)])
    np.testing.assert_allclose(found[0], states(*tokens).mean(axis=0), atol=1e-5)


def test_progress(tiny_bert):
    model = LanguageModel(str(tiny_bert), "first")
    seen = []

    def progress(batches):
        seen.append(list(batches))
        return batches

    assert model.embed(["rain", "dog"], progress).shape == (2, 8)
    assert seen == [[0]]


def test_an_unknown_pooling_is_named():
    with pytest.raises(TSXError, match=r"--pooling must be one of .*'mean', 'first'.* 'max'"):
        LanguageModel(pooling="max")


def spoil(directory, kind):
    weights = directory / "model.safetensors"
    if kind == "no weights":
        weights.unlink()
    elif kind == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif kind == "no vocabulary":
        (directory / "vocab.txt").unlink()
        (directory / "tokenizer_config.json").unlink()
    elif kind == "no configuration":
        (directory / "config.json").unlink()
    elif kind == "bad configuration":
        (directory / "config.json").write_text("{")
    elif kind == "empty":
        for path in directory.iterdir():
            path.unlink()


@pytest.mark.parametrize(
    "kind",
    [
        "no weights",
        "truncated weights",
        "no vocabulary",
        "no configuration",
        "bad configuration",
        "empty",
    ],
)
def test_a_directory_that_is_no_language_model(tiny_bert, tmp_path, kind):
    directory = tmp_path / "bert"
    shutil.copytree(tiny_bert, directory)
    spoil(directory, kind)
    with pytest.raises(TSXError) as error:
        LanguageModel(str(directory))
    message = str(error.value)
    assert message.startswith(f"language model {str(directory)!r} cannot be loaded: ")
    assert "\n" not in message


def test_pickled_weights_are_not_loaded(tiny_bert, tmp_path):
    """A pickle can hold any program."""
    from safetensors.torch import load_file
    from torch import save

    directory = tmp_path / "bert"
    shutil.copytree(tiny_bert, directory)
    state = load_file(directory / "model.safetensors")
    (directory / "model.safetensors").unlink()
    save(state, directory / "pytorch_model.bin")
    with pytest.raises(TSXError, match="cannot be loaded: .*model.safetensors"):
        LanguageModel(str(directory))


def test_an_unknown_hub_name_without_network(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(TSXError) as error:
        LanguageModel("nobody/nothing-here")
    message = str(error.value)
    assert message.startswith("language model 'nobody/nothing-here' cannot be loaded: ")
    assert "expected a hub name with access to it, or a local directory" in message
    assert "\n" not in message

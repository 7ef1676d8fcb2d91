"""CLAP and language models as text encoders, against transformers' own way of using them."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from pretrained_networks import clap_model, write_clap

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.joint import AbsJointEncoder, AbsTextEncoder
from tsx_espnet.pretrained.language_model import LanguageModel
from tsx_espnet.pretrained.store import load

PHRASES = ["a dog", "a dog barking rain meow", "rain"]


def sounds(seconds, fs=48000):
    """Noise, and a tone of 440 Hz: (2, T)."""
    time = np.arange(round(seconds * fs)) / fs
    noise = np.random.default_rng(0).standard_normal(len(time))
    return np.stack([0.1 * noise, np.sin(2 * np.pi * 440 * time)]).astype(np.float32)


@pytest.fixture(scope="module")
def clap(tiny_clap):
    return load(tiny_clap).eval()


@pytest.fixture(scope="module")
def theirs(tiny_clap):
    """Model, feature extractor and tokenizer, as transformers' users have them."""
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

    kinds = (ClapModel, ClapFeatureExtractor, AutoTokenizer)
    model, extractor, tokenizer = (kind.from_pretrained(tiny_clap) for kind in kinds)
    return model.eval(), extractor, tokenizer


def vector(features):
    """A tensor in transformers 4, an output with a pooled vector in 5."""
    return features if isinstance(features, torch.Tensor) else features.pooler_output


@pytest.mark.parametrize("seconds", [0.3, 6.0, 8.2, 10.0])
def test_vectors_of_audio_are_those_of_clap(clap, theirs, seconds):
    model, extractor, _ = theirs
    samples = sounds(seconds)
    inputs = extractor(list(samples), sampling_rate=48000, return_tensors="pt")
    with torch.no_grad():
        expected = vector(model.get_audio_features(input_features=inputs["input_features"]))
        found = clap.audio(torch.from_numpy(samples))
    assert found.shape == (2, 12)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert (found[0] - found[1]).abs().max() > 1e-3  # they are not all alike
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


def test_vectors_of_text_are_those_of_clap_padded_or_not(clap, theirs):
    model, _, tokenizer = theirs
    inputs = tokenizer(PHRASES, padding=True, return_tensors="pt")
    tokens = torch.from_numpy(clap.tokenize(PHRASES))
    assert torch.equal(tokens >= 0, inputs["attention_mask"].bool())
    assert torch.equal(tokens[tokens >= 0], inputs["input_ids"][tokens >= 0])
    with torch.no_grad():
        expected = vector(model.get_text_features(**inputs))
        states = model.text_model(**inputs).last_hidden_state
        found = clap.text(tokens)
        alone = [clap.text(torch.from_numpy(clap.tokenize.one(phrase))[None]) for phrase in PHRASES]
    assert torch.equal(found.mask, tokens >= 0)
    torch.testing.assert_close(found.vector, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.states, states, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        found.vector, torch.cat([text.vector for text in alone]), atol=1e-5, rtol=0
    )
    for own, text in zip(found.states, alone):
        torch.testing.assert_close(own[: text.mask.sum()], text.states[0], atol=1e-5, rtol=0)


def test_similarities_divided_by_the_temperature_are_claps_logits(clap, theirs):
    model, extractor, tokenizer = theirs
    samples = sounds(2.0)
    audio = extractor(list(samples), sampling_rate=48000, return_tensors="pt")["input_features"]
    inputs = tokenizer(PHRASES, padding=True, return_tensors="pt")
    with torch.no_grad():
        texts = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        expected = model(input_features=audio, **texts).logits_per_audio
        text = clap.text(torch.from_numpy(clap.tokenize(PHRASES))).vector
        found = clap.audio(torch.from_numpy(samples)) @ text.T / clap.temperature
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_of_a_longer_recording_the_middle_is_heard(clap):
    samples = torch.from_numpy(sounds(13.0))
    middle = samples[:, 72000:-72000]
    assert middle.shape == (2, 480000)
    with torch.no_grad():
        assert torch.equal(clap.audio(samples), clap.audio(middle))


def test_a_checkpoint_with_fusion_hears_four_times_the_same(tmp_path):
    from transformers import ClapFeatureExtractor

    encoder, model = load(write_clap(tmp_path, fused=True)), clap_model(fused=True)
    samples = sounds(3.0)[:1]
    inputs = ClapFeatureExtractor.from_pretrained(tmp_path)(
        samples[0], sampling_rate=48000, return_tensors="pt"
    )
    assert inputs["input_features"].shape[1] == 4
    with torch.no_grad():
        longer = torch.zeros(1, 1, dtype=torch.bool)  # theirs is drawn
        expected = vector(
            model.get_audio_features(input_features=inputs["input_features"], is_longer=longer)
        )
        found = encoder.eval().audio(torch.from_numpy(samples))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_another_rate_is_resampled(clap):
    """The same tones at 24 and 48 kHz have the same vector."""
    with torch.no_grad():
        vectors = []
        for fs in (24000, 48000):
            time = torch.arange(2 * fs) / fs
            tones = sum(torch.sin(2 * torch.pi * hertz * time) for hertz in (440, 1000, 3000))
            vectors.append(clap.audio(tones[None], fs))
        other = clap.audio(torch.from_numpy(sounds(2.0)[:1]))
    distance, far = (vectors[0] - vectors[1]).norm(), (vectors[0] - other).norm()
    assert distance < 0.1 * far


def test_gradients_reach_the_waveform_by_finite_differences(tiny_clap):
    """Along five directions, in float64, through resampling, log mel and the encoder."""
    clap = load(tiny_clap).eval().double().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(1, 24000, dtype=torch.double, generator=generator).requires_grad_()
    weights = torch.randn(12, dtype=torch.double, generator=generator)

    def loss(x):
        return (clap.audio(x, 24000) @ weights).sum()

    loss(waveform).backward()
    for _ in range(5):
        step = torch.randn(waveform.shape, dtype=torch.double, generator=generator)
        with torch.no_grad():
            slope = (loss(waveform + 1e-5 * step) - loss(waveform - 1e-5 * step)) / 2e-5
        torch.testing.assert_close((waveform.grad * step).sum(), slope, rtol=1e-4, atol=1e-8)


def test_it_computes_in_the_type_of_its_weights_under_autocast(clap):
    samples = torch.from_numpy(sounds(1.0))
    with torch.no_grad():
        expected = clap.audio(samples)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(clap.audio(samples), expected)
            assert clap.audio(samples.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_language_model_gives_the_vectors_of_the_text_table(tiny_bert, tmp_path, pooling):
    directory = shutil.copytree(tiny_bert, tmp_path / "bert")
    about = {"kind": "language_model", "pooling": pooling}
    (directory / "pretrained.json").write_text(json.dumps(about))
    encoder = load(directory).eval()
    assert isinstance(encoder, AbsTextEncoder) and not isinstance(encoder, AbsJointEncoder)
    expected = LanguageModel(str(tiny_bert), pooling).embed(PHRASES)
    with torch.no_grad():
        found = encoder.text(torch.from_numpy(encoder.tokenize(PHRASES)))
    np.testing.assert_allclose(found.vector.numpy(), expected, atol=1e-6)
    assert found.states.shape == (3, found.mask.shape[1], encoder.state_dim)


def test_the_tokenizer_can_be_sent_to_another_process(clap):
    again = pickle.loads(pickle.dumps(clap.tokenize))
    np.testing.assert_array_equal(again(PHRASES), clap.tokenize(PHRASES))
    assert clap.tokenize(PHRASES).dtype == np.int64
    assert clap.tokenize(["rain " * 100]).shape == (1, 16)  # as long as the model knows


def without(name):
    def spoil(directory):
        (directory / name).unlink()

    return spoil


def pickled(directory):
    (directory / "model.safetensors").unlink()
    torch.save(clap_model().state_dict(), directory / "pytorch_model.bin")


def with_missing_weights(directory):
    from safetensors.torch import load_file, save_file

    state = load_file(directory / "model.safetensors")
    state = {n: tensor for n, tensor in state.items() if "text_projection" not in n}
    save_file(state, directory / "model.safetensors", {"format": "pt"})


def of_another_size(directory):
    config = json.loads((directory / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 30
    (directory / "config.json").write_text(json.dumps(config))


def for_fusion(directory):
    path = directory / "preprocessor_config.json"
    path.write_text(path.read_text().replace("rand_trunc", "fusion"))


def truncated(directory):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    "spoil, message",
    [
        (without("vocab.txt"), "expected a tokenizer"),
        (without("preprocessor_config.json"), "expected settings of ClapFeatureExtractor"),
        (without("model.safetensors"), "expected a ClapModel in safetensors"),
        (pickled, "expected a ClapModel in safetensors"),
        (truncated, "expected a ClapModel in safetensors"),
        (with_missing_weights, "weights of ClapModel are missing: text_projection"),
        (of_another_size, "expected a ClapModel in safetensors"),
        (for_fusion, "expected truncation fusion .* only then; found 'fusion' with False"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tiny_clap, tmp_path, spoil, message, capfd):
    directory = shutil.copytree(tiny_clap, tmp_path / "clap")
    spoil(directory)
    with pytest.raises(TSXError, match=message) as error:
        load(directory)
    assert str(directory) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("local", [True, False])
def test_code_in_a_directory_is_never_run(tiny_bert, tmp_path, local):
    """A class of transformers is taken instead; if it has none, the directory is refused."""
    directory = shutil.copytree(tiny_bert, tmp_path / "bert")
    (directory / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    for name, kinds in (
        ("config.json", {"AutoConfig": "code.Own", "AutoModel": "code.Own"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["code.Own", None]}),
    ):
        options = json.loads((directory / name).read_text())
        options["auto_map"] = kinds
        if not local and "model_type" in options:
            options["model_type"] = "of_its_own"
        (directory / name).write_text(json.dumps(options))
    if local:
        load(directory)
    else:
        with pytest.raises(TSXError) as error:
            load(directory)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()

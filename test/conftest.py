"""What several rooms of the tests share: small models, a small language model, an experiment."""

import os

# one thread is faster for small tensors, and the same on every machine; before torch is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json  # noqa: E402
from pathlib import Path  # noqa: E402
from types import SimpleNamespace  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import yaml  # noqa: E402
from formatted_clips import (  # noqa: E402, F401
    corpus,
    corpus_dir,
    labels,
    make_clips,
    make_noise,
    superclasses,
)
from hypothesis import settings  # noqa: E402
from pretrained_networks import panns, tiny_ast, tiny_clap  # noqa: E402, F401

from tsx_espnet.conditions import CONDITIONS  # noqa: E402

# a busy machine is no bug, and no test leaves files in the repository
settings.register_profile("tsx_espnet", deadline=None, database=None)
settings.load_profile("tsx_espnet")

FS = 8000
CLASSES = ("Bark", "Meow", "Rain")
PHRASES = ("bark", "meow", "rain", "a dog barking")
WORDS = ("a", "bark", "##ing", "dog", "meow", "rain", "falling")
TEXT_DIM = 8


@pytest.fixture(scope="session")
def tiny_config():
    """The configuration of a model with all conditions and a few thousand parameters."""
    filterbank = {"channel": 16, "kernel_size": 9, "stride": 4}
    bases = {"channel": 6, "kernel_size": 16, "stride": 8}
    enrollment = {"encoder_conf": bases, "bottleneck_dim": 4, "hidden_dim": 6, "layer": 2}
    return {
        "fs": FS,
        "encoder": "conv",
        "encoder_conf": filterbank,
        "decoder": "conv",
        "decoder_conf": filterbank,
        "extractor": "sudormrf",
        "extractor_conf": {
            "num_blocks": 2,
            "out_channels": 8,
            "hidden_channels": 16,
            "depth": 3,
        },
        "conditions": {**{name: {} for name in CONDITIONS}, "enrollment": enrollment},
        "embedding_dim": 6,
        "consistency": "uniform",
        "objective": "oct",
        "objective_conf": {},
        "criterions": [{"name": "si_sdr"}],
        "class_list": list(CLASSES),
    }


@pytest.fixture(scope="session")
def vocabulary():
    from tsx_espnet.pretrained.text_table import TextTable
    from tsx_espnet.vocabulary import Vocabulary

    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(PHRASES), TEXT_DIM)).astype(np.float32)
    return Vocabulary(CLASSES, TextTable(PHRASES, vectors, "none", "mean"), FS)


@pytest.fixture(scope="session")
def make_model(tiny_config, vocabulary):
    """``tiny_config`` with changes -> a model with weights of a fixed seed, in evaluation mode."""
    import torch

    from tsx_espnet.build import build_model

    def make(seed=0, **changes):
        torch.manual_seed(seed)
        return build_model({**tiny_config, **changes}, vocabulary).eval()

    return make


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A directory with a random BERT of 8 dimensions that knows a few words."""
    import torch
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    directory = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (directory / "vocab.txt").write_text("\n".join(words) + "\n")
    options = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 16}
    (directory / "tokenizer_config.json").write_text(json.dumps(options))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=TEXT_DIM,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def make_experiment(tiny_config, vocabulary, make_model):
    """``(directory, language_model, **changes of the configuration) -> directory``."""
    import torch

    from tsx_espnet.pretrained.text_table import TextTable

    def make(directory, language_model="none", **changes):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        config = {**tiny_config, **changes}
        (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        changes.setdefault("objective_conf", {"condition": next(iter(config["conditions"]))})
        torch.save(make_model(**changes).state_dict(), directory / "valid.loss.ave.pth")
        if "text" in config["conditions"]:
            vectors = vocabulary.text_table.embeddings
            table = TextTable(PHRASES, vectors, str(language_model), "first")
            table.write(directory / "text_embeddings.safetensors")
        return directory

    return make


@pytest.fixture(scope="session")
def tiny_experiment(tmp_path_factory, make_experiment):
    """An experiment directory that no test may change."""
    return make_experiment(tmp_path_factory.mktemp("exp") / "tiny")


@pytest.fixture
def mixture_set(tmp_path):
    """A mixture set of 7 noises of two lengths, the last without any condition.

    The second is queried by two enrollments, the third by none.
    """
    from tsx_espnet.audio import write_float_wav
    from tsx_espnet.tables import mark_done, write_table

    directory = tmp_path / "mix"
    rng = np.random.default_rng(0)
    names = [f"mix{number:05d}" for number in range(1, 8)]
    wavs, values = {}, {name: {} for name in CONDITIONS}
    for number, name in enumerate(names):
        wavs[name] = str(directory / "wav" / f"{name}.wav")
        samples = 0.1 * rng.standard_normal(400 if number % 3 else 320)
        write_float_wav(wavs[name], samples, FS)
        values["energy"][name] = ("low", "high")[number % 2]
        values["harmonicity"][name] = ("percussive", "harmonic", "n/a")[number % 3]
        values["order"][name] = "first" if number == 1 else "n/a"
        examples = [str(directory / f"example{number}_{k}.wav") for k in range(1 + number % 2)]
        for path in examples:
            write_float_wav(path, 0.1 * rng.standard_normal(int(rng.integers(90, 300))), FS)
        values["enrollment"][name] = json.dumps(examples) if number % 2 else examples[0]
        values["class"][name] = CLASSES[number % 3]
        values["text"][name] = PHRASES[number % 4]
    values["enrollment"][names[2]] = "n/a"
    for condition in CONDITIONS:
        values[condition][names[-1]] = "n/a"
        write_table(directory / f"utt2{condition}", values[condition])
    write_table(directory / "wav.scp", wavs)
    mark_done(directory, seed=1)
    return SimpleNamespace(directory=directory, names=names, wavs=wavs, values=values)


@pytest.fixture(scope="session")
def format_clips():
    """``(directory, {label: number of clips}, fs) -> directory`` of formatted clips, 0.5 s each.

    Every label is noise of a band of its own, so that a model can tell one from another.
    """
    import contextlib
    import io

    import soundfile

    from tsx_espnet.clips.format import format_set
    from tsx_espnet.tables import write_table

    def make(directory, numbers, fs=FS):
        directory = Path(directory)
        wavs, owned = {}, {}
        for position, (label, number) in enumerate(sorted(numbers.items())):
            for clip in range(number):
                name = f"{directory.name}.{label}{clip}"
                samples = np.random.default_rng([position, clip]).standard_normal(fs // 2)
                samples = np.convolve(samples, np.cos(np.arange(32) * (0.3 + 0.4 * position)))
                wavs[name] = directory / "raw" / f"{name}.wav"
                wavs[name].parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(wavs[name], 0.02 * samples, fs)
                owned[name] = label
        write_table(directory / "raw" / "wav.scp", wavs)
        write_table(directory / "raw" / "utt2labels", owned)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            format_set(directory / "raw", directory / "clips", fs)
        return directory / "clips"

    return make

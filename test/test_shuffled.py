"""The control that hears other mixtures: what it hears, in every pass, and what it refuses."""

import json

import numpy as np
import pytest
import small_parts
import soundfile
import torch

from tsx_espnet.bin import infer
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.estimates import Estimates
from tsx_espnet.evaluation.answers import marked
from tsx_espnet.evaluation.shuffled import ShuffledEstimates
from tsx_espnet.experiment import load_experiment
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.tables import read_table, write_table

BOTH = ["mixture", "estimates"]
PIT = {"objective": "pit", "objective_conf": {}}


def hearing(*hears, number=1):
    return {UNCONDITIONAL: {"conditioner": "envelopes", "hears": list(hears), "number": number}}


KINDS = {
    "first": {"conditions": hearing("mixture")},
    "both": {"conditions": hearing("mixture"), "later": [{"conditions": hearing(*BOTH, number=3)}]},
    "later": {
        "conditions": {UNCONDITIONAL: {}},
        "later": [{"conditions": hearing(*BOTH, number=3)}],
    },
    "shared": {"conditions": hearing("mixture"), "later": [{}]},
    "oracle": {"conditions": hearing("mixture", "sources", number=3)},
}


@pytest.fixture(autouse=True)
def more_parts(monkeypatch):
    small_parts.register(monkeypatch)


@pytest.fixture
def mixtures(corpus, tmp_path):
    """Five mixtures of one length."""
    write_mixtures(Sampler(corpus, MixingConfig(duration=0.4)), 5, 0, tmp_path / "mix")
    return MixtureSet(tmp_path / "mix")


@pytest.fixture
def experiment(make_experiment, tmp_path):
    def make(kind):
        return load_experiment(make_experiment(tmp_path / "exp" / kind, **PIT, **KINDS[kind]))

    return make


def read(mixtures, name):
    """A mixture (1, T) and its sources (1, 2, T)."""
    paths = [
        read_table(mixtures.directory / f"{file}.scp")[name] for file in ("wav", "spk1", "spk2")
    ]
    mixture, *sources = [soundfile.read(path, dtype="float32")[0] for path in paths]
    return torch.from_numpy(mixture)[None], torch.from_numpy(np.stack(sources))[None]


def shuffled(model, name, other, mixtures):
    """Pass by pass: each has the condition that the same pass has of the other mixture."""
    mixture, sources = read(mixtures, name)
    elsewhere, theirs = read(mixtures, other)
    length = torch.tensor([mixture.shape[1]])
    here = model.encode(mixture, length, sources if model.is_oracle else None)
    there = model.encode(elsewhere, length, theirs if model.is_oracle else None)
    value = {UNCONDITIONAL: torch.zeros(1, 1).long()}
    condition = model.embed(value, there)[UNCONDITIONAL]
    output, estimates = model.run(here, condition), model.run(there, condition)
    for later in model.later:
        level = there.level.unsqueeze(1)
        known = there._replace(estimates=estimates / level)
        heard = later.hear(known, UNCONDITIONAL) if later.conditioners else condition
        estimates, _ = later.again(there, estimates, condition)
        later.conditioners, conditioners = torch.nn.ModuleDict(), later.conditioners
        output, _ = later.again(here, output, heard)
        later.conditioners = conditioners
    return output[0]


@pytest.mark.parametrize("batch_size", [2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_every_pass_hears_the_next_mixture(experiment, mixtures, tmp_path, kind, batch_size):
    """Whatever the batches are."""
    found, out = experiment(kind), tmp_path / "out"
    options = {"batch_size": batch_size}
    ShuffledEstimates(found, mixtures, (UNCONDITIONAL,), out, **options).write()
    Estimates(found, mixtures, (UNCONDITIONAL,), tmp_path / "own", **options).write()
    tables, own = (
        [read_table(where / UNCONDITIONAL / f"spk{k}.scp") for k in (1, 2)]
        for where in (out, tmp_path / "own")
    )
    names = mixtures.ids
    for name, other in zip(names, names[1:] + names[:1]):
        with torch.no_grad():
            expected = shuffled(found.model, name, other, mixtures)
        for table, plain, samples in zip(tables, own, expected.numpy()):
            estimate = soundfile.read(table[name])[0]
            np.testing.assert_allclose(estimate, samples, atol=1e-6)
            assert np.abs(estimate - soundfile.read(plain[name])[0]).max() > 1e-5
    facts = json.loads((out / ".done").read_text())
    assert facts["shuffled"] is True and facts.get("oracle", False) == (kind == "oracle")


def test_an_oracle_that_hears_others_has_both_marks():
    assert marked("tdcn", ("oracle", "shuffled")) == "tdcn (oracle, shuffled)"


def test_a_model_that_hears_nothing_is_refused(make_experiment, mixtures, tmp_path):
    exp = make_experiment(tmp_path / "exp" / "plain", conditions={UNCONDITIONAL: {}}, **PIT)
    argv = ["--exp", exp, "--mixtures", mixtures.directory, "--out", tmp_path / "out"]
    with pytest.raises(TSXError, match="exp/plain: --shuffle_heard is for models that hear"):
        infer.main([*map(str, argv), "--shuffle_heard"])
    assert not (tmp_path / "out").exists()


def test_a_mixture_without_another_of_its_length_is_refused(experiment, mixture_set, tmp_path):
    """Of these seven noises three are of another length; two of them are taken away."""
    kept = {n: path for n, path in mixture_set.wavs.items() if n not in ("mix00004", "mix00007")}
    write_table(mixture_set.directory / "wav.scp", kept)
    with pytest.raises(TSXError, match="mixture 'mix00001': expected others of 320 samples"):
        ShuffledEstimates(
            experiment("first"),
            MixtureSet(mixture_set.directory),
            (UNCONDITIONAL,),
            tmp_path / "out",
        )

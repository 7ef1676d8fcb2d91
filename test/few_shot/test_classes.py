"""A class more: the others stay as they are, to the last bit."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import load_experiment, save_experiment
from tsx_espnet.few_shot.classes import add_classes, average_embedding, start_embeddings

FS = 8000


@pytest.fixture(scope="module")
def experiment(tiny_experiment):
    return load_experiment(tiny_experiment)


@pytest.fixture
def recordings(tmp_path):
    """Three recordings of different lengths, one of them at another rate."""
    paths = []
    for number, (fs, length) in enumerate(((FS, 300), (FS, 90), (2 * FS, 400))):
        samples = 0.1 * np.random.default_rng(number).standard_normal(length)
        soundfile.write(tmp_path / f"dog {number}.wav", samples, fs, subtype="FLOAT")
        paths.append(tmp_path / f"dog {number}.wav")
    return paths


def vectors(*seeds, dim=6):
    return [torch.randn(dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds]


def noise(seed=0, size=4):
    return 0.1 * torch.randn(size, 400, generator=torch.Generator().manual_seed(seed))


def extract(experiment, label):
    with torch.no_grad():
        return experiment.model.extract(noise(size=1), experiment.embed("class", label))[:, 0]


def bits(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_eq_8(experiment, recordings):
    singles = [average_embedding(experiment, [path]) for path in recordings]
    assert singles[0].shape == (6,)
    found = average_embedding(experiment, recordings)
    torch.testing.assert_close(found, (singles[0] + singles[1] + singles[2]) / 3)
    condition = experiment.embed("enrollment", json.dumps([str(path) for path in recordings]))
    torch.testing.assert_close(condition.vector()[0], found)


def test_eq_9(experiment):
    before = bits(experiment.model)
    siren, gong = vectors(1, 2)
    grown = add_classes(experiment, {"Siren": siren, "Gong": gong})
    matrix = grown.model.conditioners["class"].matrix()
    assert torch.equal(matrix[:3], before["conditioners.class.table.weight"])
    assert torch.equal(matrix[3:], torch.stack([siren, gong]))
    assert grown.vocabulary.classes == ("Bark", "Meow", "Rain", "Siren", "Gong")
    after = bits(grown.model)
    del after["conditioners.class.new.weight"]
    assert_same(after, before)
    for label in experiment.vocabulary.classes:
        assert torch.equal(extract(grown, label), extract(experiment, label))
    assert torch.equal(grown.embed("class", "Gong").vector()[0], gong)
    assert not torch.equal(extract(grown, "Gong"), extract(grown, "Siren"))


def test_the_experiment_that_was_given_is_left_alone(experiment):
    before, config = bits(experiment.model), json.dumps(experiment.config)
    grown = add_classes(experiment, {"Siren": vectors(1)[0]})
    with torch.no_grad():
        for parameter in grown.model.parameters():
            parameter.add_(1.0)
    grown.config["conditions"]["energy"]["x"] = 1
    assert_same(bits(experiment.model), before)
    assert json.dumps(experiment.config) == config
    assert experiment.vocabulary.classes == ("Bark", "Meow", "Rain")
    assert add_classes(experiment, {}) is experiment


def test_one_after_the_other_is_all_at_once(experiment):
    siren, gong = vectors(1, 2)
    one = add_classes(add_classes(experiment, {"Siren": siren}), {"Gong": gong})
    both = add_classes(experiment, {"Siren": siren, "Gong": gong})
    assert one.config == both.config and one.vocabulary.classes == both.vocabulary.classes
    assert one.config["conditions"]["class"]["num_new"] == 2
    assert_same(bits(one.model), bits(both.model))


def test_extraction_by_k_recordings_is_extraction_by_the_class_made_of_them(experiment, recordings):
    grown = add_classes(experiment, {"Dog": average_embedding(experiment, recordings)})
    condition = experiment.embed("enrollment", json.dumps([str(path) for path in recordings]))
    for mixture in (noise(1), noise(2)):
        with torch.no_grad():
            by_list = experiment.model.extract(
                mixture, condition.select(torch.zeros(4).long())
            )
            by_class = grown.model.extract(
                mixture, grown.embed("class", "Dog").select(torch.zeros(4).long())
            )
        torch.testing.assert_close(by_list, by_class)
        assert (by_list[:, 0] - extract(experiment, "Bark")).abs().max() > 1e-5


def test_random_rows_are_standard_normal_and_those_of_their_seed(experiment):
    labels = {f"class{n}": () for n in range(500)}
    state = torch.get_rng_state()
    rows = [
        torch.stack(list(start_embeddings(experiment, labels, "random", seed).values()))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert rows[0].shape == (500, 6)
    assert rows[0].mean().abs() < 0.05 and rows[0].std().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])
    assert len(torch.unique(rows[0], dim=0)) == 500


def test_random_classes_added_one_after_the_other_differ(experiment):
    first = start_embeddings(experiment, {"Siren": ()}, "random")
    second = start_embeddings(add_classes(experiment, first), {"Gong": ()}, "random")
    assert not torch.equal(first["Siren"], second["Gong"])


def test_random_starts_of_other_recordings_differ(experiment, recordings, tmp_path):
    """Runs of several draws of K recordings, or of several K, all began at the same vectors."""
    moved = tmp_path / "moved.wav"
    moved.write_bytes(Path(recordings[0]).read_bytes())
    one, same, more, other = (
        start_embeddings(experiment, {"Siren": own}, "random")["Siren"]
        for own in (recordings[:1], [moved], recordings, recordings[1:2])
    )
    assert torch.equal(one, same)
    for start in (more, other):
        assert (one - start).abs().min() > 0


def test_average_starts(experiment, recordings):
    given = {"Dog": recordings, "Pup": recordings[0]}
    found = start_embeddings(experiment, given, "average")
    assert torch.equal(found["Dog"], average_embedding(experiment, recordings))
    assert torch.equal(found["Pup"], average_embedding(experiment, [recordings[0]]))
    with pytest.raises(TSXError, match="init: expected average or random, found 'mean'"):
        start_embeddings(experiment, given, "mean")


def test_names_of_recordings_that_look_like_something_else(experiment, recordings, tmp_path):
    """In ``utt2enrollment``, a value that begins with a bracket is a list."""
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        os.symlink(recordings[0], "[dog].wav")
        found = average_embedding(experiment, ["[dog].wav"])
        assert torch.equal(found, average_embedding(experiment, recordings[0]))
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    "given, message",
    [
        ((), "at least one recording of the sound, found none"),
        (np.zeros(9), "expected a path or a list of paths, found ndarray"),
        ([np.zeros(9)], "expected a path or a list of paths, found list"),
        (["n/a"], "expected the path of a recording, found 'n/a'"),
        ("", "expected the path of a recording, found ''"),
    ],
)
def test_what_is_no_recording(experiment, given, message):
    with pytest.raises(TSXError, match=message):
        average_embedding(experiment, given)


@pytest.mark.parametrize("with_text", [True, False])
def test_save_and_load(make_experiment, tmp_path, with_text):
    conditions = {"class": {"conditioner": "onehot"}, **({"text": {}} if with_text else {})}
    given = load_experiment(make_experiment(tmp_path / "exp", conditions=conditions))
    grown = add_classes(given, {"Siren": vectors(1)[0]})
    saved = save_experiment(grown, tmp_path / "grown")
    loaded = load_experiment(tmp_path / "grown")
    assert saved.model_file == loaded.model_file and loaded.config == grown.config
    assert_same(bits(loaded.model), bits(grown.model))
    for label in loaded.vocabulary.classes:
        assert torch.equal(extract(loaded, label), extract(grown, label))
    assert (loaded.vocabulary.text_table is not None) == with_text
    more = add_classes(loaded, {"Gong": vectors(2)[0]})
    assert more.vocabulary.classes[-2:] == ("Siren", "Gong")
    with pytest.raises(TSXError, match="grown: holds an experiment already"):
        save_experiment(more, tmp_path / "grown")


def test_a_model_of_soundbeam_without_batch_norm_has_nothing_that_moves_by_itself(make_model):
    """What is frozen has no running statistics, which no optimizer is asked for."""
    sizes = {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2, "stack": 2}
    model = make_model(extractor="conv_tasnet", extractor_conf=sizes, objective="mixed")
    assert [name for name, _ in model.named_buffers()] == []


@pytest.mark.parametrize(
    "rows, message",
    [
        ({"Bark": torch.zeros(6)}, "the model knows the class 'Bark' already"),
        ({"my dog": torch.zeros(6)}, "class 'my dog': expected a name without spaces and commas"),
        ({"": torch.zeros(6)}, "class '': expected a name"),
        ({"n/a": torch.zeros(6)}, "class 'n/a': expected a name"),
        ({"Siren": torch.zeros(5)}, r"'Siren': expected a vector of shape \(6,\), found \(5,\)"),
    ],
)
def test_classes_that_cannot_be_added(experiment, rows, message):
    with pytest.raises(TSXError, match=message):
        add_classes(experiment, rows)


def test_models_that_cannot_learn_classes(make_experiment, tmp_path, recordings):
    given = load_experiment(make_experiment(tmp_path / "exp", conditions={"energy": {}}))
    with pytest.raises(TSXError, match="expected a model with the condition class"):
        add_classes(given, {"Siren": torch.zeros(6)})
    with pytest.raises(TSXError, match="expected a model with the condition class"):
        start_embeddings(given, {"Siren": ()}, "random")
    with pytest.raises(TSXError, match="that takes enrollments, found one that knows energy"):
        average_embedding(given, recordings)


def test_a_recording_that_is_not_there_is_named(experiment, recordings, tmp_path):
    with pytest.raises(TSXError, match="gone.wav: no such file"):
        average_embedding(experiment, [*recordings, tmp_path / "gone.wav"])

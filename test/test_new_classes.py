"""A class more: the others stay as they are, to the last bit, whatever trains it."""

import json

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet.build import build_model
from tsx_espnet.error import TSXError
from tsx_espnet.experiment import load_experiment, save_experiment
from tsx_espnet.new_classes import add_classes, average_embedding, freeze_known, known_parts

FS = 8000
# optimizers over all parameters, as ESPnet builds them
OPTIMIZERS = {
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
    "adam with decay": lambda parameters: torch.optim.Adam(parameters, lr=1e-2, weight_decay=0.1),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.5),
    "sgd": lambda parameters: torch.optim.SGD(
        parameters, lr=1e-2, momentum=0.9, weight_decay=0.1
    ),
}


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
        return experiment.model.extract(noise(size=1), experiment.embed("class", label))[0]


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


def test_a_drawn_row_is_like_those_the_others_started_from(experiment):
    grown = add_classes(experiment, {f"class{n}": None for n in range(500)})
    rows = grown.model.conditioners["class"].matrix()[3:]
    assert rows.mean().abs() < 0.05 and rows.std().item() == pytest.approx(1.0, abs=0.05)


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
    more = add_classes(loaded, {"Gong": None})
    assert more.vocabulary.classes[-2:] == ("Siren", "Gong")
    with pytest.raises(TSXError, match="grown: holds an experiment already"):
        save_experiment(more, tmp_path / "grown")


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_adaptation_trains_the_new_rows_and_nothing_else(experiment, optimizer):
    """Every mixture is asked by an old class or a new one; one new class is never asked for."""
    start = add_classes(experiment, dict(zip(("Siren", "Gong", "Hum"), vectors(1, 2, 3))))
    config = {**start.config, "objective": "single", "objective_conf": {"condition": "class"}}
    model = build_model(config, start.vocabulary).train()
    model.load_state_dict(start.model.state_dict())
    freeze_known(model)
    before = bits(model)
    steps = OPTIMIZERS[optimizer](model.parameters())
    batch = {name: torch.full((4, 1), -1) for name in config["conditions"]}
    batch["class"] = torch.tensor([[0], [3], [4], [3]])
    batch.update(text=torch.zeros(4, 0, 8), enrollment=torch.zeros(4, 0))
    target = noise(1)
    losses = []
    for _ in range(10):
        steps.zero_grad()
        loss, _, _ = model(target + noise(2), target, noise(2), **batch)
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    after = bits(model)
    old, new = (state.pop("conditioners.class.new.weight") for state in (before, after))
    assert_same(after, before)
    assert (old - new).abs()[:2].min() > 0
    if optimizer == "adam":  # no gradient, no decay
        assert torch.equal(old[2], new[2])


def test_what_is_frozen_and_what_is_left(experiment):
    grown = add_classes(experiment, {"Siren": None})
    freeze_known(grown.model)
    left = [name for name, value in grown.model.named_parameters() if value.requires_grad]
    assert left == ["conditioners.class.new.weight"]
    # as ESPnet's --freeze_param understands names
    parts = known_parts(grown.model)
    by_name = [
        name
        for name, _ in grown.model.named_parameters()
        if not any(name == part or name.startswith(f"{part}.") for part in parts)
    ]
    assert by_name == left


def test_a_model_of_soundbeam_without_batch_norm_has_nothing_that_moves_by_itself(make_model):
    """What is frozen has no running statistics, which no optimizer is asked for."""
    sizes = {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2, "stack": 2}
    model = make_model(extractor="soundbeam", extractor_conf=sizes, objective="mixed")
    assert [name for name, _ in model.named_buffers()] == []


@pytest.mark.parametrize(
    "rows, message",
    [
        ({"Bark": None}, "the model knows the class 'Bark' already"),
        ({"my dog": None}, "class 'my dog': expected a name without spaces and commas"),
        ({"": None}, "class '': expected a name"),
        ({"Siren": torch.zeros(5)}, r"'Siren': expected a vector of shape \(6,\), found \(5,\)"),
    ],
)
def test_classes_that_cannot_be_added(experiment, rows, message):
    with pytest.raises(TSXError, match=message):
        add_classes(experiment, rows)


def test_models_that_cannot_learn_classes(make_experiment, tmp_path, recordings):
    given = load_experiment(make_experiment(tmp_path / "exp", conditions={"energy": {}}))
    with pytest.raises(TSXError, match="expected a model with the condition class"):
        add_classes(given, {"Siren": None})
    with pytest.raises(TSXError, match="that takes enrollments, found one that knows energy"):
        average_embedding(given, recordings)


def test_nothing_to_average_and_nothing_to_adapt(experiment):
    with pytest.raises(TSXError, match="at least one recording of the new class, found none"):
        average_embedding(experiment, [])
    with pytest.raises(TSXError, match="expected a model with new classes, found none"):
        freeze_known(experiment.model)


def test_a_recording_that_is_not_there_is_named(experiment, recordings, tmp_path):
    with pytest.raises(TSXError, match="gone.wav: cannot be read"):
        average_embedding(experiment, [*recordings, tmp_path / "gone.wav"])

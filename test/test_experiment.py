"""Loading what training left: which weights, and what is refused."""

import pickle
import shutil

import pytest
import torch
import yaml

from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import find_model_file, load_experiment, load_weights, read_config

WEIGHTS = "valid.loss.ave.pth"


@pytest.fixture
def directory(tiny_experiment, tmp_path):
    """A copy that a test may spoil."""
    shutil.copytree(tiny_experiment, tmp_path / "exp")
    return tmp_path / "exp"


def test_the_loaded_model_is_the_saved_one(tiny_experiment, make_model):
    experiment = load_experiment(tiny_experiment)
    expected = make_model()
    assert experiment.model_file == tiny_experiment / WEIGHTS
    assert experiment.vocabulary.classes == ("Bark", "Meow", "Rain")
    assert "a dog barking" in experiment.vocabulary.text_table
    assert not experiment.model.training and experiment.model.objective is None
    mixture = torch.randn(1, 300)
    value = torch.tensor([[1]])
    target = [
        model.extract(mixture, model.conditioners["class"](value, torch.ones(1)))[0]
        for model in (experiment.model, expected)
    ]
    assert torch.equal(*target)


def test_which_weights(directory):
    for name in ("latest.pth", "valid.loss.best.pth", "3epoch.pth"):
        shutil.copy(directory / WEIGHTS, directory / name)
    assert find_model_file(directory).name == WEIGHTS
    assert find_model_file(directory, "3epoch.pth").name == "3epoch.pth"
    (directory / WEIGHTS).unlink()
    assert find_model_file(directory).name == "valid.loss.best.pth"
    (directory / "valid.loss.best.pth").unlink()
    assert find_model_file(directory).name == "latest.pth"
    (directory / "latest.pth").unlink()
    assert find_model_file(directory).name == "3epoch.pth"  # the only one there is
    with pytest.raises(TSXError, match="expected weights named 4epoch.pth, found 3epoch.pth"):
        find_model_file(directory, "4epoch.pth")
    shutil.copy(directory / "3epoch.pth", directory / "2epoch.pth")
    with pytest.raises(TSXError, match="valid.loss.ave.pth or .*, found 2epoch.pth, 3epoch.pth"):
        find_model_file(directory)


def test_no_weights(directory):
    (directory / WEIGHTS).unlink()
    with pytest.raises(TSXError, match=r"expected weights named .*, found none \(training makes"):
        load_experiment(directory)


def saved(directory, state):
    torch.save(state, directory / WEIGHTS)
    return directory / WEIGHTS


def test_what_serves_training_alone_is_passed_over(directory, make_model):
    state = make_model(objective="oct").state_dict()
    assert any(name.startswith("objective.") for name in state)
    path = saved(directory, {**state, "objective.of.another.version": torch.zeros(1)})
    load_weights(load_experiment(directory).model, path)


def test_weights_that_do_not_fit_are_named_the_first_three(directory, make_model):
    state = make_model().state_dict()
    missing = state.pop("encoder.conv1d.weight")
    state["encoder.conv.weight"] = missing
    state["decoder.convtrans1d.weight"] = torch.zeros(16, 1, 7)
    path = saved(directory, state)
    with pytest.raises(TSXError) as error:
        load_experiment(directory)
    assert str(error.value) == (
        f"{path} does not fit config.yaml: encoder.conv1d.weight is missing; "
        "encoder.conv.weight is unknown; decoder.convtrans1d.weight has shape (16, 1, 7), "
        "expected (16, 1, 9)"
    )


def test_weights_of_another_size_are_counted(directory, make_model):
    changed = {"num_blocks": 2, "out_channels": 9, "hidden_channels": 16, "depth": 3}
    saved(directory, make_model(extractor_conf=changed).state_dict())
    with pytest.raises(TSXError, match=r"config.yaml: extractor.* shape .*9.* and \d+ more$"):
        load_experiment(directory)


def write_pickle(something, path):
    path.write_bytes(pickle.dumps(something))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.filterwarnings("ignore:.*pickle")
@pytest.mark.parametrize("write", [torch.save, write_pickle])
def test_a_program_in_the_weights_is_not_run(directory, tmp_path, write):
    trace = tmp_path / "executed"
    pickle.loads(pickle.dumps(Bomb(str(trace)))).close()
    assert trace.exists()  # a bomb it is
    trace.unlink()
    write({"encoder.conv1d.weight": Bomb(str(trace))}, directory / WEIGHTS)
    with pytest.raises(TSXError) as error:
        load_experiment(directory)
    assert not trace.exists()
    assert str(error.value).startswith(f"{directory / WEIGHTS}: not a file of weights: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [0, 1, 100, -100])
def test_truncated_weights(directory, size):
    path = directory / WEIGHTS
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(TSXError) as error:
        load_experiment(directory)
    assert str(error.value).startswith(f"{path}: not a file of weights: ")
    assert "\n" not in str(error.value) and not str(error.value).endswith(": ")


@pytest.mark.parametrize(
    "state", [[1, 2], torch.zeros(3), {"encoder.conv1d.weight": 3}, {5: torch.zeros(3)}, None]
)
def test_a_file_of_something_else(directory, state):
    path = saved(directory, state)
    with pytest.raises(TSXError) as error:
        load_experiment(directory)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "config.yaml: no such file; expected the directory of a trained experiment"),
        ("fs: [8000", "config.yaml: not a yaml file: "),
        (b"fs: \xff\xfe", "config.yaml: not a yaml file: "),
        ("", "config.yaml: not the configuration of a target sound extractor"),
        ("- conditions", "config.yaml: not the configuration of a target sound extractor"),
        ("fs: 8000", "config.yaml: not the configuration of a target sound extractor"),
        ("conditions: {text: {}}\nfs: null", "config.yaml: not the configuration of a target"),
    ],
)
def test_a_directory_that_is_no_experiment(directory, text, message):
    (directory / "config.yaml").unlink()
    if text is not None:
        data = text if isinstance(text, bytes) else text.encode()
        (directory / "config.yaml").write_bytes(data)
    with pytest.raises(TSXError) as error:
        load_experiment(directory)
    assert f"{directory}/{message}" in str(error.value) and "\n" not in str(error.value)


def test_a_configuration_that_lacks_something(directory):
    config = yaml.safe_load((directory / "config.yaml").read_text())
    del config["encoder"]
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(TSXError, match="config.yaml: .*encoder"):
        load_experiment(directory)


def test_a_configuration_cannot_name_python_objects(directory, tmp_path):
    trace = tmp_path / "executed"
    (directory / "config.yaml").write_text(f"x: !!python/object/apply:open ['{trace}', 'w']\n")
    with pytest.raises(TSXError, match="not a yaml file"):
        read_config(directory)
    assert not trace.exists()


def test_a_damaged_text_table_is_named(directory):
    (directory / "text_embeddings.safetensors").write_bytes(b"junk")
    with pytest.raises(TSXError, match="text_embeddings.safetensors: not a table of text embed"):
        load_experiment(directory)


def test_a_model_without_text_needs_no_table(make_experiment, tmp_path):
    directory = make_experiment(tmp_path / "exp", conditions={"energy": {}, "class": {}})
    assert not (directory / "text_embeddings.safetensors").exists()
    assert load_experiment(directory).vocabulary.text_table is None


@pytest.mark.parametrize("device", ["tpu9", "cuda:99"])
def test_a_device_that_is_not_there(tiny_experiment, device):
    with pytest.raises(TSXError, match=f"device {device}: ") as error:
        load_experiment(tiny_experiment, device=device)
    assert "\n" not in str(error.value)


def test_weights_of_conv_tasnet_by_the_names_that_espnet_gives_them(make_experiment, tmp_path):
    from espnet2.enh.layers.tcn import TemporalConvNet

    sizes = {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2, "stack": 2}
    changes = {"extractor": "soundbeam", "extractor_conf": sizes}
    directory = make_experiment(tmp_path / "exp", **changes)
    theirs = TemporalConvNet(16, 8, 12, 3, 2, 2, 1, norm_type="GN", pre_mask_nonlinear="prelu")
    state = torch.load(directory / WEIGHTS, weights_only=True)
    state = {name: value for name, value in state.items() if ".tcn." not in name}
    enrollment = load_experiment(directory).model.conditioners["enrollment"].state_dict()
    state.update({f"conditioners.enrollment.{name}": enrollment[name] for name in enrollment})
    theirs_state = {f"extractor.tcn.{name}": value for name, value in theirs.state_dict().items()}
    saved(directory, {**state, **theirs_state})
    tcn = load_experiment(directory).model.extractor.tcn
    assert torch.equal(tcn.bottleneck.weight, theirs.network[1].weight)
    contract = theirs.network[2][1][0].net[3].net[3]
    assert torch.equal(tcn.stacks[1][0].contract.weight, contract.weight)

"""SoundBeam through ESPnet's own training: both paths, estimates, and a class added afterwards."""

import shutil

import pytest
import torch
import yaml

from tsx_espnet.bin import infer as infer_command
from tsx_espnet.bin import score as score_command
from tsx_espnet.contract import path_name_type
from tsx_espnet.experiment import load_experiment, save_experiment
from tsx_espnet.files import read_table, write_table
from tsx_espnet.new_classes import add_classes, average_embedding, known_parts
from tsx_espnet.scoring.scores import read_scores

TRAIN = "tsx_espnet.bin.train"
SIZES = {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2}
FRONT_END = {"channel": 16, "kernel_size": 16, "stride": 8}
METHOD = {
    "extractor": "soundbeam",
    "extractor_conf": {**SIZES, "stack": 2},
    "conditions": {"enrollment": {}, "class": {}},
    "conditioner_conf": {"enrollment": {"encoder_conf": FRONT_END, **SIZES}},
    "objective": "mixed",
    "criterions": [{"name": "snr", "wrapper": "fixed_order"}],
}


@pytest.fixture
def mixtures(data, tmp_path):
    """The mixtures with clips as enrollments; one of them without any."""
    directory = tmp_path / "mixtures"
    shutil.copytree(data.mixtures, directory)
    clips = list(read_table(data.clips / "wav.scp").values())
    names = list(read_table(directory / "wav.scp"))
    values = {name: clips[number] for number, name in enumerate(names)}
    values[names[1]] = "n/a"
    write_table(directory / "utt2enrollment", values)
    return directory


@pytest.fixture
def train(run, data, tmp_path):
    """Train on a fixed set; ``method`` goes over the configuration of the tests."""

    def train_on(mixtures, classes, output_dir, method, *more):
        (tmp_path / "method.yaml").write_text(yaml.safe_dump(method))
        (tmp_path / "classes").write_text("\n".join(classes) + "\n")
        args = ["--config", data.train_config, "--method_config", tmp_path / "method.yaml"]
        for row in path_name_type(str(mixtures), tuple(method["conditions"])):
            args += ["--train_data_path_and_name_and_type", ",".join(row)]
        args += ["--train_shape_file", mixtures / "wav.scp", "--valid_mixtures", mixtures]
        args += ["--class_list", tmp_path / "classes", "--output_dir", output_dir, *more]
        return run(TRAIN, *args).err

    return train_on


def test_train_infer_score_and_a_class_more(train, data, mixtures, tmp_path):
    exp, estimates = tmp_path / "exp", tmp_path / "estimates"
    log = train(mixtures, data.classes, exp, METHOD, "--max_epoch", 1)
    assert "1epoch results" in log
    for name in ("loss_enrollment", "si_sdr_class", "embedding_distance"):
        assert f"{name}=" in log

    # at test time several enrollments may be averaged, for some mixtures two, for others one
    values = read_table(mixtures / "utt2enrollment")
    first = next(iter(values))
    values[first] = f'["{values[first]}", "{data.clips}/wav/rain1.wav"]'
    write_table(mixtures / "utt2enrollment", values)
    infer_command.main(["--exp", str(exp), "--mixtures", str(mixtures), "--out", str(estimates)])
    score_command.main(["--mixtures", str(mixtures), "--estimates", str(estimates)])
    scores = read_scores(estimates / "scores.csv")
    asked = [score.mixture for score in scores if score.condition == "enrollment"]
    assert asked == [name for name, value in values.items() if value != "n/a"]

    # a class more: its row starts as the mean of two enrollments, and is then trained alone
    before = load_experiment(exp)
    recordings = [f"{data.clips}/wav/horn{number}.wav" for number in (0, 1)]
    grown = add_classes(before, {"Siren": average_embedding(before, recordings)})
    save_experiment(grown, tmp_path / "grown")
    labels = read_table(mixtures / "utt2class")
    write_table(mixtures / "utt2class", {**labels, first: "Siren"})
    shutil.copy(data.mixtures / "utt2enrollment", mixtures)
    method = {
        **METHOD,
        "conditions": grown.config["conditions"],
        "objective": "single",
        "objective_conf": {"condition": "class", "other_weight": 0.0},
        "init_param": [str(tmp_path / "grown" / "valid.loss.ave.pth")],
        "freeze_param": known_parts(grown.model),
        "optim": "adamw",
        "optim_conf": {"lr": 1.0e-2, "weight_decay": 0.5},
        "keep_nbest_models": 1,  # an average of several would round what is frozen
    }
    classes = grown.vocabulary.classes
    train(mixtures, classes, tmp_path / "adapted", method, "--max_epoch", 2)
    adapted = load_experiment(tmp_path / "adapted")
    assert adapted.vocabulary.classes == (*data.classes, "Siren")
    found, expected = adapted.model.state_dict(), before.model.state_dict()
    row = found.pop("conditioners.class.new.weight")
    assert (row != grown.model.state_dict()["conditioners.class.new.weight"]).all()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name

"""SoundBeam through ESPnet's own training: both paths, estimates, and a class added afterwards."""

import shutil

import pytest
import torch
import yaml

from tsx_espnet.bin import add_classes as add_classes_command
from tsx_espnet.bin import infer as infer_command
from tsx_espnet.bin import score as score_command
from tsx_espnet.evaluation.scores import read_scores
from tsx_espnet.experiment import load_experiment
from tsx_espnet.mixing.data_table import path_name_type
from tsx_espnet.tables import read_table, write_table

TRAIN = "tsx_espnet.bin.train"
SIZES = {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2}
FRONT_END = {"channel": 16, "kernel_size": 16, "stride": 8}
METHOD = {
    "extractor": "conv_tasnet",
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
    horns = [f"{data.clips}/wav/horn{number}.wav" for number in (0, 1)]
    shutil.copytree(mixtures, tmp_path / "adaptation")
    labels = dict.fromkeys(read_table(mixtures / "utt2class"), "Siren")
    write_table(tmp_path / "adaptation" / "utt2class", labels)
    given = ["--exp", str(exp), "--label", "Siren", "--recordings", *horns]
    adapt = ["--adapt_mixtures", str(tmp_path / "adaptation"), "--num_epochs", "2"]
    start, adapted = tmp_path / "start", tmp_path / "adapted"
    add_classes_command.main([*given, "--out", str(start)])
    add_classes_command.main([*given, "--out", str(adapted), *adapt])
    states = [load_experiment(one).model.state_dict() for one in (start, adapted)]
    rows = [state.pop("conditioners.class.new.weight") for state in states]
    assert (rows[0] != rows[1]).all()
    expected = load_experiment(exp).model.state_dict()
    for found in states:
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value), name

    # extraction by the class: with what was learnt, by command
    write_table(mixtures / "utt2class", {**read_table(mixtures / "utt2class"), first: "Siren"})
    options = ["--exp", str(adapted), "--mixtures", str(mixtures), "--conditions", "class"]
    infer_command.main([*options, "--out", str(tmp_path / "siren")])
    assert first in read_table(tmp_path / "siren" / "class" / "spk1.scp")

"""Every method of the OCT paper by its yaml: two steps of training, estimates, scores."""

from pathlib import Path

import pytest
import torch
import yaml

from tsx_espnet.bin import infer as infer_command
from tsx_espnet.bin import score as score_command
from tsx_espnet.evaluation.scores import read_scores
from tsx_espnet.experiment import load_experiment
from tsx_espnet.mixing.mixture_set import MixtureSet

CONF = Path(__file__).parents[2] / "egs" / "fsd50k" / "conf"
FOUR = {"energy", "harmonicity", "order", "text"}
# method -> the rows of its scores
METHODS = {
    "text_bert": {"text", "oracle"},
    "text_sbert": {"text", "oracle"},
    "single_energy": {"energy", "oracle"},
    "single_harmonicity": {"harmonicity", "oracle"},
    "single_order": {"order", "oracle"},
    "hct": {*FOUR, "oracle"},
    "oct": {*FOUR, "oracle"},
    "octpp": {*FOUR, "oracle"},
    "octpp_residual": {*FOUR, "oracle"},
    "pit": {"unconditional"},
}


def test_these_are_all_methods():
    """But for those of ``test_sound_separation.py``, and the ideal mask, which is not trained."""
    others = [*CONF.glob("method_*tdcn*.yaml"), CONF / "method_ideal_mask.yaml"]
    found = set(CONF.glob("method_*.yaml")) - set(others)
    assert {path.stem for path in found} == {f"method_{method}" for method in METHODS}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_method_trains_infers_and_scores(run, data, train_args, tmp_path, method):
    exp, estimates = tmp_path / "exp", tmp_path / "exp" / "infer" / "test"
    log = run(
        *("tsx_espnet.bin.train", *train_args, "--output_dir", exp),
        *("--method_config", CONF / f"method_{method}.yaml", "--max_epoch", 1),
    ).err
    assert "1epoch results" in log and "total_count=2, " in log  # two steps
    infer_command.main(
        ["--exp", str(exp), "--mixtures", str(data.mixtures), "--out", str(estimates)]
    )
    score_command.main(["--mixtures", str(data.mixtures), "--estimates", str(estimates)])
    scores = read_scores(estimates / "scores.csv")
    mixtures = MixtureSet(data.mixtures)
    expected = {name for name in METHODS[method] - {"oracle"} if mixtures.applicable(name)}
    assert {score.condition for score in scores} - {"oracle"} == expected
    assert ("oracle" in {score.condition for score in scores}) == (method != "pit")
    assert all(score.si_sdr is not None for score in scores)
    model = load_experiment(exp).model
    assert (model.refiner is not None) == method.startswith("octpp")


def test_what_a_method_says_goes_over_the_rest_of_the_configuration(run, data, tmp_path):
    (tmp_path / "method.yaml").write_text("objective: hct\nembedding_dim: 12\n")
    args = ["--config", data.train_config, "--method_config", tmp_path / "method.yaml"]
    args += ["--embedding_dim", 24, "--dry_run", "true", "--output_dir", tmp_path / "exp"]
    run("tsx_espnet.bin.train", *args)
    given = yaml.safe_load(data.train_config.read_text())
    found = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    assert found["objective"] == "hct"  # method, not --config
    assert found["embedding_dim"] == 24  # the command line, not method
    assert found["encoder_conf"]["channel"] == given["encoder_conf"]["channel"]


def test_sizes_of_one_file_and_variants_of_the_other_make_a_refiner(run, data, tmp_path):
    """The sizes are in --config, for any method; one that has no refiner does not keep them."""
    sizes = {"channels": 8, "hidden_dim": 6, "residual": False}
    config = {**yaml.safe_load(data.train_config.read_text()), "refiner_conf": sizes}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    args = ["--config", tmp_path / "train.yaml", "--dry_run", "true"]
    expected = {
        "oct": {},
        "octpp": sizes,
        "octpp_residual": {**sizes, "residual": True},  # the method's
    }
    for method, conf in expected.items():
        more = ["--method_config", CONF / f"method_{method}.yaml"]
        more += ["--output_dir", tmp_path / method]
        run("tsx_espnet.bin.train", *args, *more, "--text_embeddings", data.text)
        found = yaml.safe_load((tmp_path / method / "config.yaml").read_text())
        assert found["refiner_conf"] == conf
    more += ["--refiner_conf", "channels=16", "--output_dir", tmp_path / "wider"]
    run("tsx_espnet.bin.train", *args, *more, "--text_embeddings", data.text)
    found = yaml.safe_load((tmp_path / "wider" / "config.yaml").read_text())
    assert found["refiner_conf"] == {**sizes, "residual": True, "channels": 16}


def test_a_refiner_with_its_own_learning_rate_resumes(run, start, train_args, tmp_path):
    method = CONF / "method_octpp_residual.yaml"
    args = [*train_args, "--method_config", method, "--scheduler", "steplr"]
    args += ["--scheduler_conf", "step_size=1", "--scheduler_conf", "gamma=0.5"]
    args += ["--resume", "true", "--refiner_conf", "channels=8"]
    for epochs in (1, 2):
        run("tsx_espnet.bin.train", *args, "--max_epoch", epochs, "--output_dir", tmp_path / "exp")
    run("tsx_espnet.bin.train", *args, "--max_epoch", 2, "--output_dir", tmp_path / "at_once")
    states, expected = (
        torch.load(tmp_path / exp / "checkpoint.pth", weights_only=False)
        for exp in ("exp", "at_once")
    )
    for name, weight in expected["model"].items():
        assert torch.equal(states["model"][name], weight), name
    rates = [group["lr"] for group in states["optimizers"][0]["param_groups"]]
    assert rates == pytest.approx([2.5e-4, 2.5e-5])
    more = ["--max_epoch", 3, "--output_dir", tmp_path / "exp", "--refiner_lr_scale", 0.2]
    refused = start("tsx_espnet.bin.train", *args, *more)
    assert refused.wait() == 1
    assert "begun with refiner_lr_scale 0.1, now it is 0.2" in refused.err


def test_a_model_of_two_passes_trains_resumes_infers_and_scores(
    run, start, data, train_args, tmp_path
):
    exp, estimates = tmp_path / "exp", tmp_path / "exp" / "infer" / "test"
    method = {
        "later": [{"stop_gradient": True}],
        "mixture_criterions": [{"name": "snr", "wrapper_conf": {"weight": 0.1}}],
        "consistency": None,
    }
    (tmp_path / "method.yaml").write_text(yaml.safe_dump(method))
    args = (*train_args, "--output_dir", exp, "--method_config", tmp_path / "method.yaml")
    run("tsx_espnet.bin.train", *args, "--max_epoch", 1)
    run("tsx_espnet.bin.train", *args, "--max_epoch", 2, "--resume", "true")
    run("tsx_espnet.bin.infer", *("--exp", exp, "--mixtures", data.mixtures, "--out", estimates))
    run("tsx_espnet.bin.score", *("--mixtures", data.mixtures, "--estimates", estimates))
    assert all(score.si_sdr is not None for score in read_scores(estimates / "scores.csv"))
    model = load_experiment(exp).model
    (later,) = model.later
    assert later.stop_gradient and later.extractor.further_dim == 2 * model.encoder.output_dim
    method["later"] = []
    (tmp_path / "method.yaml").write_text(yaml.safe_dump(method))
    more = ("--max_epoch", 3, "--resume", "true")
    refused = start("tsx_espnet.bin.train", *args, *more)
    assert refused.wait() == 1 and "begun with later" in refused.err


def test_a_model_of_three_outputs_separates_without_a_query(run, data, tmp_path):
    """Mixtures of one to three sources; silence has its cost too."""
    exp, mixtures, estimates = (tmp_path / name for name in ("exp", "mixtures", "estimates"))
    mixing = yaml.safe_load(data.mixing_config.read_text())
    mixing.update(num_sources=[1, 3], num_targets="all", min_overlap=0.0)
    (tmp_path / "mixing.yaml").write_text(yaml.safe_dump(mixing))
    method = yaml.safe_load(data.train_config.read_text())
    method.update(
        objective="pit",
        conditions={"unconditional": {}},
        criterions=[{"name": "thresholded_snr"}],
        later=[{}],
    )
    method["extractor_conf"]["num_outputs"] = 3
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(method))
    run(
        *("tsx_espnet.bin.mix", "--clips", data.clips, "--out", mixtures, "--num_mixtures", 4),
        *("--config", tmp_path / "mixing.yaml", "--seed", 1),
    )
    log = run(
        *("tsx_espnet.bin.train", "--config", tmp_path / "train.yaml", "--output_dir", exp),
        *("--train_clips", data.clips, "--mixing_config", tmp_path / "mixing.yaml"),
        *("--valid_mixtures", mixtures, "--max_epoch", 1),
    ).err
    assert "1epoch results" in log and "loss_unconditional" in log
    run("tsx_espnet.bin.infer", "--exp", exp, "--mixtures", mixtures, "--out", estimates)
    tables = sorted(path.name for path in (estimates / "unconditional").glob("spk*.scp"))
    assert tables == ["spk1.scp", "spk2.scp", "spk3.scp"]

"""Every method of universal sound separation by its yaml: training, estimates, scores, controls."""

from pathlib import Path

import pytest
import torch
import yaml
from pretrained_networks import write_mobilenet

from tsx_espnet.bin import infer as infer_command
from tsx_espnet.bin import score as score_command
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import MARKS, ORACLE, SHUFFLED, read_scores
from tsx_espnet.experiment import load_experiment
from tsx_espnet.pretrained.store import load
from tsx_espnet.tables import read_facts

CONF = Path(__file__).parents[2] / "egs" / "fsd50k" / "conf"
ALONE = ("tdcn", "itdcn", "tdcn_deep")
ABLATIONS = [f"tdcn_mixture_{name}" for name in ("mean", "logits", "gate", "everywhere")]
ORACLES = ("tdcn_oracle_all", "tdcn_oracle_softor")
MIXTURE = ("tdcn_mixture", "tdcn_mixture_ft", "tdcn_mixture_guided")
ALL = ("itdcn_all", "itdcn_all_ft", "itdcn_all_guided")
METHODS = (*ALONE, *MIXTURE, *ALL, *ORACLES, *ABLATIONS)


def options_of(method):
    """``train_stft_small.yaml`` at the smallest size, and the method, as the command puts them
    together."""
    options = yaml.safe_load((CONF / "train_stft_small.yaml").read_text())
    sizes = {"bottleneck_channels": 8, "hidden_channels": 8, "num_repeats": 2, "num_blocks": 2}
    options["extractor_conf"].update(sizes)
    options.update(embedding_dim=8, mixtures_per_epoch=8, max_epoch=1, num_workers=0)
    return options, yaml.safe_load((CONF / f"method_{method}.yaml").read_text())


@pytest.fixture(scope="module")
def classifier(data, tmp_path_factory):
    """The directory of a random one for the labels of the clips."""
    return write_mobilenet(tmp_path_factory.mktemp("classifier"), data.classes)


@pytest.fixture
def trained(run, data, classifier, tmp_path):
    """``trained(method)``: an experiment after two steps on pairs of which both count."""

    def train(method, **more):
        mixing = {**yaml.safe_load(data.mixing_config.read_text()), "num_targets": "all"}
        (tmp_path / "mixing.yaml").write_text(yaml.safe_dump(mixing))
        options, _ = options_of(method)
        (tmp_path / "train.yaml").write_text(yaml.safe_dump({**options, **more}))
        mixtures = tmp_path / "mixtures"
        if not mixtures.exists():
            run(
                *("tsx_espnet.bin.mix", "--clips", data.clips, "--out", mixtures),
                *("--config", tmp_path / "mixing.yaml", "--num_mixtures", 5, "--seed", 1),
            )
        needs = [] if method in ALONE else ["--pretrained", f"classifier={classifier}"]
        log = run(
            *("tsx_espnet.bin.train", "--config", tmp_path / "train.yaml", *needs),
            *("--method_config", CONF / f"method_{method}.yaml", "--train_clips", data.clips),
            *("--mixing_config", tmp_path / "mixing.yaml", "--valid_mixtures", mixtures),
            *("--output_dir", tmp_path / "exp"),
        ).err
        assert "1epoch results" in log and "total_count=2, " in log  # two steps
        return tmp_path / "exp", mixtures

    return train


def scores_of(exp, mixtures, name, *options):
    out = exp / "infer" / name
    words = ["--mixtures", str(mixtures), "--out", str(out), *options]
    infer_command.main(["--exp", str(exp), *words])
    score_command.main(["--mixtures", str(mixtures), "--estimates", str(out), "--skip_bss"])
    marks = [mark for mark in MARKS if read_facts(out).get(mark)]
    return [score.si_sdr for score in read_scores(out / "scores.csv")], marks


def test_these_are_all_methods():
    found = {path.stem[len("method_") :] for path in CONF.glob("method_*tdcn*.yaml")}
    assert found == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_infers_and_scores(trained, method):
    exp, mixtures = trained(method)
    model = load_experiment(exp).model
    assert len(model.later) == method.startswith("itdcn")
    own, marks = scores_of(exp, mixtures, "test")
    assert len(own) == 10 and None not in own  # both sources of each mixture
    assert marks == ([ORACLE] if method in ORACLES else [])
    hears = any(one.heard for one in (model, *model.later))
    assert hears == (method not in ALONE)
    if hears:
        shuffled, marks = scores_of(exp, mixtures, "shuffled", "--shuffle_heard")
        assert SHUFFLED in marks and shuffled != own
    if model.later:
        first, _ = scores_of(exp, mixtures, "first", "--num_passes", "1")
        assert first != own
        assert read_facts(exp / "infer" / "first")["num_passes"] == 1


@pytest.mark.parametrize("method", ["tdcn_mixture", "itdcn_all"])
def test_only_the_last_layers_of_the_classifier_are_trained(trained, classifier, method):
    """Each pass has a copy of its own; the rest stays what it was."""
    exp, _ = trained(f"{method}_ft")
    model = load_experiment(exp).model
    before = dict(load(classifier).named_parameters())
    copies = []
    for one in (model, *model.later):
        after = dict(one.conditioners["unconditional"].classifier.network.named_parameters())
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        trainable = {name for name in after if after[name].requires_grad}
        assert changed and changed <= trainable < set(before)
        copies.append({name: after[name] for name in changed})
    for name in copies[0] if len(copies) == 2 else ():
        assert not torch.equal(copies[0][name], copies[1][name])


def test_a_pass_that_is_not_there_is_refused(trained):
    exp, mixtures = trained("itdcn")
    with pytest.raises(TSXError, match="--num_passes: expected 1 to 2, found 3"):
        scores_of(exp, mixtures, "third", "--num_passes", "3")

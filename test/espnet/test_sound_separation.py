"""Every method of universal sound separation by its yaml: training, estimates, scores, controls."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pretrained_networks import write_mobilenet

from tsx_espnet.bin import infer as infer_command
from tsx_espnet.bin import score as score_command
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import MARKS, ORACLE, SHUFFLED, read_scores
from tsx_espnet.experiment import load_experiment
from tsx_espnet.mixing.data_table import MIXTURE as AUDIO
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.pretrained.store import load
from tsx_espnet.tables import read_facts

ROOT = Path(__file__).parents[2]
CONF = ROOT / "egs" / "fsd50k" / "conf"
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


def heard(capsys, exp, mixtures):
    """(pass, signal) -> what ``tools/heard.py`` prints: mAP of its own, and as pretrained."""
    main = runpy.run_path(str(ROOT / "tools" / "heard.py"))["main"]
    main(["--exp", str(exp), "--mixtures", str(mixtures)])
    pattern = r"pass (\d), (\w+) +its own ([\d.]+)  as pretrained ([\d.]+)"
    found = re.findall(pattern, capsys.readouterr().out)
    return {(int(k), signal): (float(own), float(was)) for k, signal, own, was in found}


def test_how_well_the_classifiers_of_a_model_know_what_they_hear(trained, classifier, capsys):
    """A frozen one is what it was; on mixtures, its mAP is scikit-learn's."""
    from sklearn.metrics import average_precision_score

    exp, mixtures = trained("itdcn_all")
    found = heard(capsys, exp, mixtures)
    assert list(found) == [(1, "mixture"), (2, "mixture"), (2, "estimates")]
    assert all(own == was for own, was in found.values())
    network, sets = load(classifier).eval(), MixtureSet(mixtures)
    truth, scores = [], []
    for name, plan in sets.plans.items():
        audio = torch.from_numpy(sets.read(AUDIO, name))[None]
        with torch.no_grad():
            scores.append(network(audio / audio.square().mean().sqrt(), 8000)[0].amax(dim=0))
        present = {label for source in plan.sources for label in source.labels}
        truth.append([label in present for label in network.labels])
    truth, scores = np.array(truth), torch.stack(scores).numpy()
    values = [average_precision_score(t, s) for t, s in zip(truth.T, scores.T) if t.any()]
    assert found[1, "mixture"][0] == pytest.approx(np.mean(values), abs=1e-3)


def test_a_model_without_a_classifier_knows_no_sounds(trained, capsys):
    exp, mixtures = trained("tdcn")
    with pytest.raises(TSXError, match="expected a model that hears a mixture or estimates"):
        heard(capsys, exp, mixtures)

"""Clips with captions and no labels: mixed, trained on, extracted from and scored."""

import json

import numpy as np
import pytest
import yaml
from formatted_clips import noise, write_clips

from tsx_espnet.bin.embed_text import phrases_in
from tsx_espnet.bin.infer import main as infer
from tsx_espnet.bin.mix import main as mix
from tsx_espnet.bin.score import main as score
from tsx_espnet.evaluation.scores import read_scores
from tsx_espnet.experiment import load_experiment
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.tables import read_table

TRAIN = "tsx_espnet.bin.train"
MIXING = {
    **{"duration": 0.4, "min_overlap": 0.3, "min_sounding": 0.1, "strategy": "clips"},
    **{"enrollments": 1, "enrollment_from": "same", "num_sources": [1, 3]},
}
ENCODER = {"encoder_conf": {"channel": 6, "kernel_size": 16, "stride": 8}}
METHOD = {
    "conditions": {"text": {}, "enrollment": {"bottleneck_dim": 4, "hidden_dim": 6, "layer": 2}},
    "conditioner_conf": {"enrollment": ENCODER},
    "objective": "hct",
}


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    """A folder: ``clips``, ``others`` to mix them with, ``mixtures``, a ``text`` table, yamls."""
    root = tmp_path_factory.mktemp("captioned")
    rng = np.random.default_rng(0)
    for kind, number in (("clips", 6), ("others", 5)):
        sounds = {f"{kind}{n}": (noise(rng, 0.5 + 0.1 * n), ()) for n in range(number)}
        captions = {name: [f"[{name}], again", f"It is {name}."] for name in sounds}
        write_clips(root / kind, sounds, captions=captions)
    phrases = phrases_in(str(root / "clips"))
    assert len(phrases) == 12
    vectors = rng.normal(size=(12, 6)).astype(np.float32)
    TextTable(phrases, vectors, "made-up", "mean").write(root / "text.safetensors")
    (root / "mixing.yaml").write_text(json.dumps(MIXING))
    (root / "method.yaml").write_text(yaml.safe_dump(METHOD))
    words = ["--clips", root / "clips", "--interference", root / "others", "--num_mixtures", 9]
    words += ["--config", root / "mixing.yaml", "--out", root / "mixtures"]
    mix([str(word) for word in words])
    return root


@pytest.fixture
def args(captioned, data):
    return [
        *("--config", data.train_config, "--method_config", captioned / "method.yaml"),
        *("--mixing_config", captioned / "mixing.yaml", "--train_clips", captioned / "clips"),
        *("--interference", captioned / "others", "--valid_mixtures", captioned / "mixtures"),
        *("--text_embeddings", captioned / "text.safetensors", "--max_epoch", 1),
    ]


def test_train_infer_and_score(run, captioned, args, tmp_path):
    exp, mixtures = tmp_path / "exp", captioned / "mixtures"
    log = run(TRAIN, *args, "--output_dir", exp, "--num_workers", 1).err
    assert "loss_text=" in log and "loss_enrollment=" in log and "loss=nan" not in log
    experiment = load_experiment(exp)
    assert experiment.vocabulary.classes == () and experiment.config["class_list"] == []
    infer(["--exp", str(exp), "--mixtures", str(mixtures), "--out", str(tmp_path / "out")])
    score(["--mixtures", str(mixtures), "--estimates", str(tmp_path / "out")])
    scores = read_scores(tmp_path / "out" / "scores.csv")
    texts = read_table(mixtures / "utt2text")
    assert {s.mixture: s.value for s in scores if s.condition == "text"} == texts
    assert {s.label for s in scores} == {""} and {s.clip[:5] for s in scores} == {"clips"}
    alone = {s.mixture for s in scores if s.silent == "other"}
    plans = read_plans(mixtures / "mixtures.jsonl")
    assert alone == {plan.id for plan in plans if len(plan.sources) == 1} and 0 < len(alone) < 9
    assert all(s.si_sdr is not None for s in scores if s.silent == "")


def test_the_class_of_clips_without_is_refused(start, captioned, args, tmp_path):
    command = start(TRAIN, *args, "--output_dir", tmp_path / "exp", "--conditions", "class={}")
    assert command.wait() == 1
    last = command.err.strip().splitlines()[-1]
    classes = captioned / "clips" / "classes.txt"
    assert last == f"error: --class_list {classes}: no such file; format writes that of labels"

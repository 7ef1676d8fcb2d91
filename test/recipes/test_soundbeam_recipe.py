"""``egs/mini/run_soundbeam.sh`` from the first stage to the tables, at a tiny size."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet.evaluation.scores import read_scores
from tsx_espnet.experiment import load_experiment
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.tables import read_table

SMALL = ["--clips_per_class", "10", "--num_valid", "4", "--num_test", "6", "--num_new", "6"]
SMALL += ["--num_adapt", "8", "--adapt_epochs", "2", "--examples", "5", "--num_draws", "2"]
SMALL += ["--nj", "1"]
WIDTHS = ("bottleneck_dim=8", "hidden_dim=8", "layer=2")
MODEL = " ".join(
    [
        "--max_epoch 1 --mixtures_per_epoch 12 --batch_size 4 --num_workers 0 --embedding_dim 8",
        *(f"--extractor_conf {width}" for width in WIDTHS),
        *(f"--conditioner_conf enrollment.{width}" for width in WIDTHS),
    ]
)
MIXTURES = "dump/soundbeam/8k/mix"
EXP = "exp/soundbeam/soundbeam_mixed_el_random_events"


@pytest.fixture(scope="module")
def finished(finished_mini):
    """The recipe's directory after all stages, and what they printed."""
    return finished_mini(*SMALL, "--train_args", MODEL, script="./run_soundbeam.sh")


def table(path):
    return list(read_table(path).values())


def test_every_stage_ran(finished):
    stages = re.findall(r"stage (\d+): ", finished[1].stdout)
    assert stages == [*map(str, range(1, 10)), *map(str, range(11, 16))]


def test_the_new_class_was_not_trained_on(finished):
    mini, _ = finished
    for name in ("train", "valid", "test"):
        labels = table(mini / f"data/soundbeam/{name}/utt2labels")
        assert labels and not any("Meow" in line for line in labels)
    assert "Meow" not in load_experiment(mini / EXP).vocabulary.classes


def test_it_is_extracted_by_its_recordings_and_by_its_name(finished):
    mini, _ = finished
    of_draw = []
    for draw in ("", "_draw1"):
        of_recordings = mini / EXP / f"infer/new_random_events_K5{draw}/scores.csv"
        of_name = mini / EXP / f"new_classes/average_K5{draw}/infer/new_random_events/scores.csv"
        for path, condition in ((of_recordings, "enrollment"), (of_name, "class")):
            scores = [score for score in read_scores(path) if score.condition == condition]
            assert len(scores) == 6 and {score.label for score in scores} == {"Meow"}
            assert all(score.sdr is not None for score in scores)
        asked = table(mini / MIXTURES / f"new_random_events{draw}/utt2enrollment")
        assert len(set(asked)) == 1  # the same five for all
        of_draw.append(set(json.loads(asked[0])))
        assert len(of_draw[-1]) == 5
        assert not of_draw[-1] & set(table(mini / "dump/soundbeam/8k/new_test/wav.scp"))
    assert of_draw[0] != of_draw[1]


@pytest.mark.parametrize("init", ["average_K5", "random_K5", "average_K5_draw1"])
def test_adaptation_trained_the_new_row_and_nothing_else(finished, init):
    mini, _ = finished
    before = load_experiment(mini / EXP)
    after = load_experiment(mini / EXP / f"new_classes/{init}")
    assert after.vocabulary.classes == (*before.vocabulary.classes, "Meow")
    found = after.model.state_dict()
    new = found.pop("conditioners.class.new.weight")
    assert new.shape == (1, 8)
    expected = before.model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_tables_say_what_was_run_and_what_was_not(finished):
    mini, result = finished
    page = (mini / "exp/soundbeam/TABLES.md").read_text()
    assert "synthetic" in page
    (row,) = re.findall(r"^\| \+adapt \(avg init\) .*", page, re.M)[:1]
    assert row.count("not run") == 2  # K = 1 and 10
    assert re.search(r"^\| Mixed\+EL, K=5 \| 2 \| 1 \| 2 \| ", page, re.M)  # runs, seeds, draws
    assert "Table 2" in result.stdout


def test_a_second_run_does_nothing_again(finished, run):
    mini, _ = finished
    weights = mini / EXP / "new_classes/average_K5/valid.loss.ave.pth"
    made = weights.stat().st_mtime_ns
    result = run(mini, "./run_soundbeam.sh", *SMALL, "--stage", 11, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert weights.stat().st_mtime_ns == made
    assert not re.search(r"\(\d+ %\)", result.stdout)  # no progress of any work


def test_a_stage_says_which_one_makes_its_input(recipes, run):
    for stage, missing, needed in (
        (
            11,
            "data/soundbeam/new_test/wav.scp",
            "1 with --new_classes (and --examples, --num_draws as here)",
        ),
        (12, f"{EXP}/config.yaml", 5),
        (13, f"{EXP}/config.yaml", 5),
        (14, f"{EXP}/config.yaml", 5),
    ):
        words = ["--stage", stage, "--stop_stage", stage]
        result = run(recipes / "mini", "./run_soundbeam.sh", *words)
        assert result.returncode == 1
        assert result.stderr == f"soundbeam.sh: missing {missing}: run stage {needed}\n"


@pytest.mark.parametrize(
    "words, message",
    [
        (["--difficulty", "demo", "--noise", "dir"], "--noise: conf/mix_random_demo.yaml has no"),
        (["--nj", "0", "--stage", "11"], "--nj must be at least 1"),
        (["--num_draws", "0"], "--num_draws must be at least 1"),
    ],
)
def test_a_mistake_is_one_line(recipes, run, words, message):
    """``--nj 0`` from stage 11 on was run.pl's "bad job range", ``--noise`` not known to mini."""
    result = run(recipes / "mini", "./run_soundbeam.sh", *words)
    assert result.returncode == 2 and not result.stdout
    assert result.stderr.startswith(f"soundbeam.sh: {message}") and result.stderr.count("\n") == 1


def test_files_of_ones_own_name_what_is_made_of_them(recipes, run):
    """Stages 11 to 15 were of --method whatever --method_config said."""
    mini = recipes / "mini"
    for given, file in (("method_mixed", "method_mine"), ("mix_random_events", "mix_theirs")):
        shutil.copy(mini / f"conf/{given}.yaml", mini / f"{file}.yaml")
    words = ["--method_config", "method_mine.yaml", "--mix_config", "mix_theirs.yaml"]
    for stage in (6, 12):
        result = run(mini, "./run_soundbeam.sh", *words, "--stage", stage, "--stop_stage", stage)
        assert result.returncode == 1
        assert "missing exp/soundbeam/soundbeam_mine_theirs/config.yaml: " in result.stderr


NOTED = """#!/bin/sh
# Notes what the package is asked, and leaves the rest to Python.
case "$2" in
tsx_espnet.bin.*) echo "$*" >>asked ;;
*) exec python3 "$@" ;;
esac
"""


def test_options_of_the_first_stages_reach_the_last(recipes, run):
    """Stages 12 to 14 extracted and scored by defaults whatever was said."""
    mini = recipes / "mini"
    (mini / "noted").write_text(NOTED)
    (mini / "noted").chmod(0o755)
    adapted = [f"{EXP}/new_classes/{init}_K5" for init in ("random", "average")]
    for exp in (EXP, *adapted):
        (mini / exp).mkdir(parents=True)
        (mini / exp / "config.yaml").write_text("conditions:\n  class: {}\n  enrollment: {}\n")
    (mini / EXP / "valid.loss.ave.pth").touch()
    for name in ("new_random_events", "new_seen_random_events", "adapt_random_events_K5"):
        (mini / MIXTURES / name).mkdir(parents=True)
        (mini / MIXTURES / name / ".done").touch()
    words = ["--stage", 12, "--stop_stage", 14, "--examples", 5, "--nj", 1, "--python", "./noted"]
    words += ["--bss_eval", "false", "--audio_format", "flac"]
    words += ["--gpu_inference", "true", "--ngpu", 4]
    result = run(mini, "./run_soundbeam.sh", *words, CUDA_VISIBLE_DEVICES="0")
    assert result.returncode == 0, result.stderr
    asked = [line.split(" ", 2)[1:] for line in (mini / "asked").read_text().splitlines()]
    for command, expected in (
        ("infer", ["--audio_format flac", "--ngpu 1"]),
        ("score", ["--skip_bss"]),
        ("add_classes", ["--ngpu 1"]),
    ):
        found = [said for module, said in asked if module == f"tsx_espnet.bin.{command}"]
        assert found and all(words in said for said in found for words in expected), command


def test_recorded_noise_goes_into_the_mixing(recipes, run):
    """The settings of the mixtures stay the paper's but for where the noise comes from."""
    directory = recipes / "fsdkaggle2018"
    script = (directory / "tsx.sh").read_text()
    (directory / "tsx.sh").unlink()  # a link
    (directory / "tsx.sh").write_text('#!/bin/sh\necho "$*" >>asked\nexit\n' + script)
    (directory / "tsx.sh").chmod(0o755)
    (directory / "some noise").mkdir()
    hiss = np.random.default_rng(0).normal(scale=0.1, size=8000)
    soundfile.write(directory / "some noise/fan.wav", hiss, 8000)
    words = ["--fsdkaggle2018", "a dir", "--noise", "some noise", "--stop_stage", 1]
    result = run(directory, "./run.sh", *words)
    assert result.returncode == 0, result.stderr
    asked = (directory / "asked").read_text()
    made = directory / "dump/conf/mix_random_soundbeam.yaml"
    assert f"--mix_config {made.relative_to(directory)} " in asked and "--noise" not in asked
    assert table(directory / "data/noise/wav.scp") == [str(directory / "some noise/fan.wav")]
    papers = MixingConfig.from_yaml(directory / "conf/mix_random_soundbeam.yaml")
    assert MixingConfig.from_yaml(made) == papers.with_noise("dump/8k/noise")

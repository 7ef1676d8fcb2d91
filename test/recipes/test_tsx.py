"""The recipe's shell: what it refuses, what it says, what it may not grow into."""

import dataclasses
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tsx_espnet.mixing.config import MixingConfig

ROOT = Path(__file__).parents[2]
EGS = ROOT / "egs"
DATASETS = sorted(path.parent.name for path in EGS.glob("*/run.sh"))
MIXING_CONFIGS = sorted(path.relative_to(EGS) for path in EGS.glob("*/conf/mix_*.yaml"))
LIMITS = {"*/run.sh": 35, "TEMPLATE/tsx.sh": 200, "TEMPLATE/lib.sh": 140, "*/local/data.sh": 60}
LIMITS.update({"TEMPLATE/new_classes.sh": 100, "TEMPLATE/run_paper.sh": 140})


@pytest.mark.parametrize("pattern", LIMITS)
def test_scripts_stay_small(pattern):
    files = list(EGS.glob(pattern))
    assert files
    for path in files:
        assert len(path.read_text().splitlines()) <= LIMITS[pattern], path


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(
    "name",
    ["tsx.sh", "new_classes.sh", "lib.sh", "cmd.sh", "path.sh", "utils", "conf/slurm.conf"],
)
def test_recipes_share_one_template(dataset, name):
    """A relative link, so that a clone works anywhere and nothing is copied per data set."""
    link = EGS / dataset / name
    assert link.is_symlink() and not Path(link.readlink()).is_absolute()
    assert link.resolve() == EGS / "TEMPLATE" / name


@pytest.mark.parametrize("dataset", DATASETS)
def test_help_lists_the_options_of_template_and_data_set(recipes, run, dataset):
    result = run(recipes / dataset, "./run.sh", "--help")
    assert result.returncode == 0 and not result.stderr
    options = re.findall(r"^  --(\w+)", result.stdout, re.M)
    assert {"stage", "stop_stage", "nj", "ngpu", "train_config"} <= set(options)
    assert {"mini": "clips_per_class"}.get(dataset, dataset) in options
    assert len(options) == len(set(options))


def test_configurations_are_not_copied():
    """Two recipes with the same file have a link to one place."""
    known = {}
    for path in sorted(EGS.glob("*/conf/*")):
        if not path.is_symlink():
            assert known.setdefault(path.read_bytes(), path) == path


@pytest.mark.parametrize(
    "dataset, script, values",
    [
        ("mini", "run_paper.sh", {"num_test": "300", "data_kind": "synthetic", "nj": "2"}),
        ("mini", "run_new_classes.sh", {"num_test": "300", "new_classes": "Meow"}),
        ("fsdkaggle2018", "run.sh", {"num_test": "10000", "num_valid": "10000"}),
        ("fsd50k", "run_paper.sh", {"num_test": "5000", "seed": "1"}),
        ("fsdkaggle2018", "run_paper.sh", {"num_test": "10000"}),
    ],
)
def test_help_shows_the_values_that_the_recipe_has(recipes, run, dataset, script, values):
    """It showed tsx.sh's own: 5000 test mixtures for all, and options that are refused."""
    result = run(recipes / dataset, f"./{script}", "--help")
    assert result.returncode == 0 and not result.stderr
    found = dict(re.findall(r"^  --(\w+) .*?(?: \[([^][]*)\])?$", result.stdout, re.M))
    assert {name: found[name] for name in values} == values
    assert "options_elsewhere" not in found
    assert ("stage" in found) == (script == "run.sh")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--stop_stag", "3"], "no option --stop_stag (did you mean --stop_stage?)"),
        (["--clips-per-clas", "3"], "no option --clips-per-clas (did you mean --clips_per_class?)"),
        (["--stage", "three"], "option --stage: expected a whole number, found 'three'"),
        (["--ngpu"], "option --ngpu needs a value"),
        (["--gpu_inference", "yes"], "option --gpu_inference: expected true or false, found 'yes'"),
        (["3"], "unexpected argument '3'"),
        (["--stage", "3", "--stop-stage", "2"], "--stage 3 lies after --stop_stage 2"),
        (["--nj", "0"], "--nj must be at least 1"),
        (["--mixing", "rnadom"], "no file conf/mix_rnadom_demo.yaml; there are: conf/mix_"),
        (["--method", "otc"], "no file conf/method_otc.yaml; there are: conf/method_enrl.yaml co"),
        (["--train_config", "conf/train_x.yaml"], "no file conf/train_x.yaml; there are: conf/tr"),
        (["--python", "no-such-python"], "tsx_espnet is not installed for no-such-python"),
    ],
)
def test_a_mistake_is_one_line(recipes, run, words, message):
    result = run(recipes / "mini", "./run.sh", *words)
    assert result.returncode in (1, 2)
    assert result.stderr.startswith(f"tsx.sh: {message}")
    assert result.stderr.count("\n") == 1 and not result.stdout


def test_unknown_backend(recipes, run):
    result = run(recipes / "mini", "./run.sh", cmd_backend="sge")
    assert result.returncode == 1
    assert result.stderr == "cmd.sh: cmd_backend must be local or slurm, found 'sge'\n"


@pytest.mark.parametrize(
    "words, tag",
    [
        ([], "oct_random_hard"),
        (["--method", "octpp", "--mixing", "same", "--train_seed", 2], "octpp_same_hard_seed2"),
        (["--train_config", "conf/train_small.yaml"], "small_oct_random_hard"),
        (["--method_config", "conf/method_hct.yaml", "--difficulty", "easy"], "hct_random_easy"),
        (["--method", "pit", "--tag", "mine"], "mine"),
    ],
)
def test_the_name_of_an_experiment_says_what_it_is(recipes, run, words, tag):
    stage = ["--stage", 6, "--stop_stage", 6]
    result = run(recipes / "fsd50k", "./run.sh", *words, *stage)
    assert result.stderr == f"tsx.sh: missing exp/{tag}/config.yaml: run stage 5\n"


@pytest.mark.parametrize(
    "stage, missing, needed",
    [
        (2, "data/train/wav.scp", 1),
        (3, "dump/8k/train/.done", 2),
        (4, "dump/8k/train/.done", 2),
        (5, "dump/8k/train/.done", 2),
        (6, "exp/oct_class_random_demo/config.yaml", 5),
        (7, "exp/oct_class_random_demo/infer/test_random_demo/.done", 6),
        (8, "exp/oct_class_random_demo/infer/test_random_demo/scores.csv", 7),
        (9, "exp/oct_class_random_demo/config.yaml", 5),
    ],
)
def test_a_stage_says_which_one_makes_its_input(recipes, run, stage, missing, needed):
    result = run(recipes / "mini", "./run.sh", "--stage", stage, "--stop_stage", stage)
    assert result.returncode == 1
    assert result.stderr == f"tsx.sh: missing {missing}: run stage {needed}\n"


def test_the_ideal_mask_needs_no_model(recipes, run):
    words = ("--method", "ideal_mask", "--stage", 5, "--stop_stage", 6)
    result = run(recipes / "mini", "./run.sh", *words)
    assert result.returncode == 1
    assert result.stderr == "tsx.sh: missing dump/8k/mix/test_random_demo/.done: run stage 3\n"


def test_fsd50k_says_what_is_missing_and_where_it_is(recipes, run):
    result = run(recipes / "fsd50k", "./run.sh")
    assert result.returncode == 2
    assert result.stderr.startswith("data.sh: --fsd50k DIR is missing")
    assert "zenodo.org/record/4060432" in result.stderr


def test_fsdkaggle2018_says_what_is_missing_and_where_it_is(recipes, run):
    result = run(recipes / "fsdkaggle2018", "./run.sh", "--new_classes", "Oboe")
    assert result.returncode == 2
    assert result.stderr.startswith("data.sh: --fsdkaggle2018 DIR is missing")
    assert "zenodo.org/record/2552860" in result.stderr


def test_a_failing_command_ends_the_recipe(recipes, run):
    result = run(recipes / "fsd50k", "./run.sh", "--fsd50k", "/no where")
    assert result.returncode == 1
    assert "/no where" in result.stderr and "stage 2" not in result.stdout
    *_, hint = result.stderr.splitlines()  # what the command calls "format again" is a stage here
    assert hint.startswith("tsx.sh: stage 1 failed; the stages are: 1 data, 2 format, 3 mix, ")
    assert ", 9 pack, 11 mix new classes, " in hint


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_runs_on_when_the_recipe_is_stopped(recipes, environment, number):
    mini = recipes / "mini"
    (mini / "local/data.sh").write_text("#!/bin/sh\necho $$ >pid\nsleep 300\ntrue\n")
    recipe = subprocess.Popen(
        ["./run.sh"], cwd=mini, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    limit = time.monotonic() + 20
    while not ((mini / "pid").is_file() and (mini / "pid").read_text().strip()):
        assert time.monotonic() < limit
        time.sleep(0.05)
    if number == signal.SIGINT:  # from a keyboard it reaches all in the foreground
        os.killpg(recipe.pid, number)
    else:
        recipe.send_signal(number)
    assert recipe.wait(20) != 0
    while Path("/proc", (mini / "pid").read_text().strip()).exists():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_started_elsewhere(recipes, run):
    result = run(recipes, "mini/run.sh")
    assert result.returncode == 2
    assert result.stderr == "run.sh: start it in its directory: cd mini\n"


def test_scripts_of_espnet_root_win(recipes, run, tmp_path):
    """A site's own run.pl keeps working: with ESPNET_ROOT its utils come first."""
    site = tmp_path / "espnet/egs2/TEMPLATE/asr1/utils"
    site.mkdir(parents=True)
    (site / "run.pl").write_text("#!/bin/sh\n")
    (site / "run.pl").chmod(0o755)
    command = ". ./path.sh && . ./path.sh && . ./cmd.sh && command -v ${train_cmd}"
    ours = run(recipes / "mini", "bash", "-euc", command)
    assert ours.stdout.strip() == str(recipes / "mini/utils/run.pl")
    theirs = run(recipes / "mini", "bash", "-euc", command, ESPNET_ROOT=str(tmp_path / "espnet"))
    assert theirs.stdout.strip() == str(site / "run.pl")


@pytest.mark.parametrize("path", MIXING_CONFIGS, ids=str)
def test_mixing_configs_say_what_their_name_says(path):
    _, strategy, difficulty = path.stem.split("_", 2)
    config = yaml.safe_load((EGS / path).read_text())
    assert config["strategy"] == strategy
    paper = {"hard": ([0.0, 2.5], 0.8), "easy": ([0.0, 5.0], 0.6)}  # OCT, section 3.1
    if difficulty in paper:
        assert (config["snr"], config["min_overlap"]) == paper[difficulty]
        assert config["duration"] == 5.0
    if difficulty == "soundbeam":  # section 5.1 of that paper
        assert (config["duration"], config["num_sources"]) == (6.0, 3)
        assert (config["clip_duration"], config["placement"]) == ([2.0, 5.0], "uniform")
        assert config["background"] == {"snr": [15.0, 25.0]}


def test_every_sound_of_soundbeams_mixtures_can_be_a_target():
    """Nothing else differs, so neither do the mixtures."""
    conf = EGS / "fsdkaggle2018" / "conf"
    one = MixingConfig.from_yaml(conf / "mix_random_soundbeam.yaml")
    every = MixingConfig.from_yaml(conf / "mix_random_soundbeam_all.yaml")
    assert one.num_targets == 1 and every == dataclasses.replace(one, num_targets="all")


@pytest.mark.parametrize("path", MIXING_CONFIGS, ids=str)
def test_mixing_configs_are_accepted(path):
    MixingConfig.from_yaml(EGS / path)


def test_bash_accepts_the_scripts():
    scripts = [*EGS.rglob("*.sh"), *(ROOT / "tools").glob("*.sh"), ROOT / ".ci/run"]
    for path in scripts:
        subprocess.run(["bash", "-n", path], check=True)

"""New classes of ``egs/mini`` from the first stage to the page, at a tiny size."""

import itertools
import json
import re
import shutil

import pytest
import torch

from tsx_espnet.evaluation.scores import read_scores
from tsx_espnet.experiment import load_experiment
from tsx_espnet.tables import read_table

SMALL = ["--clips_per_class", "10", "--num_valid", "4", "--num_test", "6", "--num_new", "6"]
SMALL += ["--num_adapt", "8", "--adapt_epochs", "2", "--examples", "1,5", "--num_draws", "2"]
SMALL += ["--nj", "1", "--shots", "1 5 5_draw1"]
SHOTS = ("1", "5", "5_draw1")
# what run_new_classes.sh gives each run
RUN = ["--datadir", "data/soundbeam", "--dumpdir", "dump/soundbeam", "--expdir", "exp/soundbeam"]
RUN += ["--train_config", "conf/train_soundbeam.yaml", "--difficulty", "events"]
RUN += ["--method", "mixed_el"]
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
    return finished_mini(*SMALL, "--train_args", MODEL, script="./run_new_classes.sh")


def table(path):
    return list(read_table(path).values())


def test_every_stage_ran(finished):
    mini, result = finished
    shared = re.findall(r"stage (\d+): ", result.stdout)
    own = re.findall(r"stage (\d+): ", (mini / EXP / "paper.log").read_text())
    assert shared == ["1", "2", "3", "11", "4"]
    assert own == ["5", "6", "7", "8", "12", "13", "14"]


def test_a_model_without_texts_has_no_text_embeddings(finished):
    mini, result = finished
    assert "mixed_el takes no vectors of texts" in result.stdout
    assert not (mini / "dump/soundbeam/text").exists()
    assert load_experiment(mini / EXP).config["text_embeddings"] is None


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


def test_every_adaptation_has_a_seed_of_its_own(finished):
    """A random start was one fixed draw for every K, draw of the recordings and run."""
    made = [
        json.loads((finished[0] / EXP / f"new_classes/random_K{shot}/.done").read_text())
        for shot in SHOTS
    ]
    assert [facts["seed"] for facts in made] == [1, 5, 105]


def test_a_random_start_differs_by_draw_and_by_K(finished):
    mini, _ = finished
    rows = [
        load_experiment(mini / EXP / f"new_classes/random_K{shot}").model.state_dict()
        for shot in SHOTS
    ]
    rows = [state["conditioners.class.new.weight"] for state in rows]
    for one, other in itertools.combinations(rows, 2):  # two epochs move a number by 0.002 or so
        assert (one - other).abs().max() > 0.1


def test_the_page_has_every_query_and_no_number_of_the_paper(finished):
    mini, result = finished
    page = (mini / "exp/soundbeam/NEW_CLASSES.md").read_text()
    assert "synthetic" in page and ": paper (dB)" not in page and "not run" not in page
    (row,) = re.findall(r"^\| adapted \(average start\) .*", page, re.M)[:1]
    assert len(re.findall(r"\d\.\d", row)) >= 2  # K = 1 and K = 5
    assert "New classes" in result.stdout


def test_a_second_run_does_nothing_again(finished, run):
    mini, _ = finished
    weights = mini / EXP / "new_classes/average_K5/valid.loss.ave.pth"
    made = weights.stat().st_mtime_ns
    result = run(mini, "./run.sh", *RUN, *SMALL, "--stage", 11, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert weights.stat().st_mtime_ns == made
    assert not re.search(r"\(\d+ %\)", result.stdout)  # no progress of any work


def test_a_stage_says_what_makes_its_input(recipes, run):
    mini = recipes / "mini"
    data, exp = "data/soundbeam/new_test/wav.scp", f"{EXP}/config.yaml"
    for stage, missing, needed in (
        *((stage, data, "1 with --new_classes") for stage in (11, 12, 13, 14)),
        (11, "dump/soundbeam/8k/train/.done", "2"),
        *((stage, exp, "5") for stage in (12, 13, 14)),
    ):
        if missing != data:
            for name in ("new_test", "new_enroll_5"):
                (mini / "data/soundbeam" / name).mkdir(parents=True, exist_ok=True)
                (mini / "data/soundbeam" / name / "wav.scp").touch()
        words = ["--stage", stage, "--stop_stage", stage, "--python", "./noted"]
        note(mini)
        result = run(mini, "./run.sh", *RUN, *words)
        assert result.returncode == 1
        assert result.stderr == f"tsx.sh: missing {missing}: run stage {needed}\n"


def test_what_is_there_is_what_is_mixed(recipes, run):
    """By draws, then by K; sets of an earlier choice leave their directories empty."""
    mini = recipes / "mini"
    note(mini)
    data, dump = mini / "data/soundbeam", mini / "dump/soundbeam/8k"
    words = [*RUN, "--stage", 11, "--stop_stage", 11, "--python", "./noted", "--nj", 1]
    (data / "new_enroll_2").mkdir(parents=True)
    for name in ("train", "test", "new_test"):
        for path in (data / name / "wav.scp", dump / name / ".done"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    result = run(mini, "./run.sh", *words)
    assert result.returncode == 1
    assert "missing data/soundbeam/new_enroll_<K>: run stage 1 with --examples" in result.stderr
    for shot in ("10", "1_draw1", "5", "10_draw1", "10_draw10", "10_draw2"):
        for path in (data / f"new_enroll_{shot}/wav.scp", dump / f"new_enroll_{shot}/.done"):
            path.parent.mkdir(parents=True)
            path.touch()
    result = run(mini, "./run.sh", *words)
    assert result.returncode == 0, result.stderr
    asked = re.findall(r"bin.mix --out \S*/(\S+) .* --job 1$", (mini / "asked").read_text(), re.M)
    assert [name.replace("random_events", "") for name in asked] == [
        *("new_seen_", "adapt__K5", "new_", "adapt__K10"),
        *("adapt__K1_draw1", "new__draw1", "adapt__K10_draw1"),
        *("new__draw2", "adapt__K10_draw2", "new__draw10", "adapt__K10_draw10"),
    ]


def test_without_new_classes_there_are_no_such_stages(recipes, run):
    mini = recipes / "mini"
    note(mini)
    result = run(mini, "./run.sh", *RUN, "--stage", 1, "--python", "./noted")
    assert result.returncode == 1 and "run stage 1\n" in result.stderr  # nothing was prepared
    words = ["--stage", 10, "--python", "./noted"]  # past all others
    result = run(mini, "./run.sh", *RUN, *words)
    assert result.returncode == 0, result.stderr
    assert "stage 1" not in result.stdout and "done, in" in result.stdout


@pytest.mark.parametrize(
    "words, message",
    [
        (["--nj", "0", "--stage", "11"], "tsx.sh: --nj must be at least 1"),
        (
            ["--difficulty", "demo", "--noise", "dir"],
            "error: --noise: conf/mix_random_demo.yaml has no background",
        ),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(recipes, run, words, message):
    """``--nj 0`` from stage 11 on was run.pl's "bad job range"."""
    result = run(recipes / "mini", "./run.sh", *words)
    assert result.returncode in (1, 2)
    assert result.stderr.startswith(message)
    assert not (recipes / "mini/data").exists() and not (recipes / "mini/downloads").exists()


def test_files_of_ones_own_name_what_is_made_of_them(recipes, run):
    """Stages 11 to 14 were of --method whatever --method_config said."""
    mini = recipes / "mini"
    for given, file in (("method_mixed", "method_mine"), ("mix_random_events", "mix_theirs")):
        shutil.copy(mini / f"conf/{given}.yaml", mini / f"{file}.yaml")
    words = ["--method_config", "method_mine.yaml", "--mix_config", "mix_theirs.yaml"]
    for stage in (6, 12):
        stages = ["--stage", stage, "--stop_stage", stage, "--shots", "5"]
        result = run(mini, "./run.sh", *RUN, *words, *stages)
        assert result.returncode == 1
        assert "missing exp/soundbeam/soundbeam_mine_theirs/config.yaml: " in result.stderr


NOTED = """#!/bin/sh
# Notes what the package is asked to make, and leaves the rest to Python.
case "$2 $3" in
"tsx_espnet.bin.train --print_conditions") exec python3 "$@" ;;
tsx_espnet.bin.*) echo "$*" >>asked ;;
*) exec python3 "$@" ;;
esac
"""


def note(directory):
    (directory / "noted").write_text(NOTED)
    (directory / "noted").chmod(0o755)


def test_options_of_the_first_stages_reach_the_last(recipes, run):
    """Stages 12 to 14 extracted and scored by defaults whatever was said."""
    mini = recipes / "mini"
    note(mini)
    adapted = [f"{EXP}/new_classes/{init}_K5" for init in ("random", "average")]
    for exp in (EXP, *adapted):
        (mini / exp).mkdir(parents=True)
        (mini / exp / "config.yaml").write_text("conditions:\n  class: {}\n  enrollment: {}\n")
    (mini / EXP / "valid.loss.ave.pth").touch()
    for name in ("new_random_events", "new_seen_random_events", "adapt_random_events_K5"):
        (mini / MIXTURES / name).mkdir(parents=True)
        (mini / MIXTURES / name / ".done").touch()
    words = ["--stage", 12, "--stop_stage", 14, "--shots", 5, "--nj", 1, "--python", "./noted"]
    words += ["--bss_eval", "false", "--audio_format", "flac"]
    words += ["--gpu_inference", "true", "--ngpu", 4]
    result = run(mini, "./run.sh", *RUN, *words, CUDA_VISIBLE_DEVICES="0")
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
    """Of fixed sets, of training and of new classes; all else stays as the paper has it."""
    directory = recipes / "fsdkaggle2018"
    note(directory)
    (directory / "local/data.sh").write_text(
        "#!/bin/sh\n"
        'for set in train valid test new_test new_enroll_5; do\n'
        'mkdir -p "data/${set}" "dump/8k/${set}" && touch "data/${set}/wav.scp"\n'
        'touch "dump/8k/${set}/.done"\ndone\n'
        "mkdir -p data/noise dump/8k/mix/valid_random_soundbeam && touch data/noise/wav.scp\n"
        "touch dump/8k/mix/valid_random_soundbeam/.done\n"
    )
    words = ["--noise", "some noise", "--python", "./noted", "--nj", 1]
    for stages in ((1, 5), (11, 11)):
        stages = ["--stage", stages[0], "--stop_stage", stages[1]]
        result = run(directory, "./run.sh", *words, *stages)
        assert result.returncode == 0, result.stderr
    asked = (directory / "asked").read_text().splitlines()
    (prepared,) = [line for line in asked if "bin.prepare noise" in line]
    assert "--noise some noise --data data/noise --mixing_config conf/mix_random_sound" in prepared
    assert any("bin.format --data data/noise --out dump/8k/noise" in line for line in asked)
    mixed = [line for line in asked if "bin.mix" in line]
    assert len(mixed) == 2 * 5 and all("--noise dump/8k/noise" in line for line in mixed)
    (trained,) = [line for line in asked if "bin.train " in line and "--print_" not in line]
    assert "--mixing_config conf/mix_random_soundbeam.yaml" in trained
    assert "--background_noise dump/8k/noise" in trained and "--text_embeddings" not in trained

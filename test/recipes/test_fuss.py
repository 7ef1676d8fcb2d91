"""``egs/fuss`` on a FUSS of some seconds, from files to scores; a set like it, of any clips."""

import csv
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from fuss_as_shipped import FS, LENGTH, write_fuss, write_wav

from tsx_espnet.tables import read_table, write_table

TINY = "--max_epoch 2 --batch_size 2 --num_workers 0 --encoder_conf hop_length=128"
TINY += " --decoder_conf hop_length=128 --extractor_conf num_repeats=1"
TINY += " --extractor_conf num_blocks=2 --extractor_conf bottleneck_channels=8"
TINY += " --extractor_conf hidden_channels=8"
SMALL = ["--train_config", "conf/train_small.yaml", "--train_args", TINY, "--nj", "1"]
SMALL += ["--num_threads", "1", "--bss_eval", "false"]
EXP = "exp/small_tdcn_shipped"


@pytest.fixture(scope="module")
def finished(finished_mini, tmp_path_factory):
    """The recipe after all stages on a small FUSS, what it printed, and the sources in FUSS."""
    root = tmp_path_factory.mktemp("a fuss")
    shipped = write_fuss(root, counts={"train": 4, "validation": 4, "eval": 4})
    options = ("--fuss", root, *SMALL)
    directory, result = finished_mini(*options, dataset="fuss")
    return SimpleNamespace(fuss=directory, result=result, options=options, shipped=shipped)


def test_every_stage_ran(finished):
    assert re.findall(r"stage (\d): ", finished.result.stdout) == list("123456789")
    said = "4 mixtures (number of sources: 1 of 1, 1 of 2, 1 of 3, 1 of 4)"
    assert said in finished.result.stdout
    assert (finished.fuss / EXP / "RESULTS.md").is_file()


def test_what_is_separated_and_scored_is_the_sum_of_the_shipped_sources(finished):
    mixtures = finished.fuss / "dump/16k/mix/test_shipped"
    for example, sources in finished.shipped["eval"].items():
        wavs = {file: read_table(mixtures / file) for file in ("wav.scp", "sources.scp")}
        name = f"test_{example}"
        found = {file: finished.fuss / table[name] for file, table in wavs.items()}
        total = np.sum(sources, axis=0, dtype=np.float64) / 2**15
        np.testing.assert_array_equal(soundfile.read(found["wav.scp"])[0], total)
        written = soundfile.read(found["sources.scp"], always_2d=True)[0]
        np.testing.assert_array_equal(written.T, np.stack(sources) / 2**15)


def test_estimates_sum_to_the_mixture_and_are_scored(finished):
    estimates = finished.fuss / EXP / "infer/test_shipped"
    tables = sorted(estimates.rglob("spk*.scp"))
    assert len(tables) == 4
    shipped = {f"test_{one}": sources for one, sources in finished.shipped["eval"].items()}
    for name, sources in shipped.items():
        outputs = [soundfile.read(finished.fuss / read_table(path)[name])[0] for path in tables]
        total = np.sum(sources, axis=0, dtype=np.float64) / 2**15
        np.testing.assert_allclose(np.sum(outputs, axis=0), total, atol=1e-5 * np.abs(total).max())
    with open(estimates / "scores.csv", newline="") as stream:
        scores = list(csv.DictReader(stream))
    assert {row["mixture"].partition("-")[0] for row in scores} == set(shipped)


def test_a_second_run_leaves_finished_work_alone(finished, run):
    done = (finished.fuss / "dump/16k/train/.done").stat().st_mtime_ns
    again = run(finished.fuss, "./run.sh", *finished.options, "--stop_stage", 3, timeout=300)
    assert again.returncode == 0, again.stderr
    assert "already done (4 mixtures as shipped, 10 sources)" in again.stdout
    assert "dump/16k/mix/test_shipped: already done (4 mixtures)" in again.stdout
    assert (finished.fuss / "dump/16k/train/.done").stat().st_mtime_ns == done


def test_a_method_that_hears_needs_a_classifier_from_elsewhere(finished, run):
    """One label for all sounds teaches nothing."""
    words = ("--method", "tdcn_mixture", "--stage", 4, "--stop_stage", 4)
    result = run(finished.fuss, "./run.sh", *finished.options, *words, timeout=300)
    assert result.returncode == 1
    expected = "tsx.sh: dump/16k/train has no labels to train a classifier on: --classifier DIR"
    assert result.stderr.splitlines()[0] == expected


@pytest.mark.parametrize(
    "script, words, message",
    [
        ("run.sh", ["--stage", 2], "tsx.sh: missing data/train/wav.scp: run stage 1"),
        (
            "run.sh",
            ["--stage", 2, "--reverb", "true"],
            "tsx.sh: missing data_reverb/train/wav.scp: run stage 1",
        ),
        ("run.sh", ["--stage", 3], "tsx.sh: missing dump/16k/train/.done: run stage 2"),
        (
            "run.sh",
            ["--stage", 6],
            "tsx.sh: missing exp/tdcn_shipped/config.yaml: run stage 5",
        ),
        (
            "run_pairs.sh",
            ["--stage", 6],
            "tsx.sh: missing exp/stft_tdcn_clips_pairs/config.yaml: run stage 5",
        ),
        ("run_pairs.sh", ["--stage", 2], "tsx.sh: missing data/clips_train/wav.scp: run stage 1"),
        ("run.sh", ["--noise", "noise"], "tsx.sh: --mixing shipped takes no --noise"),
    ],
)
def test_what_is_missing_or_wrong_is_one_line(recipes, run, script, words, message):
    result = run(recipes / "fuss", f"./{script}", *words)
    assert result.returncode in (1, 2)
    assert result.stderr == f"{message}\n"


def test_it_says_where_fuss_is(recipes, run):
    result = run(recipes / "fuss", "./run.sh")
    assert result.returncode == 2
    assert result.stderr.startswith("data.sh: --fuss DIR is missing")
    assert "zenodo.org/record/3743844" in result.stderr


def test_a_set_like_it_is_made_of_any_clips(recipes, run, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("train", "valid", "test"):
        wavs = {f"{name}{n}": tmp_path / "clips" / f"{name}{n}.wav" for n in range(4)}
        for path in wavs.values():
            write_wav(path, 3000 * rng.standard_normal(4 * LENGTH))
        write_table(tmp_path / "clips" / name / "wav.scp", wavs)
        write_table(tmp_path / "clips" / name / "utt2labels", dict.fromkeys(wavs, "Hiss"))
    options = ("--data", tmp_path / "clips", "--num_train", 3, "--out", tmp_path / "like")
    made = run(recipes / "fuss", "local/make_like.sh", *options, timeout=300)
    assert made.returncode == 0, made.stderr
    words = ("./run.sh", "--fuss", tmp_path / "like", "--stop_stage", 2, "--nj", 1)
    result = run(recipes / "fuss", *words, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "data/train: 3 mixtures" in result.stdout and "data/test: 1 mixtures" in result.stdout
    assert f"differ from these sums by {0:.1e} at most" in result.stdout
    assert soundfile.info(next((tmp_path / "like").rglob("background0_Hiss.wav"))).samplerate == FS

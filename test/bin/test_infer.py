"""The command infer."""

import json
import shutil

import pytest

from tsx_espnet.bin.infer import main
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import read_table, write_table


@pytest.fixture
def infer(tiny_experiment, mixture_set, tmp_path):
    def infer(*options, out="out", exp=tiny_experiment):
        paths = ["--exp", exp, "--mixtures", mixture_set.directory, "--out", tmp_path / out]
        main([str(part) for part in (*paths, *options)])
        return tmp_path / out

    return infer


def test_whole_and_in_parts(infer, capsys):
    whole = infer("--batch_size", "2")
    counts = "7 mixtures (energy 6, harmonicity 4, order 1, enrollment 5, class 6, text 6)"
    assert counts in capsys.readouterr().out
    for option in ("--job 2", "--job 1", "--merge"):
        parts = infer("--num_jobs", "2", *option.split(), out="parts")
    for table in whole.glob("*/*.scp"):
        names = [list(read_table(out / table.relative_to(whole))) for out in (whole, parts)]
        assert names[0] == names[1]


def test_weights_by_name(tiny_experiment, tmp_path, infer):
    with pytest.raises(TSXError, match="expected weights named 7epoch.pth, found valid.loss.ave"):
        infer("--model_file", "7epoch.pth")
    experiment = tmp_path / "exp"
    shutil.copytree(tiny_experiment, experiment)
    (experiment / "valid.loss.ave.pth").rename(experiment / "7epoch.pth")
    out = infer("--model_file", "7epoch.pth", "--audio_format", "flac", exp=experiment)
    assert len(list((out / "energy" / "wav").glob("*.flac"))) == 12


def test_some_conditions_and_the_first_enrollments(infer, mixture_set, capsys):
    table = {
        name: json.dumps([example, example]) if name != mixture_set.names[2] else "n/a"
        for name, example in mixture_set.wavs.items()
    }
    write_table(mixture_set.directory / "utt2enrollment", table)
    out = infer("--conditions", "class,enrollment", "--num_enrollments", "2")
    assert "7 mixtures (enrollment 6, class 6)" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [".done", "class", "enrollment"]
    infer("--conditions", "enrollment,class", "--num_enrollments", "2")
    assert "already done" in capsys.readouterr().out
    for options in (["--num_enrollments", "1"], [], ["--conditions", "class"]):
        infer("--conditions", "enrollment,class", *options)
        assert "already done" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, message",
    [
        ("--conditions class,Energy", "--conditions: expected some of .*, found 'Energy'"),
        ("--conditions class,", "--conditions: expected some of .*, found ''"),
        ("--num_enrollments 2", "mix00001: expected 2 enrollments or more, found 1"),
        ("--num_enrollments 0", "num_enrollments: expected at least 1, found 0"),
        (
            "--num_enrollments 1 --conditions class,text",
            "expected the condition enrollment in class, text",
        ),
        ("--batch_size 0", "batch_size: expected at least 1, found 0"),
        ("--num_threads 0", "num_threads: expected at least 1, found 0"),
        ("--num_jobs 2 --job 3", r"--job must lie in 1 .. 2 .*found 3"),
        ("--num_jobs 2 --job 1 --merge", "--merge and --job exclude each other"),
        ("--num_jobs 2 --merge", "parts.2/1: this part is not finished"),
    ],
)
def test_options_that_cannot_be(infer, options, message):
    with pytest.raises(TSXError, match=message):
        infer(*options.split())


def test_a_misspelt_option_is_named(infer):
    with pytest.raises(TSXError, match="no option --batchsize; did you mean --batch_size?"):
        infer("--batchsize", "3")

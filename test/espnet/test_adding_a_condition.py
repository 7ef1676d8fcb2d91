"""The condition of ``docs/adding_a_condition.md``, added as the page says, outside the package."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import yaml

import tsx_espnet
from tsx_espnet.tables import read_table

PACKAGE = Path(tsx_espnet.__file__).parents[1]
PAGE = PACKAGE / "docs" / "adding_a_condition.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def shell(tmp_path_factory, data):
    """Runs a script where there is what the page takes for granted; ``shell.root`` is the place."""
    root = tmp_path_factory.mktemp("length")
    for name in ("bin", "conf", "dump/8k"):
        (root / name).mkdir(parents=True)
    for name in ("train", "valid"):
        (root / "dump/8k" / name).symlink_to(data.clips)
    (root / "conf/mix.yaml").symlink_to(data.mixing_config)
    config = yaml.safe_load(data.train_config.read_text())
    config.update(max_epoch=1, num_workers=1)
    del config["conditions"]
    (root / "conf/train.yaml").write_text(yaml.safe_dump(config))
    (root / "length.py").write_text(blocks("python")[0])
    (root / "method_length.yaml").write_text(blocks("yaml")[0])
    soundfile.write(root / "mixture.wav", 0.1 * np.random.default_rng(0).normal(size=2000), 8000)
    script = f"#!{sys.executable}\nfrom tsx_espnet.bin.extract import entry\nentry()\n"
    (root / "bin/tsx-extract").write_text(script)
    (root / "bin/tsx-extract").chmod(0o755)

    def run(script):
        # where the package is not installed, the path of the plugin alone would hide it
        script = script.replace("PYTHONPATH=$PWD", f"PYTHONPATH=$PWD:{PACKAGE}")
        path = [str(root / "bin"), os.path.dirname(sys.executable), os.environ["PATH"]]
        env = {**os.environ, "PATH": os.pathsep.join(path), "PYTHONPATH": str(PACKAGE)}
        env.pop("TSX_PLUGINS", None)
        command = ["bash", "-euc", script]
        return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)

    return SimpleNamespace(run=run, root=root)


@pytest.fixture(scope="module")
def made(shell):
    """The commands of the page, run where a set of mixtures was made before there was a length."""
    (script,) = blocks("sh")
    (mix,) = re.findall(r"^python -m tsx_espnet.bin.mix (?:.*\\\n)*.*\n", script, re.M)
    before = shell.run(mix)
    assert before.returncode == 0, before.stderr
    mixtures = shell.root / "dump/8k/mix/valid"
    assert not (mixtures / "utt2length").exists()
    plans = (mixtures / "mixtures.jsonl").read_text()
    audio = {path: path.read_bytes() for path in mixtures.rglob("*.wav")}
    done = shell.run(script)
    assert done.returncode == 0, done.stderr
    exp = shell.root / "exp/length"
    return SimpleNamespace(mixtures=mixtures, plans=plans, audio=audio, exp=exp)


def test_a_set_from_before_is_completed_and_nothing_else_changes(made):
    values = read_table(made.mixtures / "utt2length")
    assert {"short", "long"} <= set(values.values()) <= {"short", "long", "n/a"}
    lines = (made.mixtures / "mixtures.jsonl").read_text().splitlines()
    for old, new in zip(made.plans.splitlines(), map(json.loads, lines)):
        assert new["conditions"].pop("length", "n/a") == values[new["id"]]
        assert new == json.loads(old)
    assert made.audio and {path: path.read_bytes() for path in made.audio} == made.audio


def test_it_is_trained_on_and_scored(made):
    config = yaml.safe_load((made.exp / "config.yaml").read_text())
    assert config["conditions"] == {"length": {}}
    values = read_table(made.mixtures / "utt2length")
    rows = (made.exp / "infer/valid/scores.csv").read_text().splitlines()
    scored = [row.split(",")[:3] for row in rows if ",length," in row and ",oracle," not in row]
    assert scored == [[name, "length", value] for name, value in values.items() if value != "n/a"]


def test_it_queries_a_recording_in_python_as_on_the_command_line(made, shell):
    code = blocks("python")[1] + "soundfile.write('again.wav', target, fs, subtype='FLOAT')\n"
    (shell.root / "query.py").write_text(code)
    done = shell.run("python query.py")
    assert done.returncode == 0, done.stderr
    found, expected = (soundfile.read(shell.root / name) for name in ("again.wav", "long.wav"))
    np.testing.assert_array_equal(found[0], expected[0])
    assert np.abs(found[0]).max() > 0


@pytest.mark.parametrize(
    "command, message",
    [
        ("tsx-extract mixture.wav --model exp/length --length long -o a.wav", "no option --length"),
        (
            "tsx-extract mixture.wav --model exp/length --energy low -o a.wav",
            "exp/length/config.yaml: no condition 'length': expected one of energy, harmonicity, "
            "order, enrollment, class, text, or one of a module that TSX_PLUGINS names",
        ),
        ("TSX_PLUGINS=lenght tsx-extract --help", "TSX_PLUGINS=lenght: No module named 'lenght'"),
        (
            "PYTHONPATH=$PWD TSX_PLUGINS=length "
            "tsx-extract mixture.wav --model exp/length --length lang -o a.wav",
            "unknown length 'lang'; expected short or long",
        ),
    ],
)
def test_mistakes_are_one_line(made, shell, command, message):
    done = shell.run(command)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"error: {message}") and done.stderr.count("\n") == 1


def test_help_lists_it(shell):
    done = shell.run("PYTHONPATH=$PWD TSX_PLUGINS=length tsx-extract --help")
    assert "--length {short,long} short or long: the sound" in " ".join(done.stdout.split())
    assert "--length" not in shell.run("tsx-extract --help").stdout


def test_it_is_reported(made, shell):
    report = "python -m tsx_espnet.bin.report --exp exp/length --mixtures dump/8k/mix/valid"
    done = shell.run(f"export PYTHONPATH=$PWD TSX_PLUGINS=length\n{report}")
    assert done.returncode == 0, done.stderr
    assert "| length |" in (made.exp / "RESULTS.md").read_text()

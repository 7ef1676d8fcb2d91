"""conf/slurm.conf with whatever in it: slurm.pl submits or says in its own words why not.

A quote without its mate made Perl's ``shellwords`` return no word at all: the option, say the
memory limit of all jobs, was left out in silence.
"""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UTILS = Path(__file__).parents[2] / "egs/TEMPLATE/utils"
CONF = """command sbatch --export=PATH
option mem=* --mem-per-cpu $0   # in MB
option mem=0
option gpu=* --gres=gpu:$0
default mem=2000
"""
PIECES = [
    *("'", '"', "\\", "$0", "$(id)", "`id`", "#", "=", "=*", "*", "%", "-", " ", "@{[die]}"),
    *("option ", "default gpu=", "command ", "\0", "\n", "\r", "é", "\udcff", "9" * 50),
]
edits = st.lists(
    st.tuples(st.integers(0, len(CONF)), st.integers(0, 9), st.sampled_from(PIECES)),
    min_size=1,
    max_size=4,
)


@pytest.fixture
def submit(tmp_path):
    """``(configuration, *options) -> (exit status, standard error, sbatch's words)``."""
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin/sbatch"
    sbatch.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\necho refused\nexit 1\n')
    sbatch.chmod(0o755)

    def run(conf, *options):
        (tmp_path / "slurm.conf").write_bytes(conf.encode(errors="surrogateescape"))
        (tmp_path / "words").write_text("")
        end = subprocess.run(
            [UTILS / "slurm.pl", "--config", "slurm.conf", *options, "log/x.log", "true"],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
            capture_output=True,
            timeout=30,
        )
        errors = end.stderr.decode(errors="replace")
        words = (tmp_path / "words").read_text(errors="surrogateescape")
        return end.returncode, errors, words.splitlines()

    return run


@given(edits)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_configuration(submit, edits):
    text = CONF
    for place, length, piece in edits:
        text = text[:place] + piece + text[place + length :]
    status, errors, _ = submit(text)
    assert status == 1  # as sbatch refuses all
    assert errors.startswith("slurm.pl: ")
    assert " at " + str(UTILS) not in errors  # Perl's own


@pytest.mark.parametrize(
    "line", ["option mem=* --mem '$0", 'command sbatch "--export', "option mem=* --mem $0 \\"]
)
def test_a_quote_without_its_mate_is_named(submit, line):
    status, errors, words = submit(f"command sbatch\noption mem=* --mem $0\n{line}\n", "--mem", "7")
    assert status == 1 and words == []
    assert errors.startswith("slurm.pl: slurm.conf: a quote or backslash without its mate in '")


def test_a_good_one_reaches_sbatch(submit):
    _, errors, words = submit(CONF, "--gpu", "2")
    assert words[:3] == ["--export=PATH", "--gres=gpu:2", "--mem-per-cpu"] and "refused" in errors

"""Options are declared once, by the line that sets the default; values are never evaluated."""

import pytest

SCRIPT = """#!/usr/bin/env bash
set -euo pipefail
nj=4               # number of jobs
use_gpu=false      # whether to
some_name=         # what it is
local_like=x # set elsewhere, one space
readonly options_elsewhere=other.sh
  indented=1
. utils/parse_options.sh
late=1
printf '%s\\n' "${nj}" "${use_gpu}" "${some_name}" "${options_forwarded[*]-}" "$*"
"""


@pytest.fixture
def script(recipes):
    path = recipes / "mini/script.sh"
    path.write_text(SCRIPT)
    other = "nj=1\ncorpus_dir=/none  # where\n. utils/parse_options.sh\n"
    (recipes / "mini/other.sh").write_text(other)
    return path


def call(run, script, *words):
    result = run(script.parent, "bash", script, *words)
    return result.returncode, result.stdout.split("\n")[:-1], result.stderr


def test_defaults(run, script):
    assert call(run, script) == (0, ["4", "false", "", "", ""], "")


def test_values_dashes_and_equal_signs(run, script):
    words = ["--nj", "8", "--use-gpu", "true", "--some-name=a=b c", "rest", "--nj", "9"]
    assert call(run, script, *words) == (0, ["8", "true", "a=b c", "", "rest --nj 9"], "")


@pytest.mark.parametrize(
    "value", ["$(touch pwned)", "`touch pwned`", "a;b", "$HOME", "--nj 3", "'\"", "*"]
)
def test_values_are_taken_as_they_are(run, script, value):
    assert call(run, script, "--some_name", value) == (0, ["4", "false", value, "", ""], "")
    assert not (script.parent / "pwned").exists()


def test_options_of_the_other_script_are_forwarded(run, script):
    words = ["--corpus-dir", "/my corpus", "--nj", "2"]
    assert call(run, script, *words) == (0, ["2", "false", "", "--corpus_dir /my corpus", ""], "")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--njj", "2"], "script.sh: no option --njj (did you mean --nj?)"),
        (["--some-nmae", "2"], "script.sh: no option --some-nmae (did you mean --some_name?)"),
        (["--corpus_dri=x"], "script.sh: no option --corpus_dri (did you mean --corpus_dir?)"),
        (["--zzzzzzzzz", "2"], "script.sh: no option --zzzzzzzzz"),
        (["--PATH", "/none"], "script.sh: no option --PATH"),
        (["--late", "2"], "script.sh: no option --late"),
        (["--indented", "2"], "script.sh: no option --indented"),
        (["--nj"], "script.sh: option --nj needs a value"),
        (["--nj", "two"], "script.sh: option --nj: expected a whole number, found 'two'"),
        (["--nj", ""], "script.sh: option --nj: expected a whole number, found ''"),
        (["--use_gpu", "1"], "script.sh: option --use_gpu: expected true or false, found '1'"),
    ],
)
def test_mistakes_are_one_line_and_status_2(run, script, words, message):
    status, output, errors = call(run, script, *words)
    assert (status, output) == (2, [])
    assert errors.startswith(message) and errors.count("\n") == 1


def test_help_is_the_block_of_declarations_with_the_values_of_now(run, script):
    status, output, errors = call(run, script, "--nj", "7", "--help")
    assert (status, errors) == (0, "")
    options = dict(line.strip().split(maxsplit=1) for line in output if line.startswith("  --"))
    assert options["--nj"] == "number of jobs [7]"
    assert options["--use_gpu"] == "whether to [false]"
    assert options["--local_like"] == "set elsewhere, one space [x]"
    assert options["--corpus_dir"] == "where [/none]"
    assert "--late" not in options and len(options) == 5


def test_help_shows_what_a_script_on_the_way_gives(run, script):
    """The comment of such a script gives nothing; an option of the command line wins."""
    (script.parent / "thin.sh").write_text(
        "#   ./thin.sh --corpus_dir 1\nexec ./other.sh \\\n  --nj 3 --corpus_dir /thin \\\n  $@\n"
    )
    (script.parent / "other.sh").write_text(
        "corpus_dir=/none # where\nrate=8  # of it\n. utils/parse_options.sh\n"
    )
    line = "readonly options_elsewhere=other.sh"
    more = f"{line} options_hidden=rate options_through=thin.sh"
    script.write_text(script.read_text().replace(line, more))
    shown = call(run, script, "--help")[1]
    assert "  --corpus_dir         where [/thin]" in shown
    assert not any("--rate" in line for line in shown)
    shown = call(run, script, "--rate", 9, "--corpus_dir", "my own", "--help")[1]
    assert "  --corpus_dir         where [my own]" in shown


def test_config_is_sourced_and_empty_cmd_is_refused(run, recipes):
    script = recipes / "mini/kaldi_like.sh"
    script.write_text("config=\ncmd=run.pl\nbeam=1\n. utils/parse_options.sh\necho $beam\n")
    (recipes / "mini/my.conf").write_text("beam=5\n")
    assert call(run, script, "--config", "./my.conf") == (0, ["5"], "")
    assert call(run, script, "--cmd", "")[0] == 2


def test_config_of_the_environment_is_not_sourced(run, script):
    (script.parent / "my.conf").write_text("nj=99\n")
    result = run(script.parent, "bash", script, config="./my.conf")
    assert result.stdout.startswith("4\n")

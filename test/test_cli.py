"""A misspelt option of any command is one line that names it and the nearest option."""

import importlib
import pkgutil

import pytest

import tsx_espnet.bin
from tsx_espnet.bin.prepare import PREPARE
from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import TSXError

COMMANDS = [
    module.name
    for module in pkgutil.iter_modules(tsx_espnet.bin.__path__)
    if module.name not in ("train", "train_classifier", "espnet")  # ESPnet's: test/espnet
]


# of the commands that have them: "prepare noise"
SUBCOMMANDS = [f"prepare {corpus}" for corpus in PREPARE]


def error_of(command, *words):
    command, *subcommand = command.split()
    module = importlib.import_module(f"tsx_espnet.bin.{command}")
    with pytest.raises(TSXError) as error:
        module.main([*subcommand, *words])
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS])
def test_every_option_of_every_command(command):
    """Whatever else is missing, and never taken for the option it abbreviates."""
    module, *subcommand = command.split()
    parser = importlib.import_module(f"tsx_espnet.bin.{module}").get_parser()
    for name in subcommand:
        parser = parser._subparsers._group_actions[0].choices[name]
    options = [name for action in parser._actions for name in action.option_strings]
    for option in (name for name in options if name.startswith("--")):
        assert error_of(command, option + "x", "1") == (
            f"no option {option}x; did you mean {option}?"
        )
        if option[:-1] not in options:
            assert error_of(command, option[:-1] + "=1").startswith(f"no option {option[:-1]}; did")
    assert error_of(command, "--zzz") == "no option --zzz; --help lists them"


def test_what_argparse_finds_is_one_line_too():
    assert "the following arguments are required: --out, --fs" in error_of("format", "--data", "x")
    words = ["--data", "x", "--out", "y", "--fs", "fast"]
    assert error_of("format", *words) == "argument --fs: invalid int value: 'fast'"
    assert "invalid choice: 'max'" in error_of("embed_text", "--pooling", "max")


def test_a_corpus_that_there_is_not():
    assert "invalid choice: 'fsd50'" in error_of("prepare", "fsd50", "--data", "x")
    assert "the following arguments are required: CORPUS" in error_of("prepare")


def test_right_options_are_taken():
    parser = CommandParser()
    parser.add_argument("--text")
    parser.add_argument("file", nargs="?")
    assert parser.parse_args(["--text=--loud", "--", "--odd.wav"]).file == "--odd.wav"
    assert parser.parse_args(["--text", "a -- b"]).text == "a -- b"

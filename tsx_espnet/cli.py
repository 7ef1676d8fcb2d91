"""The options of a command: argparse, but a mistake is one line that names the option."""

import argparse
import sys
from typing import Any, Optional, Sequence

from tsx_espnet.checks import did_you_mean
from tsx_espnet.errors import TSXError


def no_option(option: str, known: Sequence[str], listing: str) -> str:
    """The message for an unknown option: the nearest known one, or the option that lists them.

    >>> no_option("--clisp", ["--clips", "--out"], "--help")
    'no option --clisp; did you mean --clips?'
    """
    return f"no option {option}; {did_you_mean(option, known, f'{listing} lists them')}"


class CommandParser(argparse.ArgumentParser):
    """Takes options by their full names only.

    argparse alone would take ``--num_mix`` for ``--num_mixtures``, and answer ``--clisp DIR`` with
    its usage and "required: --clips".
    """

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args: Optional[Sequence[str]] = None, namespace=None):
        """As argparse's, once every word that looks like an option is known to be one."""
        known = list(self._option_string_actions)
        for word in sys.argv[1:] if args is None else args:
            option = word.partition("=")[0]
            if option == "--":
                break
            if option.startswith("--") and option not in known:
                self.error(no_option(option, known, "--help"))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> None:
        """Raises: TSXError: always; argparse calls this for any mistake on the command line."""
        raise TSXError(message)

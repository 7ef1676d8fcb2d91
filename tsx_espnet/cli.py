"""The options of a command: argparse, but a mistake is one line that names the option."""

import argparse
import difflib
import sys
from typing import Any, Optional, Sequence

from tsx_espnet.errors import TSXError


def no_option(option: str, known: Sequence[str], listing: str) -> str:
    """The message for an unknown option: the nearest known one, or the option that lists them.

    >>> no_option("--clisp", ["--clips", "--out"], "--help")
    'no option --clisp; did you mean --clips?'
    """
    near = difflib.get_close_matches(option, known, n=1)
    return f"no option {option}" + (
        f"; did you mean {near[0]}?" if near else f" ({listing} lists them)"
    )


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
            if option == "--" or (self._subparsers is not None and not word.startswith("-")):
                break  # the rest is for the subcommand
            if option.startswith("--") and option not in known:
                self.error(no_option(option, known, "--help"))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> None:
        """Raises: TSXError: always; argparse calls this for any mistake on the command line."""
        raise TSXError(message)


def add_page_arguments(parser: argparse.ArgumentParser, tags: str) -> None:
    """The options of a command that sets a paper's tables beside those of many experiments.

    Args:
        tags: how the experiments are named.
    """
    parser.add_argument(
        "--exp", required=True, metavar="DIR", help=f"holds the experiments (stage 7), named {tags}"
    )
    parser.add_argument("--size", metavar="NAME", help="only those named <NAME>_<method>_...")
    parser.add_argument(
        "--data_kind", choices=("synthetic", "recordings"), help="what the sounds are"
    )
    parser.add_argument("--title", help="of the file")
    parser.add_argument("--out", required=True, metavar="FILE", help="the Markdown file")
    parser.add_argument("--figure", metavar="FILE", help="also draw Figure 2, as PNG")

"""Compare experiments that scored the same test set, and make their oracle ensemble."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.conditions import ASKED
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "experiments",
        nargs="+",
        metavar="EXP[:CONDITION]",
        help="a scored experiment, and what it is queried by; differences are to the first",
    )
    parser.add_argument(
        "--set", metavar="NAME", help="the test set (default: the only one that all have scored)"
    )
    parser.add_argument(
        "--condition",
        metavar="NAME",
        help=f"of the experiments that name none and have it: {', '.join(ASKED)} or oracle "
        "(default, and of the others: text, else their last)",
    )
    parser.add_argument("--out", metavar="FILE", help="also write it to this file, as Markdown")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print a table of all experiments, differences to the first, and the oracle ensemble."""
    args = get_parser().parse_args(argv)
    from tsx_espnet.evaluation.compare import compare

    print(compare(args.experiments, args.set, args.condition, args.out))


if __name__ == "__main__":
    run_command(main)

"""Write RESULTS.md with tables, figures and sounds, and print the table."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--exp",
        required=True,
        metavar="DIR",
        help="the experiment",
    )
    parser.add_argument(
        "--mixtures", required=True, metavar="DIR", help="the test mixtures"
    )
    parser.add_argument(
        "--set", metavar="NAME", help="scores are in EXP/infer/NAME (default: name of --mixtures)"
    )
    parser.add_argument(
        "--examples", type=int, default=3, metavar="N", help="number of mixtures to listen to"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="where RESULTS.md and all it shows go (default: --exp)"
    )
    parser.add_argument(
        "--data_kind", choices=("synthetic", "recordings"), help="what the sounds are"
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the report of one experiment on one test set."""
    args = get_parser().parse_args(argv)
    check_at_least(0, examples=args.examples)
    from tsx_espnet.evaluation.report import report

    print(report(args.exp, args.mixtures, args.set, args.examples, args.data_kind, args.out))


if __name__ == "__main__":
    run_command(main)

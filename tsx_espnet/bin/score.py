"""Score the estimates of a set of mixtures, into ``scores.csv`` beside them."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser, Jobs, add_job_arguments
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument("--mixtures", required=True, metavar="DIR", help="the mixtures")
    parser.add_argument(
        "--estimates",
        required=True,
        metavar="DIR",
        help="their estimates; scores.csv is written here",
    )
    parser.add_argument(
        "--skip_bss", action="store_true", help="leave out BSS-eval's SDR, SIR and SAR (slower)"
    )
    add_job_arguments(parser)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Score a whole set, one job's part of it, or put the finished parts together."""
    args = get_parser().parse_args(argv)
    jobs = Jobs.of(args)
    from tsx_espnet.evaluation.score import Scores
    from tsx_espnet.mixing.mixture_set import MixtureSet

    Scores(MixtureSet(args.mixtures), args.estimates, args.skip_bss).write(jobs)


if __name__ == "__main__":
    run_command(main)

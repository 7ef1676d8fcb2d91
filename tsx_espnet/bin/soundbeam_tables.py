"""Write Tables 1 and 2 and Figure 2 of the SoundBeam paper, its numbers beside ours."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser, add_page_arguments
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    add_page_arguments(
        parser, "<method>_<kind>[_seed<k>], method one of onehot, enrl, mixed, mixed_el"
    )
    parser.add_argument(
        "--kind",
        default="random_soundbeam",
        metavar="NAME",
        help="the way of mixing that experiments and sets are named by (default: %(default)s)",
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the tables, and print the main ones."""
    args = get_parser().parse_args(argv)
    from tsx_espnet.evaluation.soundbeam import write_soundbeam

    options = (args.size, args.data_kind, args.title, args.figure, args.kind)
    print(write_soundbeam(args.exp, args.out, *options))


if __name__ == "__main__":
    run_command(main)

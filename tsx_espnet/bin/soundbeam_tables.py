"""Write Tables 1 and 2 and Figure 2 of the SoundBeam paper, its numbers beside ours."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.command import CommandParser
from tsx_espnet.error import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--exp",
        required=True,
        metavar="DIR",
        help="holds the experiments (stage 7), named <method>_<kind>[_seed<k>], method one of "
        "onehot, enrl, mixed, mixed_el",
    )
    parser.add_argument("--size", metavar="NAME", help="only those named <NAME>_<method>_...")
    parser.add_argument(
        "--kind",
        default="random_soundbeam",
        metavar="NAME",
        help="the way of mixing that experiments and sets are named by (default: %(default)s)",
    )
    parser.add_argument(
        "--data_kind", choices=("synthetic", "recordings"), help="what the sounds are"
    )
    parser.add_argument("--title", help="of the file")
    parser.add_argument("--out", required=True, metavar="FILE", help="the Markdown file")
    parser.add_argument("--figure", metavar="FILE", help="also draw Figure 2, as PNG")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the tables, and print the main ones."""
    args = get_parser().parse_args(argv)
    from tsx_espnet.scoring.soundbeam import write_soundbeam

    options = (args.size, args.data_kind, args.title, args.figure, args.kind)
    print(write_soundbeam(args.exp, args.out, *options))


if __name__ == "__main__":
    run_command(main)

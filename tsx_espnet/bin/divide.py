"""Divide formatted clips in two: for a sound classifier, and for the separation that it helps."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument("--clips", required=True, metavar="DIR", help="formatted clips")
    parser.add_argument("--share", required=True, type=float, help="of the clips, between 0 and 1")
    parser.add_argument("--out", required=True, metavar="DIR", help="formatted clips: the share")
    parser.add_argument("--rest", required=True, metavar="DIR", help="formatted clips: the others")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write both directories."""
    args = get_parser().parse_args(argv)
    from tsx_espnet.clips.share import Share

    shares = [
        Share(args.clips, directory, args.share, rest)
        for directory, rest in ((args.out, False), (args.rest, True))
    ]
    for share in shares:
        share.write()


if __name__ == "__main__":
    run_command(main)

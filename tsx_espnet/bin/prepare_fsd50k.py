"""Make data directories (wav.scp, utt2labels) of FSD50K as it ships."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.corpora import fsd50k
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--fsd50k",
        required=True,
        metavar="DIR",
        help=f"holds {', '.join(fsd50k.AUDIO.values())}, {fsd50k.GROUND_TRUTH} ({fsd50k.URL})",
    )
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="where to write train, valid and test"
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Prepare the corpus and print how many clips there are."""
    args = get_parser().parse_args(argv)
    for name, (clips, missing) in fsd50k.prepare(args.fsd50k, args.data).items():
        note = f", {missing} left out as their audio file is missing" if missing else ""
        print(f"{args.data}/{name}: {clips} clips{note}")


if __name__ == "__main__":
    run_command(main)

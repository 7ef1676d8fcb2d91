"""Make a data directory (wav.scp, utt2labels) of recordings of noise, for backgrounds."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.corpora import noise
from tsx_espnet.errors import TSXError, run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--noise",
        required=True,
        metavar="DIR",
        help=f"holds recordings ({', '.join(noise.SUFFIXES)}), in folders or not",
    )
    parser.add_argument("--data", required=True, metavar="DIR", help="directory to write")
    parser.add_argument(
        "--mixing_config", metavar="FILE", help="what it is for: refused if it has no background"
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Prepare the recordings and print how many there are."""
    args = get_parser().parse_args(argv)
    if args.mixing_config is not None:
        from tsx_espnet.mixing.config import MixingConfig

        if MixingConfig.from_yaml(args.mixing_config).background is None:
            raise TSXError(f"--noise: {args.mixing_config} has no background that it could be of")
    print(f"{args.data}: {noise.prepare(args.noise, args.data)} recordings of noise")


if __name__ == "__main__":
    run_command(main)

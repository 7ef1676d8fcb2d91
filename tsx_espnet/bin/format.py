"""Bring the clips of a data directory to one rate (mono, 16 bit) and measure their energies.

Mixtures (a data directory with mixtures.jsonl) are checked and used as they are.
"""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser, Jobs, add_job_arguments
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--data",
        required=True,
        metavar="DIR",
        help="data directory with wav.scp, and utt2labels, text or both",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="directory to write")
    parser.add_argument("--fs", required=True, type=int, help="sampling rate of the result in Hz")
    add_job_arguments(parser)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = get_parser().parse_args(argv)
    from tsx_espnet.clips.format import format_set
    from tsx_espnet.mixing.shipped import format_shipped, is_mixed

    write = format_shipped if is_mixed(args.data) else format_set
    write(args.data, args.out, args.fs, Jobs.of(args))


if __name__ == "__main__":
    run_command(main)

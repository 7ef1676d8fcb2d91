"""Generate the sounds of egs/mini and write its data directories."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.corpora.examples import example_numbers
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = CommandParser(
        prog="python -m tsx_espnet.bin.prepare_mini",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", required=True, help="directory of the sounds")
    parser.add_argument("--data", required=True, help="directory of the data directories")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other sounds")
    parser.add_argument("--clips_per_class", type=int, default=40, help="clips of each class")
    parser.add_argument(
        "--new_classes",
        default="",
        metavar="A,B,...",
        help="labels such as Meow: classes that are held out, to be new_train and new_test",
    )
    parser.add_argument(
        "--examples",
        default="1,5",
        metavar="K,...",
        help="of each new class, K clips of new_train are new_enroll_K",
    )
    parser.add_argument(
        "--num_draws", type=int, default=1, help="choose them so often: new_enroll_K_draw1, ..."
    )
    parser.add_argument("--num_jobs", type=int, default=1, help="number of processes")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the command."""
    args = get_parser().parse_args(argv)
    from tsx_espnet.corpora.mini.prepare import prepare_mini  # scipy: not for --help

    args.new_classes = [label for label in args.new_classes.split(",") if label]
    args.examples = example_numbers(args.examples)
    prepare_mini(**vars(args))


if __name__ == "__main__":
    run_command(main)

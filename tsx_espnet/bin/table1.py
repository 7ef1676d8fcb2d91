"""Write Table 1 and the data of Figure 2 of the OCT paper, its numbers beside ours."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser, add_page_arguments
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    add_page_arguments(parser, "<method>_<mixing>_<difficulty>[_seed<k>]")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the tables, and print Table 1."""
    args = get_parser().parse_args(argv)
    from tsx_espnet.evaluation.table1 import write_table1

    print(write_table1(args.exp, args.out, args.size, args.data_kind, args.title, args.figure))


if __name__ == "__main__":
    run_command(main)

"""Set the tables of a paper beside ours, and judge what it claims; or list the runs it needs."""

import argparse
from typing import List, Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import TSXError, run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--paper", required=True, metavar="FILE", help="paper.yaml (docs/paper_yaml.md)"
    )
    parser.add_argument(
        "--exp", metavar="DIR", help="holds the experiments, named by their tags (see --list_runs)"
    )
    parser.add_argument("--size", default="", metavar="NAME", help="what their tags start with")
    parser.add_argument(
        "--kind",
        metavar="MIXING_DIFFICULTY",
        help="the way of mixing that tags and sets are named by, in place of the paper's only one",
    )
    parser.add_argument(
        "--data_kind", choices=("synthetic", "recordings"), help="what the sounds are"
    )
    parser.add_argument("--title", help="of the page (default: the paper's)")
    parser.add_argument("--out", metavar="FILE", help="the page, Markdown")
    parser.add_argument("--figure", metavar="FILE", help="also draw the figure, PNG")
    runs = parser.add_argument_group("instead of a page")
    runs.add_argument(
        "--list_runs",
        action="store_true",
        help="print the runs that the paper needs, one a line: tag, method, mixing, difficulty, "
        "seed, and whether new classes are added to it (yes, no), with tabs between",
    )
    runs.add_argument("--seeds", default="0", metavar='"N ..."', help="of training (default: 0)")
    for name in ("methods", "mixings", "difficulties"):
        runs.add_argument(f"--{name}", default="", metavar='"NAME ..."', help="only these (all)")
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the page and print its tables, or print the runs."""
    args = get_parser().parse_args(argv)
    from tsx_espnet.evaluation.paper_yaml import read_paper

    paper = read_paper(args.paper, args.kind)
    if args.list_runs:
        names = [getattr(args, name).split() for name in ("methods", "mixings", "difficulties")]
        for run in paper.runs(args.size, _seeds(args.seeds), *names):
            print("\t".join(run))
        return
    for option in ("exp", "out"):
        if getattr(args, option) is None:
            raise TSXError(f"option --{option} is required (or --list_runs)")
    from tsx_espnet.evaluation.page import write_page

    print(
        write_page(paper, args.exp, args.out, args.size, args.data_kind, args.title, args.figure)
    )


def _seeds(text: str) -> List[int]:
    for word in text.split() or [""]:
        if not (word.isascii() and word.isdecimal()):
            raise TSXError(f"--seeds: expected whole numbers, found {text!r}")
    return [int(word) for word in text.split()]


if __name__ == "__main__":
    run_command(main)

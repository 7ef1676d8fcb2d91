"""Embed every phrase by which the sources of some data directories can be queried."""

import argparse
from pathlib import Path
from typing import List, Sequence

from tsx_espnet.cli import CommandParser, Jobs, add_job_arguments
from tsx_espnet.clips.datadir import LABELS, PHRASES, TEXT, text_file
from tsx_espnet.conditions import phrases_of
from tsx_espnet.conditions.words import parse_captions
from tsx_espnet.errors import TSXError, run_command
from tsx_espnet.tables import read_table


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--data", nargs="+", required=True, help="directories with utt2labels, text, or both"
    )
    parser.add_argument("--out", required=True, help="the table to write (.safetensors)")
    parser.add_argument(
        "--language_model",
        default="all-MiniLM-L6-v2",
        help="all-MiniLM-L6-v2 (from the package that carries it), a hub name or a directory",
    )
    parser.add_argument("--pooling", default="mean", choices=["mean", "first"])
    add_job_arguments(parser)
    return parser


def phrases_in(directory: str) -> List[str]:
    """Every phrase of the sources of a data directory: labels, captions, phrases.

    Raises:
        TSXError: if it has neither labels nor captions, or one of its tables is malformed.
    """
    labels, text = Path(directory) / LABELS, text_file(Path(directory))
    if not labels.is_file() and not text.is_file():
        raise TSXError(f"{directory}: expected {LABELS} or {TEXT}, found neither")
    found = set()
    if labels.is_file():
        for own in read_table(labels).values():
            found.update(phrases_of(own.split(",")))
    for path in (text, Path(directory) / PHRASES):
        for name, value in read_table(path).items() if path.is_file() else ():
            found.update(parse_captions(value, f"{path}: {name}"))
    return sorted(found)


def main(argv: Sequence[str] = None) -> None:
    args = get_parser().parse_args(argv)
    jobs = Jobs.of(args)
    phrases = sorted(set().union(*(phrases_in(directory) for directory in args.data)))
    if not phrases:
        raise TSXError(f"no phrase in {', '.join(args.data)}")

    from tsx_espnet.pretrained.text_table import EmbeddedPhrases

    EmbeddedPhrases(phrases, args.out, args.language_model, args.pooling).write(jobs)


if __name__ == "__main__":
    run_command(main)

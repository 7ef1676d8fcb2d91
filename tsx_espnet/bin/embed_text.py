"""Embed every phrase by which the sources of some data directories can be queried."""

import argparse
from pathlib import Path
from typing import List, Optional, Sequence

from tsx_espnet.cli import CommandParser, Jobs, add_job_arguments
from tsx_espnet.clips.datadir import LABELS, PHRASES, TEXT, text_file
from tsx_espnet.conditions import first_name, phrases_of
from tsx_espnet.conditions.words import parse_captions
from tsx_espnet.errors import TSXError, run_command
from tsx_espnet.mixing.config import MixingConfig
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
    parser.add_argument(
        "--mixing_config", help="yaml: how mixtures are drawn, as its text_of may need more phrases"
    )
    add_job_arguments(parser)
    return parser


def phrases_in(directory: str, config: Optional[MixingConfig] = None) -> List[str]:
    """Every phrase of the sources of a data directory: labels, captions, phrases.

    Args:
        config: how mixtures are drawn; if their text is of drawn labels, their first names too.

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
            if config is not None and config.text_of == "drawn":
                found.update(map(first_name, own.split(",")))
    for path in (text, Path(directory) / PHRASES):
        for name, value in read_table(path).items() if path.is_file() else ():
            found.update(parse_captions(value, f"{path}: {name}"))
    return sorted(found)


def main(argv: Sequence[str] = None) -> None:
    args = get_parser().parse_args(argv)
    jobs = Jobs.of(args)
    config = MixingConfig.from_yaml(args.mixing_config) if args.mixing_config else None
    phrases = sorted(set().union(*(phrases_in(directory, config) for directory in args.data)))
    if not phrases:
        raise TSXError(f"no phrase in {', '.join(args.data)}")

    from tsx_espnet.pretrained.text_table import EmbeddedPhrases

    EmbeddedPhrases(phrases, args.out, args.language_model, args.pooling).write(jobs)


if __name__ == "__main__":
    run_command(main)

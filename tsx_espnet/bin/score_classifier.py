"""Print how well a sound classifier knows formatted clips, alone and in pairs (mAP)."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--classifier", required=True, metavar="DIR", help="as --pretrained takes it in training"
    )
    parser.add_argument(
        "--clips",
        required=True,
        nargs="+",
        metavar="DIR",
        help="formatted clips: those that it was trained on, and others",
    )
    parser.add_argument(
        "--mixing_config", required=True, metavar="FILE", help="yaml: how clips are mixed"
    )
    parser.add_argument(
        "--num_mixtures", type=int, default=1000, metavar="N", help="of each kind (default: 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, other mixtures")
    parser.add_argument(
        "--out", metavar="FILE", help="also write it to this file, with every label, as Markdown"
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print a table of all sets of clips."""
    args = get_parser().parse_args(argv)
    from tsx_espnet.evaluation.classifier import score_classifier

    print(
        score_classifier(
            args.classifier, args.clips, args.mixing_config, args.num_mixtures, args.seed, args.out
        )
    )


if __name__ == "__main__":
    run_command(main)

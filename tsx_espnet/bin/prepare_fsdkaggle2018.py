"""Make data directories (wav.scp, utt2labels) of FSDKaggle2018 as it ships, and of new classes."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.corpora import fsdkaggle2018_clips as corpus
from tsx_espnet.corpora.examples import EXAMPLES, example_numbers
from tsx_espnet.corpora.fsdkaggle2018 import VALID_SHARE, prepare
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--fsdkaggle2018",
        required=True,
        metavar="DIR",
        help=f"holds {', '.join(corpus.AUDIO.values())}, {corpus.META} ({corpus.URL})",
    )
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="where to write train, valid, test, ..."
    )
    parser.add_argument(
        "--valid_share",
        type=float,
        default=VALID_SHARE,
        metavar="X",
        help="share of the clips of each class of the training set that becomes valid "
        "(default: %(default)s; two clips at least, half at most)",
    )
    parser.add_argument(
        "--new_classes",
        default="",
        metavar="A,B,...",
        help="classes that are held out of all three sets, to be new_train and new_test",
    )
    parser.add_argument(
        "--fsd50k", metavar="DIR", help="take the new classes from FSD50K, which lies there"
    )
    parser.add_argument(
        "--examples",
        default=",".join(map(str, EXAMPLES)),
        metavar="K,...",
        help="of each new class, K clips of new_train are new_enroll_K (default: %(default)s)",
    )
    parser.add_argument(
        "--num_draws",
        type=int,
        default=1,
        metavar="N",
        help="choose them N times: new_enroll_K_draw1, ... (default: %(default)s)",
    )
    parser.add_argument(
        "--min_clips",
        type=int,
        default=0,
        metavar="N",
        help="leave out classes with fewer clips in train, valid or test",
    )
    parser.add_argument(
        "--verified_only",
        action="store_true",
        help="of the training set, only clips whose label was verified by a human",
    )
    parser.add_argument(
        "--test_usage",
        default="all",
        choices=["all", *corpus.USAGES],
        help="part of the test set, by the score at Kaggle that it counted for",
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Prepare the corpus and print how many clips and classes there are."""
    args = get_parser().parse_args(argv)
    prepared = prepare(
        args.fsdkaggle2018,
        args.data,
        valid_share=args.valid_share,
        new_classes=[label for label in args.new_classes.split(",") if label],
        fsd50k=args.fsd50k,
        min_clips=args.min_clips,
        verified_only=args.verified_only,
        test_usage=args.test_usage,
        examples=example_numbers(args.examples),
        num_draws=args.num_draws,
    )
    for name, clips in prepared.sets.items():
        classes = {clip.label for clip in clips.values()}
        print(f"{args.data}/{name}: {len(clips)} clips of {len(classes)} classes")
    for name, number in prepared.missing.items():
        if number:
            print(f"{number} clips of the {name} set left out as their audio file is missing")
    if prepared.dropped:
        print(f"classes left out (--min_clips {args.min_clips}): {', '.join(prepared.dropped)}")


if __name__ == "__main__":
    run_command(main)

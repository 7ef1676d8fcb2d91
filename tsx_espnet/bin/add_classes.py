"""Add classes to a trained model from a few recordings of each, and adapt it to them if asked."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import TSXError, run_command
from tsx_espnet.few_shot.mixtures import AdaptationOptions

ADAPTATION = {
    "num_mixtures": "with --adapt_clips",
    "num_epochs": "passes over the mixtures",
    "lr": "learning rate",
    "batch_size": "mixtures a step",
}


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--exp", required=True, help="directory of a trained experiment")
    parser.add_argument("--model_file", help="weights (default: the averaged ones)")
    parser.add_argument("--out", required=True, help="directory of the experiment to write")
    given = parser.add_argument_group("the new classes (--clips, or --label and --recordings)")
    given.add_argument("--clips", metavar="DIR", help="formatted clips, every label a new class")
    given.add_argument("--label", help="one new class")
    given.add_argument("--recordings", nargs="+", metavar="FILE", help="its recordings")
    parser.add_argument(
        "--init", default="average", choices=["average", "random"], help="start of their vectors"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    group = parser.add_argument_group("adaptation (one of the two; none: no adaptation)")
    mixtures = group.add_mutually_exclusive_group()
    mixtures.add_argument("--adapt_mixtures", metavar="DIR", help="a fixed set of mixtures")
    mixtures.add_argument(
        "--adapt_clips", metavar="DIR", help="formatted training clips to mix the new ones with"
    )
    for name, words in ADAPTATION.items():
        default = getattr(AdaptationOptions, name)
        group.add_argument(
            f"--{name}",
            type=type(default),
            default=argparse.SUPPRESS,
            help=f"{words} (default: {default})",
        )
    parser.add_argument("--ngpu", type=int, default=0, help="0: use the CPU")
    parser.add_argument("--num_threads", type=int, default=1, help="of the CPU")
    return parser


def check_arguments(args: argparse.Namespace) -> None:
    """Raise ``TSXError`` for options that exclude each other, are missing or out of range."""
    one = [name for name in ("label", "recordings") if getattr(args, name) is not None]
    if args.clips is not None and one:
        raise TSXError(f"--clips and --{one[0]} exclude each other")
    if args.clips is None and len(one) < 2:
        raise TSXError("expected --clips, or --label and --recordings")
    for name in ("num_mixtures", "num_epochs", "batch_size", "num_threads"):
        check_at_least(1, **{name: getattr(args, name, 1)})
    if args.adapt_mixtures is None and args.adapt_clips is None:
        for name in ADAPTATION:
            if hasattr(args, name):
                raise TSXError(f"--{name} needs --adapt_mixtures or --adapt_clips")
    check_at_least(0, seed=args.seed)


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = get_parser().parse_args(argv)
    check_arguments(args)

    import torch

    from tsx_espnet.few_shot.learn import GrownExperiment

    torch.set_num_threads(args.num_threads)
    adaptation = None
    if args.adapt_mixtures is not None or args.adapt_clips is not None:
        adaptation = AdaptationOptions(
            mixtures=args.adapt_mixtures,
            clips=args.adapt_clips,
            **{name: getattr(args, name) for name in ADAPTATION if hasattr(args, name)},
        )
    GrownExperiment(
        args.exp,
        args.out,
        args.clips or {args.label: args.recordings},
        args.init,
        adaptation,
        seed=args.seed,
        model_file=args.model_file,
    ).learn("cuda" if args.ngpu > 0 else "cpu")


if __name__ == "__main__":
    run_command(main)

"""Separate a set of mixtures by ideal binary masks in the STFT of a model, as an oracle system."""

import argparse
from pathlib import Path
from typing import Optional, Sequence

from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import CommandParser, Jobs, add_job_arguments
from tsx_espnet.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE",
        help="encoder and decoder of the model: config.yaml of an experiment, or conf/train.yaml",
    )
    parser.add_argument("--method_config", metavar="FILE", help="conf/method_<method>.yaml")
    parser.add_argument("--mixtures", required=True, metavar="DIR", help="the mixture set")
    parser.add_argument(
        "--exp",
        required=True,
        metavar="DIR",
        help="in place of an experiment: estimates go to EXP/infer/NAME",
    )
    parser.add_argument("--set", metavar="NAME", help="(default: name of --mixtures)")
    parser.add_argument("--batch_size", type=int, default=8, help="mixtures at once")
    parser.add_argument("--audio_format", default="wav", choices=["wav", "flac"])
    add_job_arguments(parser)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Separate a whole set, one job's part of it, or put the finished parts together."""
    args = get_parser().parse_args(argv)
    jobs = Jobs.of(args)
    check_at_least(1, batch_size=args.batch_size)

    import torch

    from tsx_espnet.evaluation.answers import INFER
    from tsx_espnet.evaluation.ideal_mask import IdealMask, stft_of, write_config
    from tsx_espnet.mixing.mixture_set import MixtureSet

    torch.set_num_threads(1)
    stft = stft_of(*filter(None, (args.config, args.method_config)))
    mixtures = MixtureSet(args.mixtures)
    out = Path(args.exp) / INFER / (args.set or mixtures.directory.resolve().name)
    options = {"batch_size": args.batch_size, "audio_format": args.audio_format}
    masked = IdealMask(mixtures, out, stft, **options)
    write_config(args.exp, stft)
    masked.write(jobs)


if __name__ == "__main__":
    run_command(main)

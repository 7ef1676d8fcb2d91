"""Draw a fixed set of mixtures from formatted clips and write it, or make one again."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.command import CommandParser
from tsx_espnet.error import TSXError, run_command
from tsx_espnet.jobs import add_job_arguments, check_job_arguments


def get_parser() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = CommandParser(description=__doc__)
    parser.add_argument("--clips", required=True, metavar="DIR", help="formatted clips to mix")
    parser.add_argument("--out", required=True, metavar="DIR", help="directory to write")
    parser.add_argument("--config", metavar="FILE", help="yaml file that says how to mix")
    parser.add_argument("--num_mixtures", type=int, metavar="N", help="how many mixtures")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other mixtures")
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="labels to know, one a line (those of the training clips); others are ignored",
    )
    parser.add_argument(
        "--rebuild",
        metavar="DIR",
        help="make this set of mixtures again, bit for bit, from its mixtures.jsonl",
    )
    add_job_arguments(parser)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write the whole set, one job's part of it, or put the finished parts together."""
    args = get_parser().parse_args(argv)
    check_job_arguments(args)
    jobs = (args.num_jobs, args.job, args.merge)
    given = {"--config": args.config, "--num_mixtures": args.num_mixtures}
    if args.rebuild is not None:
        extra = [name for name, value in {**given, "--classes": args.classes}.items() if value]
        if extra:
            raise TSXError(f"--rebuild and {extra[0]} exclude each other")
    elif None in given.values():
        missing = [name for name, value in given.items() if value is None]
        raise TSXError(f"{' and '.join(missing)} missing (or --rebuild a set)")
    from tsx_espnet.mixing.config import MixingConfig
    from tsx_espnet.mixing.dataset_files import rebuild, write_mixtures
    from tsx_espnet.mixing.sampler import Sampler
    from tsx_espnet.mixing.sources import ClipSet, read_classes

    if args.rebuild is not None:
        rebuild(args.rebuild, ClipSet(args.clips), args.out, *jobs)
        return
    config = MixingConfig.from_yaml(args.config)
    classes = read_classes(args.classes) if args.classes else None
    sampler = Sampler(ClipSet(args.clips, classes), config)
    write_mixtures(sampler, args.num_mixtures, args.seed, args.out, *jobs)


if __name__ == "__main__":
    run_command(main)

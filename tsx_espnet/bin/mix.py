"""Draw a fixed set of mixtures from formatted clips and write it, or make one again."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser, Jobs, add_job_arguments
from tsx_espnet.errors import TSXError, run_command

OF_DRAWN = ("--classes", "--new_classes", "--target", "--layout")  # options


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    parser.add_argument(
        "--clips", required=True, nargs="+", metavar="DIR", help="formatted clips to mix"
    )
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
        "--new_classes",
        metavar="FILE",
        help="labels, one a line: exactly one source of every mixture is of one of these classes",
    )
    parser.add_argument(
        "--target",
        choices=["any", "new", "seen"],
        help="with --new_classes: which source is the target (default: any)",
    )
    parser.add_argument(
        "--examples",
        metavar="DIR",
        help="formatted clips: the enrollments of each mixture are all of these that are of its "
        "target's class (default: as many as the config says, drawn among --clips)",
    )
    parser.add_argument(
        "--noise", metavar="DIR", help="formatted noise for the background (default: the config's)"
    )
    parser.add_argument(
        "--interference",
        metavar="DIR",
        help="formatted clips: all sources but the target are drawn from them (default: the "
        "config's, or --clips)",
    )
    parser.add_argument(
        "--rebuild",
        metavar="DIR",
        help="make this set of mixtures again, bit for bit, from its mixtures.jsonl, or one of "
        "formatted mixtures as shipped",
    )
    parser.add_argument(
        "--layout",
        choices=["fuss"],
        help="write the mixtures as FUSS ships its own: OUT is one of its sets (ssdata/train, "
        "ssdata/validation or ssdata/eval)",
    )
    add_job_arguments(parser)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = get_parser().parse_args(argv)
    jobs = Jobs.of(args)
    _check_arguments(args)
    from tsx_espnet.clips.clip_set import ClipSet
    from tsx_espnet.clips.datadir import read_classes
    from tsx_espnet.corpora.fuss_layout import write_as_fuss
    from tsx_espnet.mixing.config import MixingConfig
    from tsx_espnet.mixing.sampler import Sampler
    from tsx_espnet.mixing.set_writer import rebuild, write_mixtures

    examples = ClipSet(args.examples) if args.examples else None
    if args.rebuild is not None:
        noise = ClipSet(args.noise) if args.noise else None
        clips = ClipSet(args.clips, interference=args.interference)
        rebuild(args.rebuild, clips, args.out, jobs, noise=noise, examples=examples)
        return
    config = MixingConfig.from_yaml(args.config)
    if args.noise is not None:
        config = config.with_noise(args.noise)
    if args.interference is not None:
        config = config.with_interference(args.interference)
    classes = read_classes(args.classes) if args.classes else None
    new_classes = read_classes(args.new_classes) if args.new_classes else None
    if classes and new_classes:
        classes = classes + new_classes
    sampler = Sampler(
        ClipSet(args.clips, classes),
        config,
        new_classes=new_classes,
        target=args.target or "any",
        examples=examples,
    )
    write = write_as_fuss if args.layout == "fuss" else write_mixtures
    write(sampler, args.num_mixtures, args.seed, args.out, jobs)


def _check_arguments(args: argparse.Namespace) -> None:
    """Raise ``TSXError`` for options that exclude each other, or are missing."""
    given = {"--config": args.config, "--num_mixtures": args.num_mixtures}
    others = {name: getattr(args, name[2:]) for name in OF_DRAWN}
    if args.rebuild is not None:
        extra = [name for name, value in {**given, **others}.items() if value]
        if extra:
            raise TSXError(f"--rebuild and {extra[0]} exclude each other")
    elif None in given.values():
        missing = [name for name, value in given.items() if value is None]
        raise TSXError(f"{' and '.join(missing)} missing (or --rebuild a set)")


if __name__ == "__main__":
    run_command(main)

"""Make data directories (wav.scp, utt2labels) of a corpus: prepare CORPUS OPTIONS ..."""

import argparse
from typing import Optional, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.corpora import fsd50k, fsdkaggle2018, fuss, tables
from tsx_espnet.corpora.examples import EXAMPLES, example_numbers
from tsx_espnet.errors import TSXError, run_command


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m tsx_espnet.bin.prepare", description=__doc__)
    corpora = parser.add_subparsers(metavar="CORPUS", dest="corpus", required=True)
    for add in (_add_fsd50k, _add_fsdkaggle2018, _add_fuss, _add_mini, _add_noise):
        add(corpora)
    return parser


def _add_fsd50k(corpora) -> None:
    parser = _add_corpus(corpora, "fsd50k", "FSD50K as it ships", "train, valid and test")
    parser.add_argument(
        "--fsd50k",
        required=True,
        metavar="DIR",
        help=f"holds {', '.join(fsd50k.AUDIO.values())}, {fsd50k.GROUND_TRUTH} ({fsd50k.URL})",
    )


def prepare_fsd50k(args: argparse.Namespace) -> None:
    for name, (clips, missing) in fsd50k.prepare(args.fsd50k, args.data).items():
        note = f", {missing} left out as their audio file is missing" if missing else ""
        print(f"{args.data}/{name}: {clips} clips{note}")


def _add_fsdkaggle2018(corpora) -> None:
    title, sets = "FSDKaggle2018 as it ships, and new classes", "train, valid, test, ..."
    parser = _add_corpus(corpora, "fsdkaggle2018", title, sets)
    parser.add_argument(
        "--fsdkaggle2018",
        required=True,
        metavar="DIR",
        help=f"holds {', '.join(fsdkaggle2018.AUDIO.values())}, {fsdkaggle2018.META} "
        f"({fsdkaggle2018.URL})",
    )
    parser.add_argument(
        "--valid_share",
        type=float,
        default=fsdkaggle2018.VALID_SHARE,
        metavar="X",
        help="share of the clips of each class of the training set that becomes valid "
        "(default: %(default)s; two clips at least, half at most)",
    )
    _add_new_classes(parser, EXAMPLES)
    parser.add_argument(
        "--fsd50k",
        metavar="DIR",
        help="take the new classes from FSD50K, which lies there (--new_classes by default: "
        f"{','.join(fsdkaggle2018.NEW_CLASSES)})",
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
        choices=["all", *fsdkaggle2018.USAGES],
        help="part of the test set, by the score at Kaggle that it counted for",
    )


def prepare_fsdkaggle2018(args: argparse.Namespace) -> None:
    prepared = fsdkaggle2018.prepare(
        args.fsdkaggle2018,
        args.data,
        valid_share=args.valid_share,
        new_classes=args.new_classes,
        fsd50k=args.fsd50k,
        min_clips=args.min_clips,
        verified_only=args.verified_only,
        test_usage=args.test_usage,
        examples=args.examples,
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


def _add_fuss(corpora) -> None:
    title = "FUSS as it ships: mixtures, and the clips they were made of"
    parser = _add_corpus(corpora, "fuss", title, "train, valid, test, and clips_train, ...")
    parser.add_argument(
        "--fuss",
        required=True,
        metavar="DIR",
        help=f"holds {fuss.DRY} or {fuss.REVERB}, and perhaps {fuss.CLIPS} ({fuss.URL})",
    )
    parser.add_argument("--reverb", action="store_true", help=f"the mixtures of {fuss.REVERB}")
    _add_num_jobs(parser, "threads")


def prepare_fuss(args: argparse.Namespace) -> None:
    for name, summary in fuss.prepare(args.fuss, args.data, args.reverb, args.num_jobs).items():
        print(f"{args.data}/{name}: {summary}")
    clips = fuss.prepare_clips(args.fuss, args.data)
    for name, number in clips.items():
        print(f"{args.data}/{name}: {number} clips")
    if not clips:
        print(f"no {fuss.CLIPS} in {args.fuss}: no clips to draw mixtures from")


def _add_mini(corpora) -> None:
    title = "generated sounds, those of egs/mini"
    parser = _add_corpus(corpora, "mini", title, "train, valid, ...")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the sounds go")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other sounds")
    parser.add_argument(
        "--clips_per_class",
        type=int,
        default=40,
        metavar="N",
        help="clips of each class (default: %(default)s)",
    )
    _add_new_classes(parser, (1, 5))
    _add_num_jobs(parser, "processes")


def prepare_mini(args: argparse.Namespace) -> None:
    from tsx_espnet.corpora.mini.prepare import prepare_mini  # scipy: not for --help

    prepare_mini(**{name: value for name, value in vars(args).items() if name != "corpus"})


def _add_noise(corpora) -> None:
    parser = _add_corpus(corpora, "noise", "recordings of noise, for backgrounds", "them")
    parser.add_argument(
        "--noise",
        required=True,
        metavar="DIR",
        help=f"holds recordings ({', '.join(tables.AUDIO_SUFFIXES)}), in folders or not",
    )
    parser.add_argument(
        "--mixing_config", metavar="FILE", help="what it is for: refused if it has no background"
    )


def prepare_noise(args: argparse.Namespace) -> None:
    if args.mixing_config is not None:
        from tsx_espnet.mixing.config import MixingConfig

        if MixingConfig.from_yaml(args.mixing_config).background is None:
            raise TSXError(f"--noise: {args.mixing_config} has no background that it could be of")
    print(f"{args.data}: {tables.prepare_noise(args.noise, args.data)} recordings of noise")


def _add_corpus(corpora, name: str, title: str, sets: str) -> argparse.ArgumentParser:
    parser = corpora.add_parser(name, help=title, description=f"Make data directories of {title}.")
    parser.add_argument("--data", required=True, metavar="DIR", help=f"where to write {sets}")
    return parser


def _add_num_jobs(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--num_jobs",
        type=int,
        default=1,
        metavar="N",
        help=f"number of {what} (default: %(default)s)",
    )


def _add_new_classes(parser: argparse.ArgumentParser, examples: Sequence[int]) -> None:
    parser.add_argument(
        "--new_classes",
        type=lambda text: [label for label in text.split(",") if label],
        default="",
        metavar="A,B,...",
        help="classes that are held out of all three sets, to be new_train and new_test",
    )
    parser.add_argument(
        "--examples",
        type=example_numbers,
        default=",".join(map(str, examples)),
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


PREPARE = {
    "fsd50k": prepare_fsd50k,
    "fsdkaggle2018": prepare_fsdkaggle2018,
    "fuss": prepare_fuss,
    "mini": prepare_mini,
    "noise": prepare_noise,
}


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = get_parser().parse_args(argv)
    PREPARE[args.corpus](args)


if __name__ == "__main__":
    run_command(main)

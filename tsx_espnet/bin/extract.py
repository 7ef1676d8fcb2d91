#!/usr/bin/env python3
"""Extract one sound from a recording: tsx-extract mixture.wav --model exp/oct --text "dog barking"
-o dog.wav --rest rest.wav"""

import argparse
from pathlib import Path
from typing import Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.conditions import ASKED
from tsx_espnet.errors import TSXError, run_command

SUBTYPES = {".wav": "FLOAT", ".flac": "PCM_24"}


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="tsx-extract", description=__doc__)
    parser.add_argument("mixture", help="the recording, any format libsndfile reads")
    parser.add_argument("--model", required=True, help="directory of a trained experiment")
    query = parser.add_argument_group("what to extract (one of)").add_mutually_exclusive_group(
        required=True
    )
    for condition in ASKED.values():
        option = dict(condition.option)
        if condition.values is not None:
            option["metavar"] = f"{{{','.join(condition.values)}}}"
        query.add_argument(f"--{condition.keyword}", help=condition.help, **option)
    parser.add_argument("-o", "--out", required=True, help="the extracted sound, .wav or .flac")
    parser.add_argument("--rest", help="everything else, .wav or .flac")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument("--model_file", help="weights in the directory (default: the averaged)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
    return parser


def check_paths(args: argparse.Namespace) -> None:
    """Raise ``TSXError`` before any work if an output cannot be written as asked."""
    outputs = [Path(path) for path in (args.out, args.rest) if path]
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise TSXError(f"-o and --rest name the same file: {args.out}")
    for path in outputs:
        if path.suffix.lower() not in SUBTYPES:
            raise TSXError(f"{path}: expected a name ending in {' or '.join(SUBTYPES)}")
        if not path.parent.is_dir():
            raise TSXError(f"{path.parent}: no such directory")
        if path.resolve() == Path(args.mixture).resolve():
            raise TSXError(f"{path}: would overwrite the mixture itself")
        if path.resolve() in [Path(one).resolve() for one in args.enrollment or ()]:
            raise TSXError(f"{path}: would overwrite an enrollment")
        if path.exists() and not args.force:
            raise TSXError(f"{path} exists; use --force to overwrite it")
    if not Path(args.mixture).is_file():
        raise TSXError(f"{args.mixture}: no such file")


def check_peak(path: str, samples) -> None:
    """Raise ``TSXError`` for what FLAC cannot hold: samples beyond full scale."""
    peak = float(abs(samples).max())
    if SUBTYPES[Path(path).suffix.lower()] != "FLOAT" and peak > 1:
        raise TSXError(f"{path}: peak {peak:.2f} is beyond full scale; write a .wav instead")


def write(path: str, samples, fs: int) -> None:
    """Write float samples without rescaling."""
    import soundfile

    from tsx_espnet.audio import write_audio

    subtype = SUBTYPES[Path(path).suffix.lower()]
    container = Path(path).suffix[1:].upper()
    try:
        write_audio(path, samples, fs, container, subtype)
    except soundfile.LibsndfileError as error:  # more channels than FLAC holds, ...
        raise TSXError(f"{path}: cannot be written: {error}") from None


def main(argv: Sequence[str] = None) -> None:
    args = get_parser().parse_args(argv)
    check_paths(args)

    import soundfile

    from tsx_espnet.cli import progress
    from tsx_espnet.inference import TargetSoundExtractor, check_mixture

    try:
        mixture, fs = soundfile.read(args.mixture, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise TSXError(f"{args.mixture}: not a recording that can be read: {error}") from None
    try:
        check_mixture(mixture, fs)
    except TSXError as error:
        raise TSXError(f"{args.mixture}: {error}") from None
    keywords = [condition.keyword for condition in ASKED.values()]
    tsx = TargetSoundExtractor.load(args.model, args.model_file, args.device)
    target, rest = tsx(
        mixture,
        fs,
        **{keyword: getattr(args, keyword) for keyword in keywords},
        progress=lambda segments: progress(segments, "extracting"),
    )
    check_peak(args.out, target)
    if args.rest:
        check_peak(args.rest, rest)
    write(args.out, target, fs)
    print(f"{args.out}: the target, {len(target) / fs:.1f} s at {fs} Hz")
    if args.rest:
        write(args.rest, rest, fs)
        print(f"{args.rest}: the rest")


def entry() -> None:
    """The console script ``tsx-extract``."""
    run_command(main)


if __name__ == "__main__":
    entry()

"""Extract one sound from a recording: tsx-extract mixture.wav --model exp/oct --text "dog barking"
-o dog.wav --rest rest.wav"""

import argparse
import contextlib
from pathlib import Path
from typing import Any, Dict, Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.conditions import ASKED, ENROLLMENT, by_keyword
from tsx_espnet.errors import TSXError, run_command

LARGEST_WAV = 4e9  # bytes
SUBTYPES = {".wav": "FLOAT", ".flac": "PCM_24"}


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="tsx-extract", description=__doc__)
    parser.add_argument("mixture", help="the recording, any format libsndfile reads")
    parser.add_argument("--model", required=True, help="directory of a trained experiment")
    group = parser.add_argument_group("what to extract (one of)")
    add_conditions(group.add_mutually_exclusive_group())
    group = parser.add_argument_group("and, any number of times")
    several = {"type": read_query, "action": "append", "default": [], "metavar": "CONDITION=VALUE"}
    group.add_argument("--also", **several, help="a further sound to extract, as text=rain")
    group.add_argument("--but", **several, help="a sound to remove first; alone: keep the others")
    parser.add_argument("-o", "--out", required=True, help="the extracted sound, .wav or .flac")
    parser.add_argument("--rest", help="everything else, .wav or .flac")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument("--model_file", help="weights in the directory (default: the averaged)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
    return parser


def add_conditions(group) -> None:
    """An option for each condition."""
    for condition in ASKED.values():
        option = dict(condition.option)
        if condition.values is not None:
            option["metavar"] = f"{{{','.join(condition.values)}}}"
        group.add_argument(f"--{condition.keyword}", help=condition.help, **option)


def read_query(text: str) -> Dict[str, Any]:
    """``CONDITION=VALUE``, read as ``--CONDITION=VALUE`` is.

    Raises:
        TSXError: if it is something else, or there is no such condition.
    """
    keyword, equals, _ = text.partition("=")
    if not equals:
        raise TSXError(f"--also, --but: expected CONDITION=VALUE as in text=rain, found {text!r}")
    by_keyword(keyword)
    parser = CommandParser(add_help=False)
    add_conditions(parser)
    return given(parser, parser.parse_args([f"--{text}"]))


def given(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Dict[str, Any]:
    """Keyword -> value of the conditions on a command line."""
    keywords = [condition.keyword for condition in ASKED.values()]
    return {k: getattr(args, k) for k in keywords if getattr(args, k) != parser.get_default(k)}


def check_paths(args: argparse.Namespace, queries: Sequence[Dict[str, Any]]) -> None:
    """Raise ``TSXError`` before any work if an output cannot be written as asked."""
    outputs = [Path(path) for path in (args.out, args.rest) if path]
    enrollments = [Path(path).resolve() for query in queries for path in query.get(ENROLLMENT, ())]
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise TSXError(f"-o and --rest name the same file: {args.out}")
    for path in outputs:
        if path.suffix.lower() not in SUBTYPES:
            raise TSXError(f"{path}: expected a name ending in {' or '.join(SUBTYPES)}")
        if not path.parent.is_dir():
            raise TSXError(f"{path.parent}: no such directory")
        if path.resolve() == Path(args.mixture).resolve():
            raise TSXError(f"{path}: would overwrite the mixture itself")
        if path.resolve() in enrollments:
            raise TSXError(f"{path}: would overwrite an enrollment")
        if path.exists() and not args.force:
            raise TSXError(f"{path} exists; use --force to overwrite it")
    if not Path(args.mixture).is_file():
        raise TSXError(f"{args.mixture}: no such file")


def recording_writer(path: str, fs: int, channels: int, frames: int):
    """A context whose function appends float samples to ``path``, without rescaling.

    What WAV cannot hold, beyond 4 GB, becomes RF64.
    """
    from tsx_espnet.audio import audio_writer

    container = Path(path).suffix[1:].upper()
    if container == "WAV" and 4 * channels * frames > LARGEST_WAV:
        container = "RF64"
    return audio_writer(path, fs, channels, container, SUBTYPES[Path(path).suffix.lower()])


def main(argv: Sequence[str] = None) -> None:
    parser = get_parser()
    args = parser.parse_args(argv)
    condition = given(parser, args)
    if not (condition or args.also or args.but):
        options = ", ".join(f"--{one.keyword}" for one in ASKED.values())
        raise TSXError(f"what to extract: expected one of {options}, --also or --but, found none")
    check_paths(args, [condition, *args.also, *args.but])

    from tsx_espnet.audio import AudioFile
    from tsx_espnet.cli import progress
    from tsx_espnet.inference import TargetSoundExtractor

    outputs = [args.out, args.rest] if args.rest else [args.out]
    length = 0
    with contextlib.ExitStack() as stack:
        recording = stack.enter_context(AudioFile(args.mixture))
        fs = recording.fs
        tsx = TargetSoundExtractor.load(args.model, args.model_file, args.device)
        blocks = progress(recording.blocks(whole=True), "extracting", recording.num_blocks or None)
        stream = tsx.stream(blocks, fs, also=args.also, but=args.but, **condition)
        writers = [
            stack.enter_context(recording_writer(path, fs, recording.channels, recording.frames))
            for path in outputs
        ]
        for parts in stream:
            length += len(parts[0])
            for write, samples in zip(writers, parts):
                write(samples)
    print(f"{args.out}: the target, {length / fs:.1f} s at {fs} Hz")
    if args.rest:
        print(f"{args.rest}: the rest")


def entry() -> None:
    """The console script ``tsx-extract``."""
    run_command(main)


if __name__ == "__main__":
    entry()

"""Extract one sound from a recording: tsx-extract mixture.wav --model exp/oct --text "dog barking"
-o dog.wav --rest rest.wav"""

import argparse
import contextlib
from pathlib import Path
from typing import Sequence

from tsx_espnet.cli import CommandParser
from tsx_espnet.conditions import ASKED
from tsx_espnet.errors import TSXError, run_command

LARGEST_WAV = 4e9  # bytes
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
    args = get_parser().parse_args(argv)
    check_paths(args)

    from tsx_espnet.audio import AudioFile
    from tsx_espnet.cli import progress
    from tsx_espnet.inference import TargetSoundExtractor

    keywords = [condition.keyword for condition in ASKED.values()]
    condition = {keyword: getattr(args, keyword) for keyword in keywords}
    outputs = [args.out, args.rest] if args.rest else [args.out]
    length = 0
    with contextlib.ExitStack() as stack:
        recording = stack.enter_context(AudioFile(args.mixture))
        fs = recording.fs
        tsx = TargetSoundExtractor.load(args.model, args.model_file, args.device)
        blocks = progress(recording.blocks(whole=True), "extracting", recording.num_blocks or None)
        stream = tsx.stream(blocks, fs, **condition)
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

"""Separate all sounds of a recording: tsx-separate mixture.wav --model exp/tdcn -o sounds
[--keep Bark]"""

import argparse
import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Iterator, Sequence

from tsx_espnet.bin.extract import recording_writer
from tsx_espnet.cli import CommandParser
from tsx_espnet.errors import TSXError, run_command
from tsx_espnet.tables import temporary_name

OURS = re.compile(r"output\d+\.wav|outputs\.csv|labels\.csv")


def get_parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="tsx-separate", description=__doc__)
    parser.add_argument("mixture", help="the recording, any format libsndfile reads")
    parser.add_argument("--model", required=True, help="directory of an experiment, not queried")
    parser.add_argument(
        *("-o", "--out"),
        required=True,
        metavar="DIR",
        help="directory for output1.wav, output2.wav, ..., outputs.csv and labels.csv",
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="LABEL",
        help="write only outputs in which this is heard; any number of times",
    )
    parser.add_argument(
        "--classifier", metavar="DIR", help="pretrained classifier (default: the model's own)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        help="probability from which on a sound counts as heard (default: 0.5)",
    )
    parser.add_argument("--force", action="store_true", help="replace the outputs in DIR")
    parser.add_argument("--model_file", help="weights in the directory (default: the averaged)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
    return parser


def check_paths(mixture: Path, out: Path, force: bool) -> None:
    """Raise ``TSXError`` before any work if the outputs cannot be written as asked."""
    if not mixture.is_file():
        raise TSXError(f"{mixture}: no such file")
    if not out.is_dir():
        if out.exists():
            raise TSXError(f"{out}: expected a directory, found a file")
        if not out.parent.is_dir():
            raise TSXError(f"{out.parent}: no such directory")
        return
    there = [path for path in sorted(out.iterdir()) if OURS.fullmatch(path.name)]
    if any(path.resolve() == mixture.resolve() for path in there):
        raise TSXError(f"{mixture}: would be overwritten; choose another directory than {out}")
    if there and not force:
        raise TSXError(f"{there[0]} exists; use --force to replace the outputs in {out}")


@contextlib.contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A directory whose files are in ``path`` once the block has succeeded, and nowhere if not.

    They replace what an earlier run left there; other files stay.
    """
    temporary = temporary_name(path / "outputs" if path.is_dir() else path)
    try:
        temporary.mkdir()
        yield temporary
        if not path.exists():
            os.rename(temporary, path)
            return
        for old in path.iterdir():
            if OURS.fullmatch(old.name):
                old.unlink()
        for new in temporary.iterdir():
            os.replace(new, path / new.name)
    except TSXError as error:
        raise TSXError(str(error).replace(str(temporary), str(path))) from None
    except OSError as error:
        raise TSXError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def main(argv: Sequence[str] = None) -> None:
    args = get_parser().parse_args(argv)
    mixture, out = Path(args.mixture), Path(args.out)
    check_paths(mixture, out, args.force)

    from tsx_espnet.audio import AudioFile
    from tsx_espnet.cli import progress
    from tsx_espnet.recordings.contents import write_tables
    from tsx_espnet.separation import SoundSeparator

    with contextlib.ExitStack() as stack:
        recording = stack.enter_context(AudioFile(mixture))
        separator = SoundSeparator.load(
            args.model, args.model_file, args.device, args.classifier, args.threshold
        )
        separator.check_labels(args.keep)
        directory = stack.enter_context(whole_directory(out))
        names = [f"output{number}.wav" for number in range(1, separator.num_outputs + 1)]
        blocks = progress(recording.blocks(whole=True), "separating", recording.num_blocks or None)
        separation = separator.stream(blocks, recording.fs)
        with contextlib.ExitStack() as files:
            form = recording.fs, recording.channels, recording.frames
            writers = [files.enter_context(recording_writer(directory / n, *form)) for n in names]
            for outputs in separation:
                for write, samples in zip(writers, outputs):
                    write(samples)
        found = dict(zip(names, separation.sounds))
        kept = {n: s for n, s in found.items() if not args.keep or {*args.keep} & {*s.labels}}
        if not kept:
            heard = sorted({label for sound in found.values() for label in sound.labels})
            raise TSXError(
                f"{mixture}: expected {' or '.join(args.keep)} in an output, "
                f"heard {', '.join(heard) or 'nothing'}"
            )
        for name in found.keys() - kept.keys():
            (directory / name).unlink()
        write_tables(directory, kept, labelled=separator.classifier is not None)
    for name, sound in kept.items():
        held = ", ".join(sound.labels[:5]) or "no label" if sound.active else "not active"
        print(f"{out / name}: {sound.level:.1f} dB re the mixture, {held}")


def entry() -> None:
    """The console script ``tsx-separate``."""
    run_command(main)


if __name__ == "__main__":
    entry()

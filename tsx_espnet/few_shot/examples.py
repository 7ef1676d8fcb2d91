"""Examples of new classes: recordings by label, or clips that are formatted already."""

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Dict, Iterator, Mapping, Tuple, Union

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions.enrollment import Recordings, recording_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, read_table, write_table

# label -> recordings, or a directory of formatted clips
Examples = Union[PathLike, Mapping[str, Recordings]]


def examples_by_label(examples: Examples, fs: int) -> Dict[str, Tuple[str, ...]]:
    """The paths of the examples of each class.

    Args:
        examples: of formatted clips, every label is a class, and all clips that have it are its
            examples, sorted by id.
        fs: the model's rate in Hz.

    Raises:
        TSXError: if there is none of a class, or formatted clips have another rate.
    """
    if isinstance(examples, Mapping):
        found = {label: recording_paths(own) for label, own in examples.items()}
        for label, paths in found.items():
            if not paths:
                raise TSXError(f"class {label!r}: expected at least one recording, found none")
        return found
    clips = ClipSet(examples)
    if clips.fs != fs:
        raise TSXError(f"{clips}: expected {fs} Hz as the model, found {clips.fs} Hz")
    return {
        label: tuple(clips.path(clips.ids[int(number)]) for number in clips.clips_of(label))
        for label in clips.classes
    }


@contextlib.contextmanager
def formatted_examples(examples: Examples, fs: int) -> Iterator[Path]:
    """A directory of formatted clips; one of recordings is there for the duration of the block.

    Args:
        examples: recordings of any rate, with any number of channels.
        fs: rate of the clips in Hz.

    Raises:
        TSXError: naming the first recording that cannot be used, and why.
    """
    if not isinstance(examples, Mapping):
        yield Path(examples)
        return
    from tsx_espnet.clips.format import format_set

    wavs, labels = {}, {}
    for label, paths in examples_by_label(examples, fs).items():
        for path in paths:
            name = f"example{len(wavs) + 1:05d}"
            wavs[name], labels[name] = os.path.abspath(path), label
    with tempfile.TemporaryDirectory(prefix="tsx_espnet.") as directory:
        data, clips = Path(directory) / "data", Path(directory) / "clips"
        write_table(data / "wav.scp", wavs)
        write_table(data / "utt2labels", labels)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                format_set(data, clips, fs)
            except TSXError:
                if not (clips / "skipped").is_file():
                    raise
        for name, reason in read_table(clips / "skipped").items():
            raise TSXError(f"class {labels[name]!r}: this recording cannot be used: {reason}")
        yield clips

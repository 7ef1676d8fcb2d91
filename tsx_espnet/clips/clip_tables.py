"""The tables of a formatted directory, checked against each other."""

import os
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from tsx_espnet.clips.datadir import PHRASES, RECORDINGS, text_file
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import DONE, read_facts, read_table

FORMAT_AGAIN = "run format again"
AS_SHIPPED = "as_shipped"  # a fact of clips that come in mixtures


class ClipRow(NamedTuple):
    """What the tables say of a clip: audio, samples, labels, captions and phrases as JSON, and the
    recording that it was cut from."""

    wav: str
    num_samples: int
    labels: List[str]
    captions: Optional[str]
    phrases: Optional[str]
    recording: Optional[str]


def read_clip_tables(directory: Path) -> Dict[str, ClipRow]:
    """The clips of ``dump/<fs>/<set>`` by id.

    Raises:
        TSXError: if the directory was not formatted, or its tables do not fit together.
    """
    if not (directory / DONE).is_file():
        raise TSXError(f"{directory}: no formatted clips there; run format")
    try:
        wavs, lengths = read_table(directory / "wav.scp"), read_lengths(directory)
        if wavs.keys() != lengths.keys():
            odd = min(wavs.keys() ^ lengths.keys())
            raise TSXError(f"{directory}: clip {odd!r} is in only one of wav.scp, utt2num_samples")
        further = (directory / PHRASES, directory / RECORDINGS)
        paths = [directory / "utt2labels", text_file(directory), *further]
        tables = {path.name: read_table(path) for path in paths if path.is_file()}
        for file, table in tables.items():
            if not table.keys() <= wavs.keys():
                odd = min(table.keys() - wavs.keys())
                raise TSXError(f"{directory / file}: clip {odd!r} is not in wav.scp")
        labels, captions, phrases, recordings = (tables.get(path.name, {}) for path in paths)
        bare = wavs.keys() - labels.keys() - captions.keys()
        if bare:
            raise TSXError(f"{directory}: clip {min(bare)!r} is neither in utt2labels nor in text")
    except TSXError as error:
        raise TSXError(f"{error}; {FORMAT_AGAIN}") from None
    if wavs and not os.path.isfile(next(iter(wavs.values()))):  # moved since formatting?
        here = {name: str(directory / "wav" / Path(path).name) for name, path in wavs.items()}
        wavs = here if os.path.isfile(next(iter(here.values()))) else wavs
    return {
        name: ClipRow(
            wavs[name],
            lengths[name],
            labels[name].split(",") if name in labels else [],
            captions.get(name),
            phrases.get(name),
            recordings.get(name),
        )
        for name in wavs
    }


def read_lengths(directory: Path) -> Dict[str, int]:
    """Id -> samples, from ``utt2num_samples``; numbers stay far below 2^63.

    Raises:
        TSXError: if one is no positive integer.
    """
    path = directory / "utt2num_samples"
    table = read_table(path)
    for name, value in table.items():
        whole = value.isascii() and value.isdecimal() and len(value) <= 18
        if not whole or int(value) < 1:
            raise TSXError(f"{path}: {name}: expected a positive integer, found {value!r:.80}")
    return {name: int(value) for name, value in table.items()}


def is_shipped(directory: Path) -> bool:
    """Whether clips are used as they ship: in place, without energies, with plans of mixtures."""
    return AS_SHIPPED in (read_facts(directory) or {})

"""What the tables of a formatted directory say about each clip, before any audio is read."""

import os
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import DONE, read_table


class ClipRow(NamedTuple):
    """One clip: where its audio and its energies are, samples, labels, captions as JSON."""

    wav: str
    num_samples: int
    ark: str
    ark_offset: int
    labels: List[str]
    captions: Optional[str]


def read_clip_tables(directory: Path) -> Dict[str, ClipRow]:
    """The clips of ``dump/<fs>/<set>`` by id.

    Raises:
        TSXError: if the directory was not formatted, or its tables do not fit together.
    """
    if not (directory / DONE).is_file():
        raise TSXError(f"{directory}: no formatted clips there; run the format stage (stage 2)")
    try:
        return _read(directory)
    except TSXError as error:
        raise TSXError(f"{error}; run the format stage (stage 2) again") from None


def _read(directory: Path) -> Dict[str, ClipRow]:
    labels = read_table(directory / "utt2labels")
    files = ("wav.scp", "utt2num_samples", "energies.scp")
    wavs, lengths, energies = tables = tuple(read_table(directory / file) for file in files)
    for file, table in zip(files, tables):
        if table.keys() != labels.keys():
            odd = min(table.keys() ^ labels.keys())
            raise TSXError(f"{directory}: clip {odd!r} is in only one of utt2labels, {file}")
    captions: Dict[str, str] = {}
    if (directory / "utt2captions").is_file():
        captions = read_table(directory / "utt2captions")
    places = {name: place.rpartition(":") for name, place in energies.items()}
    if not all(path and _is_whole(offset) for path, _, offset in places.values()):
        raise TSXError(f"{directory}/energies.scp: expected 'id file.ark:offset' lines")
    audio = _moved(directory, wavs)
    arks = _moved(directory, {path: path for path, _, _ in places.values()})
    return {
        name: ClipRow(
            audio[name],
            _length(directory, name, lengths[name]),
            arks[places[name][0]],
            int(places[name][2]),
            labels[name].split(","),
            captions.get(name),
        )
        for name in labels
    }


def _moved(directory: Path, paths: Dict[str, str]) -> Dict[str, str]:
    """Paths of files that are still there, if the directory was moved since formatting."""
    one = next(iter(paths.values()), None)
    if one is None or os.path.isfile(one):
        return paths
    for folder in (directory / "wav", directory):
        if os.path.isfile(folder / Path(one).name):
            return {name: str(folder / Path(path).name) for name, path in paths.items()}
    return paths


def _length(directory: Path, name: str, value: str) -> int:
    if not _is_whole(value) or int(value) < 1:
        where = f"{directory}/utt2num_samples: {name}"
        raise TSXError(f"{where}: expected a positive integer, found {value!r:.80}")
    return int(value)


def _is_whole(text: str) -> bool:
    """Whether it is a number of samples or bytes, which stays far below 2^63."""
    return text.isascii() and text.isdecimal() and len(text) <= 18

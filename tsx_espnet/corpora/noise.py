"""A directory of recordings of noise -> a data directory, for the background of mixtures."""

import os
import re
from pathlib import Path
from typing import Dict

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, check_id, write_table

SUFFIXES = (".wav", ".flac", ".ogg")
LABEL = "Noise"


def prepare(root: PathLike, data: PathLike) -> int:
    """Write ``wav.scp`` and ``utt2labels`` of all recordings below ``root``; returns their number.

    The id of a recording is its path below ``root``, with ``_`` for whatever cannot stand in an id.

    Raises:
        TSXError: if there is no recording, or two have the same id.
    """
    root = Path(os.path.abspath(root))
    if not root.is_dir():
        raise TSXError(f"{root}: no such directory")
    wavs: Dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        plain = re.sub(r"[^A-Za-z0-9_+-]+", "_", str(path.relative_to(root).with_suffix("")))
        name = check_id(plain.lstrip("_+-"), str(path))
        if name in wavs:
            raise TSXError(f"{path}: has the id {name!r}, as {wavs[name]} has; rename one of them")
        wavs[name] = path
    if not wavs:
        raise TSXError(f"{root}: no recording in it (expected {', '.join(SUFFIXES)})")
    write_table(Path(data) / "utt2labels", dict.fromkeys(wavs, LABEL))
    write_table(Path(data) / "wav.scp", wavs)
    return len(wavs)

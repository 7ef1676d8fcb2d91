"""Whether a formatted directory still is what its marker says: files vanish, or are cut short."""

import os
from pathlib import Path
from typing import Any, Dict, Optional

from tsx_espnet.conditions import hop_length
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import read_table, size_of

TABLES = ("wav.scp", "utt2labels", "utt2num_samples", "energies.scp")
WAV_HEADER = 44  # bytes of a 16-bit WAV before its samples
ARK_HEADER = 15  # bytes of a matrix in an ark before its numbers; the id and a space come first


def find_damage(out: Path, done: Dict[str, Any]) -> Optional[str]:
    """What is missing or changed of the set in ``out``; None if nothing is.

    One look at the size of each file; nothing is read but the tables.

    Args:
        done: the contents of ``.done``.
    """
    try:
        tables = [read_table(out / file) for file in TABLES]
        lengths = {name: int(value) for name, value in tables[2].items()}
    except (TSXError, ValueError) as error:
        return str(error)
    for file, table in zip(TABLES, tables):
        if table.keys() != lengths.keys() or len(table) != done.get("num_kept"):
            return f"{out / file}: expected {done.get('num_kept')} clips, those of {TABLES[2]}"
    if not os.path.isfile(out / "classes.txt"):
        return f"{out / 'classes.txt'}: no such file"
    hop = hop_length(done["fs"])
    ark = sum(len(name) + 1 + ARK_HEADER + 12 * -(-n // hop) for name, n in lengths.items())
    sizes = {out / "wav" / f"{name}.wav": WAV_HEADER + 2 * n for name, n in lengths.items()}
    for path, size in {out / "energies.ark": ark, **sizes}.items():
        if size_of(path) != size:
            return f"{path}: expected {size} bytes, found {max(0, size_of(path))}"
    return None

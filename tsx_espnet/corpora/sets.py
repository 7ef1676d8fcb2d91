"""The data directories of a corpus: those of this choice written, those of an earlier one gone."""

import re
from pathlib import Path
from typing import Mapping, Tuple

from tsx_espnet.tables import PathLike, write_table

SEEN, NEW = ("train", "valid", "test"), ("new_train", "new_test")
TABLES = ("utt2labels", "wav.scp")
_EXAMPLES = re.compile(r"new_enroll_\d+(_draw\d+)?")  # see examples.py


def write_sets(data: PathLike, sets: Mapping[str, Mapping[str, Tuple[str, PathLike]]]) -> None:
    """Write ``utt2labels`` and ``wav.scp`` of each set, and remove those of sets no longer there.

    Args:
        data: directory of the data directories.
        sets: set -> clip -> labels with commas between them, and audio file.
    """
    data = Path(data)
    for name, clips in sets.items():
        for column, table in enumerate(TABLES):
            write_table(data / name / table, {one: row[column] for one, row in clips.items()})
    there = {path.name for path in data.iterdir() if _EXAMPLES.fullmatch(path.name)}
    for name in {*SEEN, *NEW, *there}.difference(sets):
        for table in TABLES:
            (data / name / table).unlink(missing_ok=True)

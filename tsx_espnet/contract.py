"""THE data table: which file of a mixture set is which array of a batch."""

from dataclasses import dataclass
from typing import List, Tuple

from tsx_espnet.conditions import CONDITIONS


@dataclass(frozen=True)
class DataEntry:
    """One row: ``file`` is loaded by ESPnet's loader ``type`` and reaches the model as ``name``."""

    file: str
    name: str
    type: str
    required: bool


MIXTURE = DataEntry("wav.scp", "speech_mix", "sound", required=True)
TARGET = DataEntry("spk1.scp", "speech_ref1", "sound", required=True)
OTHER = DataEntry("spk2.scp", "speech_ref2", "sound", required=False)


def table() -> Tuple[DataEntry, ...]:
    """All rows: the audio, and a row for each condition there is by now."""
    conditions = (
        DataEntry(condition.file, name, "text", required=False)
        for name, condition in CONDITIONS.items()
    )
    return (MIXTURE, TARGET, OTHER, *conditions)


def data_names(required: bool, inference: bool = False) -> Tuple[str, ...]:
    """Names a batch must (or may) have; at inference there are no references."""
    rows = [row for row in table() if not (inference and row in (TARGET, OTHER))]
    return tuple(row.name for row in rows if row.required == required)


def path_name_type(directory: str, conditions: Tuple[str, ...]) -> List[Tuple[str, str, str]]:
    """ESPnet's ``--*_data_path_and_name_and_type`` of a mixture set, queried by ``conditions``."""
    return [
        (f"{directory}/{row.file}", row.name, row.type)
        for row in table()
        if row in (MIXTURE, TARGET, OTHER) or row.name in conditions
    ]

"""THE data table: which file of a mixture set is which array of a batch."""

from dataclasses import dataclass
from typing import List, Tuple

from tsx_espnet.conditions import CONDITIONS


@dataclass(frozen=True)
class DataEntry:
    """One row: ``file`` is loaded by ESPnet's loader ``type`` and reaches the model as ``name``.

    ``kind`` is a word for its contents, and the folder of the audio.
    """

    file: str
    name: str
    type: str
    kind: str
    required: bool = False


MIXTURE = DataEntry("wav.scp", "speech_mix", "sound", "mixture", required=True)
TARGET = DataEntry("spk1.scp", "speech_ref1", "sound", "target", required=True)
OTHER = DataEntry("spk2.scp", "speech_ref2", "sound", "other")
SOURCES = DataEntry("sources.scp", "sources", "sound", "sources")
QUERIES = DataEntry("utt2queries", "queries", "text", "queries")
SOUNDS = (MIXTURE, TARGET, OTHER)
FURTHER = (SOURCES, QUERIES)  # of sets that have them
ESTIMATES = (TARGET, OTHER)  # the tables of estimates are named as those of the references


def query_entries() -> Tuple[DataEntry, ...]:
    """A row for each registered condition."""
    return tuple(DataEntry(one.file, name, "text", name) for name, one in CONDITIONS.items())


def data_table() -> Tuple[DataEntry, ...]:
    """The rows of every set: sounds and conditions."""
    return (*SOUNDS, *query_entries())


def data_names(required: bool, inference: bool = False) -> Tuple[str, ...]:
    """Names a batch must (or may) have; at inference there are no references."""
    references = (*ESTIMATES, *FURTHER) if inference else ()
    rows = [row for row in (*data_table(), *FURTHER) if row not in references]
    return tuple(row.name for row in rows if row.required == required)


def path_name_type(
    directory: str, conditions: Tuple[str, ...], queries: bool = False
) -> List[Tuple[str, str, str]]:
    """ESPnet's ``--*_data_path_and_name_and_type`` of a mixture set queried by ``conditions``.

    Args:
        queries: load all sources and all queries, in place of the target and its conditions.
    """
    rows = [row for row in data_table() if row in SOUNDS or row.name in conditions]
    if queries:
        rows = [MIXTURE, *FURTHER]
    return [(f"{directory}/{row.file}", row.name, row.type) for row in rows]

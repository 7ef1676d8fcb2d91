"""The grid of experiments behind Table 1 and Figure 2 of the OCT paper, as far as it was run."""

import dataclasses
import re
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.checks import check_same_set
from tsx_espnet.evaluation.paper import DIFFICULTIES, ENSEMBLED, METHODS, MIXINGS, Row
from tsx_espnet.evaluation.scores import FILE
from tsx_espnet.evaluation.system import (
    INFER,
    ScoredExperiment,
    System,
    ask,
    average,
    ensemble,
    read_experiment,
)
from tsx_espnet.evaluation.table import Mean
from tsx_espnet.tables import PathLike

Column = Tuple[str, str]  # mixing, difficulty: one test set


class Tag(NamedTuple):
    """The parts of the name of an experiment; a tag without ``_seed<k>`` is a seed of its own."""

    size: str
    method: str
    mixing: str
    difficulty: str
    seed: str


@dataclasses.dataclass(frozen=True)
class Cell:
    """What was measured for one row and one column.

    Attributes:
        system: mixture by mixture, the mean over the seeds.
        mean: of ``system``; None if no mixture could be measured.
        seed_means: the mean SI-SDR in dB of each seed, over its own mixtures.
    """

    system: System
    mean: Optional[Mean]
    seed_means: Tuple[float, ...]


class Grid:
    """All scored experiments under a directory that belong to the grid.

    Tags are ``[<size>_]<method>_<mixing>_<difficulty>[_seed<k>]``, scores are those of the test set
    ``test_<mixing>_<difficulty>``. Other directories, and experiments not scored yet, are passed
    over.

    Attributes:
        runs: (method, mixing, difficulty) -> seed -> its scores.
        unscored: tags of the grid without scores.

    Raises:
        TSXError: if there is no such directory or no such experiment, or those of one column are
            not of the same mixtures.
    """

    def __init__(self, directory: PathLike, size: Optional[str] = None) -> None:
        directory = Path(directory)
        if not directory.is_dir():
            raise TSXError(f"{directory}: no such directory; expected one of experiments")
        self.runs: Dict[Tuple[str, str, str], Dict[str, ScoredExperiment]] = {}
        self.unscored: List[str] = []
        for path in sorted(directory.iterdir()):
            tag = _parse_tag(path.name)
            if tag is None or tag.size != (size or ""):
                continue
            test_set = f"test_{tag.mixing}_{tag.difficulty}"
            if (path / INFER / test_set / FILE).is_file():
                run = self.runs.setdefault((tag.method, tag.mixing, tag.difficulty), {})
                run[tag.seed] = read_experiment(path, test_set)
            else:
                self.unscored.append(path.name)
        if not self.runs:
            raise TSXError(_nothing(directory, size))
        for mixing, difficulty in self.columns():
            check_same_set(self._experiments((mixing, difficulty)))
        self._cells: Dict[Tuple[Optional[str], str, Column], Optional[Cell]] = {}

    def columns(self, difficulty: Optional[str] = None) -> List[Column]:
        """The columns in which anything was run, in the paper's order."""
        present = {run[1:] for run in self.runs}
        return [
            (mixing, level)
            for level in DIFFICULTIES
            for mixing in MIXINGS
            if (mixing, level) in present and difficulty in (None, level)
        ]

    def cell(self, row: Row, column: Column) -> Optional[Cell]:
        """What was measured for ``row`` in ``column``; None if it was not run."""
        key = (row.method, row.condition, column)
        if key not in self._cells:  # a bootstrap each
            seeds = self._seeds(row, column)
            self._cells[key] = _cell(row, seeds) if seeds else None
        return self._cells[key]

    def directories(self) -> List[Path]:
        """The experiments that were read."""
        return sorted(scored.directory for run in self.runs.values() for scored in run.values())

    def size_of(self, column: Column) -> Tuple[int, int]:
        """How many mixtures, and classes of their targets, the experiments of a column scored."""
        labels = {
            name: next(iter(rows.values())).label
            for scored in self._experiments(column)
            for name, rows in scored.table.items()
        }
        return len(labels), len(set(labels.values()))

    def _seeds(self, row: Row, column: Column) -> Mapping[str, System]:
        if row.method is not None:
            run = self.runs.get((row.method, *column), {})
            return {seed: ask(scored, row.condition, row.label) for seed, scored in run.items()}
        members = [
            {
                seed: ask(scored, condition, method)
                for seed, scored in self.runs.get((method, *column), {}).items()
            }
            for method, condition in ENSEMBLED.items()
        ]
        if not all(members):
            return {}
        seeds = [seed for seed in members[0] if all(seed in member for member in members)]
        if not seeds:  # one of each, then: their seeds need not be the same for an ensemble
            return {"": ensemble([next(iter(member.values())) for member in members])}
        return {seed: ensemble([member[seed] for member in members]) for seed in seeds}

    def _experiments(self, column: Column) -> List[ScoredExperiment]:
        runs = [run for key, run in self.runs.items() if key[1:] == column]
        return [scored for run in runs for scored in run.values()]


def _cell(row: Row, seeds: Mapping[str, System]) -> Cell:
    system = average(list(seeds.values()), row.label)
    tables = [seed.si_sdr for seed in seeds.values() if seed.si_sdr]
    means = tuple(sum(table.values()) / len(table) for table in tables)
    return Cell(system, system.mean(), means)


def _parse_tag(tag: str) -> Optional[Tag]:
    """The parts of a tag; None if it is none of the grid.

    >>> tuple(_parse_tag("small_text_bert_same_easy_seed2"))
    ('small', 'text_bert', 'same', 'easy', '2')
    """
    names = ("|".join(names) for names in (METHODS, MIXINGS, DIFFICULTIES))
    match = re.fullmatch("(?:(.+)_)?({})_({})_({})(?:_seed([0-9]+))?".format(*names), tag)
    return Tag(*(group or "" for group in match.groups())) if match else None


def _nothing(directory: Path, size: Optional[str]) -> str:
    """The message for a directory without any run of ``size``."""
    tags = filter(None, (_parse_tag(path.name) for path in directory.iterdir()))
    sizes = sorted({tag.size for tag in tags} - {size or ""})
    found = [f"--size {other}" if other else "no --size" for other in sizes]
    prefix = f"{size}_" if size else ""
    return (
        f"{directory}: no scored experiment of the grid; expected "
        f"{prefix}<method>_<mixing>_<difficulty>[_seed<k>]/{INFER}/test_<mixing>_<difficulty>/"
        f"{FILE} (stage 7), method one of {', '.join(METHODS)}, "
        f"mixing one of {', '.join(MIXINGS)}, difficulty one of {', '.join(DIFFICULTIES)}"
    ) + (f"; there are some of {', '.join(found)}" if found else "")

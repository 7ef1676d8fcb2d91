"""The experiments behind the tables of a paper, as far as they were run, and what each cell is."""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.answers import (
    METRICS,
    Answers,
    Metric,
    ScoredExperiment,
    ask,
    average,
    check_same_set,
    check_same_targets,
    ensemble,
    marked,
    read_experiment,
)
from tsx_espnet.evaluation.paper import DRAW, REST, Cell, Claim, Paper, Row, Table
from tsx_espnet.evaluation.scores import FILE, MARKS, Score
from tsx_espnet.tables import PathLike

_DRAW = r"(?:_draw([1-9]\d*))?"


class Run(NamedTuple):
    """One of several experiments that differ in nothing else.

    Attributes:
        seed: of the training; a tag without ``_seed<k>`` is a seed of its own.
        draw: of the recordings that new classes are known by; None where there are none.
    """

    seed: str
    draw: Optional[int] = None

    def __str__(self) -> str:
        words = f"seed {self.seed or 0}"
        return words if self.draw is None else f"{words}, draw {self.draw}"


class Study:
    """All scored experiments under a directory that belong to the tables of a paper.

    Tags are ``[<size>_]<method>_<kind>[_seed<k>]``, kind being ``<mixing>_<difficulty>``; the
    paper says where their scores are. Other directories are passed over.

    Attributes:
        directories: the experiments that were read.
        trained: those of them that are not of ``untrained`` systems.
        unscored: tags without any scores.
        metric: the paper's, or the first of its others if that was not scored.

    Raises:
        TSXError: if there is no such directory or no such experiment, those of one set are not of
            the same mixtures, or a model was not queried as the paper says.
    """

    def __init__(self, paper: Paper, directory: PathLike, size: str = "") -> None:
        directory = Path(directory)
        if not directory.is_dir():
            raise TSXError(f"{directory}: no such directory; expected one of experiments")
        self.paper = paper
        self.directories: List[Path] = []
        self.trained: List[Path] = []
        self.unscored: List[str] = []
        self._experiments: Dict[Cell, Dict[Run, ScoredExperiment]] = {}
        self._sets: Dict[str, Dict[str, List[ScoredExperiment]]] = {}
        self._answers: Dict[Tuple[Cell, Metric], Dict[Run, Answers]] = {}
        self._means: Dict[tuple, Optional[Answers]] = {}
        self._find(directory, size)
        for places in self._sets.values():
            for experiments in places.values():
                check_same_set(experiments)
            check_same_targets([experiments[0] for experiments in places.values()])
        # where the paper prints a number, a model that was scored was queried for it
        for model in (model for cell in paper.printed() for model in cell.models()):
            for scored in self._experiments.get(model, {}).values():
                ask(scored, model.condition, "")
        metrics = [METRICS[name] for name in paper.metrics]
        scored = (m for m in metrics if any(self.runs(cell, m) for cell in self._experiments))
        self.metric = next(scored, metrics[0])

    def runs(self, cell: Cell, metric: Metric) -> Dict[Run, Answers]:
        """The answers of each run; empty if it was not run."""
        key = (cell, metric)
        if key not in self._answers:
            find = self._ensembles if cell.best_of else self._asked
            self._answers[key] = find(cell, metric)
        return self._answers[key]

    def ran(self, cell: Cell) -> bool:
        """Whether there are rows of it, measured or not."""
        return all(self._queried(model) for model in cell.models())

    def common_runs(self, cells: Sequence[Optional[Cell]], metric: Metric) -> FrozenSet[Run]:
        """The runs that every one of ``cells`` has that was run at all; all if there are none.

        A cell without draws has a run if it has its seed.
        """
        found = [set(self.runs(cell, metric)) for cell in cells if cell is not None]
        found = [runs for runs in found if runs]
        drawn = [runs for runs in found if any(run.draw is not None for run in runs)]
        draws = [set.intersection(*drawn)] if drawn else []
        seeds = [{run.seed for run in runs} for runs in (*found, *draws)]
        every = frozenset().union(*found)
        common = set.intersection(*seeds) if seeds else set()
        shared = {run for run in every if run.draw is None}.union(*draws)
        return frozenset(run for run in shared if run.seed in common) or every

    def answers(
        self, cell: Cell, metric: Metric, runs: Optional[FrozenSet[Run]] = None
    ) -> Optional[Answers]:
        """The mean over ``runs`` (all by default), target by target; None without any."""
        key = (cell, metric, runs)
        if key not in self._means:  # its interval is a bootstrap
            found = self.runs(cell, metric).items()
            of_runs = [answers for run, answers in found if runs is None or run in runs]
            self._means[key] = average(of_runs)
        return self._means[key]

    def shared_runs(self, claim: Claim, metric: Metric) -> List[Run]:
        """The runs that both sides of a claim have."""
        above, below = self._sides(claim, metric)
        return [run for run in above if run in below]

    def difference(self, claim: Claim, metric: Metric) -> Optional[Answers]:
        """Paired, target by target; None if one was not run or they share no target.

        The mean over the runs that both have; where they have none in common, that of the means.
        """
        above, below = self._sides(claim, metric)
        common = self.shared_runs(claim, metric)
        if common:
            return average([above[run].minus(below[run]) for run in common])
        first, other = (average(list(runs.values())) for runs in (above, below))
        return average([first.minus(other)]) if first and other else None

    def rows(
        self, table: Table, metric: Metric
    ) -> Iterator[Tuple[Row, List[Optional[Answers]]]]:
        """Rows with our answers, of common runs; one without printed numbers only if it was run."""
        for row in table.rows:
            common = self.common_runs(row.cells, metric)
            found = [cell and self.answers(cell, metric, common) for cell in row.cells]
            if row.has_numbers or any(found):
                yield row._replace(name=self.mark(row.name, *row.cells)), found

    def measured(self, table: Table) -> Iterator[Tuple[str, Row, Cell, Answers]]:
        """Name, row, cell and answers of each cell that was run."""
        for row, found in self.rows(table, self.metric):
            for column, cell, answers in zip(table.columns, row.cells, found):
                if answers is not None:
                    yield f"{row.name}, {column}", row, cell, answers

    def targets(self, test_set: str) -> Dict[str, Score]:
        """Target -> one of its rows, of every target of a set."""
        return {
            name: next(iter(rows.values()))
            for experiments in self._sets.get(test_set, {}).values()
            for scored in experiments
            for name, rows in scored.table.items()
        }

    def mark(self, name: str, *cells: Optional[Cell]) -> str:
        """``name``, with the marks of the models of ``cells``."""
        models = (model for cell in cells if cell is not None for model in cell.models())
        runs = (run for model in models for run in self._experiments.get(model, {}).values())
        found = {mark for run in runs for mark in run.marks}
        return marked(name, [mark for mark in MARKS if mark in found])

    @functools.cached_property
    def counted(self) -> str:
        """What the tables count: "targets" if any mixture has several, else "mixtures"."""
        sets = (self.targets(name).values() for name in self._sets)
        several = any(score.in_mixture for scores in sets for score in scores)
        return "targets" if several else "mixtures"

    def _find(self, directory: Path, size: str) -> None:
        cells = self.paper.cells()
        kinds = dict.fromkeys(self.paper.sets[cell.set].kind for cell in cells)
        names = "|".join(map(re.escape, self.paper.methods())), "|".join(map(re.escape, kinds))
        tag = re.compile("(?:(.+)_)?({})_({})(?:_seed([0-9]+))?".format(*names))
        read: Dict[Tuple[Path, str], ScoredExperiment] = {}
        sizes = set()
        for path in sorted(directory.iterdir()):
            match = tag.fullmatch(path.name)
            if not match:
                continue
            if (match[1] or "") != size:
                sizes.add(match[1] or "")
                continue
            before = len(read)
            for cell in cells:
                fits = (cell.method, self.paper.sets[cell.set].kind) == (match[2], match[3])
                for scores, draw in _places(path, cell.scores) if fits else ():
                    key = (scores, cell.set)
                    first = key not in read
                    if first:
                        read[key] = self._read(scores, cell.set)
                    if not read[key].table:  # it has no such mixtures
                        continue
                    if first:
                        place = scores.relative_to(path).as_posix()
                        places = self._sets.setdefault(cell.set, {})
                        places.setdefault(place, []).append(read[key])
                    run = Run(match[4] or "", draw)
                    self._experiments.setdefault(cell, {})[run] = read[key]
            if len(read) > before:
                self.directories.append(path)
                if any(cell.method == match[2] and not cell.untrained for cell in cells):
                    self.trained.append(path)
            else:
                self.unscored.append(path.name)
        if not read:
            places = dict.fromkeys(cell.scores.replace(DRAW, "") for cell in cells)
            found = [f"--size {other}" if other else "no --size" for other in sorted(sizes)]
            prefix = f"{size}_" if size else ""
            raise TSXError(
                f"{directory}: no scored experiment of {self.paper.title}; expected "
                f"{prefix}<method>_<mixing>_<difficulty>[_seed<k>], method one of "
                f"{', '.join(self.paper.methods())}, mixing and difficulty one of "
                f"{', '.join(kinds)}, with {FILE} (score writes it) in one of {', '.join(places)}"
                + (f"; there are some of {', '.join(found)}" if found else "")
            )

    def _read(self, directory: Path, test_set: str) -> ScoredExperiment:
        scored = read_experiment(directory.parents[1], directory.name)
        sources = self.paper.sets[test_set].sources
        if sources is None:
            return scored
        few, many = sources
        counts = {name: next(iter(rows.values())).count for name, rows in scored.table.items()}
        if not any(counts.values()):
            raise TSXError(f"{scored.path}: no column count, by which {test_set} is chosen")
        table = {name: scored.table[name] for name in counts if few <= (counts[name] or 0) <= many}
        return dataclasses.replace(scored, table=table)

    def _sides(self, claim: Claim, metric: Metric) -> List[Dict[Run, Answers]]:
        """The runs of both; what is not trained has the same answers in each run of the other."""
        cells = claim.above, claim.below
        sides = [self.runs(cell, metric) for cell in cells]
        return [
            dict.fromkeys(other, next(iter(own.values()))) if cell.untrained and own else own
            for cell, own, other in zip(cells, sides, reversed(sides))
        ]

    def _queried(self, cell: Cell) -> Dict[Run, ScoredExperiment]:
        runs = self._experiments.get(cell, {})
        return {run: scored for run, scored in runs.items() if scored.rows(cell.condition)}

    def _asked(self, cell: Cell, metric: Metric) -> Dict[Run, Answers]:
        found = {
            run: ask(scored, cell.condition, str(cell.method), metric, cell.output == REST)
            for run, scored in self._queried(cell).items()
        }
        return {run: answers for run, answers in found.items() if answers.values}

    def _ensembles(self, cell: Cell, metric: Metric) -> Dict[Run, Answers]:
        members = [self.runs(member, metric) for member in cell.best_of]
        if not all(len(member) >= cell.seeds for member in members):
            return {}
        if cell.seeds > 1:
            members = [_next_runs(one, n) for one in members for n in range(cell.seeds)]
        runs = [run for run in members[0] if all(run in member for member in members)]
        if not runs:  # one of each, then: their seeds need not be the same for an ensemble
            return {Run("mixed"): ensemble([next(iter(member.values())) for member in members])}
        return {run: ensemble([member[run] for member in members]) for run in runs}


def _next_runs(member: Dict[Run, Answers], number: int) -> Dict[Run, Answers]:
    """For each run, the answers of the one ``number`` runs on; the first follows the last."""
    answers = list(member.values())
    return {run: answers[(k + number) % len(answers)] for k, run in enumerate(member)}


def _places(path: Path, scores: str) -> List[Tuple[Path, Optional[int]]]:
    """Where an experiment has the scores of a cell, and of which draw of the recordings."""
    if DRAW not in scores:
        return [(path / scores, None)] if (path / scores / FILE).is_file() else []
    pattern = re.compile(_DRAW.join(map(re.escape, scores.split(DRAW))), re.ASCII)
    found = []
    for file in path.glob(f"{scores.replace(DRAW, '*')}/{FILE}"):
        match = pattern.fullmatch(file.parent.relative_to(path).as_posix())
        if match:
            found.append((file.parent, int(match[1] or 0)))
    return sorted(found, key=lambda place: place[1])

"""The experiments behind Tables 1 and 2 of the SoundBeam paper, as far as they were run."""

from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.checks import SAME_AUDIO, check_same_set
from tsx_espnet.evaluation.scores import Score
from tsx_espnet.evaluation.soundbeam_gains import Gains, Metric, average, measure
from tsx_espnet.evaluation.soundbeam_paper import METHODS, NEW, PLACES, Asked, Place
from tsx_espnet.evaluation.soundbeam_runs import KIND, Run, nothing_found, parse_tag, scored_places
from tsx_espnet.evaluation.system import ScoredExperiment, read_experiment
from tsx_espnet.tables import PathLike


class Study:
    """All scored experiments under a directory that belong to the paper's tables.

    Tags are ``[<size>_]<method>_<kind>[_seed<k>]``; ``Place`` says where their scores are. Other
    directories are passed over.

    Attributes:
        runs: (method, place) -> run -> its scores.
        directories: the experiments that were read.
        unscored: tags without any scores.

    Raises:
        TSXError: if there is no such directory or no such experiment, or those of one set are not
            of the same mixtures.
    """

    def __init__(self, directory: PathLike, size: Optional[str] = None, kind: str = KIND) -> None:
        directory = Path(directory)
        if not directory.is_dir():
            raise TSXError(f"{directory}: no such directory; expected one of experiments")
        self.kind = kind
        self.runs: Dict[Tuple[str, Place], Dict[Run, ScoredExperiment]] = {}
        self.directories: List[Path] = []
        self.unscored: List[str] = []
        for path in sorted(directory.iterdir()):
            tag = parse_tag(path.name, kind)
            if tag is None or tag.size != (size or ""):
                continue
            found = scored_places(path, kind)
            for place, draw in found:
                scores = path / place.directory(kind, draw)
                runs = self.runs.setdefault((tag.method, place), {})
                runs[Run(tag.seed, draw)] = read_experiment(scores.parents[1], scores.name)
            if found:
                self.directories.append(path)
            else:
                self.unscored.append(path.name)
        if not self.runs:
            raise TSXError(nothing_found(directory, size, kind))
        self._check_mixtures()
        self._gains: Dict[Tuple[Asked, Metric], Optional[Gains]] = {}

    def gains(self, asked: Asked, metric: Metric) -> Optional[Gains]:
        """What was measured, the mean over the runs mixture by mixture; None if it was not run."""
        key = (asked, metric)
        if key not in self._gains:  # a bootstrap each
            self._gains[key] = _mean(list(self._of_runs(asked, metric).values()))
        return self._gains[key]

    def ran(self, asked: Asked) -> bool:
        """Whether there are rows of it, measured or not."""
        runs = self.runs.get((asked.method, asked.place), {})
        return any(scored.rows(asked.condition) for scored in runs.values())

    def has(self, metric: Metric) -> bool:
        """Whether any mixture was measured by it."""
        return any(
            metric.gain(score) is not None
            for runs in self.runs.values()
            for scored in runs.values()
            for rows in scored.table.values()
            for score in rows.values()
        )

    def difference(self, minuend: Asked, subtrahend: Asked, metric: Metric) -> Optional[Gains]:
        """Paired, mixture by mixture; None if one was not run or they share no mixture.

        The mean over the runs that both have; where they have none in common, that of the means.
        """
        pair = [self._of_runs(asked, metric) for asked in (minuend, subtrahend)]
        common = [run for run in pair[0] if run in pair[1]]
        if common:
            return _mean([pair[0][run].minus(pair[1][run]) for run in common])
        means = [_mean(list(gains.values())) for gains in pair]
        return None if None in means else _mean([means[0].minus(means[1])])

    def targets(self, test: str) -> Dict[str, Score]:
        """Mixture -> one of its rows, of every mixture of a set."""
        return {
            name: next(iter(rows.values()))
            for place in PLACES
            if place.test == test
            for _, scored in self._runs_at(place)
            for name, rows in scored.table.items()
        }

    def adapted(self) -> List[str]:
        """The methods whose new classes were adapted, in the order of ``METHODS``."""
        present = {method for method, place in self.runs if place.init}
        return [method for method in METHODS if method in present]

    def _check_mixtures(self) -> None:
        new = []
        for place in PLACES:
            of_draw: Dict[int, List[ScoredExperiment]] = {}
            for run, scored in self._runs_at(place):
                of_draw.setdefault(run.draw, []).append(scored)
            for experiments in of_draw.values():
                check_same_set(experiments)
                if place.test == NEW:
                    new.append(experiments[0])
        check_same_targets(new)

    def _runs_at(self, place: Place) -> List[Tuple[Run, ScoredExperiment]]:
        found = [runs for key, runs in self.runs.items() if key[1] == place]
        return [pair for runs in found for pair in runs.items()]

    def _of_runs(self, asked: Asked, metric: Metric) -> Dict[Run, Gains]:
        runs = self.runs.get((asked.method, asked.place), {})
        rows = {run: scored.rows(asked.condition) for run, scored in runs.items()}
        return {run: measure(table, metric) for run, table in rows.items() if table}


def check_same_targets(experiments: Sequence[ScoredExperiment]) -> None:
    """Refuse experiments that share no mixture with the first, or not its target and its level.

    They may have been asked by other recordings: only so are K=1 and K=10 a pair, and two draws.

    Raises:
        TSXError: with the two files, the mixture and what differs.
    """
    for other in experiments[1:]:
        first = experiments[0]
        where = f"{other.path}: not of the same mixtures as {first.path}"
        common = sorted(set(first.table) & set(other.table))
        if not common:
            raise TSXError(f"{where}: none in common")
        for name in common:
            expected, found = (next(iter(e.table[name].values())) for e in (first, other))
            if found.label != expected.label:
                raise TSXError(
                    f"{where}: mixture {name!r}: target is {found.label!r}, expected "
                    f"{expected.label!r}"
                )
            levels = found.si_sdr_mixture, expected.si_sdr_mixture
            if None not in levels and abs(levels[0] - levels[1]) > SAME_AUDIO:
                raise TSXError(
                    f"{where}: mixture {name!r}: SI-SDR of the mixture is {levels[0]:.4f} dB, "
                    f"expected {levels[1]:.4f} dB"
                )


def _mean(runs: Sequence[Gains]) -> Optional[Gains]:
    """None without a mixture that all of them have."""
    found = average(runs) if runs else None
    return found if found is not None and found.values else None

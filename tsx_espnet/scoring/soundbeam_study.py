"""The experiments behind Tables 1 and 2 of the SoundBeam paper, as far as they were run."""

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from tsx_espnet.error import TSXError
from tsx_espnet.files import PathLike
from tsx_espnet.scoring.checks import SAME_AUDIO, check_same_set
from tsx_espnet.scoring.scores import FILE, Score
from tsx_espnet.scoring.soundbeam_gains import Gains, Metric, average, measure
from tsx_espnet.scoring.soundbeam_paper import METHODS, NEW, PLACES, Asked, Place
from tsx_espnet.scoring.system import ScoredExperiment, read_experiment

KIND = "random_soundbeam"  # the recipe's way of mixing (conf/mix_<kind>.yaml)


class Tag(NamedTuple):
    """The parts of the name of an experiment; a tag without ``_seed<k>`` is a seed of its own."""

    size: str
    method: str
    seed: str


class Study:
    """All scored experiments under a directory that belong to the paper's tables.

    Tags are ``[<size>_]<method>_<kind>[_seed<k>]``; ``Place`` says where their scores are. Other
    directories are passed over.

    Attributes:
        runs: (method, place) -> seed -> its scores.
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
        self.runs: Dict[Tuple[str, Place], Dict[str, ScoredExperiment]] = {}
        self.directories: List[Path] = []
        self.unscored: List[str] = []
        for path in sorted(directory.iterdir()):
            tag = _parse_tag(path.name, kind)
            if tag is None or tag.size != (size or ""):
                continue
            places = [place for place in PLACES if (path / place.directory(kind) / FILE).is_file()]
            for place in places:
                scores = path / place.directory(kind)
                run = self.runs.setdefault((tag.method, place), {})
                run[tag.seed] = read_experiment(scores.parents[1], scores.name)
            if places:
                self.directories.append(path)
            else:
                self.unscored.append(path.name)
        if not self.runs:
            raise TSXError(_nothing(directory, size, kind))
        for place in PLACES:
            check_same_set(self._experiments(place))
        of_each = [self._experiments(place)[:1] for place in PLACES if place.test == NEW]
        check_same_targets([scored for found in of_each for scored in found])
        self._gains: Dict[Tuple[Asked, Metric], Optional[Gains]] = {}

    def gains(self, asked: Asked, metric: Metric) -> Optional[Gains]:
        """What was measured, the mean over the seeds mixture by mixture; None if it was not run."""
        key = (asked, metric)
        if key not in self._gains:  # a bootstrap each
            run = self.runs.get((asked.method, asked.place), {})
            rows = [scored.rows(asked.condition) for scored in run.values()]
            seeds = [measure(table, metric) for table in rows if table]
            self._gains[key] = average(seeds) if seeds else None
        found = self._gains[key]
        return found if found is not None and found.values else None

    def ran(self, asked: Asked) -> bool:
        """Whether there are rows of it, measured or not."""
        run = self.runs.get((asked.method, asked.place), {})
        return any(scored.rows(asked.condition) for scored in run.values())

    def has(self, metric: Metric) -> bool:
        """Whether any mixture was measured by it."""
        return any(
            metric.gain(score) is not None
            for run in self.runs.values()
            for scored in run.values()
            for rows in scored.table.values()
            for score in rows.values()
        )

    def difference(self, minuend: Asked, subtrahend: Asked, metric: Metric) -> Optional[Gains]:
        """Paired, mixture by mixture; None if one was not run or they share no mixture."""
        pair = self.gains(minuend, metric), self.gains(subtrahend, metric)
        if None in pair:
            return None
        difference = pair[0].minus(pair[1])
        return difference if difference.values else None

    def targets(self, test: str) -> Dict[str, Score]:
        """Mixture -> one of its rows, of every mixture of a set."""
        return {
            name: next(iter(rows.values()))
            for place in PLACES
            if place.test == test
            for scored in self._experiments(place)
            for name, rows in scored.table.items()
        }

    def adapted(self) -> List[str]:
        """The methods whose new classes were adapted, in the order of ``METHODS``."""
        present = {method for method, place in self.runs if place.init}
        return [method for method in METHODS if method in present]

    def _experiments(self, place: Place) -> List[ScoredExperiment]:
        runs = [run for key, run in self.runs.items() if key[1] == place]
        return [scored for run in runs for scored in run.values()]


def check_same_targets(experiments: Sequence[ScoredExperiment]) -> None:
    """Refuse experiments that share no mixture with the first, or not its target and its level.

    They may have been asked by other recordings: only so are K=1 and K=10 a pair.

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


def _parse_tag(tag: str, kind: str) -> Optional[Tag]:
    """The parts of a tag; None if it is none of the tables.

    >>> tuple(_parse_tag("small_mixed_el_random_soundbeam_seed2", KIND))
    ('small', 'mixed_el', '2')
    """
    pattern = f"(?:(.+)_)?({'|'.join(METHODS)})_{re.escape(kind)}(?:_seed([0-9]+))?"
    match = re.fullmatch(pattern, tag)
    return Tag(*(group or "" for group in match.groups())) if match else None


def _nothing(directory: Path, size: Optional[str], kind: str) -> str:
    """The message for a directory without any run of ``size``."""
    tags = filter(None, (_parse_tag(path.name, kind) for path in directory.iterdir()))
    sizes = sorted({tag.size for tag in tags} - {size or ""})
    found = [f"--size {other}" if other else "no --size" for other in sizes]
    prefix = f"{size}_" if size else ""
    places = ", ".join(dict.fromkeys(_pattern(place, kind) for place in PLACES))
    return (
        f"{directory}: no scored experiment of SoundBeam; expected "
        f"{prefix}<method>_{kind}[_seed<k>], method one of {', '.join(METHODS)}, with {FILE} "
        f"(stage 7) in one of {places}"
    ) + (f"; there are some of {', '.join(found)}" if found else "")


def _pattern(place: Place, kind: str) -> str:
    path = place.directory(kind).as_posix()
    return path.replace(f"K{place.shots}", "K<K>").replace(f"{place.init}_K", "<init>_K")

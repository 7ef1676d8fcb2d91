"""What is compared: the scores of an experiment on a test set, and systems as SI-SDR a mixture."""

import dataclasses
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from tsx_espnet.conditions import CONDITIONS, UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.checks import check_ensemble, check_scores
from tsx_espnet.evaluation.scores import FILE, ORDER, Score, read_scores
from tsx_espnet.evaluation.table import Mean, mean_of
from tsx_espnet.tables import PathLike, read_facts

INFER = "infer"  # <exp>/infer/<test set> holds estimates and scores
ENSEMBLE = "oracle ensemble"


@dataclasses.dataclass(frozen=True)
class ScoredExperiment:
    """The scores of one experiment on one test set, checked.

    Attributes:
        directory: the experiment.
        path: its ``scores.csv``.
        table: mixture -> condition -> its row.
        mixture_set: digest of the marker of the mixtures, as stage 6 noted it; None if it did not.
    """

    directory: Path
    path: Path
    table: Mapping[str, Mapping[str, Score]]
    mixture_set: Optional[str]

    @property
    def conditions(self) -> Tuple[str, ...]:
        """The conditions that it was asked by, in the order of ``CONDITIONS``; the oracle last."""
        present = {condition for rows in self.table.values() for condition in rows}
        return tuple(condition for condition in ORDER if condition in present)

    def rows(self, condition: str) -> Dict[str, Score]:
        """Mixture -> row, of the mixtures that ``condition`` is applicable to."""
        return {name: rows[condition] for name, rows in self.table.items() if condition in rows}


@dataclasses.dataclass(frozen=True)
class System:
    """One way to answer the mixtures of a test set.

    Attributes:
        name: as tables call it.
        condition: what it was asked by.
        si_sdr, si_sdri: mixture -> dB, of the mixtures it could be asked and that can be measured.
        silent: mixtures left out as a reference or the estimate is silent.
    """

    name: str
    condition: str
    si_sdr: Mapping[str, float]
    si_sdri: Mapping[str, float]
    silent: int = 0

    def mean(self) -> Optional[Mean]:
        """The mean SI-SDR in dB; None without any mixture."""
        return mean_of(list(self.si_sdr.values()))

    def gain(self) -> Optional[float]:
        """The mean SI-SDRi in dB; None without any mixture."""
        values = list(self.si_sdri.values())
        return sum(values) / len(values) if values else None

    def minus(self, other: "System") -> Optional[Mean]:
        """The mean difference of SI-SDR in dB, mixture by mixture, over those that both have.

        Its interval is the paired one: both systems keep their answers to the mixtures drawn.
        """
        common = [name for name in self.si_sdr if name in other.si_sdr]
        return mean_of([self.si_sdr[name] - other.si_sdr[name] for name in common])


def read_experiment(directory: PathLike, test_set: str) -> ScoredExperiment:
    """Read and check ``<directory>/infer/<test_set>/scores.csv``.

    Raises:
        TSXError: if it is missing ("run stage 7"), empty or contradicts itself.
    """
    directory = Path(directory)
    path = directory / INFER / test_set / FILE
    scores = read_scores(path)
    if not scores:
        raise TSXError(f"{path}: no scores; run stages 6 (infer) and 7 (score)")
    check_scores(scores, path)
    table: Dict[str, Dict[str, Score]] = {}
    for score in sorted(scores, key=lambda score: score.mixture):
        table.setdefault(score.mixture, {})[score.condition] = score
    facts = read_facts(path.parent) or {}
    return ScoredExperiment(directory, path, table, facts.get("mixtures"))


def shown_condition(present: Sequence[str], wanted: Optional[str] = None) -> str:
    """``wanted`` if it is there; else text, which is what a user has; else the last that is there.

    >>> shown_condition(["energy", "order", "text", "oracle"]), shown_condition(["energy", "order"])
    ('text', 'order')
    """
    if wanted in present:
        return wanted
    return [name for name in (UNCONDITIONAL, *CONDITIONS) if name in present][-1]


def ask(experiment: ScoredExperiment, condition: str, name: str) -> System:
    """The system that asks ``experiment`` by ``condition``.

    Raises:
        TSXError: if the experiment has no scores under it.
    """
    rows = experiment.rows(condition)
    if not rows:
        raise TSXError(
            f"{experiment.path}: no scores under {condition!r}; expected one of "
            f"{', '.join(experiment.conditions)}"
        )
    heard = {name: score for name, score in rows.items() if score.si_sdr is not None}
    return System(
        name,
        condition,
        {mixture: score.si_sdr for mixture, score in heard.items()},
        {mixture: score.si_sdri for mixture, score in heard.items()},
        len(rows) - len(heard),
    )


def ensemble(systems: Sequence[System]) -> System:
    """For every mixture the best of ``systems`` [OCT paper, Fig. 2: "their oracle ensemble"].

    It takes the references to know which one that is. Its mixtures are those that any has.
    """
    best: Dict[str, System] = {}
    for system in systems:
        for name, value in system.si_sdr.items():
            if name not in best or value > best[name].si_sdr[name]:
                best[name] = system
    names = sorted(best)
    whole = System(
        ENSEMBLE,
        "best of all",
        {name: best[name].si_sdr[name] for name in names},
        {name: best[name].si_sdri[name] for name in names},
    )
    members = {f"{system.name} ({system.condition})": system.si_sdr for system in systems}
    check_ensemble(whole.si_sdr, members)
    return whole


def average(systems: Sequence[System], name: str) -> System:
    """For every mixture that all ``systems`` have the mean of them: one system of several seeds."""
    common = [mixture for mixture in systems[0].si_sdr if _all_have(systems, mixture)]
    means: List[Dict[str, float]] = [
        {mixture: sum(table[mixture] for table in tables) / len(tables) for mixture in common}
        for tables in ([s.si_sdr for s in systems], [s.si_sdri for s in systems])
    ]
    return System(name, systems[0].condition, *means, max(system.silent for system in systems))


def _all_have(systems: Sequence[System], mixture: str) -> bool:
    return all(mixture in system.si_sdr for system in systems)

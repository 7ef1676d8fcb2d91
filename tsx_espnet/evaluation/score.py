"""Estimates and references to ``scores.csv``, in one process or several."""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from tsx_espnet.audio import read_audio
from tsx_espnet.cli import progress
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation import metrics
from tsx_espnet.evaluation.scores import FILE, Score, add_oracle, read_scores, write_scores
from tsx_espnet.mixing.mixture_set import (
    INFER,
    OTHER,
    PLANS,
    SOUNDS,
    TARGET,
    DataEntry,
    MixtureSet,
    describe_difference,
    made_by,
)
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.output import Output
from tsx_espnet.tables import PathLike, read_table

Table = Dict[str, str]


class Scores(Output):
    """``scores.csv``, of every estimate in a directory, which it shares with them.

    Args:
        skip_bss: leave BSS-eval's columns empty.

    Raises:
        TSXError: if files are missing, do not belong together, or hold NaN; with their names.
    """

    marker = "scores.json"
    prefix = "scores."

    def __init__(self, mixtures: MixtureSet, directory: PathLike, skip_bss: bool = False):
        self.mixtures = mixtures
        ids = sorted(mixtures.plans)
        self.estimates = find_estimates(directory, mixtures)
        self.second: Table = {}
        if UNCONDITIONAL in self.estimates:
            self.second = find_estimates(directory, mixtures, OTHER)[UNCONDITIONAL]
        self.skip_bss = skip_bss
        # stages 3 and 6 rewrite these files whenever they run
        paths = [mixtures.directory / name for name in (*(row.file for row in SOUNDS), PLANS)]
        paths += [Path(directory) / condition / TARGET.file for condition in self.estimates]
        stamps = {str(path): path.stat().st_mtime_ns for path in paths}
        facts = {"skip_bss": skip_bss, "made_from": stamps}
        super().__init__(directory, facts, ids)

    def write_part(self, part: Path, items: Sequence[str], title: str) -> None:
        scores: List[Score] = []
        for name in progress(items, f"score {title}"):
            paths = {c: table[name] for c, table in self.estimates.items() if name in table}
            second = self.second.get(name)
            scores += score_mixture(self.mixtures, name, paths, self.skip_bss, second)
        write_scores(part / FILE, scores)

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        scores = [score for part in parts for score in read_scores(part / FILE)]
        write_scores(self.directory / FILE, add_oracle(scores))
        return {}

    def expected_files(self, where: Path, items: Sequence[str]) -> Mapping[Path, Optional[int]]:
        """The table, with a row for each estimate of ``items``."""
        found = Counter(score.condition for score in read_scores(where / FILE))
        for condition, table in self.estimates.items():
            number, expected = found[condition], sum(name in table for name in items)
            if number != expected:
                raise TSXError(f"{where / FILE}: {condition}: expected {expected}, found {number}")
        return {where / FILE: None}

    def summary(self, facts: Mapping[str, Any]) -> str:
        counts = ", ".join(f"{name} {len(table)}" for name, table in self.estimates.items())
        return f"{FILE} of {len(self.items)} mixtures ({counts})"


def find_estimates(
    directory: PathLike, mixtures: MixtureSet, row: DataEntry = TARGET
) -> Dict[str, Table]:
    """Condition -> id -> path of the estimate of ``row``, for the conditions that were extracted.

    Raises:
        TSXError: if there is none ("run infer"), or one is not of these mixtures.
    """
    directory = Path(directory)
    estimates: Dict[str, Table] = {}
    for condition in mixtures.conditions:
        path = directory / condition / row.file
        if not path.parent.is_dir():
            continue
        if not path.is_file():
            raise TSXError(f"{path}: no such file, extraction is not finished; run {INFER}")
        with made_by(INFER):
            table = estimates[condition] = read_table(path)
            difference = describe_difference(mixtures.applicable(condition), table)
            if difference:
                where = mixtures.directory
                raise TSXError(f"{path}: not the estimates of {where}: {difference}")
    if not any(estimates.values()):
        raise TSXError(f"{directory}: no estimates; run {INFER}")
    return estimates


def read_estimate(path: PathLike, plan: Plan) -> np.ndarray:
    """An estimate made of a mixture, (T,) float64.

    Raises:
        TSXError: if it cannot be read, or has another rate or length than the mixture.
    """
    with made_by(INFER):
        return read_audio(path, plan.fs, plan.num_samples, "float64")[0]


def score_mixture(
    mixtures: MixtureSet,
    name: str,
    paths: Mapping[str, str],
    skip_bss: bool = False,
    second: Optional[str] = None,
) -> List[Score]:
    """The scores of the estimates in ``paths`` (condition -> WAV) of mixture ``name``.

    A model without queries has a ``second`` output; the better order of the two tells
    which of them is the target (section 3.4 of the OCT paper: the oracle permutation).
    """
    if not paths:
        return []
    plan = mixtures.plans[name]
    mixture, target, other = (
        mixtures.read(row, name, dtype="float64", fs=plan.fs, length=plan.num_samples)
        for row in SOUNDS
    )
    estimates = {condition: read_estimate(path, plan) for condition, path in paths.items()}

    values = {condition: mixtures.applicable(condition)[name] for condition in estimates}
    if second is not None:
        outputs = [estimates[UNCONDITIONAL], read_estimate(second, plan)]
        stream = int(metrics.is_swapped([target, other], outputs))
        estimates[UNCONDITIONAL] = outputs[stream]
        values[UNCONDITIONAL] = Path((TARGET, OTHER)[stream].file).stem

    references = {"target": target, "other": other, "mixture": mixture}
    silent = next((kind for kind, signal in references.items() if metrics.is_silent(signal)), "")
    audible = [] if silent else [c for c, e in estimates.items() if not metrics.is_silent(e)]
    before: Dict[str, float] = {}
    after: Dict[str, Dict[str, float]] = {c: {} for c in estimates}
    if not silent:
        before["si_sdr_mixture"] = metrics.si_sdr(target, mixture)
        before["snr_mixture"] = metrics.snr(target, mixture)
    for condition in audible:
        si_sdr = metrics.si_sdr(target, estimates[condition])
        after[condition].update(si_sdr=si_sdr, si_sdri=si_sdr - before["si_sdr_mixture"])
        after[condition]["snr"] = metrics.snr(target, estimates[condition])
    if not silent and not skip_bss:
        # one call: the filters of the references are solved for once
        bss = metrics.bss_eval(target, other, np.stack([mixture, *(estimates[c] for c in audible)]))
        before["sdr_mixture"] = float(bss.sdr[0])
        for index, condition in enumerate(audible, start=1):
            after[condition].update({m: float(v[index]) for m, v in bss._asdict().items()})
    return [
        Score(
            mixture=name,
            condition=condition,
            value=values[condition],
            label=mixtures.label(name),
            clip=mixtures.clip(name),
            silent=silent or ("" if condition in audible else "estimate"),
            **before,
            **after[condition],
        )
        for condition in estimates
    ]

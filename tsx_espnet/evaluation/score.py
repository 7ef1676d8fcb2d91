"""Estimates and references to ``scores.csv``, in one process or several."""

from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from tsx_espnet.audio import read_audio
from tsx_espnet.cli import progress
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.estimates import output_tables
from tsx_espnet.evaluation import metrics
from tsx_espnet.evaluation.scores import FILE, MARKS, Score, add_oracle, read_scores, write_scores
from tsx_espnet.evaluation.sources import measure_sources
from tsx_espnet.mixing.data_table import FURTHER, MIXTURE, OTHER, SOUNDS, SOURCES, TARGET
from tsx_espnet.mixing.mixture_set import INFER, PLANS, MixtureSet, describe_difference, made_by
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.output import Output
from tsx_espnet.tables import PathLike, read_facts, read_table

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
        self.estimates = find_estimates(directory, mixtures)
        self.outputs: List[Table] = []  # of a model without queries
        if UNCONDITIONAL in self.estimates:
            count = max(2, len(output_tables(Path(directory) / UNCONDITIONAL)))
            files = (f"spk{number}.scp" for number in range(1, count + 1))
            tables = (find_estimates(directory, mixtures, file) for file in files)
            self.outputs = [table[UNCONDITIONAL] for table in tables]
        # other programs may write the target alone
        rests = {name: Path(directory) / name / OTHER.file for name in self.estimates}
        rests.pop(UNCONDITIONAL, None)
        self.rests = {name: read_table(path) for name, path in rests.items() if path.is_file()}
        self.skip_bss = skip_bss
        # stages 3 and 6 rewrite these files whenever they run
        self.further = [row for row in FURTHER if (mixtures.directory / row.file).is_file()]
        self.places = mixtures.targets  # name -> mixture and component
        several = len(self.outputs) > 2 or len(mixtures.targets) > len(mixtures.ids)
        if self.outputs and SOURCES in self.further and several:
            self.places = mixtures.components
        self.names: Dict[str, List[str]] = {name: [] for name in sorted(mixtures.plans)}
        for name, (mixture, _) in self.places.items():
            self.names[mixture].append(name)
        rows = (*SOUNDS, *self.further)
        paths = [mixtures.directory / name for name in (*(row.file for row in rows), PLANS)]
        paths += [Path(directory) / condition / TARGET.file for condition in self.estimates]
        stamps = {str(path): path.stat().st_mtime_ns for path in paths}
        facts = {"skip_bss": skip_bss, "made_from": stamps}
        found = read_facts(directory) or {}
        facts.update({mark: True for mark in MARKS if found.get(mark)})
        super().__init__(directory, facts, list(self.names))

    def write_part(self, part: Path, items: Sequence[str], title: str) -> None:
        scores: List[Score] = []
        for mixture in progress(items, f"score {title}"):
            scores += self._score_mixture(mixture)
        write_scores(part / FILE, scores)

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        scores = [score for part in parts for score in read_scores(part / FILE)]
        write_scores(self.directory / FILE, add_oracle(scores))
        return {}

    def expected_files(self, where: Path, items: Sequence[str]) -> Mapping[Path, Optional[int]]:
        """The table, with a row for each estimate of ``items``."""
        found = Counter(score.condition for score in read_scores(where / FILE))
        for condition in self.estimates:
            expected = sum(len(self._asked(condition, mixture)) for mixture in items)
            number = found[condition]
            if number != expected:
                raise TSXError(f"{where / FILE}: {condition}: expected {expected}, found {number}")
        return {where / FILE: None}

    def summary(self, facts: Mapping[str, Any]) -> str:
        counts = ", ".join(f"{name} {len(table)}" for name, table in self.estimates.items())
        marks = "".join(f", {mark}: {why}" for mark, why in MARKS.items() if facts.get(mark))
        return f"{FILE} of {len(self.items)} mixtures ({counts}){marks}"

    def _asked(self, condition: str, mixture: str) -> List[str]:
        """The targets of a mixture that there are estimates of."""
        table = self.estimates[condition]
        if condition == UNCONDITIONAL:
            return self.names[mixture] if mixture in table else []
        return [name for name in self.names[mixture] if name in table]

    def _score_mixture(self, mixture: str) -> List[Score]:
        """The scores of all estimates that were made of a mixture.

        The outputs of a model without queries are assigned to the sources that they fit best
        (section 3.4 of the OCT paper: the oracle permutation). If the set does not have these, or
        they are more than the outputs, it is to the target and all the rest.
        """
        plan = self.mixtures.plans[mixture]
        expected = {"dtype": "float64", "fs": plan.fs, "length": plan.num_samples}
        outputs = [read_estimate(table[mixture], plan) for table in self.outputs]
        fitting: List[int] = []  # of each component
        of_sources: List[Dict[str, Any]] = []
        if SOURCES in self.further and len(plan.partition) <= len(outputs):
            sources = self.mixtures.read(SOURCES, mixture, **expected).T
            fitting = metrics.fitting_outputs(sources, outputs)
            signal = self.mixtures.read(MIXTURE, mixture, **expected)
            of_sources = measure_sources(signal, sources, np.stack(outputs), fitting)
        scores: List[Score] = []
        for name in self.names[mixture]:
            conditions = [c for c in self.estimates if name in self._asked(c, mixture)]
            if not conditions:
                continue
            sounds = [self.mixtures.read(row, name, **expected) for row in SOUNDS]
            estimates, values, rests = {}, {}, {}
            for condition in conditions:
                if condition == UNCONDITIONAL:
                    fits = fitting or metrics.fitting_outputs(sounds[1:], outputs)
                    number = fits[self.places[name][1] if fitting else 0]
                    estimates[condition], values[condition] = outputs[number], f"spk{number + 1}"
                else:
                    estimates[condition] = read_estimate(self.estimates[condition][name], plan)
                    values[condition] = self.mixtures.applicable(condition)[name]
                    if name in self.rests.get(condition, ()):
                        rests[condition] = read_estimate(self.rests[condition][name], plan)
            about = {
                "mixture": name,
                "label": self.mixtures.label(name),
                "clip": self.mixtures.clip(name),
                "in_mixture": "" if name == mixture else mixture,
            }
            for condition, found in measure(*sounds, estimates, self.skip_bss, rests).items():
                if condition == UNCONDITIONAL and of_sources:
                    found.update(of_sources[self.places[name][1]])
                scores.append(Score(condition=condition, value=values[condition], **about, **found))
        return scores


def find_estimates(
    directory: PathLike, mixtures: MixtureSet, file: str = TARGET.file
) -> Dict[str, Table]:
    """Condition -> name -> path of the estimate in ``file``, for those that were extracted.

    Raises:
        TSXError: if there is none ("run infer"), or one is not of these mixtures.
    """
    directory = Path(directory)
    estimates: Dict[str, Table] = {}
    for condition in mixtures.conditions:
        path = directory / condition / file
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


def measure(
    mixture: np.ndarray,
    target: np.ndarray,
    other: np.ndarray,
    estimates: Mapping[str, np.ndarray],
    skip_bss: bool = False,
    rests: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Dict[str, Dict[str, Any]]:
    """Condition -> the fields of its ``Score`` that are measured, of each estimate of a target.

    Args:
        rests: the estimates of the rest, as far as there are any.

    Shape: all sounds (T,).
    """
    references = {"target": target, "other": other, "mixture": mixture}
    silent = next((kind for kind, signal in references.items() if metrics.is_silent(signal)), "")
    audible = [] if silent else [c for c, e in estimates.items() if not metrics.is_silent(e)]
    before: Dict[str, Any] = {}
    after: Dict[str, Dict[str, float]] = {c: {} for c in estimates}
    if not silent:
        before["si_sdr_mixture"] = metrics.si_sdr(target, mixture)
        before["snr_mixture"] = metrics.snr(target, mixture)
    for condition in audible:
        si_sdr = metrics.si_sdr(target, estimates[condition])
        after[condition].update(si_sdr=si_sdr, si_sdri=si_sdr - before["si_sdr_mixture"])
        after[condition]["snr"] = metrics.snr(target, estimates[condition])
    for condition, rest in rests.items():
        if not silent and not metrics.is_silent(rest):
            after[condition]["rest_si_sdr"] = metrics.si_sdr(target, rest)
    if not silent and not skip_bss:
        # one call: the filters of the references are solved for once
        bss = metrics.bss_eval(target, other, np.stack([mixture, *(estimates[c] for c in audible)]))
        before["sdr_mixture"] = float(bss.sdr[0])
        for index, condition in enumerate(audible, start=1):
            after[condition].update({m: float(v[index]) for m, v in bss._asdict().items()})
    return {
        condition: {
            "silent": silent or ("" if condition in audible else "estimate"),
            **before,
            **after[condition],
        }
        for condition in estimates
    }

"""Stage 7: estimates and references to ``scores.csv``, in one process or several."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.contract import OTHER, TARGET
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation import metrics
from tsx_espnet.evaluation.mixture_set import (
    INFER,
    PLANS,
    TABLES,
    MixtureSet,
    find_estimates,
    read_mono,
)
from tsx_espnet.evaluation.scores import FILE, Score, add_oracle, read_scores, write_scores
from tsx_espnet.jobs import items_of_job
from tsx_espnet.progress import progress
from tsx_espnet.tables import PathLike, atomic_write, parse_json, remove_leftovers

FACTS = "scores.json"  # how scores.csv was made, so that it is made again when that has changed


def score(
    mixtures_dir: PathLike,
    estimates_dir: PathLike,
    skip_bss: bool = False,
    num_jobs: int = 1,
    job: Optional[int] = None,
    merge: bool = False,
) -> str:
    """Score every estimate of ``estimates_dir`` into its ``scores.csv``; return what was done.

    With ``job`` only that part of the mixtures is scored, into a file of its own; ``merge`` puts
    the parts together. ``skip_bss`` leaves BSS-eval's columns empty.

    Raises:
        TSXError: if files are missing, do not belong together, or hold NaN; with their names.
    """
    mixtures = MixtureSet(mixtures_dir)
    estimates = find_estimates(estimates_dir, mixtures)
    estimates_dir = Path(estimates_dir)
    second: Mapping[str, str] = {}
    if UNCONDITIONAL in estimates:
        second = find_estimates(estimates_dir, mixtures, OTHER.file)[UNCONDITIONAL]
    facts = _facts(mixtures, estimates_dir, estimates, skip_bss)
    if _is_scored(estimates_dir, facts, estimates):
        _clean(estimates_dir)
        return f"{estimates_dir / FILE} is of these estimates already, nothing to do"
    if job and _part(estimates_dir, job, num_jobs, facts).is_file():
        return f"scores of part {job} of {num_jobs} are there already, nothing to do"
    if merge:
        parts = [_part(estimates_dir, number, num_jobs, facts) for number in range(1, num_jobs + 1)]
        try:
            scores = _collect(parts, estimates)
        except TSXError:
            if _is_scored(estimates_dir, facts, estimates):  # by another merge meanwhile
                return f"{estimates_dir / FILE} is of these estimates already, nothing to do"
            raise
    else:
        scores = []
        names = items_of_job(mixtures.ids, job or 1, num_jobs if job else 1)
        for name in progress(names, f"score {estimates_dir.name}"):
            paths = {c: table[name] for c, table in estimates.items() if name in table}
            scores += score_mixture(mixtures, name, paths, skip_bss, second.get(name))
    if job:
        write_scores(_part(estimates_dir, job, num_jobs, facts), scores)
        return f"scores of part {job} of {num_jobs} are written; --merge puts them together"
    (estimates_dir / FACTS).unlink(missing_ok=True)
    write_scores(estimates_dir / FILE, add_oracle(scores))
    with atomic_write(estimates_dir / FACTS) as stream:
        json.dump(facts, stream, indent=1, sort_keys=True)
    _clean(estimates_dir)
    counts = ", ".join(f"{condition} {len(table)}" for condition, table in estimates.items())
    return f"{estimates_dir / FILE}: scores of {len(mixtures.ids)} mixtures ({counts})"


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
    length = mixtures.plans[name].num_samples
    mixture, rate = read_mono(mixtures.audio["mixture"][name], length=length)
    target, _ = read_mono(mixtures.audio["target"][name], rate, len(mixture))
    other, _ = read_mono(mixtures.audio["other"][name], rate, len(mixture))
    estimates = {c: read_mono(p, rate, len(mixture), INFER)[0] for c, p in paths.items()}

    values = {condition: mixtures.values[condition][name] for condition in estimates}
    if second is not None:
        outputs = [estimates[UNCONDITIONAL], read_mono(second, rate, len(mixture), INFER)[0]]
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
        after[condition]["si_sdr"] = metrics.si_sdr(target, estimates[condition])
        after[condition]["si_sdri"] = after[condition]["si_sdr"] - before["si_sdr_mixture"]
        after[condition]["snr"] = metrics.snr(target, estimates[condition])
    if not silent and not skip_bss:
        # one call: the filters of the references are solved for once
        bss = metrics.bss_eval(target, other, np.stack([mixture, *(estimates[c] for c in audible)]))
        before["sdr_mixture"] = float(bss.sdr[0])
        for index, condition in enumerate(audible, start=1):
            for metric in bss._fields:
                after[condition][metric] = float(getattr(bss, metric)[index])
    return [
        Score(
            mixture=name,
            condition=condition,
            value=values[condition],
            label=mixtures.label(name),
            clip=mixtures.plans[name].sources[mixtures.plans[name].target].clip,
            silent=silent or ("" if condition in audible else "estimate"),
            **before,
            **after[condition],
        )
        for condition in estimates
    ]


def _part(directory: Path, job: int, num_jobs: int, facts: Mapping[str, Any]) -> Path:
    """Parts of other estimates (an earlier stage 6) have other names and are never merged."""
    digest = hashlib.sha1(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
    return directory / f"scores.{job}of{num_jobs}.{digest}.csv"


def _collect(parts: Sequence[Path], estimates: Mapping[str, Mapping[str, str]]) -> List[Score]:
    for number, path in enumerate(parts, start=1):
        if not path.is_file():
            raise TSXError(
                f"{path}: no such file; run --num_jobs {len(parts)} --job {number} first"
            )
    scores = [score for path in parts for score in read_scores(path)]
    expected = sum(map(len, estimates.values()))
    if len(scores) != expected:
        raise TSXError(
            f"{parts[0].parent}: the {len(parts)} parts hold {len(scores)} scores, expected "
            f"{expected}; run every --job again"
        )
    return scores


def _facts(
    mixtures: MixtureSet, directory: Path, estimates: Mapping[str, Any], skip_bss: bool
) -> Dict[str, Any]:
    """What ``scores.csv`` depends on; stages 3 and 6 rewrite these files whenever they run."""
    paths = [mixtures.directory / name for name in (*TABLES.values(), PLANS)]
    paths += [directory / condition / "spk1.scp" for condition in estimates]
    stamps = {str(path): path.stat().st_mtime_ns for path in paths}
    return {"skip_bss": skip_bss, "made_from": stamps}


def _is_scored(
    directory: Path, facts: Mapping[str, Any], estimates: Mapping[str, Mapping[str, str]]
) -> bool:
    """Whether there is a whole ``scores.csv`` made from what is there now."""
    try:
        if parse_json((directory / FACTS).read_text(encoding="utf-8")) != facts:
            return False
        scores = read_scores(directory / FILE)
    except (OSError, ValueError, TSXError):
        return False
    found = Counter(score.condition for score in scores)
    return all(found[condition] == len(table) for condition, table in estimates.items())


def _clean(directory: Path) -> None:
    """Remove the parts, and what a killed process left of a table."""
    for part in directory.glob("scores.*of*.csv"):
        part.unlink(missing_ok=True)
    remove_leftovers(directory)

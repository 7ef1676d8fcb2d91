"""Tables 1 and 2 of the SoundBeam paper, its numbers beside ours, and what they are means of."""

from typing import List, Tuple

from tsx_espnet.conditions import ENROLLMENT
from tsx_espnet.evaluation.layout import NONE, NOT_RUN, number, value_and_interval
from tsx_espnet.evaluation.soundbeam_gains import METRICS, SDRI, SI_SDRI, Metric
from tsx_espnet.evaluation.soundbeam_paper import (
    ADAPTED,
    CLASS,
    INITS,
    METHODS,
    MIXTURE_SDR,
    NEW_CELLS,
    PRINTED,
    SETS,
    SHOTS,
    Asked,
    new,
    new_seen,
    seen,
)
from tsx_espnet.evaluation.soundbeam_study import Study
from tsx_espnet.evaluation.table import mean_of

Table = List[List[str]]
NOT_SCORED = "not scored"  # it was run, and this metric left out


def table1(study: Study, metric: Metric) -> Table:
    """Seen classes: embedding at test time by model."""
    table = [["embedding at test time"]]
    for name in METHODS.values():
        table[0] += _heads(name, metric)
    for label, condition in (("1-hot", CLASS), ("Enrl", ENROLLMENT)):
        table.append([label])
        for method in METHODS:
            table[-1] += _pair(study, seen(method, condition), metric)
    return table


def table2(study: Study, metric: Metric) -> Table:
    """Mixtures with a new class: seen target, and new target by K; adaptation under its model."""
    table = [["model", *_heads("Seen", metric)]]
    for shots in SHOTS:
        table[0] += _heads(f"New, K={shots}", metric)
    adapted = {ADAPTED, *study.adapted()}
    for method, name in METHODS.items():
        table.append([name, *_pair(study, new_seen(method), metric)])
        for shots in SHOTS:
            table[-1] += _pair(study, new(method, shots), metric)
        for init, label in INITS.items() if method in adapted else ():
            table.append([label, *[NONE] * len(_heads("", metric))])
            for shots in SHOTS:
                table[-1] += _pair(study, new(method, shots, init), metric)
    return table


def mixtures_table(study: Study) -> Table:
    """What each set is, and how far its mixtures are from their targets without any processing."""
    table = [["set", "mixtures", "classes", "SDR: paper (dB)", "SDR: ours (dB)"]]
    table[0] += ["SI-SDR: ours (dB)"]
    for test, words in SETS.items():
        scores = study.targets(test).values()
        if not scores:
            table.append([words, NOT_RUN, NONE, number(MIXTURE_SDR[test], 1), NONE, NONE])
            continue
        sizes = [str(len(scores)), str(len({score.label for score in scores}))]
        table.append([words, *sizes, number(MIXTURE_SDR[test], 1)])
        for metric in METRICS:
            levels = [metric.level(score) for score in scores]
            mean = mean_of([level for level in levels if level is not None])
            table[-1].append(number(mean.value if mean else None))
    return table


def runs_table(study: Study) -> Table:
    """Header and a row for each cell of several runs: how far their means are apart."""
    table = [["model", "runs", "seeds", "draws"]]
    table[0] += [f"{m.name}: {end} (dB)" for m in METRICS for end in ("lowest", "highest")]
    for asked in (*PRINTED, *(asked for asked in NEW_CELLS if asked not in PRINTED)):
        found = [study.gains(asked, metric) for metric in METRICS]
        means: List[Tuple[float, ...]] = [gains.run_means if gains else () for gains in found]
        if max(map(len, means)) > 1:
            runs = study.runs[asked.method, asked.place]
            ends = [number(end(m) if m else None) for m in means for end in (min, max)]
            sizes = [len(runs), *(len(set(each)) for each in zip(*runs))]
            table.append([asked.label, *map(str, sizes), *ends])
    return table


def count_words(study: Study) -> str:
    """Which cells are means over fewer mixtures than their set has (silent, or not asked)."""
    words = []
    for asked in dict.fromkeys((*PRINTED, *NEW_CELLS)):
        gains, total = study.gains(asked, SI_SDRI), len(study.targets(asked.place.test))
        if gains is not None and gains.mean.count < total:
            words.append(f"{asked.label}: {gains.mean.count} of {total}")
    return f"Mixtures that could be measured, where not all: {'; '.join(words)}." if words else ""


def _heads(name: str, metric: Metric) -> List[str]:
    return [f"{name}: paper (dB)", "ours (dB)"] if metric is SDRI else [f"{name} (dB)"]


def _pair(study: Study, asked: Asked, metric: Metric) -> List[str]:
    """The cells of the paper's number, which is BSS-eval's, and of ours."""
    printed, gains = PRINTED.get(asked), study.gains(asked, metric)
    if gains is not None:
        ours = value_and_interval(gains.mean)
    elif study.ran(asked):
        ours = NOT_SCORED
    else:  # nor does the paper fill all cells
        ours = NONE if printed is None and not asked.place.init else NOT_RUN
    return [number(printed, 1), ours] if metric is SDRI else [ours]

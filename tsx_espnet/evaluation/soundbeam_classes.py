"""The classes one by one, and intervals that are over them: SoundBeam's, Figure 2 among them."""

from typing import Dict

from tsx_espnet.conditions import ENROLLMENT
from tsx_espnet.evaluation.layout import NONE, number, spread
from tsx_espnet.evaluation.soundbeam_gains import SDRI, Gains, Metric
from tsx_espnet.evaluation.soundbeam_paper import (
    ADAPTED,
    CLASS,
    INITS,
    METHODS,
    NEW_CELLS,
    SHOTS,
    Asked,
    new,
    seen,
)
from tsx_espnet.evaluation.soundbeam_study import Study
from tsx_espnet.evaluation.soundbeam_tables import Table


def classes_table(study: Study, metric: Metric) -> Table:
    """The means for new classes and their two intervals, one row a cell of Table 2 that was run."""
    table = [["model", "mixtures", "classes", f"{metric.name} (dB)", "over mixtures (dB)"]]
    table[0] += ["over classes (dB)"]
    for asked in NEW_CELLS:
        gains = study.gains(asked, metric)
        if gains is not None:
            sizes = [str(gains.mean.count), str(len(gains.by_label()))]
            table.append([asked.label, *sizes, *spread(gains.mean), class_interval(gains)])
    return table


def seen_by_class(study: Study, metric: Metric) -> Table:
    """Seen classes, one a row: each model by class, the enrollment-based one by enrollment."""
    cells = [seen(method, ENROLLMENT if method == "enrl" else CLASS) for method in METHODS]
    return _by_class(study, metric, {METHODS[asked.method]: asked for asked in cells})


def new_by_class(study: Study, method: str, metric: Metric) -> Table:
    """New classes, one a row: by K, without and with adaptation."""
    cells: Dict[str, Asked] = {}
    for asked in NEW_CELLS:
        if asked.method == method:
            prefix = f"{INITS[asked.place.init]} " if asked.place.init else ""
            cells[f"{prefix}K={asked.place.shots}"] = asked
    return _by_class(study, metric, cells)


def figure2(study: Study, metric: Metric = SDRI) -> Dict[str, Gains]:
    """New class -> gains of the model the paper adapts, from the average of the most recordings."""
    gains = study.gains(new(ADAPTED, SHOTS[-1], "average"), metric)
    return gains.by_label() if gains else {}


def figure2_table(study: Study, metric: Metric = SDRI) -> Table:
    """The bars of Figure 2 in numbers."""
    table = [["new class", "mixtures", f"{metric.name} (dB)", "95 % interval (dB)"]]
    for label, gains in figure2(study, metric).items():
        table.append([label, str(gains.mean.count), *spread(gains.mean)])
    return table


def class_interval(gains: Gains) -> str:
    """The interval over the classes and the mixtures of each; a dash with fewer than two."""
    if gains.class_interval is None:
        return NONE
    low, high = gains.class_interval
    return f"{number(low)} to {number(high)}"


def _by_class(study: Study, metric: Metric, cells: Dict[str, Asked]) -> Table:
    found = {name: study.gains(asked, metric) for name, asked in cells.items()}
    columns = {name: gains.by_label() for name, gains in found.items() if gains is not None}
    table = [["class", "mixtures", *(f"{name} (dB)" for name in columns)]]
    for label in sorted({label for groups in columns.values() for label in groups}):
        means = [groups[label].mean if label in groups else None for groups in columns.values()]
        count = max(mean.count for mean in means if mean)
        table.append([label, str(count), *(number(mean.value if mean else None) for mean in means)])
    return table

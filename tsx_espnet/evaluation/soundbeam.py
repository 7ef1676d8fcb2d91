"""Tables 1 and 2 and Figure 2 of the SoundBeam paper, theirs beside ours, as Markdown."""

import os
from pathlib import Path
from typing import List, Optional

from tsx_espnet.evaluation.layout import markdown, plain
from tsx_espnet.evaluation.page import KINDS, bullets, experiment_parts, write_page
from tsx_espnet.evaluation.soundbeam_classes import (
    classes_table,
    figure2,
    figure2_table,
    new_by_class,
    seen_by_class,
)
from tsx_espnet.evaluation.soundbeam_figure import draw_figure2
from tsx_espnet.evaluation.soundbeam_gains import METRICS, SDRI, SI_SDRI, Metric
from tsx_espnet.evaluation.soundbeam_notes import (
    BSS_EVAL_MISSING,
    BY_CLASS,
    FIGURE,
    HOW,
    INTERVALS,
    ORDERINGS,
    PAPERS_DATA,
    RUNS,
    SI_SDR,
)
from tsx_espnet.evaluation.soundbeam_orderings import orderings_table
from tsx_espnet.evaluation.soundbeam_paper import METHODS, SETS
from tsx_espnet.evaluation.soundbeam_runs import KIND
from tsx_espnet.evaluation.soundbeam_study import Study
from tsx_espnet.evaluation.soundbeam_tables import (
    Table,
    count_words,
    mixtures_table,
    runs_table,
    table1,
    table2,
)
from tsx_espnet.tables import PathLike

TITLE = "Tables 1 and 2 and Figure 2 of the SoundBeam paper"


def write_soundbeam(
    exp: PathLike,
    out: PathLike,
    size: Optional[str] = None,
    data_kind: Optional[str] = None,
    title: Optional[str] = None,
    figure: Optional[PathLike] = None,
    kind: str = KIND,
) -> str:
    """Write ``out`` (Markdown) and ``figure`` (PNG); return what to print.

    Args:
        exp: the directory of the experiments, each named by its tag.
        size: what their tags start with.
        data_kind: "synthetic" or "recordings".
        title: of the file.
        kind: the way of mixing that tags and sets are named by.

    Raises:
        TSXError: if no experiment of the tables was scored, or those of one set are not of the
            same mixtures.
    """
    study = Study(exp, size, kind)
    # BSS-eval takes most of the time of stage 7 and can be left out of it
    metric = SDRI if study.has(SDRI) else SI_SDRI
    drawn = figure is not None and draw_figure2(figure, figure2(study, metric), metric)
    parts = [f"# {title or TITLE}", _data(study, data_kind)]
    parts += [markdown(mixtures_table(study)), count_words(study)]
    parts.append(None if metric is SDRI else BSS_EVAL_MISSING)
    parts += ["## Table 1: seen classes", markdown(table1(study, SDRI))]
    parts += ["## Table 2: mixtures with a new class", markdown(table2(study, SDRI)), bullets(HOW)]
    parts += ["## Tables 1 and 2 in SI-SDRi", markdown(table1(study, SI_SDRI))]
    parts += [markdown(table2(study, SI_SDRI)), SI_SDR]
    parts.append("## The paper's orderings")
    for each in METRICS:
        parts += [f"### {each.name}", markdown(orderings_table(study, each))]
    parts.append(bullets(ORDERINGS))
    parts += _filled("## New classes: two intervals", classes_table(study, metric), INTERVALS)
    parts += _filled(f"## Seen classes: {metric.name}", seen_by_class(study, metric), BY_CLASS)
    parts += _new_classes(study, metric)
    parts += ["## Figure 2", FIGURE]
    if drawn:
        picture = os.path.relpath(figure, Path(out).parent)
        parts.append(f"![{metric.name} of the new classes]({picture})")
    bars = figure2_table(study, metric)
    parts.append(markdown(bars) if len(bars) > 1 else "Not run.")
    parts += _filled("## Seeds and draws", runs_table(study), RUNS)
    parts += experiment_parts(study.directories, study.unscored)
    write_page(out, parts)
    return "\n\n".join([*_printed(study, metric), f"All of it: {out}"])


def _printed(study: Study, metric: Metric) -> List[str]:
    tables = {
        f"Table 1 ({metric.name}), seen classes": table1(study, metric),
        f"Table 2 ({metric.name}), mixtures with a new class": table2(study, metric),
        f"The paper's orderings ({metric.name})": orderings_table(study, metric),
    }
    return [f"{name}\n\n{plain(table)}" for name, table in tables.items()]


def _data(study: Study, data_kind: Optional[str]) -> str:
    sets = []
    for test in SETS:
        scores = study.targets(test).values()
        if scores:
            labels = {score.label for score in scores}
            sets.append(f"{test}: {len(scores)} mixtures of {len(labels)} classes of targets")
    return f"Ours: {KINDS[data_kind]} ({'; '.join(sets)}). {PAPERS_DATA}"


def _new_classes(study: Study, metric: Metric) -> List[str]:
    parts = []
    for method, name in METHODS.items():
        table = new_by_class(study, method, metric)
        if len(table) > 1:
            parts += [f"### {name}", markdown(table)]
    return [f"## New classes: {metric.name}", *parts] if parts else []


def _filled(head: str, table: Table, note: str) -> List[str]:
    """A section, if its table has any row."""
    return [head, note, markdown(table)] if len(table) > 1 else []

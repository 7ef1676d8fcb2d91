"""Table 1 and the data of Figure 2 of the OCT paper, theirs beside ours, as Markdown."""

import os
from pathlib import Path
from typing import List, Optional

from tsx_espnet.evaluation.layout import markdown, plain
from tsx_espnet.evaluation.page import KINDS, bullets, capital, experiment_parts, write_page
from tsx_espnet.evaluation.paper import DIFFICULTIES, FIGURE2, TABLE1
from tsx_espnet.evaluation.table import RESAMPLES
from tsx_espnet.evaluation.table1_figure import draw_figure2
from tsx_espnet.evaluation.table1_grid import Grid
from tsx_espnet.evaluation.table1_tables import claims_table, count_words, paper_table, seeds_table
from tsx_espnet.tables import PathLike

TITLE = "Table 1 and Figure 2 of the OCT paper"
_HOW = (
    "paper: mean test SI-SDR as printed. ours: the same, and its 95 % bootstrap interval over the "
    f"test mixtures ({RESAMPLES:,} resamples). difference: ours minus paper.",
    "Oracle OCT and OCT++: the models of the rows OCT and OCT++, asked for every mixture by the "
    'best of the conditions that are applicable (the paper, under Fig. 2: "trained and tested with '
    'the highest performing query"). Oracle PIT: the better order of its two outputs. They take '
    "the references to know which.",
    "The paper prints the same three numbers for oracle PIT in both halves; they are repeated here "
    "as printed.",
)
_BARS = (
    "The paper prints this as bars without numbers; only text and oracle OCT are in its Table 1 as "
    "well, and are given here.",
    "A mean is over the mixtures that the condition is applicable to: not the same in every row. "
    "The oracle ensemble takes, for every mixture, the best of the models H, O, T and E.",
)
_CLAIMS = (
    "SI-SDR, mixture by mixture, over the mixtures that both were asked; the interval is that of "
    "the paired differences, and one that holds 0 does not tell the two apart. It is of these "
    "trained models and these clips: another seed is not in it, and clips that recur in several "
    "mixtures make it somewhat narrow. paper: the difference of its means, each rounded to 0.1 dB."
)
_SEEDS = (
    "Several trainings that differ in their seed: ours is their mean, mixture by mixture, and its "
    "interval is over the mixtures, not over the seeds."
)


def write_table1(
    exp: PathLike,
    out: PathLike,
    size: Optional[str] = None,
    data_kind: Optional[str] = None,
    title: Optional[str] = None,
    figure: Optional[PathLike] = None,
) -> str:
    """Write ``out`` (Markdown) and ``figure`` (PNG); return what to print.

    Args:
        exp: the directory of the experiments, each named by its tag.
        size: what their tags start with.
        data_kind: "synthetic" or "recordings".
        title: of the file.

    Raises:
        TSXError: if no experiment of the grid was scored, or those of one column are not of the
            same mixtures.
    """
    grid = Grid(exp, size)
    if figure is not None and not draw_figure2(figure, grid):
        figure = None
    picture = figure and os.path.relpath(figure, Path(out).parent)
    tables = {level: paper_table(grid, TABLE1, level) for level in DIFFICULTIES}
    parts = [f"# {title or TITLE}", _data(grid, data_kind), "## Table 1"]
    for level, table in tables.items():
        parts += [f"### {capital(DIFFICULTIES[level])}", markdown(table)]
        parts.append(count_words(grid, TABLE1, level))
    parts += [bullets(_HOW), *_seeds(grid), "## Figure 2"]
    parts.append(
        f"![Mean SI-SDR of single-condition models and oracles]({picture})" if picture else ""
    )
    for level in DIFFICULTIES:
        parts += [
            f"### {capital(DIFFICULTIES[level])}",
            markdown(paper_table(grid, FIGURE2, level)),
        ]
        parts.append(count_words(grid, FIGURE2, level))
    parts += [bullets(_BARS), "## What the paper claims", *_claims(grid)]
    parts += experiment_parts(grid.directories(), grid.unscored)
    write_page(out, parts)
    printed = [
        f"{capital(DIFFICULTIES[level])}\n\n{plain(table)}"
        for level, table in tables.items()
        if grid.columns(level)
    ]
    return "\n\n".join([*printed, f"All of it: {out}"])


def _data(grid: Grid, data_kind: Optional[str]) -> str:
    sets = []
    for mixing, level in grid.columns():
        mixtures, classes = grid.size_of((mixing, level))
        sets.append(f"{mixing} {level}: {mixtures} mixtures of {classes} classes of targets")
    return (
        f"Ours: {KINDS[data_kind]} ({'; '.join(sets)}). The paper's: FSD50K (200 classes, 5,000 "
        "test mixtures a column, 110 epochs of 20,000 mixtures)."
    )


def _seeds(grid: Grid) -> List[str]:
    table = seeds_table(grid)
    return ["## Seeds", _SEEDS, markdown(table)] if len(table) > 1 else []


def _claims(grid: Grid) -> List[str]:
    table = claims_table(grid)
    return [_CLAIMS, markdown(table)] if len(table) > 1 else ["No pair of them was run."]

"""Figure 2 of the OCT paper, drawn of what was run."""

from typing import Any, Dict, List

import numpy as np

from tsx_espnet.evaluation.figures import COLORS, draw_bars, save_figure
from tsx_espnet.evaluation.paper import DIFFICULTIES, FIGURE2, MIXINGS, ORACLE_ENSEMBLE
from tsx_espnet.evaluation.scores import ORACLE
from tsx_espnet.evaluation.table1_grid import Cell, Column, Grid
from tsx_espnet.tables import PathLike

ORACLE_OCT_COLOR = "#F0E442"  # the one of the palette that no condition has
WIDTH = 0.14  # of a bar, where a group of them takes 1


def draw_figure2(path: PathLike, grid: Grid) -> bool:
    """Write the figure; False, and no file, if no bar of it was run.

    A panel a difficulty, (a) and (b), a group of bars a mixing, each bar with its 95 % interval;
    what was not run has no panel, no group, no bar.
    """
    panels = {level: _groups(grid, level) for level in DIFFICULTIES}
    panels = {level: groups for level, groups in panels.items() if groups}
    if not panels:
        return False
    most = max(map(len, panels.values()))

    def draw(figure: Any) -> None:
        all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, (level, groups) in zip(all_axes, panels.items()):
            for x, bars in enumerate(groups.values()):
                _draw_group(axes, x, bars)
            axes.set_xticks(range(len(groups)), [MIXINGS[mixing] for mixing, _ in groups])
            axes.set_xlim(-0.5, most - 0.5)
            axes.tick_params(axis="x", length=0)
            axes.margins(y=0.12)
            axes.set_ylabel("SI-SDR (dB)")
            letter = "ab"[list(DIFFICULTIES).index(level)]  # the paper's
            axes.set_title(f"({letter}) {DIFFICULTIES[level]}", loc="left", pad=8)
        used = {n for groups in panels.values() for bars in groups.values() for n in bars}
        handles = [_handle(number) for number in sorted(used)]
        figure.legend(handles=handles, loc="outside upper center", ncols=3, handlelength=1.2)

    save_figure(path, (max(4.2, 0.8 + 2.4 * most), 0.6 + 2.3 * len(panels)), draw)
    return True


def _groups(grid: Grid, level: str) -> Dict[Column, Dict[int, Cell]]:
    """Column -> number of a row of ``FIGURE2`` -> what was measured; nothing that is empty."""
    groups: Dict[Column, Dict[int, Cell]] = {}
    for column in grid.columns(level):
        cells = ((number, grid.cell(row, column)) for number, row in enumerate(FIGURE2))
        bars = {number: cell for number, cell in cells if cell is not None and cell.mean}
        if bars:
            groups[column] = bars
    return groups


def _draw_group(axes: Any, x: int, bars: Dict[int, Cell]) -> None:
    places: List[float] = [x + WIDTH * (number - (len(FIGURE2) - 1) / 2) for number in bars]
    means = np.array([cell.mean.value for cell in bars.values()])
    bounds = np.array([cell.mean.interval for cell in bars.values()])
    colors = [_color(number) for number in bars]
    draw_bars(axes, np.array(places), means, bounds, colors, width=0.9 * WIDTH, fontsize=6.5)


def _color(number: int) -> str:
    row = FIGURE2[number]
    if row.method == ORACLE_ENSEMBLE.method:
        return COLORS[ORACLE]
    return ORACLE_OCT_COLOR if row.condition == ORACLE else COLORS[row.condition]


def _handle(number: int) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=_color(number), label=FIGURE2[number].label)

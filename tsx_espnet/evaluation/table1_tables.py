"""The tables of ``bin.table1``: the OCT paper's numbers, ours, and differences."""

from typing import Dict, List, Optional, Sequence, Tuple

from tsx_espnet.evaluation.layout import (
    NONE,
    NOT_RUN,
    number,
    signed,
    spread,
    value_and_interval,
)
from tsx_espnet.evaluation.paper import CLAIMS, FIGURE2, MIXINGS, TABLE1, Row
from tsx_espnet.evaluation.table1_grid import Cell, Grid


def paper_table(grid: Grid, rows: Sequence[Row], level: str) -> List[List[str]]:
    """Header and ``rows`` of one difficulty: paper, ours and the difference, for each mixing."""
    table = [["method"]]
    for mixing in MIXINGS:
        table[0] += [f"{mixing.capitalize()}: paper (dB)", "ours (dB)", "difference (dB)"]
    for row in rows:
        table.append([row.label])
        for mixing in MIXINGS:
            theirs, cell = row.number(mixing, level), grid.cell(row, (mixing, level))
            table[-1] += [number(theirs, 1), _ours(cell), _difference(cell, theirs)]
    return table


def claims_table(grid: Grid) -> List[List[str]]:
    """Header and a row for each claimed difference in each column where both were run."""
    table = [
        ["difference", "mixing", "difficulty", "mixtures", "paper (dB)", "ours (dB)"]
        + ["95 % interval (dB)"]
    ]
    for name, (minuend, subtrahend) in CLAIMS.items():
        for mixing, level in grid.columns():
            cells = [grid.cell(row, (mixing, level)) for row in (minuend, subtrahend)]
            mean = cells[0].system.minus(cells[1].system) if None not in cells else None
            if mean is None:
                continue
            numbers = [row.number(mixing, level) for row in (minuend, subtrahend)]
            theirs = None if None in numbers else numbers[0] - numbers[1]
            ours, between = signed(mean.value), spread(mean)[1]
            table.append([name, mixing, level, str(mean.count), signed(theirs, 1), ours, between])
    return table


def _ours(cell: Optional[Cell]) -> str:
    return NOT_RUN if cell is None else value_and_interval(cell.mean)


def _difference(cell: Optional[Cell], theirs: Optional[float]) -> str:
    if cell is None or cell.mean is None or theirs is None:
        return NONE
    return signed(cell.mean.value - theirs)


def count_words(grid: Grid, rows: Sequence[Row], level: str) -> str:
    """How many mixtures the means of a table are over."""
    words = []
    for column in grid.columns(level):
        cells = {row.label: grid.cell(row, column) for row in rows}
        counts = {label: len(cell.system.si_sdr) for label, cell in cells.items() if cell}
        most = max(counts.values(), default=0)
        fewer = [f"{label} {count}" for label, count in counts.items() if count < most]
        if counts:
            of = f" ({', '.join(fewer)})" if fewer else ""
            words.append(f"{column[0]} {most}{of}")
    return f"Mixtures measured: {'; '.join(words)}." if words else ""


def seeds_table(grid: Grid) -> List[List[str]]:
    """Header and a row for each cell of several seeds: how far their means are apart."""
    table = [["method", "mixing", "difficulty", "seeds", "lowest mean (dB)", "highest mean (dB)"]]
    rows: Dict[Tuple[Optional[str], str], Row] = {}
    for row in (*TABLE1, *FIGURE2):  # two are in both, under other labels
        rows.setdefault((row.method, row.condition), row)
    for row in rows.values():
        for column in grid.columns():
            cell = grid.cell(row, column)
            if cell and len(cell.seed_means) > 1:
                means = cell.seed_means
                table.append(
                    [row.label, *column, str(len(means)), number(min(means)), number(max(means))]
                )
    return table

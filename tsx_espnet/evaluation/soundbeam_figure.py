"""Figure 2 of the SoundBeam paper, drawn of what was run: the new classes one by one."""

from typing import Any, Mapping

import numpy as np

from tsx_espnet.evaluation.figures import COLORS, draw_bars, save_figure
from tsx_espnet.evaluation.soundbeam_gains import SDRI, Gains, Metric
from tsx_espnet.tables import PathLike

PAPERS_LEAST = 5.0  # dB; Sec. 5.4: "more than 5 dB on all 10 new classes"


def draw_figure2(path: PathLike, classes: Mapping[str, Gains], metric: Metric) -> bool:
    """Write the figure; False, and no file, if there is no class.

    A bar a class with its 95 % interval; in the paper's metric, a line that its bars are all above.
    """
    if not classes:
        return False
    means = [gains.mean for gains in classes.values()]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        values = np.array([mean.value for mean in means])
        bounds = np.array([mean.interval for mean in means])
        draw_bars(axes, np.arange(len(means)), values, bounds, [COLORS["class"]] * len(means))
        if metric is SDRI:
            _draw_line(axes)
        names = [label.replace("_", " ") for label in classes]
        axes.set_xticks(range(len(means)), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.tick_params(axis="x", length=0)
        axes.margins(y=0.12)
        axes.set_ylabel(f"{metric.name} (dB)")

    save_figure(path, (2.2 + 0.55 * len(means), 3.0), draw)
    return True


def _draw_line(axes: Any) -> None:
    axes.axhline(PAPERS_LEAST, color="0.4", linewidth=1, linestyle="--", zorder=0.5)
    axes.annotate(
        f"paper: all above {PAPERS_LEAST:g} dB",
        (1, PAPERS_LEAST),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        color="0.3",
    )

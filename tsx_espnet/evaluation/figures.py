"""The figures of a report, as a paper would print them: PNG, colour-blind safe, no chart junk."""

import io
import itertools
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.conditions import ASKED
from tsx_espnet.evaluation.markdown import number
from tsx_espnet.evaluation.provenance import History
from tsx_espnet.evaluation.scores import ORACLE
from tsx_espnet.evaluation.statistics import Mean, Summary, counted
from tsx_espnet.tables import PathLike, atomic_write

# Okabe and Ito's palette: distinct under every common colour blindness
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#8C8C8C")
# conditions beyond the built-in ones share hues, but none has the oracle's grey
COLORS = {**dict(zip(ASKED, itertools.cycle(HUES[:-1]))), ORACLE: HUES[-1]}
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.8,
    "text.parse_math": False,  # a caption may hold two dollar signs
}
DPI = 160
WIDTH = 0.62  # of a bar, where bars are one step apart
WINDOW = 0.032  # s, of the spectrograms
DYNAMIC_RANGE = 70.0  # dB


def draw_conditions(path: PathLike, summaries: Sequence[Summary]) -> None:
    """Bars of the mean SI-SDRi of each condition, with its 95 % interval."""
    summaries = [summary for summary in summaries if summary.count]
    means = np.array([summary.means["si_sdri"] for summary in summaries])
    bounds = np.array([summary.interval for summary in summaries])

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        colors = [COLORS[summary.name] for summary in summaries]
        draw_bars(axes, np.arange(len(summaries)), means, bounds, colors)
        word = counted(summaries)
        names = [f"{summary.name}\n{summary.count} {word}" for summary in summaries]
        axes.set_xticks(range(len(summaries)), names)
        axes.set_ylabel("SI-SDRi (dB)")

    save_figure(path, (1.1 + 0.95 * len(summaries), 2.9), draw)


def draw_bars(
    axes: Any,
    positions: np.ndarray,
    means: np.ndarray,
    bounds: np.ndarray,
    colors: Sequence[str],
    width: float = WIDTH,
    fontsize: float = 9,
) -> None:
    """Bars of ``means`` (N,) with their intervals ``bounds`` (N, 2) and their numbers."""
    axes.yaxis.grid(True)
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.12)
    errors = np.maximum(np.stack([means - bounds[:, 0], bounds[:, 1] - means]), 0)
    style = {"capsize": max(1.5, 5 * width), "elinewidth": 1, "capthick": 1, "ecolor": "0.15"}
    bars = axes.bar(positions, means, width=width, color=colors, yerr=errors, error_kw=style)
    axes.axhline(0, color="0.15", linewidth=0.8)
    texts = [number(mean, 1).replace("-", "\N{MINUS SIGN}") for mean in means]
    axes.bar_label(bars, texts, padding=4, fontsize=fontsize)


class Bars(NamedTuple):
    """A panel of bars: group -> bar -> mean; a level in dB with its text; all names in order."""

    title: str
    means: Mapping[str, Mapping[str, Mean]]
    line: Optional[Tuple[float, str]] = None
    names: Sequence[str] = ("",)


def draw_panels(path: PathLike, panels: Sequence[Bars], label: str) -> None:
    """Panels one under the other, a group of bars each tick, each bar with its 95 % interval."""
    several = [len(bars.names) > 1 for bars in panels]
    widths = [
        0.8 + 0.4 * len(bars.names) * len(bars.means) if grouped else 2.2 + 0.55 * len(bars.means)
        for bars, grouped in zip(panels, several)
    ]
    drawn = {name for bars in panels for group in bars.means.values() for name in group}
    names = [name for bars in panels for name in bars.names if name in drawn]
    colors = dict(zip(dict.fromkeys(names), itertools.cycle(HUES)))

    def draw(figure: Any) -> None:
        all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, bars, grouped in zip(all_axes, panels, several):
            width = 0.85 / len(bars.names) if grouped else WIDTH
            for x, group in enumerate(bars.means.values()):
                numbers = [bars.names.index(name) for name in group]
                offsets = width * (np.array(numbers) - (len(bars.names) - 1) / 2)
                means = np.array([mean.value for mean in group.values()])
                bounds = np.array([mean.interval for mean in group.values()])
                hues = [colors[name] for name in group]
                draw_bars(axes, x + offsets, means, bounds, hues, 0.9 * width, 6.5)
            ticks = [name.replace("_", " ") for name in bars.means]
            long = sum(map(len, ticks)) > 60
            slanted = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if long else {}
            axes.set_xticks(range(len(ticks)), ticks, **slanted)
            axes.set_xlim(-0.5, max(len(ticks), 2) - 0.5)
            axes.set_ylabel(label)
            axes.set_title(bars.title, loc="left", pad=8)
            if bars.line:
                level, text = bars.line
                axes.axhline(level, color="0.4", linewidth=1, linestyle="--", zorder=0.5)
                place = {"transform": axes.get_yaxis_transform(), "va": "center"}
                axes.text(1.01, level, text, **place, fontsize=7.5, color="0.3")
        if len(colors) > 1:
            from matplotlib.patches import Patch

            handles = [Patch(color=color, label=name) for name, color in colors.items() if name]
            figure.legend(handles=handles, loc="outside upper center", ncols=3, handlelength=1.2)

    save_figure(path, (max(4.2, *widths), 0.6 + 2.5 * len(panels)), draw)


def draw_learning_curves(path: PathLike, history: History) -> None:
    """Loss of training and validation, and the SI-SDR of each condition, over the epochs."""
    curves = {name: history.curve("valid", f"si_sdr_{name}") for name in ASKED}
    curves = {name: curve for name, curve in curves.items() if curve}

    def draw(figure: Any) -> None:
        all_axes = figure.subplots(1, 2 if curves else 1, squeeze=False)[0]
        _plot(all_axes[0], history.curve("train", "loss"), "0.6", "training")
        _plot(all_axes[0], history.curve("valid", "loss"), "0.1", "validation")
        all_axes[0].set_ylabel("loss")
        all_axes[0].legend(handlelength=1.4)
        if curves:
            for name, curve in curves.items():
                _plot(all_axes[1], curve, COLORS[name], name)
            all_axes[1].set_ylabel("validation SI-SDR (dB)")
            all_axes[1].legend(handlelength=1.4, loc="center left", bbox_to_anchor=(1, 0.5))
        for axes in all_axes:
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.yaxis.grid(True)

    save_figure(path, (7.0, 2.6) if curves else (3.4, 2.6), draw)


def draw_spectrograms(
    path: PathLike, signals: Mapping[str, np.ndarray], rate: int, title: str
) -> None:
    """Spectrograms of ``signals`` (name -> (T,)), stacked, with one colour scale in dB.

    0 dB is the loudest point of them all, so that levels can be compared.
    """
    powers = {name: spectrogram(signal, rate) for name, signal in signals.items()}
    top = max(float(power.max()) for power in powers.values()) or 1.0
    floor = top * 10 ** (-DYNAMIC_RANGE / 10)

    def draw(figure: Any) -> None:
        all_axes = figure.subplots(len(powers), 1, sharex=True, squeeze=False)[:, 0]
        style = {"cmap": "magma", "aspect": "auto", "origin": "lower", "interpolation": "nearest"}
        for axes, (name, power) in zip(all_axes, powers.items()):
            levels = 10 * np.log10(np.maximum(power, floor) / top)
            ends = (0, len(signals[name]) / rate, 0, rate / 2000)
            image = axes.imshow(levels, vmin=-DYNAMIC_RANGE, vmax=0, extent=ends, **style)
            axes.set_title(name, loc="left", pad=3)
            axes.set_ylabel("frequency (kHz)")
        all_axes[-1].set_xlabel("time (s)")
        figure.suptitle(title, fontsize=9.5, x=0.01, ha="left")
        figure.colorbar(image, ax=list(all_axes), label="dB re maximum", pad=0.015, aspect=35)

    save_figure(path, (6.4, 0.9 + 1.45 * len(powers)), draw)


def spectrogram(signal: np.ndarray, rate: int) -> np.ndarray:
    """Power of the short-time Fourier transform, Hann window of 32 ms, hop of a quarter of it.

    Shape: (T,) -> (F, N), F = size // 2 + 1, N = T // hop + 1.
    """
    size = max(16, int(WINDOW * rate))
    padded = np.pad(np.asarray(signal, dtype=np.float64), (size // 2, size - size // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 4]
    return np.abs(np.fft.rfft(frames * np.hanning(size), axis=-1).T) ** 2


def _plot(axes: Any, curve: Mapping[int, float], color: str, label: str) -> None:
    marker = "o" if len(curve) < 12 else None  # one epoch is a point, and no line
    axes.plot(*zip(*curve.items()), color=color, label=label, lw=1.6, marker=marker, ms=3.5)


def save_figure(path: PathLike, size: Tuple[float, float], draw: Any) -> None:
    """Draw on a fresh figure of ``size`` inches, without pyplot's global state, and write a PNG."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        memory = io.BytesIO()  # Pillow's errors do not say that the disk is full
        figure.savefig(memory, format="png", dpi=DPI, metadata={"Software": None})
    with atomic_write(Path(path), "wb") as stream:
        stream.write(memory.getvalue())

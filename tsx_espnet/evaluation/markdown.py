"""Rows of numbers as text: Markdown for a file, columns for a terminal."""

from typing import Iterable, List, Optional, Sequence, Tuple, Union

from tsx_espnet.evaluation.statistics import MIN_FOR_INTERVAL, Interval, Mean, Summary, counted

NONE = "\N{EN DASH}"
NOT_RUN = "not run"  # a cell that a paper has and we do not
# metric -> its column; those that no summary holds (BSS-eval skipped) get none
METRIC_COLUMNS = {
    "snr": "SNR (dB)",
    "sdr": "BSS-eval SDR (dB)",
    "sir": "SIR (dB)",
    "sar": "SAR (dB)",
}


def summary_table(
    summaries: Sequence[Summary], first: str, brief: bool = False
) -> List[List[str]]:
    """Header and rows of ``summaries``; ``first`` heads the names, ``brief`` leaves out metrics."""
    known = () if brief else METRIC_COLUMNS
    metrics = [metric for metric in known if any(metric in s.means for s in summaries)]
    heads = [METRIC_COLUMNS[metric] for metric in metrics]
    table = [[first, counted(summaries), "silent", "SI-SDR (dB)", "SI-SDRi (dB)"]]
    table[0] += ["95 % interval (dB)", *heads, "worse (%)"]
    for summary in summaries:
        si_sdr, si_sdri, *others = (
            number(summary.means.get(metric)) for metric in ("si_sdr", "si_sdri", *metrics)
        )
        worse = number(None if summary.worse is None else 100 * summary.worse, 1)
        counts = (str(summary.count), str(summary.silent))
        table.append([summary.name, *counts, si_sdr, si_sdri, interval(summary), *others, worse])
    return table


def number(value: Optional[float], digits: int = 2) -> str:
    """The number rounded, or a dash for None.

    >>> number(2.345, 1), number(-0.001)
    ('2.3', '0.00')
    """
    if value is None:
        return NONE
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.00"


def spread(mean: Optional[Mean]) -> Tuple[str, str]:
    """The cells of a mean and its interval.

    >>> spread(Mean(2.5, 100, 100, (2.25, 2.75)))
    ('2.50', '2.25 to 2.75')
    """
    return (number(mean.value), interval(mean)) if mean else (NONE, NONE)


def signed(value: Optional[float], digits: int = 2) -> str:
    """The number rounded, with its sign; a dash for None.

    >>> signed(0.301, 1), signed(-2.0), signed(-0.001)
    ('+0.3', '-2.00', '0.00')
    """
    text = number(value, digits)
    return f"+{text}" if value is not None and float(text) > 0 else text


def value_and_interval(mean: Optional[Mean]) -> str:
    """Both in one cell.

    >>> value_and_interval(Mean(2.5, 100, 100, (2.25, 2.75)))
    '2.50 (2.25 to 2.75)'
    >>> value_and_interval(Mean(2.0, 6, 2, (1.5, 2.5)))  # of two mixtures
    '2.00'
    """
    value, between = spread(mean)
    return value if between == NONE else f"{value} ({between})"


def interval(summary: Union[Summary, Mean]) -> str:
    """The interval of a mean, or a dash where there are too few mixtures."""
    return bounds(None if summary.num_mixtures < MIN_FOR_INTERVAL else summary.interval)


def bounds(interval: Optional[Interval]) -> str:
    """Both ends of an interval, or a dash where there is none.

    >>> bounds((2.25, 2.754)), bounds(None)
    ('2.25 to 2.75', '–')
    """
    return f"{number(interval[0])} to {number(interval[1])}" if interval else NONE


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first row the header; the first column left, the others right.

    >>> print(markdown([["class", "dB"], ["Bark", "2.0"]]))
    | class | dB |
    | :--- | ---: |
    | Bark | 2.0 |
    """
    rule = [":---"] + ["---:"] * (len(table[0]) - 1)
    rows = [table[0], rule, *table[1:]]
    return "\n".join("| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows)


def markdown_pairs(pairs: Sequence[Sequence[str]]) -> str:
    """A Markdown table of names and values, both left."""
    return "\n".join(
        ["| | |", "| :--- | :--- |", *(f"| {name} | {_escape(value)} |" for name, value in pairs)]
    )


def plain(table: Sequence[Sequence[str]]) -> str:
    """The same in columns for a terminal, a rule under the header.

    >>> print(plain([["class", "dB"], ["Bark", "12.0"]]))
    class    dB
    -----  ----
    Bark   12.0
    """
    widths = [max(len(cell) for cell in column) for column in zip(*table)]
    rows = [table[0], ["-" * width for width in widths], *table[1:]]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
        for row in rows
    )


def bullets(notes: Iterable[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {note}" for note in notes)


def image(text: str, path: Optional[str]) -> str:
    """A picture in Markdown; nothing where there is none."""
    return f"![{text}]({path})" if path else ""


def code_list(names: Iterable[str]) -> str:
    """Names as code.

    >>> code_list(["a", "b"])
    '`a`, `b`'
    """
    return ", ".join(f"`{name}`" for name in names)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")

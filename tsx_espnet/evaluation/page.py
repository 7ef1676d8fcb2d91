"""The page of a study: a paper's tables beside ours, its figure, and the verdicts on its claims."""

import os
from pathlib import Path
from typing import Dict, Iterator, List, Optional

from tsx_espnet.evaluation.answers import METRICS, Answers, Metric
from tsx_espnet.evaluation.figures import Bars, draw_panels
from tsx_espnet.evaluation.markdown import (
    NONE,
    NOT_RUN,
    bounds,
    bullets,
    code_list,
    image,
    markdown,
    markdown_pairs,
    number,
    plain,
    signed,
    spread,
    value_and_interval,
)
from tsx_espnet.evaluation.paper import Claim, Panel, Paper, Table
from tsx_espnet.evaluation.provenance import DATA_KINDS, common_setup, describe_environment
from tsx_espnet.evaluation.statistics import MIN_RUNS, RESAMPLES, counted, unprocessed
from tsx_espnet.evaluation.study import Study
from tsx_espnet.tables import PathLike, atomic_write

Text = List[List[str]]  # rows of cells, the first one the header
NOT_SCORED = "not scored"  # it was run, and this metric left out
HOW = (
    "paper: the mean over the test mixtures, as printed. ours: the same, its 95 % bootstrap "
    f"interval over the test mixtures ({RESAMPLES:,} resamples), and in brackets the number of "
    "runs averaged, mixture by mixture. difference: ours minus paper.",
    "A run is a training seed and, where new classes are known by a few recordings, a draw of "
    "these. The cells of a row come from the same runs, as far as they have any in common.",
)
RUNS = "Number of seeds and draws of each cell, lowest and highest mean of a run, and intervals."
EVIDENCE = (
    "ours: the difference, mixture by mixture, over the runs and mixtures that both have; without "
    "a run in common, that of their means over all runs, which cannot be judged. "
    "paper: the difference of its means, each rounded to 0.1 dB.",
    "Mixtures that share a clip or a class are not independent: the 95 % bootstrap intervals draw "
    "whole clips of targets, and whole classes of targets. The third interval is the lowest and "
    "the highest mean of a run.",
    'verdict: "holds" if all three intervals are above 0, "reversed" if all are below, else '
    f'"open"; always open with fewer than {MIN_RUNS} runs, or where an interval is missing (too '
    "few clips or classes, or scores that do not say which clips they are of: run score again). "
    '"tie": the paper prints the same number twice.',
)


def write_page(
    paper: Paper,
    exp: PathLike,
    out: PathLike,
    size: str = "",
    data_kind: Optional[str] = None,
    title: Optional[str] = None,
    figure: Optional[PathLike] = None,
) -> str:
    """Write ``out`` (Markdown) and ``figure`` (PNG); return what to print.

    Args:
        exp: the directory of the experiments, each named by its tag.
        size: what their tags start with.
        data_kind: "synthetic" or "recordings".
        title: of the page.

    Raises:
        TSXError: as ``Study``.
    """
    study = Study(paper, exp, size)
    panels = [panel for panel in (_bars(study, panel) for panel in paper.figure) if panel.means]
    if figure is not None and panels:
        draw_panels(figure, panels, f"{study.metric.name} (dB)")
    picture = os.path.relpath(figure, Path(out).parent) if figure is not None else None
    metrics = [METRICS[name] for name in paper.metrics]
    theirs = paper.data and f" The paper's: {paper.data}."
    parts = [f"# {title or paper.title}", f"Paper: {paper.reference}."]
    parts += [f"Ours: {DATA_KINDS[data_kind]}.{theirs}"]
    parts += ["## Test sets", markdown(_sets_table(study))]
    if study.metric is not metrics[0]:
        words = f"The scores hold no {metrics[0].name}, the paper's metric: score was told to "
        parts.append(f"{words}leave it out. Figure and claims are of {study.metric.name}.")
    for table in paper.tables:
        parts += [f"## {table.name}", _filled(_paper_table(study, table, metrics[0]))]
        parts += [*_gaps(study, table), bullets(table.notes)]
    parts.append(bullets((*HOW, *paper.notes)))
    for metric in metrics[1:]:
        parts.append(f"## The same in {metric.name}")
        for table in paper.tables:
            parts += [f"### {table.name}", _filled(_paper_table(study, table, metric))]
    if panels:
        parts += ["## Figure", image(f"{study.metric.name} of {paper.title}", picture)]
        parts += [markdown(table) for table in map(_class_bars, panels) if table]
    judged = metrics if study.metric is metrics[0] else [study.metric]
    claims = {metric: _claims_tables(study, metric) for metric in judged}
    for metric, tables in claims.items():
        parts += [f"## Claims: {metric.name}", *_claims(study, tables)]
    parts += [*_by_class(study), *_runs(study)]
    parts += [
        "## Experiments",
        f"Read: {code_list(path.name for path in study.directories)}.",
        f"Not scored yet: {code_list(study.unscored)}." if study.unscored else "",
        "What they have in common:",
        markdown_pairs(common_setup(study.trained)),
        "## Environment of this page",
        markdown_pairs(describe_environment()),
    ]
    with atomic_write(out) as stream:
        stream.write("\n\n".join(part for part in parts if part) + "\n")
    printed = []
    for table in paper.tables:
        if any(study.measured(table)):
            printed.append(f"{table.name} ({study.metric.name})")
            printed.append(plain(_paper_table(study, table, study.metric)))
    for name, found in claims[study.metric].items():
        printed += [f"Claims, {name} ({study.metric.name})", plain(found)]
    return "\n\n".join([*printed, f"All of it: {out}"])


def _sets_table(study: Study) -> Text:
    """What each set is of, and the level of its mixtures without any processing."""
    metrics = list(dict.fromkeys(METRICS[name.rstrip("i")] for name in study.paper.metrics))
    beside = any(one.mixture is not None for one in study.paper.sets.values())
    found: Text = [["set", study.counted, "clips", "classes"]]
    found[0] += [f"{metrics[0].name}: paper (dB)"] if beside else []
    found[0] += [f"{metric.name}{': ours' if beside else ''} (dB)" for metric in metrics]
    for key, one in study.paper.sets.items():
        scores = list(study.targets(key).values())
        clips, labels = {score.clip for score in scores}, {score.label for score in scores}
        sizes = [len(scores) or NOT_RUN, 0 if "" in clips else len(clips), len(labels)]
        found.append([one.name if beside else f"{one.name} ({one.kind})"])
        found[-1] += [*(str(size or NONE) for size in sizes), *[number(one.mixture, 1)] * beside]
        means = unprocessed(scores).means
        found[-1] += [number(means.get(metric.column)) for metric in metrics]
    return found


def _paper_table(study: Study, table: Table, metric: Metric) -> Text:
    """Paper, ours and the difference for each column; ours alone in a metric it does not print."""
    beside = metric.name == study.paper.metrics[0] and any(row.has_numbers for row in table.rows)
    found: Text = [["system"]]
    for column in table.columns:
        heads = [f"{column}: paper (dB)", "ours (dB)", "difference (dB)"]
        found[0] += heads if beside else [f"{column} (dB)"]
    for row, cells in study.rows(table, metric):
        found.append([row.name])
        for cell, answers, theirs in zip(row.cells, cells, row.printed):
            difference = None
            if answers is not None:
                ours = f"{value_and_interval(answers.mean)} [{len(answers.run_means)}]"
                difference = None if theirs is None else answers.mean.value - theirs
            elif cell is not None and study.ran(cell):
                ours = NOT_SCORED
            elif cell is None or (theirs is None and row.has_numbers):
                ours = NONE  # the paper leaves it empty too
            else:
                ours = NOT_RUN
            found[-1] += [number(theirs, 1), ours, signed(difference)] if beside else [ours]
    return found


def _filled(table: Text) -> str:
    return markdown(table) if len(table) > 1 else "Not run."


def _gaps(study: Study, table: Table) -> Iterator[str]:
    """Targets that a cell does not measure (silent, not applicable); runs that its row lacks."""
    few, left_out = [], []
    for name, row, cell, answers in study.measured(table):
        total, common = len(study.targets(cell.set)), study.common_runs(row.cells, study.metric)
        if len(answers.values) < total:
            few.append(f"{name}: {len(answers.values)} of {total}")
        lone = [str(run) for run in study.runs(cell, study.metric) if run not in common]
        if lone:
            left_out.append(f"{name}: {' and '.join(lone)}")
    items = study.counted.capitalize()
    yield f"{items} that could be measured, where not all: {'; '.join(few)}." if few else ""
    yield f"Left out, as not all cells of a row have it: {'; '.join(left_out)}." if left_out else ""


def _claims_tables(study: Study, metric: Metric) -> Dict[str, Text]:
    """Heading -> a row for each claim that was run; no heading without any."""
    header = ["difference", study.counted, "paper (dB)", "ours (dB)", "over clips (dB)"]
    header += ["over classes (dB)", "over runs (dB)", "runs above 0", "verdict"]
    tables = {}
    for name, claims in study.paper.all_claims().items():
        table = [header, *filter(None, (_claim_row(study, claim, metric) for claim in claims))]
        if metric.name != study.paper.metrics[0]:  # the paper's numbers are of that one
            table = [row[:2] + row[3:] for row in table]
        if len(table) > 1:
            tables[name] = table
    return tables


def _claim_row(study: Study, claim: Claim, metric: Metric) -> Optional[List[str]]:
    answers = study.difference(claim, metric)
    if answers is None:
        return None
    evidence = answers.evidence
    seeds = len({run.seed for run in study.shared_runs(claim, metric)})
    runs = f"{evidence.num_above} of {evidence.num_runs} ({seeds} seed{'s' * (seeds > 1)})"
    ours = sum(answers.values.values()) / len(answers.values)
    name = study.mark(claim.name, claim.above, claim.below)
    return [
        *(name, str(len(answers.values)), signed(claim.printed, 1), signed(ours)),
        *map(bounds, (evidence.clips, evidence.classes, evidence.runs)),
        runs if seeds else NONE,
        "tie" if claim.printed == 0 else evidence.verdict,
    ]


def _claims(study: Study, tables: Dict[str, Text]) -> List[str]:
    """The tables, and how many verdicts there are of each kind."""
    if not tables:
        return ["No pair of them was run."]
    total = sum(map(len, study.paper.all_claims().values()))
    verdicts = [row[-1] for table in tables.values() for row in table[1:]]
    counts = [f"{verdicts.count(v)} {v}" for v in ("holds", "reversed", "open", "tie")]
    parts = [f"{len(verdicts)} of {total} pairs were run: {', '.join(counts)}."]
    for name, table in tables.items():
        parts += [f"### {name}", markdown(table)]
    return [*parts, bullets(EVIDENCE)]


def _by_class(study: Study) -> List[str]:
    """Row by row and set by set, of tables that ask for it."""
    parts: List[str] = []
    for table in study.paper.tables:
        for row, cells in study.rows(table, study.metric) if table.by_class else ():
            for key, one in study.paper.sets.items():
                found = {
                    column: answers.by_label()
                    for column, cell, answers in zip(table.columns, row.cells, cells)
                    if answers and cell.set == key
                }
                if found:
                    parts += [f"### {row.name}; {one.name}", markdown(_class_table(found))]
    return [f"## Class by class: {study.metric.name}", *parts] if parts else []


def _class_table(columns: Dict[str, Dict[str, Answers]]) -> Text:
    items = counted(one.mean for groups in columns.values() for one in groups.values())
    table = [["class", items, *(f"{name} (dB)" for name in columns)]]
    for label in sorted(set().union(*columns.values())):
        means = [groups[label].mean if label in groups else None for groups in columns.values()]
        count = max(mean.count for mean in means if mean)
        table.append([label, str(count), *(spread(mean)[0] for mean in means)])
    return table


def _runs(study: Study) -> List[str]:
    parts, known = [], set()
    for table in study.paper.tables:
        found: Text = [["system", "runs", "seeds", "draws", "lowest (dB)", "highest (dB)"]]
        found[0] += ["over clips (dB)", "over classes (dB)"]
        for name, row, cell, answers in study.measured(table):
            if cell in known:
                continue
            known.add(cell)
            common = study.common_runs(row.cells, study.metric)
            runs = common & study.runs(cell, study.metric).keys()
            seeds, draws = ({run[i] for run in runs} - {None} for i in range(2))
            evidence = answers.evidence
            found.append(
                [name, str(len(runs)), str(len(seeds)), str(len(draws) or NONE)]
                + [number(end(answers.run_means)) for end in (min, max)]
                + [bounds(evidence.clips), bounds(evidence.classes)]
            )
        parts += [f"### {table.name}", markdown(found)] if len(found) > 1 else []
    return [f"## Runs: {study.metric.name}", RUNS, *parts] if parts else []


def _bars(study: Study, panel: Panel) -> Bars:
    """The means of a panel; of a metric that is not the paper's without its line."""
    line = panel.line if study.metric.name == study.paper.metrics[0] else None
    if panel.cell is not None:
        answers = study.answers(panel.cell, study.metric)
        groups = answers.by_label() if answers else {}
        return Bars(panel.title, {label: {"": one.mean} for label, one in groups.items()}, line)
    means: Dict[str, Dict] = {column: {} for column in panel.table.columns}
    for row, cells in study.rows(panel.table, study.metric):
        for column, answers in zip(panel.table.columns, cells):
            if answers:
                means[column][row.name] = answers.mean
    means = {column: group for column, group in means.items() if group}
    names = [study.mark(row.name, *row.cells) for row in panel.table.rows]
    return Bars(panel.title, means, line, names)


def _class_bars(bars: Bars) -> Optional[Text]:
    """The numbers of a panel that no table has: those of classes."""
    if any("" not in group for group in bars.means.values()):
        return None
    means = {label: group[""] for label, group in bars.means.items()}
    rows = [[label, str(mean.count), *spread(mean)] for label, mean in means.items()]
    return [["class", counted(means.values()), "mean (dB)", "95 % interval (dB)"], *rows]

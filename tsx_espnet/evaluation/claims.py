"""What a paper claims, and what our runs say of it."""

import dataclasses
from typing import Dict, List, Optional

from tsx_espnet.evaluation.answers import Answers, Metric
from tsx_espnet.evaluation.markdown import NONE, bounds, bullets, markdown, signed
from tsx_espnet.evaluation.paper import Claim
from tsx_espnet.evaluation.statistics import MIN_FOR_INTERVAL, Interval, cluster_interval
from tsx_espnet.evaluation.study import Study

MIN_RUNS = 3  # fewer do not judge a claim
HEADER = [
    *("difference", "mixtures", "paper (dB)", "ours (dB)", "over clips (dB)", "over classes (dB)"),
    *("over runs (dB)", "runs above 0", "verdict"),
]
EVIDENCE = (
    "ours: the difference mixture by mixture over the runs that both have, where both were "
    "queried; without a run in common, that of their means over all runs, which judges nothing. "
    "paper: the difference of its means, each rounded to 0.1 dB.",
    "Mixtures that share a clip are not independent, nor is one class another: the 95 % bootstrap "
    "intervals draw whole clips of targets, and whole classes of targets. The third interval is "
    "the lowest and the highest mean of a run.",
    f'verdict: "holds" if all three intervals are above 0, "reversed" if all are below, else '
    f'"open"; with fewer than {MIN_RUNS} runs it is open whatever they are, and so it is where '
    "an interval is missing (too few clips or classes, or scores that do not say which clips they "
    'are of: run stage 7 again). "tie": the paper prints the same number twice.',
)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """A mean in dB, and what it rests on.

    Attributes:
        clips: 95 % interval over the clips of the targets, which mixtures share; None if there are
            too few, or scores do not say which they are.
        classes: the same over the classes of the targets; None with fewer than two.
        runs: the lowest and the highest mean of a run (seed, draw of recordings); None with one.
        num_runs, num_above: the runs, and those of them with a mean above 0.
    """

    clips: Optional[Interval]
    classes: Optional[Interval]
    runs: Optional[Interval]
    num_runs: int
    num_above: int

    @property
    def verdict(self) -> str:
        """Whether what should be above 0 is: "holds", "reversed" (it is below), or "open".

        Open unless there are three runs and all three intervals are on one side of 0, by their
        bounds as printed (two decimals); the one over runs is so if every run is.
        """
        intervals = (self.clips, self.classes, self.runs)
        if self.num_runs < MIN_RUNS or None in intervals:
            return "open"
        if all(round(low, 2) > 0 for low, _ in intervals):
            return "holds"
        return "reversed" if all(round(high, 2) < 0 for _, high in intervals) else "open"


def weigh(answers: Answers) -> Evidence:
    """What the mean of ``answers`` rests on."""
    values, runs = list(answers.values.values()), answers.run_means
    targets = [answers.targets[name] for name in answers.values]
    clips, labels = [score.clip for score in targets], [score.label for score in targets]
    known = all(clips) and len(set(clips)) >= MIN_FOR_INTERVAL
    return Evidence(
        clips=cluster_interval(values, clips) if known else None,
        classes=cluster_interval(values, labels) if len(set(labels)) > 1 else None,
        runs=(min(runs), max(runs)) if len(runs) > 1 else None,
        num_runs=len(runs),
        num_above=sum(mean > 0 for mean in runs),
    )


def claims_tables(study: Study, metric: Metric) -> Dict[str, List[List[str]]]:
    """Heading -> a row for each claim that was run; no heading without any."""
    tables = {}
    for name, claims in study.paper.all_claims().items():
        found = [_row(study, claim, metric) for claim in claims]
        table = [HEADER, *(row for row in found if row)]
        if metric.name != study.paper.metrics[0]:  # the paper's numbers are of that one
            table = [row[:2] + row[3:] for row in table]
        if len(table) > 1:
            tables[name] = table
    return tables


def claims_section(study: Study, metric: Metric, tables: Dict[str, List[List[str]]]) -> List[str]:
    """The page's section of ``claims_tables``, with how many verdicts there are of each kind."""
    head = f"## Claims: {metric.name}"
    if not tables:
        return [head, "No pair of them was run."]
    total = sum(map(len, study.paper.all_claims().values()))
    verdicts = [row[-1] for table in tables.values() for row in table[1:]]
    counts = [f"{verdicts.count(v)} {v}" for v in ("holds", "reversed", "open", "tie")]
    parts = [head, f"{len(verdicts)} of {total} pairs were run: {', '.join(counts)}."]
    for name, table in tables.items():
        parts += [f"### {name}", markdown(table)]
    return [*parts, bullets(EVIDENCE)]


def _row(study: Study, claim: Claim, metric: Metric) -> Optional[List[str]]:
    answers = study.difference(claim, metric)
    if answers is None:
        return None
    evidence = weigh(answers)
    seeds = len({run.seed for run in study.shared_runs(claim, metric)})
    runs = f"{evidence.num_above} of {evidence.num_runs} ({seeds} seed{'s' * (seeds > 1)})"
    ours = sum(answers.values.values()) / len(answers.values)
    return [
        *(claim.name, str(len(answers.values)), signed(claim.printed, 1), signed(ours)),
        *map(bounds, (evidence.clips, evidence.classes, evidence.runs)),
        runs if seeds else NONE,
        "tie" if claim.printed == 0 else evidence.verdict,
    ]

"""Scores, log and configuration to ``RESULTS.md``, figures and sounds."""

import shutil
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np

from tsx_espnet.audio import write_audio
from tsx_espnet.conditions import ASKED, UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.estimates import output_tables
from tsx_espnet.evaluation.answers import marked, read_experiment
from tsx_espnet.evaluation.figures import draw_conditions, draw_learning_curves, draw_spectrograms
from tsx_espnet.evaluation.markdown import (
    NONE,
    bullets,
    image,
    interval,
    markdown,
    markdown_pairs,
    number,
    plain,
    summary_table,
)
from tsx_espnet.evaluation.provenance import (
    DATA_KINDS,
    History,
    describe_config,
    describe_data,
    describe_environment,
    read_config,
)
from tsx_espnet.evaluation.score import read_estimate
from tsx_espnet.evaluation.scores import ORACLE, SHUFFLED, Score, shown_condition
from tsx_espnet.evaluation.sources import by_count, describe_sources, sources_table
from tsx_espnet.evaluation.statistics import (
    RESAMPLES,
    Summary,
    by_condition,
    by_label,
    counted,
    unprocessed,
)
from tsx_espnet.mixing.data_table import MIXTURE, TARGET
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.tables import DONE, PathLike, atomic_write, mark_done, read_table, remove_leftovers

RESULTS = "RESULTS.md"
BARS = "figures/conditions.png"
CURVES = "figures/learning_curves.png"
EXAMPLES = "examples"
PICTURE = "spectrogram.png"
HEARS = {
    ORACLE: "**Oracle**: the conditions of this model are made from the true sources.",
    SHUFFLED: "**Shuffled**: the conditions of this model are made from another mixture each, as a "
    "control.",
}
_LEGEND = (
    (None, "Means over the {items} that the condition is applicable to, which differ from row to "
     "row."),
    ("mixture", '"mixture": no processing at all.'),
    (ORACLE, '"oracle": the condition of highest SI-SDR for each {item}, by the reference.'),
    (UNCONDITIONAL, '"unconditional": no query; the references decide which of the outputs is the '
     "target (oracle PIT)."),
    ("si_sdr", "SI-SDR: scale-invariant, means removed. SI-SDRi: its gain over the mixture, with "
     f"the 95 % bootstrap interval of the mean ({RESAMPLES:,} resamples of the mixtures)."),
    ("snr", "SNR: 10 log10(|target|² / |estimate - target|²), not scale-invariant."),
    ("sir", "SDR, SIR, SAR: BSS-eval with a 512-tap filter."),
    (None, '"worse": share of {items} whose estimate is worse than the mixture (SI-SDRi < 0).'),
    (None, '"silent": {items} whose target, other sound or estimate is silent; they have no '
     "metrics and are left out of all means."),
)  # fmt: skip


def report(
    exp: PathLike,
    mixtures_dir: PathLike,
    test_set: Optional[str] = None,
    num_examples: int = 3,
    data_kind: Optional[str] = None,
    out: Optional[PathLike] = None,
) -> str:
    """Write ``<out>/RESULTS.md``, ``figures/`` and ``examples/``; return what to print.

    Args:
        exp: the experiment; scores are those of ``<exp>/infer/<test_set>``.
        mixtures_dir: the mixtures that were scored.
        test_set: name of the set; that of ``mixtures_dir`` by default.
        num_examples: number of targets to listen to.
        data_kind: "synthetic" or "recordings".
        out: where to write; ``exp`` by default.

    Raises:
        TSXError: if an earlier stage is missing, or the scores are of other mixtures.
    """
    exp = Path(exp)
    out = exp if out is None else Path(out)
    mixtures = MixtureSet(mixtures_dir)
    test_set = test_set or mixtures.directory.resolve().name
    config = read_config(exp)
    experiment = read_experiment(exp, test_set)
    unknown = sorted(experiment.table.keys() - mixtures.targets.keys())
    if unknown and not mixtures.components.keys() >= set(unknown):
        raise TSXError(
            f"{experiment.path}: scores of other mixtures than {mixtures.directory}: "
            f"{len(unknown)} ids unknown (first {unknown[0]!r}); run stages 6 (infer) and 7 "
            "(score) again"
        )
    scores = [score for rows in experiment.table.values() for score in rows.values()]
    present = by_condition(scores)
    shown = shown_condition([row.name for row in present])
    by_sources = describe_sources(scores)
    history = History(exp)

    bars = BARS if any(row.count for row in present) else None
    if bars:
        draw_conditions(out / BARS, present)
    curves = CURVES if history.curve("train", "loss") else None
    if curves:
        draw_learning_curves(out / CURVES, history)
    clear_examples(out / EXAMPLES)
    chosen = choose_examples(scores, shown, num_examples)
    examples = {name: list(experiment.table[name].values()) for name in chosen}
    for name, rows in examples.items():
        write_example(out / EXAMPLES / name, mixtures, experiment.path.parent, rows, shown)

    tag = exp.resolve().name
    title = f"{marked(tag, experiment.marks)} on {test_set}"
    rows = [unprocessed(scores), *present]
    items = counted(rows)
    kind = f"Data: {DATA_KINDS[data_kind]}."
    keys = {None, *(metric for row in rows for metric in row.means), *(row.name for row in rows)}
    parts = [
        f"# {title}",
        f"{_headline(present, shown, test_set)} {kind}",
        *(HEARS[mark] for mark in experiment.marks),
        "## Conditions",
        markdown(summary_table(rows, "condition")),
        bullets(text.format(items=items, item=items[:-1]) for key, text in _LEGEND if key in keys),
        image("Mean SI-SDRi of each condition with its 95 % interval", bars),
        *(["## By number of sources", *by_sources] if by_sources else ()),
        *_classes(scores, shown),
        "## Learning curves",
        image("Loss and SI-SDR over the epochs", curves)
        or "No finished epoch was found in `train.log`.",
        "## Examples",
        *_examples(examples, shown),
        "## Data",
        kind,
        markdown_pairs(describe_data(config, mixtures)),
        "## Configuration",
        markdown_pairs(describe_config(config, tag, history)),
        "## Environment of this report",
        markdown_pairs(describe_environment()),
    ]
    with atomic_write(out / RESULTS) as stream:
        stream.write("\n\n".join(part for part in parts if part) + "\n")
    for directory in (out, out / "figures"):
        remove_leftovers(directory)
    lines = [title, "", plain(summary_table(rows, "condition", brief=True))]
    if by_sources:
        lines += ["", plain(sources_table(by_count(scores)))]
    if examples:
        lines += ["", "Listen to mixture.wav, target.wav, estimate_<condition>.wav and rest.wav in"]
        lines += [f"  {out / EXAMPLES / name}" for name in examples]
    return "\n".join([*lines, "", f"All of it: {out / RESULTS}"])


def choose_examples(scores: Sequence[Score], condition: str, count: int) -> List[str]:
    """Names of ``count`` targets spread over the ranking by SI-SDRi, worst first.

    They are the k / (count + 1) quantiles: the median for one, the quartiles for three. Ties are
    broken by id, so the choice is always the same.
    """
    ranked = sorted(
        (score.si_sdri, score.mixture)
        for score in scores
        if score.condition == condition and score.si_sdri is not None
    )
    count = min(count, len(ranked))
    ranks = [round(k * (len(ranked) - 1) / (count + 1)) for k in range(1, count + 1)]
    if len(set(ranks)) < count:  # few mixtures: neighbouring quantiles fall on the same one
        ranks = list(range(count))
    return [ranked[rank][1] for rank in ranks]


def clear_examples(directory: PathLike) -> None:
    """Remove the examples of an earlier report, and nothing else, from ``directory``."""
    for marker in Path(directory).glob(f"*/{DONE}"):
        shutil.rmtree(marker.parent, ignore_errors=True)


def write_example(
    directory: PathLike,
    mixtures: MixtureSet,
    estimates_dir: PathLike,
    scores: Sequence[Score],
    shown: str,
) -> None:
    """Write the sounds of one target and one picture of them into ``directory``.

    ``mixture.wav``, ``target.wav``, ``estimate_<condition>.wav`` for each of ``scores`` (all of the
    same target), and ``rest.wav`` and ``spectrogram.png`` of the condition ``shown``. 16 bits, all
    at the same gain, which is below 1 only where a sample would clip.
    """
    directory, name = Path(directory), scores[0].mixture
    # first, so that the next report removes what is left of one that was killed
    mark_done(directory, mixture=name)
    mixture = mixtures.mixture_of(name)
    plan = mixtures.plans[mixture]
    signals = {
        row.kind: mixtures.read(row, name, "float64", fs=plan.fs, length=plan.num_samples)
        for row in (MIXTURE, TARGET)
    }

    def estimate(condition: str, stream: str) -> np.ndarray:
        scp = Path(estimates_dir) / condition / f"{stream}.scp"
        paths, key = read_table(scp), mixture if condition == UNCONDITIONAL else name
        if key not in paths:
            raise TSXError(f"{scp}: no {key!r}; run stages 6 (infer) and 7 (score) again")
        return read_estimate(paths[key], plan)

    table = {score.condition: score for score in scores if score.condition != ORACLE}
    streams = {c: score.value if c == UNCONDITIONAL else "spk1" for c, score in table.items()}
    for condition, stream in streams.items():
        signals[f"estimate_{condition}"] = estimate(condition, stream)
    others = [one for one in output_tables(Path(estimates_dir) / shown) if one != streams[shown]]
    signals["rest"] = sum(estimate(shown, stream) for stream in others or ["spk2"])

    gain = min(1.0, 0.999 / max(float(np.abs(signal).max()) for signal in signals.values()))
    for kind, signal in signals.items():
        write_audio(directory / f"{kind}.wav", gain * signal, plan.fs, "WAV", "PCM_16")
    score = table[shown]
    pictures = {
        f"mixture (SI-SDR {score.si_sdr_mixture:.1f} dB)": signals["mixture"],
        f"target ({score.label})" if score.label else "target": signals["target"],
        f"estimate (SI-SDR {score.si_sdr:.1f} dB)": signals[f"estimate_{shown}"],
    }
    quoted = f"\N{LEFT DOUBLE QUOTATION MARK}{score.value}\N{RIGHT DOUBLE QUOTATION MARK}"
    title = f"{name}, {shown} = {quoted}: SI-SDRi {score.si_sdri:.1f} dB"
    draw_spectrograms(directory / PICTURE, pictures, plan.fs, title)
    remove_leftovers(directory)


def _headline(rows: Sequence[Summary], shown: str, test_set: str) -> str:
    row = next(row for row in rows if row.name == shown)
    if not row.count:
        return f"No {counted(rows)[:-1]} of {test_set} could be scored by {shown}."
    return (
        f"Queried by {shown}, the estimates have a mean SI-SDRi of "
        f"**{number(row.means['si_sdri'])} dB** (95 % interval {interval(row)} dB) over "
        f"{row.count} {counted(rows)}; {number(100 * row.worse, 1)} % are worse than the mixture."
    )


def _classes(scores: Sequence[Score], shown: str) -> List[str]:
    if not any(score.label for score in scores):
        return []
    return [
        f"## Classes, by {shown}",
        f"Class of the target (its most specific label); condition: {shown}.",
        markdown(summary_table(by_label(scores, shown), "class", brief=True)),
    ]


def _examples(examples: Dict[str, List[Score]], shown: str) -> List[str]:
    if not examples:
        return ["None."]
    present = {score.condition for scores in examples.values() for score in scores}
    conditions = [condition for condition in ASKED if condition in present]
    table = [["mixture", "sounds", "target", "mixture SI-SDR (dB)"]]
    table[0] += [f"{condition}: SI-SDRi (dB)" for condition in conditions]
    places = {name: f"{EXAMPLES}/{name}/" for name in examples}
    for name, scores in examples.items():
        gains = {score.condition: f"{score.value}: {number(score.si_sdri, 1)}" for score in scores}
        level = number(scores[0].si_sdr_mixture, 1)
        table.append([name, f"[`{places[name]}`]({places[name]})", scores[0].label, level])
        table[-1] += [gains.get(condition, NONE) for condition in conditions]
    return [
        f"Not picked by ear, but at equal steps of the ranking by SI-SDRi ({shown}), worst first. "
        "WAVs are what the model wrote, in 16 bits; where one would clip, all of that mixture are "
        "scaled down by the same gain.",
        markdown(table),
        *(
            image(f"Spectrograms of mixture, target and estimate of {name}", f"{place}{PICTURE}")
            for name, place in places.items()
        ),
    ]

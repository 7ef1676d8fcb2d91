"""Stage 8: scores, log and configuration to ``RESULTS.md``, figures and sounds."""

from pathlib import Path
from typing import Dict, List, Optional

from tsx_espnet.conditions import ASKED
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.checks import check_scores
from tsx_espnet.evaluation.environment import describe_environment
from tsx_espnet.evaluation.examples import PICTURE, choose_examples, clear_examples, write_example
from tsx_espnet.evaluation.experiment import describe_config, describe_data, read_config
from tsx_espnet.evaluation.figures import draw_conditions, draw_learning_curves
from tsx_espnet.evaluation.history import History
from tsx_espnet.evaluation.layout import NONE, number, plain, summary_table
from tsx_espnet.evaluation.results import Results
from tsx_espnet.evaluation.scores import FILE, ORACLE, Score, read_scores
from tsx_espnet.evaluation.system import shown_condition
from tsx_espnet.evaluation.table import by_condition, by_label, unprocessed
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.tables import PathLike, atomic_write, remove_leftovers

RESULTS = "RESULTS.md"
BARS = "figures/conditions.png"
CURVES = "figures/learning_curves.png"
EXAMPLES = "examples"


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
        num_examples: number of mixtures to listen to.
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
    estimates_dir = exp / "infer" / test_set
    scores = _read(estimates_dir / FILE, mixtures)
    present = by_condition(scores)
    shown = shown_condition([row.name for row in present])
    history = History(exp)

    bars = BARS if any(row.count for row in present) else None
    if bars:
        draw_conditions(out / BARS, present)
    curves = CURVES if history.curve("train", "loss") else None
    if curves:
        draw_learning_curves(out / CURVES, history)
    clear_examples(out / EXAMPLES)
    chosen = choose_examples(scores, shown, num_examples)
    examples = {name: [score for score in scores if score.mixture == name] for name in chosen}
    for name, of_mixture in examples.items():
        write_example(out / EXAMPLES / name, mixtures, estimates_dir, of_mixture, shown)

    results = Results(
        tag=exp.resolve().name,
        test_set=test_set,
        shown=shown,
        data_kind=data_kind,
        rows=[unprocessed(scores), *present],
        classes=by_label(scores, shown),
        example_rows=_example_table(examples),
        example_pictures=[(name, f"{EXAMPLES}/{name}/{PICTURE}") for name in examples],
        bars=bars,
        curves=curves,
        config=describe_config(config, exp.resolve().name, history),
        data=describe_data(config, mixtures),
        environment=list(describe_environment(Path.cwd()).items()),
    )
    with atomic_write(out / RESULTS) as stream:
        stream.write(results.markdown())
    for directory in (out, out / "figures"):
        remove_leftovers(directory)
    return _terminal(out, results, examples)


def _read(path: Path, mixtures: MixtureSet) -> List[Score]:
    scores = read_scores(path)
    if not scores:
        raise TSXError(f"{path}: no scores; run stages 6 (infer) and 7 (score)")
    unknown = sorted({score.mixture for score in scores} - set(mixtures.ids))
    if unknown:
        raise TSXError(
            f"{path}: scores of other mixtures than {mixtures.directory}: {len(unknown)} ids "
            f"unknown (first {unknown[0]!r}); run stages 6 (infer) and 7 (score) again"
        )
    check_scores(scores, path)
    return scores


def _example_table(examples: Dict[str, List[Score]]) -> List[List[str]]:
    conditions = [
        condition
        for condition in ASKED
        if any(score.condition == condition for scores in examples.values() for score in scores)
    ]
    table = [["mixture", "sounds", "target", "mixture SI-SDR (dB)"]]
    table[0] += [f"{condition}: SI-SDRi (dB)" for condition in conditions]
    for name, scores in examples.items():
        gains = {score.condition: score for score in scores if score.condition != ORACLE}
        table.append(
            [name, f"[`{EXAMPLES}/{name}/`]({EXAMPLES}/{name}/)", scores[0].label]
            + [number(scores[0].si_sdr_mixture, 1)]
            + [
                f"{gains[c].value}: {number(gains[c].si_sdri, 1)}" if c in gains else NONE
                for c in conditions
            ]
        )
    return table


def _terminal(out: Path, results: Results, examples: Dict[str, List[Score]]) -> str:
    lines = [
        f"{results.tag} on {results.test_set}",
        "",
        plain(summary_table(results.rows, "condition", metrics=())),  # fits a terminal
    ]
    if examples:
        lines += ["", "Listen to mixture.wav, target.wav, estimate_<condition>.wav and rest.wav in"]
        lines += [f"  {out / EXAMPLES / name}" for name in examples]
    lines += ["", f"All of it: {out / RESULTS}"]
    return "\n".join(lines)

"""Systems side by side on one test set: means, paired differences, and their oracle ensemble."""

from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.answers import (
    INFER,
    Answers,
    ask,
    check_same_set,
    ensemble,
    read_experiment,
)
from tsx_espnet.evaluation.markdown import NONE, bullets, markdown, number, plain, spread
from tsx_espnet.evaluation.scores import FILE, ORDER, shown_condition
from tsx_espnet.evaluation.statistics import RESAMPLES, counted
from tsx_espnet.tables import PathLike, atomic_write


def compare(
    experiments: Sequence[str],
    test_set: Optional[str] = None,
    condition: Optional[str] = None,
    out: Optional[PathLike] = None,
) -> str:
    """Compare ``experiments`` on one test set; return what to print.

    Args:
        experiments: directories, or ``DIRECTORY:CONDITION``; differences are to the first.
        test_set: name under ``<directory>/infer``; by default the only one that all have.
        condition: of those that name none and have it; else text, else their last.
        out: a Markdown file to write it to.

    Raises:
        TSXError: for fewer than two systems, the same one twice, or different mixtures.
    """
    if condition is not None:
        _check_condition(condition, "--condition")
    wanted = [_parse_system(text) for text in experiments]
    if len(wanted) < 2:
        raise TSXError(f"expected two experiments or more, found {len(wanted)}")
    directories = list(dict.fromkeys(directory for directory, _ in wanted))
    test_set = _choose_test_set(directories, test_set)
    scored = {directory: read_experiment(directory, test_set) for directory in directories}
    check_same_set(list(scored.values()))
    if condition and not any(condition in one.conditions for one in scored.values()):
        raise TSXError(f"--condition {condition}: no experiment has scores under it")
    pairs = [(d, given or shown_condition(scored[d].conditions, condition)) for d, given in wanted]
    names = _name_systems(pairs, [bool(given) for _, given in wanted])
    systems = [ask(scored[d], chosen, name) for (d, chosen), name in zip(pairs, names)]
    title, table = f"Comparison on {test_set}", _comparison_table(systems)
    notes = bullets(_notes(systems, test_set))
    printed = [title, plain(table), notes]
    if out is not None:
        with atomic_write(out) as stream:
            stream.write("\n\n".join([f"# {title}", markdown(table), notes]) + "\n")
        printed.append(f"All of it: {out}")
    return "\n\n".join(printed)


def _parse_system(text: str) -> Tuple[Path, str]:
    """``DIRECTORY`` or ``DIRECTORY:CONDITION``; a directory may have a colon in its name."""
    path, colon, condition = text.rpartition(":")
    if Path(text).is_dir() or not colon:
        path, condition = text, ""
    if not Path(path).is_dir():
        raise TSXError(f"{path}: no such directory; expected an experiment")
    if path != text:
        _check_condition(condition, text)
    return Path(path).resolve(), condition


def _choose_test_set(directories: Sequence[Path], test_set: Optional[str]) -> str:
    """``test_set``, or the only one that all ``directories`` have scores of."""
    sets = {
        directory: sorted(path.parent.name for path in (directory / INFER).glob(f"*/{FILE}"))
        for directory in directories
    }
    listing = "; ".join(f"{path}: {', '.join(names) or 'none'}" for path, names in sets.items())
    if test_set is not None:
        lacking = [directory for directory, names in sets.items() if test_set not in names]
        if lacking:
            raise TSXError(
                f"{lacking[0]}: no scores of test set {test_set!r}; run score, or "
                f"choose another --set ({listing})"
            )
        return test_set
    common = sorted(set.intersection(*map(set, sets.values())))
    if len(common) != 1:
        found = f"{len(common)} test sets are" if common else "no test set is"
        raise TSXError(f"{found} scored by all experiments; choose with --set ({listing})")
    return common[0]


def _name_systems(systems: Sequence[Tuple[Path, str]], given: Sequence[bool]) -> List[str]:
    """Names of directories, with the condition where it was given or tells two apart."""
    for directory, condition in systems:
        if systems.count((directory, condition)) > 1:
            raise TSXError(f"{directory} under {condition} is there twice")
    full = [f"{directory.name}:{condition}" for directory, condition in systems]
    whole = [f"{directory}:{condition}" for directory, condition in systems]
    names = [long if own else d.name for (d, _), long, own in zip(systems, full, given)]
    for longer in (full, whole):
        names = [other if names.count(name) > 1 else name for name, other in zip(names, longer)]
    return names


def _comparison_table(systems: Sequence[Answers]) -> List[List[str]]:
    """Header, a row a system, and last their oracle ensemble."""
    table = [
        ["system", "condition", _counted(systems), "SI-SDR (dB)", "95 % interval (dB)"]
        + ["SI-SDRi (dB)", "shared", "difference (dB)", "95 % interval (dB)", "best (%)"]
    ]
    whole = ensemble(systems)
    for system in (*systems, whole):
        difference = None if system is systems[0] else system.minus(systems[0]).mean
        wins = sum(value == whole.values[name] for name, value in system.values.items())
        share = None if system is whole else 100 * wins / max(1, len(whole.values))
        table.append(
            [system.name, system.condition, str(len(system.values)), *spread(system.mean)]
            + [number(mean_gain(system)), str(difference.count) if difference else NONE]
            + [*spread(difference), number(share, 1)]
        )
    return table


def _counted(systems: Sequence[Answers]) -> str:
    return counted(system.mean for system in systems if system.mean)


def mean_gain(system: Answers) -> Optional[float]:
    """The mean SI-SDRi in dB; None without any mixture."""
    gains = [system.targets[name].si_sdri for name in system.values]
    return sum(gains) / len(gains) if gains else None


def _notes(systems: Sequence[Answers], test_set: str) -> List[str]:
    queried = len({name for system in systems for name in system.values})
    items = _counted(systems)
    notes = [
        f"{queried} {items} of {test_set}. SI-SDR and SI-SDRi: means over the {items} that the "
        f'condition is applicable to ("{items}"), which differ from row to row.',
        f'"difference": SI-SDR minus that of {systems[0].name}, {items[:-1]} by {items[:-1]}, over '
        f'the "shared" {items} that both conditions are applicable to.',
        f"Intervals: bootstrap over the mixtures ({RESAMPLES:,} resamples); those of differences "
        "are paired, and one that contains 0 does not tell the two apart. They are of these "
        "trained models and these clips: they do not cover other seeds, and clips that recur in "
        "several mixtures make them somewhat narrow.",
        f'"oracle ensemble": for every {items[:-1]} the best of the systems above, chosen by the '
        "reference (in the OCT paper's Fig. 2, of single-condition models).",
        f'"best": share of the {queried} {items} in which no other system is better; ties count '
        "for each.",
    ]
    silent = {system.name: system.silent for system in systems if system.silent}
    if silent:
        counts = ", ".join(f"{name} {count}" for name, count in silent.items())
        notes.append(f"Left out, as a reference or the estimate is silent: {counts}.")
    return notes


def _check_condition(condition: str, where: str) -> None:
    if condition not in ORDER:
        raise TSXError(f"{where}: no condition {condition!r}; expected one of {', '.join(ORDER)}")

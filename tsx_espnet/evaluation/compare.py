"""Systems side by side on one test set: means, paired differences, and their oracle ensemble."""

from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.answers import (
    INFER,
    Answers,
    ask,
    check_same_set,
    ensemble,
    read_experiment,
)
from tsx_espnet.evaluation.markdown import NONE, markdown, number, plain, spread
from tsx_espnet.evaluation.scores import FILE, ORDER, shown_condition
from tsx_espnet.evaluation.statistics import RESAMPLES
from tsx_espnet.tables import PathLike, atomic_write


class Wanted(NamedTuple):
    """One system as the user names it: an experiment, and a condition where one was given."""

    directory: Path
    condition: Optional[str]


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
    wanted = [parse_system(text) for text in experiments]
    if len(wanted) < 2:
        raise TSXError(f"expected two experiments or more, found {len(wanted)}")
    directories = list(dict.fromkeys(item.directory for item in wanted))
    test_set = choose_test_set(directories, test_set)
    scored = {directory: read_experiment(directory, test_set) for directory in directories}
    check_same_set(list(scored.values()))
    if condition and not any(condition in scored[d].conditions for d in directories):
        raise TSXError(f"--condition {condition}: no experiment has scores under it")
    chosen = [
        item.condition or shown_condition(scored[item.directory].conditions, condition)
        for item in wanted
    ]
    names = name_systems(wanted, chosen)
    systems = [
        ask(scored[item.directory], condition, name)
        for item, condition, name in zip(wanted, chosen, names)
    ]
    title, table = f"Comparison on {test_set}", comparison_table(systems)
    notes = "\n".join(f"- {note}" for note in _notes(systems, test_set))
    printed = [title, plain(table), notes]
    if out is not None:
        with atomic_write(out) as stream:
            stream.write("\n\n".join([f"# {title}", markdown(table), notes]) + "\n")
        printed.append(f"All of it: {out}")
    return "\n\n".join(printed)


def parse_system(text: str) -> Wanted:
    """``DIRECTORY`` or ``DIRECTORY:CONDITION``; a directory whose name holds a colon is one.

    Raises:
        TSXError: if there is no such directory or condition.
    """
    path, colon, condition = text.rpartition(":")
    if Path(text).is_dir() or not colon:
        path, condition = text, ""
    if not Path(path).is_dir():
        raise TSXError(f"{path}: no such directory; expected an experiment")
    if path != text:
        _check_condition(condition, text)
    return Wanted(Path(path).resolve(), condition or None)


def choose_test_set(directories: Sequence[Path], test_set: Optional[str] = None) -> str:
    """``test_set``, or the only one that all ``directories`` have scores of.

    Raises:
        TSXError: if one has not been scored on it, or there is none or more than one.
    """
    sets = {
        directory: sorted(path.parent.name for path in (directory / INFER).glob(f"*/{FILE}"))
        for directory in directories
    }
    listing = "; ".join(f"{path}: {', '.join(names) or 'none'}" for path, names in sets.items())
    if test_set is not None:
        lacking = [directory for directory, names in sets.items() if test_set not in names]
        if lacking:
            raise TSXError(
                f"{lacking[0]}: no scores of test set {test_set!r}; run stage 7 (score), or "
                f"choose another --set ({listing})"
            )
        return test_set
    common = sorted(set.intersection(*map(set, sets.values())))
    if len(common) != 1:
        found = f"{len(common)} test sets are" if common else "no test set is"
        raise TSXError(f"{found} scored by all experiments; choose with --set ({listing})")
    return common[0]


def name_systems(wanted: Sequence[Wanted], chosen: Sequence[str]) -> List[str]:
    """Names of directories, with the condition where it was given or tells two apart.

    Raises:
        TSXError: if an experiment is there twice under the same condition.
    """
    seen = set()
    for item, condition in zip(wanted, chosen):
        if (item.directory, condition) in seen:
            raise TSXError(f"{item.directory} under {condition} is there twice")
        seen.add((item.directory, condition))
    bare = [item.directory.name for item in wanted]
    full = [f"{item.directory.name}:{condition}" for item, condition in zip(wanted, chosen)]
    whole = [f"{item.directory}:{condition}" for item, condition in zip(wanted, chosen)]
    names = [long if item.condition else short for item, short, long in zip(wanted, bare, full)]
    for longer in (full, whole):
        names = [other if names.count(name) > 1 else name for name, other in zip(names, longer)]
    return names


def comparison_table(systems: Sequence[Answers]) -> List[List[str]]:
    """Header, a row a system, and last their oracle ensemble."""
    table = [
        ["system", "condition", "mixtures", "SI-SDR (dB)", "95 % interval (dB)", "SI-SDRi (dB)"]
        + ["shared", "difference (dB)", "95 % interval (dB)", "best (%)"]
    ]
    whole = ensemble(systems)
    wins = count_wins(systems, whole)
    for system in (*systems, whole):
        difference = None if system is systems[0] else system.minus(systems[0]).mean
        share = None if system is whole else 100 * wins[system.name] / max(1, len(whole.values))
        table.append(
            [system.name, system.condition, str(len(system.values)), *spread(system.mean)]
            + [number(mean_gain(system)), str(difference.count) if difference else NONE]
            + [*spread(difference), number(share, 1)]
        )
    return table


def mean_gain(system: Answers) -> Optional[float]:
    """The mean SI-SDRi in dB; None without any mixture."""
    gains = [system.targets[name].si_sdri for name in system.values]
    return sum(gains) / len(gains) if gains else None


def count_wins(systems: Sequence[Answers], whole: Answers) -> Dict[str, int]:
    """In how many mixtures each of ``systems`` is as good as the ensemble; a tie counts for all."""
    return {
        system.name: sum(value == whole.values[name] for name, value in system.values.items())
        for system in systems
    }


def _notes(systems: Sequence[Answers], test_set: str) -> List[str]:
    queried = len({name for system in systems for name in system.values})
    notes = [
        f"{queried} mixtures of {test_set}. SI-SDR and SI-SDRi: means over the mixtures that the "
        'condition is applicable to ("mixtures"), not the same in every row.',
        f'"difference": SI-SDR minus that of {systems[0].name}, mixture by mixture, over the '
        '"shared" mixtures that both conditions are applicable to.',
        f"Intervals: bootstrap over the mixtures ({RESAMPLES:,} resamples); those of differences "
        "are paired, and one that holds 0 does not tell the two apart. They are of these trained "
        "models and these clips: another seed is not in them, and clips that recur in several "
        "mixtures make them somewhat narrow.",
        '"oracle ensemble": for every mixture the best of the systems above (that of the OCT '
        "paper's Fig. 2 is of single-condition models); it takes the reference to know which one.",
        f'"best": share of the {queried} mixtures in which no other system is better; a tie counts '
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

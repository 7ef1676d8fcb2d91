"""What is scored: a fixed set of mixtures, and the estimates made of it, condition by condition."""

import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from tsx_espnet.audio import UNREADABLE
from tsx_espnet.conditions import ANY, CONDITIONS, NOT_APPLICABLE, UNCONDITIONAL
from tsx_espnet.contract import MIXTURE, OTHER, TARGET
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.dataset_files import PLANS
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.tables import PathLike, read_table

MIX, INFER = "stage 3 (mix)", "stage 6 (infer)"
TABLES = {"mixture": MIXTURE.file, "target": TARGET.file, "other": OTHER.file}


class MixtureSet:
    """A directory ``dump/<fs>/mix/<set>``: audio, plans and the conditions of every mixture.

    Attributes:
        audio: "mixture", "target", "other" -> id -> path of the WAV.
        plans: id -> ``Plan``.
        values: condition -> id -> value, only where the condition is applicable; ``unconditional``
            is everywhere.

    Raises:
        TSXError: if a file is missing ("run stage 3") or two files hold different ids.
    """

    def __init__(self, directory: PathLike) -> None:
        self.directory = Path(directory)
        for name in (*TABLES.values(), PLANS):
            if not (self.directory / name).is_file():
                raise TSXError(f"{self.directory / name}: no such file; run stage 3 (mix)")
        self.audio = {kind: _again(read_table, self.directory / n) for kind, n in TABLES.items()}
        self.plans = {plan.id: plan for plan in _again(read_plans, self.directory / PLANS)}
        self.ids = sorted(self.plans)
        if not self.ids:
            raise TSXError(f"{self.directory / PLANS}: no mixtures; run stage 3 (mix) again")
        for kind, name in TABLES.items():
            self._check_ids(self.audio[kind], name)
        self.values: Dict[str, Dict[str, str]] = {UNCONDITIONAL: dict.fromkeys(self.ids, ANY)}
        for condition in CONDITIONS:
            path = self.directory / f"utt2{condition}"
            if path.is_file():
                values = _again(read_table, path)
                self._check_ids(values, path.name)
                self.values[condition] = {
                    name: value for name, value in values.items() if value != NOT_APPLICABLE
                }

    def label(self, name: str) -> str:
        """The most specific label of the target of mixture ``name``."""
        plan = self.plans[name]
        return plan.sources[plan.target].labels[0]

    def _check_ids(self, table: Mapping[str, str], name: str) -> None:
        difference = describe_difference(self.plans, table)
        if difference:
            raise TSXError(
                f"{self.directory / name}: not the mixtures of {PLANS}: {difference}; "
                "run stage 3 (mix) again"
            )


def _again(read: Callable, path: Path, stage: str = MIX) -> Any:
    """What ``read`` reads; if it cannot, ``stage`` shall make the file again."""
    try:
        return read(path)
    except TSXError as error:
        raise TSXError(f"{error}; run {stage} again") from None


def find_estimates(
    directory: PathLike, mixtures: MixtureSet, table: str = TARGET.file
) -> Dict[str, Dict[str, str]]:
    """Condition -> id -> path of the target estimate, for the conditions that were extracted.

    ``table`` names another table of estimates, that of the rest.

    Raises:
        TSXError: if there is none ("run stage 6"), or one is not of these mixtures.
    """
    directory = Path(directory)
    estimates: Dict[str, Dict[str, str]] = {}
    for condition, values in mixtures.values.items():
        path = directory / condition / table
        if not path.parent.is_dir():
            continue
        if not path.is_file():
            raise TSXError(f"{path}: no such file, extraction is not finished; run stage 6 (infer)")
        estimates[condition] = _again(read_table, path, INFER)
        difference = describe_difference(values, estimates[condition])
        if difference:
            raise TSXError(
                f"{path}: not the estimates of {mixtures.directory}: {difference}; "
                "run stage 6 (infer) again"
            )
    if not any(estimates.values()):
        raise TSXError(f"{directory}: no estimates; run stage 6 (infer)")
    return estimates


def describe_difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """How the ids differ, in words; empty if they do not.

    >>> describe_difference({"a": 1, "b": 2, "c": 3}, {"c": 3, "d": 4})
    "2 of 3 ids missing (first 'a'), 1 unknown (first 'd')"
    """
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    words: List[str] = []
    if missing:
        words.append(f"{len(missing)} of {len(expected)} ids missing (first {missing[0]!r})")
    if unknown:
        words.append(f"{len(unknown)} unknown (first {unknown[0]!r})")
    return ", ".join(words)


def read_mono(
    path: PathLike, rate: int = 0, length: int = 0, stage: str = MIX
) -> Tuple[np.ndarray, int]:
    """Read a mono file as float64 samples ``(T,)`` and its rate in Hz.

    Args:
        stage: what makes the file, to be named if there is something wrong with it.

    Raises:
        TSXError: if it is missing, unreadable, not mono, not of ``rate`` or ``length`` (where they
            are given), or holds NaN or infinity.
    """
    import soundfile

    again = f"; run {stage} again"
    if not os.path.isfile(path):
        raise TSXError(f"{path}: no such file{again}")
    try:
        signal, found = soundfile.read(str(path), dtype="float64")
    except (*UNREADABLE, MemoryError) as error:
        raise TSXError(f"{path}: not readable as audio ({error}){again}") from None
    fault = ""
    if signal.ndim != 1:
        fault = f"expected 1 channel, found {signal.shape[1]}"
    elif rate and found != rate:
        fault = f"expected {rate} Hz as in the mixture, found {found} Hz"
    elif length and len(signal) != length:
        fault = f"expected {length} samples as in the mixture, found {len(signal)}"
    elif not np.isfinite(signal).all():
        bad = np.flatnonzero(~np.isfinite(signal))
        fault = f"{bad.size} samples are NaN or infinite (first at {bad[0]})"
    if fault:
        raise TSXError(f"{path}: {fault}{again}")
    return signal, found

"""FUSS as it ships -> data directories of its mixtures, and of the clips that they were made of.

A directory of mixtures has the *sources* as clips and, in ``mixtures.jsonl``, a plan for each
mixture: all of its sources, whole and as they are.

Reference: S. Wisdom et al., "What's all the FUSS about free universal sound separation data?",
ICASSP 2021.
"""

import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from tsx_espnet.audio import AudioFile, read_audio
from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import progress
from tsx_espnet.corpora.tables import check_layout
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.elements import Placement
from tsx_espnet.mixing.mixture_set import PLANS
from tsx_espnet.mixing.plan import Plan, write_plans
from tsx_espnet.tables import PathLike, check_id, write_table

URL = "https://zenodo.org/record/3743844"
DRY, REVERB = "ssdata", "ssdata_reverb"
CLIPS = "fsd_data"
SETS = {"train": "train", "validation": "valid", "eval": "test"}  # its name -> ours
LIST = "{}_example_list.txt"
MAX_DIFFERENCE = 0.01  # of the RMS, between a mixture file and the sum of its sources
STEP = 2.0**-15  # of 16-bit audio, re full scale
# as its generator, Scaper, names sources: foreground0_sound.wav
_SOURCE = re.compile(r"((?:back|fore)ground\d+)_([^,\s]+)\.wav")

Clips = Dict[str, Tuple[str, Path]]  # id -> label and file


class Example(NamedTuple):
    """A line of an example list.

    Attributes:
        where: ``list:line``.
        name: of the mixture, an id.
        mixture: its file.
        sources: id -> (label, file), in the order of the list.
    """

    where: str
    name: str
    mixture: Path
    sources: Clips


class Checked(NamedTuple):
    """A mixture whose files have been read.

    Attributes:
        plan: its sources, to be summed.
        difference: the largest one between a sample of its file and of that sum, re full scale.
        clipped: whether the sum exceeds full scale.
    """

    plan: Plan
    difference: float
    clipped: bool


class Summary(NamedTuple):
    """A set of mixtures: how many there are of each number of sources, how many are clipped, and
    the largest difference between a sample of a mixture file and the sum of its sources."""

    counts: Dict[int, int]
    clipped: int
    difference: float

    def __str__(self) -> str:
        counts = ", ".join(f"{number} of {count}" for count, number in self.counts.items())
        text = f"{sum(self.counts.values())} mixtures (number of sources: {counts})"
        clipped = f", {self.clipped} clipped" if self.clipped else ""
        return f"{text}; files differ from these sums by {self.difference:.1e} at most{clipped}"


def prepare(
    root: PathLike, data: PathLike, reverb: bool = False, num_jobs: int = 1
) -> Dict[str, Summary]:
    """Write ``wav.scp``, ``utt2labels`` and ``mixtures.jsonl`` of FUSS's three sets below ``data``.

    A mixture is the sum of its sources, as in the baseline of its authors, not its file: the two
    differ by rounding and clipping.

    Args:
        root: the directory that holds ``ssdata`` or ``ssdata_reverb``.
        data: where to write ``train``, ``valid`` and ``test``.
        reverb: the reverberant mixtures.
        num_jobs: threads that read audio.

    Raises:
        TSXError: naming list and line, if a file is missing or damaged, is not mono, or has another
            rate or length than the rest, an id occurs twice, a path holds a space or leads out of
            the corpus, or a mixture differs from the sum of its sources by more than 1 % of its
            RMS.
    """
    check_at_least(1, num_jobs=num_jobs)
    folder = REVERB if reverb else DRY
    root = Path(os.path.abspath(root))
    check_layout(root, "FUSS", (folder,), [LIST.format(name) for name in SETS], URL)
    examples = {
        ours: list(read_examples(root / folder / LIST.format(name), ours))
        for name, ours in SETS.items()
    }
    fs = _rate(examples["train"][0])
    # all sets are checked before the first file is written
    checked = {name: _check_all(own, fs, name, num_jobs) for name, own in examples.items()}
    for name, own in examples.items():
        sources = {one: row for example in own for one, row in example.sources.items()}
        _write_tables(Path(data) / name, sources)
        write_plans(Path(data) / name / PLANS, [one.plan for one in checked[name]])
    return {name: _summary(own) for name, own in checked.items()}


def prepare_clips(root: PathLike, data: PathLike) -> Dict[str, int]:
    """Write ``wav.scp`` and ``utt2labels`` of the clips that FUSS was mixed of, if they are there.

    Returns:
        number of clips of ``clips_train``, ``clips_valid`` and ``clips_test``; their labels are the
        names of their folders, in FUSS always ``sound``.

    Raises:
        TSXError: if a set has no clip, or two have the same name.
    """
    root = Path(os.path.abspath(root)) / CLIPS
    sets: Dict[str, Clips] = {}
    for name, ours in SETS.items() if root.is_dir() else ():
        clips = sets[f"clips_{ours}"] = {}
        for path in sorted((root / name).glob("*/*.wav")):
            one = check_id(path.stem, str(path))
            if one in clips:
                raise TSXError(f"{path}: has the name of {clips[one][1]}; rename one of them")
            clips[one] = (path.parent.name, path)
        if not clips:
            raise TSXError(f"{root / name}: expected clips <label>/<name>.wav, found none")
    for name, clips in sets.items():
        _write_tables(Path(data) / name, clips)
    return {name: len(clips) for name, clips in sets.items()}


def read_examples(path: PathLike, set_name: str) -> Iterator[Example]:
    """The examples of a list: mixture, background and foregrounds with tabs between them.

    Raises:
        TSXError: naming file and line, if a line is anything else, a file is not there, or an id
            occurs twice.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise TSXError(f"{path}: not UTF-8 text ({error.reason})") from None
    seen: Dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            example = _parse(line.rstrip("\r"), path.parent, f"{path}:{number}", set_name)
            for one in (example.name, *example.sources):
                if one in seen:
                    raise TSXError(f"{path}:{number}: {one} occurs twice, first at {seen[one]}")
                seen[one] = f"{path}:{number}"
            yield example
    if not seen:
        raise TSXError(f"{path}: not one example")


def _parse(line: str, folder: Path, where: str, set_name: str) -> Example:
    mixture, *sources = fields = line.split("\t")
    if not sources:
        raise TSXError(f"{where}: expected a mixture and its sources, with tabs, found {line!r}")
    for file in fields:
        if file.split() != [file]:
            raise TSXError(f"{where}: expected paths without spaces, with tabs, found {file!r}")
        if os.path.isabs(file) or ".." in Path(file).parts:
            raise TSXError(f"{where}: expected files below {folder}, found {file}")
        if not (folder / file).is_file():
            raise TSXError(f"{where}: {folder / file}: no such file")
    name = check_id(f"{set_name}_{Path(mixture).stem}", where)
    named: Clips = {}
    for file in sources:
        found = _SOURCE.fullmatch(Path(file).name)
        if found is None:
            raise TSXError(
                f"{where}: expected a source background0_LABEL.wav, foreground0_LABEL.wav, ..., "
                f"found {file}"
            )
        one = f"{name}_{found[1]}"
        if one in named:
            raise TSXError(f"{where}: {found[1]} occurs twice")
        named[one] = (found[2], folder / file)
    return Example(where, name, folder / mixture, named)


def _write_tables(directory: Path, clips: Clips) -> None:
    write_table(directory / "utt2labels", {one: label for one, (label, _) in clips.items()})
    write_table(directory / "wav.scp", {one: path for one, (_, path) in clips.items()})


def _rate(example: Example) -> int:
    try:
        with AudioFile(example.mixture) as audio:
            return audio.fs
    except TSXError as error:
        raise TSXError(f"{example.where}: {error}") from None


def _check_all(examples: List[Example], fs: int, name: str, num_jobs: int) -> List[Checked]:
    with ThreadPoolExecutor(num_jobs) as pool:
        found = pool.map(lambda example: _check(example, fs), examples)
        return list(progress(found, f"reading {name}", len(examples)))


def _check(example: Example, fs: int) -> Checked:
    """Read the files of an example.

    Raises:
        TSXError: see ``prepare``.
    """
    length: Optional[int] = None
    signals = []
    for path in (example.mixture, *(path for _, path in example.sources.values())):
        try:
            signals.append(read_audio(path, fs, length, dtype="float64")[0])
        except TSXError as error:
            raise TSXError(f"{example.where}: {error}") from None
        length = len(signals[0])
    mixture, total = signals[0], np.sum(signals[1:], axis=0)
    error = _rms(mixture - np.clip(total, -1.0, 1.0 - STEP))
    if error > MAX_DIFFERENCE * _rms(total) + STEP:
        percent = 100 * error / (_rms(total) + STEP)
        raise TSXError(
            f"{example.where}: {example.mixture}: differs from the sum of its sources by "
            f"{percent:.1f} % of its RMS, expected {100 * MAX_DIFFERENCE:g} % or less"
        )
    difference = float(np.abs(mixture - total).max())
    clipped = bool(total.max() >= 1.0 or total.min() < -1.0)
    return Checked(_plan(example, fs, len(mixture)), difference, clipped)


def _plan(example: Example, fs: int, num_samples: int) -> Plan:
    """All sources of an example, whole and as they are; nothing else is known of them."""
    sources = [
        Placement(one, label, (label,), start=0, length=num_samples, offset=0, gain=1.0)
        for one, (label, _) in example.sources.items()
    ]
    plan = Plan(
        id=example.name,
        fs=fs,
        num_samples=num_samples,
        sources=tuple(sources),
        target=0,
        conditions={},
        snr=None,
        overlap=None,
        seed=0,
        epoch=0,
        index=0,
    )
    return Plan.from_json(plan.to_json(), example.where)  # no more sources than a plan may have


def _summary(checked: List[Checked]) -> Summary:
    counts = Counter(len(one.plan.sources) for one in checked)
    clipped = sum(one.clipped for one in checked)
    difference = max(one.difference for one in checked)
    return Summary(dict(sorted(counts.items())), clipped, difference)


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))

"""Writing a fixed set of mixtures (see ``mixture_set``): drawn from clips, or again from its plans.

A set that was begun is continued by the same facts and refused for different ones. A job writes its
audio, and its plans to its part; the merge makes the tables.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.audio import HEADER_BYTES, write_float_wav
from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import ALL, Jobs, progress
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.clips.clip_tables import is_shipped
from tsx_espnet.conditions import ENROLLMENT, NOT_APPLICABLE
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.data_table import (
    FURTHER,
    QUERIES,
    SOUNDS,
    SOURCES,
    DataEntry,
    data_table,
    query_entries,
)
from tsx_espnet.mixing.mixture_set import PLANS
from tsx_espnet.mixing.plan import Enrollment, Plan, read_plans, write_plans
from tsx_espnet.mixing.query import Query, to_json
from tsx_espnet.mixing.render import join, mix, render_sources
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.output import Output
from tsx_espnet.tables import PathLike, digest, read_table, size_of, write_table

MIXING_VERSION = 1  # raise it when the same facts give other mixtures


def write_mixtures(
    sampler: Sampler, num_mixtures: int, seed: int, out: PathLike, jobs: Jobs = ALL
) -> None:
    """Draw mixtures 1 .. ``num_mixtures`` of ``seed`` and write them: all, a part, or the merge.

    Raises:
        TSXError: if ``out`` holds something else, a part is missing in the merge, or the disk is
            full.
    """
    check_at_least(1, num_mixtures=num_mixtures)
    width = max(5, len(str(num_mixtures)))

    def plan_of(number: int) -> Plan:
        return sampler.draw(seed, 0, number, f"mix{number + 1:0{width}d}")

    facts = drawn_facts(sampler, num_mixtures, seed)
    clips = (sampler.clips, sampler.noise, sampler.examples)
    further = sampler.config.has_sources
    WrittenMixtures(out, facts, plan_of, num_mixtures, *clips, further=further).write(jobs)


def drawn_facts(sampler: Sampler, num_mixtures: int, seed: int) -> Dict[str, Any]:
    """What determines the mixtures that are drawn, but for the clips."""
    config = sampler.config.to_dict()
    del config["superclasses"]  # a path; what it holds counts
    (config["background"] or {}).pop("noise", None)
    config.pop("interference", None)
    facts = {
        "num_mixtures": num_mixtures,
        "seed": seed,
        "config": config,
        "superclasses": digest(json.dumps(sampler.superclasses, sort_keys=True).encode()),
    }
    if sampler.new_classes is not None:
        facts.update(new_classes=sampler.new_classes, target=sampler.target)
    return facts


def rebuild(
    plan_file: PathLike,
    clips: ClipSet,
    out: PathLike,
    jobs: Jobs = ALL,
    noise: Optional[ClipSet] = None,
    examples: Optional[ClipSet] = None,
) -> None:
    """Make a set again from its plans (``mixtures.jsonl`` or the directory that holds it), or make
    one of mixtures as shipped.

    Raises:
        TSXError: if a plan is bad, or the clips are not those that it was made from.
    """
    path = Path(plan_file)
    path = path / PLANS if path.is_dir() else path
    if path.parent.resolve() == Path(out).resolve():
        raise TSXError(f"{out}: cannot rebuild a set into itself")
    plans = read_plans(path)
    if not plans:
        raise TSXError(f"{path}: holds no mixture")
    of_plans = digest("".join(plan.to_json() for plan in plans).encode())
    render_sources(plans[0], clips, noise)  # are these the clips? before anything is written
    facts: Dict[str, Any] = {"plans": of_plans}
    further = any(plan.components or plan.further for plan in plans)
    has_sources = (path.parent / SOURCES.file).is_file() or is_shipped(path.parent)
    if not further and has_sources:
        facts["write_sources"] = further = True
    plan_of, number = plans.__getitem__, len(plans)
    used = (clips, noise, examples)
    WrittenMixtures(out, facts, plan_of, number, *used, further=further).write(jobs)


class WrittenMixtures(Output):
    """A mixture set, made of plans.

    Args:
        facts: how the plans are drawn.
        plan_of: number from 0 -> plan.
        examples: what enrollments are taken from, if not from ``clips``.
        further: write the components, and all queries.
    """

    noun = "mixtures"
    keep_other = True

    def __init__(
        self,
        out: PathLike,
        facts: Dict[str, Any],
        plan_of: Callable[[int], Plan],
        number: int,
        clips: ClipSet,
        noise: Optional[ClipSet] = None,
        examples: Optional[ClipSet] = None,
        further: bool = False,
    ):
        used = {"clips": clips, "noise": noise, "examples": examples}
        of_clips = {name: one.facts() for name, one in used.items() if one is not None}
        super().__init__(out, {"version": MIXING_VERSION, **facts, **of_clips}, range(number))
        self.plan_of = plan_of
        self.clips = clips
        self.examples = examples or clips
        self.noise = noise
        self.further = FURTHER if further else ()

    def write_part(self, part: Path, items: Sequence[int], title: str) -> None:
        """Audio, unless it is there and whole, and the plans to ``part``."""
        plans: List[Plan] = []
        for item in progress(items, f"mix {title}"):
            plan = self.plan_of(item)
            if any(size_of(path) != size for path, size in self._audio_sizes(plan).items()):
                self._write_audio(plan)
            plans.append(plan)
        write_plans(part / PLANS, plans)

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        """All tables, in the order of the mixtures."""
        plans: List[Any] = [None] * len(self.items)
        for number, part in enumerate(parts):
            expected = len(plans[number :: len(parts)])
            plans[number :: len(parts)] = _read_plans(part, expected)
        out = self.directory
        write_plans(out / PLANS, plans)
        for row in SOUNDS:
            write_table(out / row.file, {plan.id: self._path(row, plan) for plan in plans})
        for row in query_entries():
            write_table(out / row.file, {plan.id: self._value(row, plan) for plan in plans})
        if self.further:
            paths = {plan.id: self._path(SOURCES, plan) for plan in plans}
            write_table(out / SOURCES.file, paths)
            queries = {plan.id: to_json(self._queries(plan)) for plan in plans}
            write_table(out / QUERIES.file, queries)
        return {}

    def expected_files(self, where: Path, items: Sequence[int]) -> Mapping[Path, Optional[int]]:
        """The audio of the plans; of the whole set, the tables are checked too."""
        plans = _read_plans(where, len(items))
        if where == self.directory:
            names = {plan.id for plan in plans}
            for row in (*data_table(), *self.further):
                if read_table(where / row.file).keys() != names:
                    raise TSXError(f"{where / row.file}: expected the mixtures of {PLANS}")
        sizes: Dict[Path, Optional[int]] = {}
        for plan in plans:
            sizes.update(self._audio_sizes(plan))
        return sizes

    def summary(self, facts: Mapping[str, Any]) -> str:
        return f"{len(self.items)} mixtures"

    def _path(self, row: DataEntry, plan: Plan) -> Path:
        return self.directory / "wav" / row.kind / f"{plan.id}.wav"

    def _value(self, row: DataEntry, plan: Plan) -> str:
        """The value of a condition, as it is written to its table."""
        if row.name != ENROLLMENT:
            return plan.conditions.get(row.name, NOT_APPLICABLE)
        return self._recordings(plan).get(plan.target, NOT_APPLICABLE)

    def _queries(self, plan: Plan) -> List[Query]:
        """All queries, in the order of the components, those by recordings among them."""
        recordings = [
            Query(plan.id, component, 0, ENROLLMENT, value)
            for component, value in self._recordings(plan).items()
        ]
        return sorted((*plan.all_queries(), *recordings), key=lambda one: (one.component, one.part))

    def _recordings(self, plan: Plan) -> Dict[int, str]:
        """Component -> the paths of its enrollments, as the value of a condition."""
        paths: Dict[int, List[str]] = {}
        for path, one in self._enrollments(plan):
            paths.setdefault(plan.component_of(one), []).append(str(path))
        return {
            component: json.dumps(own, ensure_ascii=False) if len(own) > 1 else own[0]
            for component, own in paths.items()
        }

    def _enrollments(self, plan: Plan) -> Iterator[Tuple[Path, Enrollment]]:
        """Whole clips are used in place; excerpts are written to the set."""
        examples, folder = self.examples, self.directory / "wav" / ENROLLMENT
        seen: Counter = Counter()
        for one in plan.enrollments:
            name = plan.target_name(plan.component_of(one))
            seen[name] += 1
            whole = one.length == examples.num_samples(one.clip)
            path = Path(examples.path(one.clip)) if whole else folder / f"{name}_{seen[name]}.wav"
            yield path, one

    def _excerpts(self, plan: Plan) -> Dict[Path, Enrollment]:
        folder = self.directory / "wav" / ENROLLMENT
        return {path: one for path, one in self._enrollments(plan) if path.parent == folder}

    def _audio_sizes(self, plan: Plan) -> Dict[Path, int]:
        """The audio files of a mixture, enrollments among them, and their bytes."""
        samples = {self._path(row, plan): plan.num_samples for row in SOUNDS}
        if self.further:
            samples[self._path(SOURCES, plan)] = plan.num_samples * len(plan.partition)
        samples.update({path: one.length for path, one in self._excerpts(plan).items()})
        return {path: HEADER_BYTES + 4 * number for path, number in samples.items()}

    def _write_audio(self, plan: Plan) -> None:
        sources = render_sources(plan, self.clips, self.noise)
        _check_level(plan, sources, self.clips)
        rows = join(plan, sources)
        other, mixture = mix(rows, plan.target)
        for row, samples in zip(SOUNDS, (mixture, rows[plan.target], other)):
            write_float_wav(self._path(row, plan), samples, plan.fs)
        if self.further:
            components = rows[: len(plan.partition)]
            write_float_wav(self._path(SOURCES, plan), components.T, plan.fs)
        for path, one in self._excerpts(plan).items():
            samples = self.examples.read(one.clip, one.start, one.length)
            write_float_wav(path, samples, plan.fs)


def _read_plans(directory: Path, number: int) -> List[Plan]:
    plans = read_plans(directory / PLANS)
    if len(plans) != number:
        raise TSXError(f"{directory / PLANS}: expected {number} mixtures, found {len(plans)}")
    return plans


def _check_level(plan: Plan, sources: np.ndarray, clips: ClipSet) -> None:
    """Levels that differ from the plan show that a clip's audio is not what it was."""
    if plan.snr is None:
        return
    energy = np.square(sources, dtype=np.float64).sum(axis=1)
    target = energy[list(plan.partition[plan.target])].sum()
    snr = 10 * np.log10((target + 1e-30) / (energy.sum() - target + 1e-30))
    if not abs(snr - plan.snr) <= 0.01:
        names = ", ".join(source.clip for source in plan.sources)
        raise TSXError(
            f"{plan.id}: expected an SNR of {plan.snr:.2f} dB, found {snr:.2f} dB: the audio of a "
            f"clip in {clips} has changed ({names}); run format and mix again"
        )

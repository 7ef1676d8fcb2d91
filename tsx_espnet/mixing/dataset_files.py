"""A fixed set of mixtures on disk: plans, audio and condition files.

Written to the output directory:

- ``mixtures.jsonl``: one ``Plan`` a line, from which all the rest can be made again, bit for bit
- ``wav.scp``, ``spk1.scp``, ``spk2.scp``: mixture, target and other, as 32-bit float WAV
- ``utt2energy``, ``utt2harmonicity``, ...: the value of each condition, ``n/a`` if not applicable
- ``utt2enrollment``: the path of a recording, a JSON list of several, or ``n/a``
- ``.done``: the facts, that is how the set was made

A set that was begun is continued by the same facts and refused for different ones; a complete one
of which a file is missing or has another size is completed again. A job writes its audio, and its
plans to ``parts.N/J.jsonl``; the merge makes the tables.
"""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np

from tsx_espnet.audio import write_float_wav
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import CONDITIONS, NOT_APPLICABLE
from tsx_espnet.errors import TSXError
from tsx_espnet.jobs import items_of_job
from tsx_espnet.mixing.enrollment_files import excerpts_to_write, write_enrollment_table
from tsx_espnet.mixing.facts import checksum, claim, clip_facts, reopen
from tsx_espnet.mixing.plan import Plan, read_plans, write_plans
from tsx_espnet.mixing.render import mix, render_sources
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_files import (
    AUDIO,
    PLANS,
    audio_path,
    audio_sizes,
    clean,
    find_damage,
)
from tsx_espnet.progress import progress
from tsx_espnet.tables import PathLike, is_done, mark_done, size_of, write_table

MIXING_VERSION = 1  # raise it when the same facts give other mixtures


class _Work(NamedTuple):
    """What is written where, and the facts that say so."""

    plan_of: Callable[[int], Plan]
    number: int
    facts: Dict[str, Any]
    clips: ClipSet
    examples: ClipSet  # what enrollments are taken from
    noise: Optional[ClipSet]
    out: Path


def write_mixtures(
    sampler: Sampler,
    num_mixtures: int,
    seed: int,
    out: PathLike,
    num_jobs: int = 1,
    job: Optional[int] = None,
    merge: bool = False,
) -> None:
    """Draw mixtures 1 .. ``num_mixtures`` of ``seed`` and write them: all, a part, or the merge.

    Raises:
        TSXError: if ``out`` holds something else, a part is missing in the merge, or the disk is
            full.
    """
    if num_mixtures < 1:
        raise TSXError(f"number of mixtures must be at least 1, found {num_mixtures}")
    width = max(5, len(str(num_mixtures)))

    def plan_of(number: int) -> Plan:
        return sampler.draw(seed, 0, number, f"mix{number + 1:0{width}d}")

    config = sampler.config.to_dict()
    # a path; what it holds counts
    del config["superclasses"]
    config.get("background", {}).pop("noise", None)
    facts = {
        "version": MIXING_VERSION,
        "num_mixtures": num_mixtures,
        "seed": seed,
        "config": config,
        "superclasses": checksum(json.dumps(sampler.superclasses, sort_keys=True)),
        "clips": clip_facts(sampler.clips),
    }
    if sampler.noise is not None:
        facts["noise"] = clip_facts(sampler.noise)
    if sampler.new_classes is not None:
        facts.update(new_classes=sampler.new_classes, target=sampler.target)
    if sampler.examples is not None:
        facts["examples"] = clip_facts(sampler.examples)
    examples = sampler.examples or sampler.clips
    work = _Work(plan_of, num_mixtures, facts, sampler.clips, examples, sampler.noise, Path(out))
    _write(work, num_jobs, job, merge)


def rebuild(
    plan_file: PathLike,
    clips: ClipSet,
    out: PathLike,
    num_jobs: int = 1,
    job: Optional[int] = None,
    merge: bool = False,
    noise: Optional[ClipSet] = None,
    examples: Optional[ClipSet] = None,
) -> None:
    """Make a set again from its plans (``mixtures.jsonl`` or the directory that holds it).

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
    digest = checksum("".join(plan.to_json() for plan in plans))
    facts = {"version": MIXING_VERSION, "plans": digest, "clips": clip_facts(clips)}
    if noise is not None:
        facts["noise"] = clip_facts(noise)
    if examples is not None:
        facts["examples"] = clip_facts(examples)
    examples = examples or clips
    render_sources(plans[0], clips, noise)  # are these the clips? before anything is written
    work = _Work(plans.__getitem__, len(plans), facts, clips, examples, noise, Path(out))
    _write(work, num_jobs, job, merge)


def _write(work: _Work, num_jobs: int, job: Optional[int], merge: bool) -> None:
    out = work.out
    try:
        if is_done(out, **work.facts):
            damage = find_damage(out, work.number, work.examples)
            if not damage:
                print(f"{out}: already done ({work.number} mixtures)", flush=True)
                return
            print(f"{damage}; mixing {out} again", flush=True)
            reopen(out, work.facts)
        claim(out, work.facts)
        if not merge:
            for part in [job] if job is not None else range(1, num_jobs + 1):
                _write_part(work, part, num_jobs)
        if job is None:
            _merge_once(work, num_jobs)
    except OSError as error:  # of a full disk, Python does not say which file
        raise TSXError(f"{error.filename or out}: {error.strerror or error}") from None


def _merge_once(work: _Work, num_jobs: int) -> None:
    """Merge; what another merge has done meanwhile, removing the parts, is done."""
    try:
        _merge(work, num_jobs)
    except (TSXError, OSError):
        if not is_done(work.out, **work.facts):
            raise


def _part(out: Path, job: int, num_jobs: int) -> Path:
    return out / f"parts.{num_jobs}" / f"{job}.jsonl"


def _write_part(work: _Work, job: int, num_jobs: int) -> None:
    """Draw and write every ``num_jobs``-th mixture; audio that is there is whole and kept."""
    path = _part(work.out, job, num_jobs)
    if path.is_file() and all(_is_whole(plan, work) for plan in read_plans(path)):
        print(f"{path}: already done", flush=True)
        return
    plans: List[Plan] = []
    title = f"mix {work.out.name} {job}/{num_jobs}"
    for item in progress(items_of_job(range(work.number), job, num_jobs), title):
        plan = work.plan_of(item)
        _write_audio(plan, work)
        plans.append(plan)
    write_plans(path, plans)


def _is_whole(plan: Plan, work: _Work) -> bool:
    sizes = audio_sizes(plan, work.examples, work.out)
    return all(size_of(path) == size for path, size in sizes.items())


def _write_audio(plan: Plan, work: _Work) -> None:
    if _is_whole(plan, work):
        return
    paths = [audio_path(work.out, kind, plan.id) for kind in AUDIO.values()]
    sources = render_sources(plan, work.clips, work.noise)
    _check_level(plan, sources, work.clips)
    other, mixture = mix(sources, plan.target)
    for path, samples in zip(paths, (mixture, sources[plan.target], other)):
        write_float_wav(path, samples, plan.fs)
    for path, one in excerpts_to_write(plan, work.examples, work.out).items():
        write_float_wav(path, work.examples.read(one.clip, one.start, one.length), plan.fs)


def _check_level(plan: Plan, sources: np.ndarray, clips: ClipSet) -> None:
    """Levels that differ from the plan show that a clip's audio is not what it was."""
    energy = np.square(sources, dtype=np.float64).sum(axis=1)
    rest = energy.sum() - energy[plan.target]
    snr = 10 * np.log10((energy[plan.target] + 1e-30) / (rest + 1e-30))
    if not abs(snr - plan.snr) <= 0.01:
        names = ", ".join(source.clip for source in plan.sources)
        raise TSXError(
            f"{plan.id}: expected an SNR of {plan.snr:.2f} dB, found {snr:.2f} dB: the audio of a "
            f"clip in {clips} has changed ({names}); format (stage 2) and mix again"
        )


def _merge(work: _Work, num_jobs: int) -> None:
    """Put the parts together, in the order of the mixtures, ``.done`` last."""
    out, number = work.out, work.number
    plans: List[Optional[Plan]] = [None] * number
    for job in range(1, num_jobs + 1):
        path = _part(out, job, num_jobs)
        if not path.is_file():
            raise TSXError(
                f"{path}: this part is not finished; run --num_jobs {num_jobs} --job {job} first"
            )
        part, expected = read_plans(path), items_of_job(range(number), job, num_jobs)
        if len(part) != len(expected):
            raise TSXError(f"{path}: expected {len(expected)} mixtures, found {len(part)}")
        plans[job - 1 :: num_jobs] = part
    write_plans(out / PLANS, plans)
    for file, kind in AUDIO.items():
        write_table(out / file, {plan.id: audio_path(out, kind, plan.id) for plan in plans})
    for name, condition in CONDITIONS.items():
        if condition.planned:
            read = {plan.id: plan.conditions.get(name, NOT_APPLICABLE) for plan in plans}
            write_table(out / condition.file, read)
    write_enrollment_table(plans, work.examples, out)
    mark_done(out, **work.facts)
    clean(out, {plan.id for plan in plans})
    print(f"{out}: {number} mixtures", flush=True)

"""A fixed set of mixtures on disk: plans, audio and condition files.

Written to the output directory:

- ``mixtures.jsonl``: one ``Plan`` a line, from which all the rest can be made again, bit for bit
- ``wav.scp``, ``spk1.scp``, ``spk2.scp``: mixture, target and other, as 32-bit float WAV
- ``utt2energy``, ``utt2harmonicity``, ...: the value of each condition, ``n/a`` if not applicable
- ``.done``: the facts, that is how the set was made

A set that was begun is continued by the same facts and refused for different ones. A job writes
its audio, and its plans to ``parts.N/J.jsonl``; the merge makes the tables.
"""

import json
import re
import shutil
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from tsx_espnet.condition import CONDITIONS, NOT_APPLICABLE
from tsx_espnet.error import TSXError
from tsx_espnet.files import DONE, PathLike, atomic_write, is_done, mark_done, write_table
from tsx_espnet.jobs import items_of_job
from tsx_espnet.mixing.plan import Plan, read_plans, write_plans
from tsx_espnet.mixing.render import mix, render_sources
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.sources import ClipSet
from tsx_espnet.progress import progress
from tsx_espnet.wav import HEADER_BYTES, write_float_wav

MIXING_VERSION = 1  # raise it when the same facts give other mixtures
PLANS = "mixtures.jsonl"
BEGUN = ".begun"
AUDIO = {"wav.scp": "mixture", "spk1.scp": "target", "spk2.scp": "other"}
_TEMPORARY = re.compile(r".*\.tmp\d+\.wav")


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
    del config["superclasses"]  # a path; what it holds counts
    facts = {
        "version": MIXING_VERSION,
        "num_mixtures": num_mixtures,
        "seed": seed,
        "config": config,
        "superclasses": _checksum(json.dumps(sampler.superclasses, sort_keys=True)),
        "clips": _clip_facts(sampler.clips),
    }
    _write(plan_of, num_mixtures, facts, sampler.clips, Path(out), num_jobs, job, merge)


def rebuild(
    plan_file: PathLike,
    clips: ClipSet,
    out: PathLike,
    num_jobs: int = 1,
    job: Optional[int] = None,
    merge: bool = False,
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
    digest = _checksum("".join(plan.to_json() for plan in plans))
    facts = {"version": MIXING_VERSION, "plans": digest, "clips": _clip_facts(clips)}
    _write(plans.__getitem__, len(plans), facts, clips, Path(out), num_jobs, job, merge)


def _write(
    plan_of: Callable[[int], Plan],
    number: int,
    facts: Dict[str, Any],
    clips: ClipSet,
    out: Path,
    num_jobs: int,
    job: Optional[int],
    merge: bool,
) -> None:
    if is_done(out, **facts):
        print(f"{out}: already done ({number} mixtures)", flush=True)
        return
    parts = out / f"parts.{num_jobs}"
    try:
        _claim(out, facts)
        if not merge:
            for part in [job] if job is not None else range(1, num_jobs + 1):
                _write_part(plan_of, number, clips, out, parts, part, num_jobs)
        if job is None:
            _merge(out, parts, number, num_jobs, facts)
    except OSError as error:  # of a full disk, Python does not say which file
        raise TSXError(f"{error.filename or out}: {error.strerror or error}") from None


def _claim(out: Path, facts: Dict[str, Any]) -> None:
    """Leave the facts in a new directory, or see that those found there are the same.

    Several jobs do this at once: what is there is listed first, so that whoever finds audio finds
    its marker too.
    """
    present = [path.name for path in out.iterdir()] if out.is_dir() else []
    for marker in (out / DONE, out / BEGUN):
        if marker.is_file():
            found = json.loads(marker.read_text(encoding="utf-8"))
            differences = _differences(found, json.loads(json.dumps(facts)))
            if differences:
                raise TSXError(
                    f"{out}: holds mixtures made differently ({differences}); "
                    "remove it or choose another name"
                )
            return
    if any(not name.startswith(BEGUN) for name in present):
        raise TSXError(f"{out}: is not empty and holds no mixtures of ours; choose another name")
    with atomic_write(out / BEGUN) as stream:
        json.dump(facts, stream, indent=1, sort_keys=True)


def _differences(found: Dict[str, Any], facts: Dict[str, Any], prefix: str = "") -> str:
    texts = []
    for key in sorted({**found, **facts}):
        old, new = found.get(key), facts.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            texts.append(_differences(old, new, f"{prefix}{key}."))
        elif old != new:
            texts.append(f"{prefix}{key}: {old!r} there, {new!r} now")
    return "; ".join(filter(None, texts))


def _write_part(
    plan_of: Callable[[int], Plan],
    number: int,
    clips: ClipSet,
    out: Path,
    parts: Path,
    job: int,
    num_jobs: int,
) -> None:
    """Draw and write every ``num_jobs``-th mixture; audio that is there is whole and kept."""
    path = parts / f"{job}.jsonl"
    if path.is_file():
        print(f"{path}: already done", flush=True)
        return
    plans: List[Plan] = []
    title = f"mix {out.name} {job}/{num_jobs}"
    for item in progress(items_of_job(range(number), job, num_jobs), title):
        plan = plan_of(item)
        _write_audio(plan, clips, out)
        plans.append(plan)
    write_plans(path, plans)


def _write_audio(plan: Plan, clips: ClipSet, out: Path) -> None:
    paths = [_audio_path(out, kind, plan.id) for kind in AUDIO.values()]
    size = HEADER_BYTES + 4 * plan.num_samples
    if all(path.is_file() and path.stat().st_size == size for path in paths):
        return
    sources = render_sources(plan, clips)
    _check_level(plan, sources, clips)
    other, mixture = mix(sources, plan.target)
    for path, samples in zip(paths, (mixture, sources[plan.target], other)):
        write_float_wav(path, samples, plan.fs)


def _check_level(plan: Plan, sources: np.ndarray, clips: ClipSet) -> None:
    """Levels that differ from the plan show that a clip's audio is not what it was."""
    energy = np.square(sources, dtype=np.float64).sum(axis=1)
    rest = energy.sum() - energy[plan.target]
    snr = 10 * np.log10((energy[plan.target] + 1e-30) / (rest + 1e-30))
    if abs(snr - plan.snr) > 0.01:
        names = ", ".join(source.clip for source in plan.sources)
        raise TSXError(
            f"{plan.id}: expected an SNR of {plan.snr:.2f} dB, found {snr:.2f} dB: the audio of a "
            f"clip in {clips.directory} has changed ({names}); format (stage 2) and mix again"
        )


def _merge(out: Path, parts: Path, number: int, num_jobs: int, facts: Dict[str, Any]) -> None:
    """Put the parts together, in the order of the mixtures, ``.done`` last."""
    plans: List[Optional[Plan]] = [None] * number
    for job in range(1, num_jobs + 1):
        path = parts / f"{job}.jsonl"
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
        write_table(out / file, {plan.id: _audio_path(out, kind, plan.id) for plan in plans})
    for name in CONDITIONS:
        read = {plan.id: plan.conditions.get(name, NOT_APPLICABLE) for plan in plans}
        write_table(out / f"utt2{name}", read)
    mark_done(out, **facts)
    (out / BEGUN).unlink(missing_ok=True)
    for leftover in out.glob("parts.*"):
        shutil.rmtree(leftover)
    for path in (out / "wav").glob("*/*.wav"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink()
    print(f"{out}: {number} mixtures", flush=True)


def _audio_path(out: Path, kind: str, name: str) -> Path:
    return out / "wav" / kind / f"{name}.wav"


def _clip_facts(clips: ClipSet) -> Dict[str, Any]:
    """What tells these clips from others, wherever they lie."""
    formatted = json.loads((clips.directory / DONE).read_text(encoding="utf-8"))
    return {"formatted": formatted, "classes": _checksum(",".join(clips.classes))}


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode('utf-8')):08x}"

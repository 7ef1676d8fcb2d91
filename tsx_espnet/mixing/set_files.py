"""Which files a fixed set of mixtures consists of, and whether they still are what they were."""

import shutil
from pathlib import Path
from typing import Collection, Dict, Optional

from tsx_espnet.audio import HEADER_BYTES
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import CONDITIONS, ENROLLMENT
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.enrollment_files import excerpts_to_write
from tsx_espnet.mixing.facts import BEGUN
from tsx_espnet.mixing.plan import Plan, read_plans
from tsx_espnet.tables import read_table, remove_leftovers, size_of

PLANS = "mixtures.jsonl"
AUDIO = {"wav.scp": "mixture", "spk1.scp": "target", "spk2.scp": "other"}


def audio_path(out: Path, kind: str, name: str) -> Path:
    """The file of a mixture that is its ``mixture``, ``target`` or ``other``."""
    return out / "wav" / kind / f"{name}.wav"


def audio_sizes(plan: Plan, examples: ClipSet, out: Path) -> Dict[Path, int]:
    """The audio files of a mixture, enrollments among them, and their bytes."""
    samples = {audio_path(out, kind, plan.id): plan.num_samples for kind in AUDIO.values()}
    excerpts = excerpts_to_write(plan, examples, out)
    samples.update({path: one.length for path, one in excerpts.items()})
    return {path: HEADER_BYTES + 4 * number for path, number in samples.items()}


def find_damage(out: Path, number: int, examples: ClipSet) -> Optional[str]:
    """What is missing or changed of a complete set of ``number`` mixtures; None if nothing is.

    One look at the size of each file; nothing is read but plans and tables. What a killed merge
    left in a set that is whole is removed.
    """
    try:
        plans = read_plans(out / PLANS)
        names = {plan.id for plan in plans}
        for file in (*AUDIO, *(condition.file for condition in CONDITIONS.values())):
            if read_table(out / file).keys() != names or len(plans) != number:
                return f"{out / file}: expected {number} mixtures, those of {PLANS}"
        for plan in plans:
            for path, size in audio_sizes(plan, examples, out).items():
                if size_of(path) != size:
                    return f"{path}: expected {size} bytes, found {max(0, size_of(path))}"
    except TSXError as error:
        return str(error)
    clean(out, names)
    return None


def clean(out: Path, names: Collection[str]) -> None:
    """Remove from a complete set what only an unfinished one needs, and what killed jobs left."""
    if (out / BEGUN).is_file():  # a complete set may lie on a read-only disk
        (out / BEGUN).unlink(missing_ok=True)
    for parts in out.glob("parts.*"):
        shutil.rmtree(parts, ignore_errors=True)
    remove_leftovers(out)
    for kind in (*AUDIO.values(), ENROLLMENT):
        remove_leftovers(out / "wav" / kind, keep={f"{name}.wav" for name in names})

"""The enrollments of a fixed set: a table, and audio where a part of a clip is taken."""

import json
from pathlib import Path
from typing import Dict, List, Sequence

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import ENROLLMENT, NOT_APPLICABLE
from tsx_espnet.mixing.plan import Enrollment, Plan
from tsx_espnet.tables import write_table


def excerpts_to_write(plan: Plan, clips: ClipSet, out: Path) -> Dict[Path, Enrollment]:
    """The parts of clips that the set must hold itself; a whole clip is where it always was."""
    return {
        path: one
        for path, one in zip(_paths(plan, clips, out), plan.enrollments)
        if one.length != clips.num_samples(one.clip)
    }


def write_enrollment_table(plans: Sequence[Plan], clips: ClipSet, out: Path) -> None:
    """``utt2enrollment``: the path of a recording, a JSON list of several, or ``n/a``."""
    table = {}
    for plan in plans:
        paths = [str(path) for path in _paths(plan, clips, out)]
        several = json.dumps(paths, ensure_ascii=False)
        table[plan.id] = several if len(paths) > 1 else next(iter(paths), NOT_APPLICABLE)
    write_table(out / f"utt2{ENROLLMENT}", table)


def _paths(plan: Plan, clips: ClipSet, out: Path) -> List[Path]:
    return [
        Path(clips.path(one.clip))
        if one.length == clips.num_samples(one.clip)
        else out / "wav" / ENROLLMENT / f"{plan.id}_{number}.wav"
        for number, one in enumerate(plan.enrollments, start=1)
    ]

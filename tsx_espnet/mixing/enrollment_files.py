"""The enrollments of a fixed set of mixtures: tables, and audio where a part of a clip is taken."""

from pathlib import Path
from typing import Dict, List, Sequence

from tsx_espnet.condition import NOT_APPLICABLE
from tsx_espnet.contract import enrollment_entry
from tsx_espnet.files import write_table
from tsx_espnet.mixing.plan import Enrollment, Plan
from tsx_espnet.mixing.sources import ClipSet

UTT2ENROLLMENT = "utt2enrollment"


def excerpts_to_write(plan: Plan, clips: ClipSet, out: Path) -> Dict[Path, Enrollment]:
    """The parts of clips that the set must hold itself; a whole clip is where it always was."""
    return {
        path: one
        for path, one in zip(_paths(plan, clips, out), plan.enrollments)
        if one.length != clips.num_samples(one.clip)
    }


def write_enrollment_tables(plans: Sequence[Plan], clips: ClipSet, out: Path) -> None:
    """``utt2enrollment``, ``enroll.scp``, ...; nothing if no mixture has an enrollment."""
    most = max(len(plan.enrollments) for plan in plans)
    if not most:
        return
    names = {plan.id: ",".join(one.clip for one in plan.enrollments) for plan in plans}
    write_table(out / UTT2ENROLLMENT, {name: own or NOT_APPLICABLE for name, own in names.items()})
    paths = {plan.id: _paths(plan, clips, out) for plan in plans}
    for number in range(most):
        table = {
            name: own[number] if number < len(own) else NOT_APPLICABLE
            for name, own in paths.items()
        }
        write_table(out / enrollment_entry(number).file, table)


def _paths(plan: Plan, clips: ClipSet, out: Path) -> List[Path]:
    return [
        Path(clips.path(one.clip))
        if one.length == clips.num_samples(one.clip)
        else out / "wav" / enrollment_entry(number).name / f"{plan.id}.wav"
        for number, one in enumerate(plan.enrollments)
    ]

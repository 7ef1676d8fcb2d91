"""SIGKILL at any moment: the stage run again completes its output, the same to the last byte.

Outputs are compared with those of a run that nobody disturbed; files of parts that were finished
when the kill came must still be the same files afterwards.
"""

import time

import numpy as np
import pytest

# kills before a change of a file: not before each, as a stage makes up to a hundred
KILLS = {"format": 8, "mix": 8, "embed_text": 5, "infer": 6, "score": 8, "report": 2}


def stamp(path):
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def complete(stage, children, reference):
    """Run the stage again after a kill; returns how many finished files were left alone."""
    finished = {path: stamp(path) for path in stage.finished()}
    assert children.run(stage.jobs) == (0, "")
    redone = [p for p, before in finished.items() if p.exists() and stamp(p) != before]
    assert not redone
    assert children.run(stage.merge) == (0, "")
    assert children.contents(stage.out) == reference
    return len(finished)


def test_before_a_change_of_a_file(stage, children, references):
    reference, changes = references(stage)
    kept = 0
    for number in np.unique(np.linspace(1, changes, KILLS[stage.name]).round()).astype(int):
        stage.reset()
        assert children.kill(stage.commands, stage.out, number)
        kept += complete(stage, children, reference)
    assert kept or stage.name == "report"  # which has no parts


def test_while_a_file_is_written(stage, children, references):
    reference, _ = references(stage)
    before = children.contents(stage.out)
    sizes = sorted({len(data) for name, data in reference.items() if name not in before})
    for size in {sizes[-1] - 1, sizes[len(sizes) // 2] // 2} if stage.name != "report" else [5000]:
        stage.reset()
        assert children.kill_while_writing(stage.commands, size)
        complete(stage, children, reference)


def test_at_random_moments(stage, children, references):
    """Twice in a row, so that what the first kill left meets the second."""
    reference, _ = references(stage)
    start = time.monotonic()
    assert children.run(stage.commands) == (0, "")
    duration = time.monotonic() - start
    random = np.random.default_rng()
    stage.reset()
    for seconds in random.uniform(0, duration, 2):
        children.kill_after(stage.commands, seconds)
    complete(stage, children, reference)


@pytest.mark.parametrize("moment", [1, 2])
def test_one_process_for_the_whole_stage(stages, children, moment):
    """Without jobs and merge; what a killed process has begun under the same name is taken up."""
    stage = stages[0]["mix"]
    stage.reset()
    assert children.kill(stage.whole, stage.out, 12 * moment)
    assert children.run(stage.whole) == (0, "")
    found = children.contents(stage.out)
    stage.reset()
    assert children.run(stage.whole) == (0, "")
    assert found == children.contents(stage.out)
    stage.reset()

"""One training that is killed again and again, wherever it writes, and in between."""

import random
import time

import pytest

# SIGKILL at the n-th of the moments when something changes: within a step, before each system call
# on a file, and when a file of weights is written by half
KILL = """
import io, os, signal, torch

left = {number}

def moment():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def count(owner, name):
    function = getattr(owner, name)

    def counted(*args, **kwargs):
        moment()
        return function(*args, **kwargs)

    setattr(owner, name, counted)

for owner, names in {{
    os: ("replace", "rename", "link", "symlink", "unlink", "fsync"),
    torch.optim.Adam: ("step", "zero_grad"),
    torch.Tensor: ("backward",),
}}.items():
    for name in names:
        count(owner, name)

save = torch.save

def save_in_halves(obj, f, *args, **kwargs):
    whole = io.BytesIO()
    save(obj, whole, *args, **kwargs)
    data = whole.getvalue()
    with open(f, "wb") as stream:
        stream.write(data[: len(data) // 2])
        stream.flush()
        moment()
        stream.write(data[len(data) // 2 :])

torch.save = save_in_halves
"""
# so slow that no machine gets through two epochs before a kill at a random time
SLOW = """
import time, torch

step = torch.optim.Adam.step

def step_slowly(*args, **kwargs):
    time.sleep(0.15)
    return step(*args, **kwargs)

torch.optim.Adam.step = step_slowly
"""
MOMENTS = 40  # more than an epoch has, with what comes before the first
MAX_EPOCH = 48  # more than all killed runs can complete together
TIMED = 8


@pytest.fixture
def train(start, task):
    """Start the training in a directory."""

    def start_training(exp, max_epoch=MAX_EPOCH, **options):
        more = ["--max_epoch", max_epoch, "--keep_nbest_models", 3, "--resume", "true"]
        return start(task.command, *task.args, *more, "--output_dir", exp, **options)

    return start_training


def test_one_training_and_many_kills(train, assert_same_experiment, tmp_path):
    exp, reference = tmp_path / "exp", tmp_path / "reference"
    assert train(reference).wait() == 0
    one_epoch = train(tmp_path / "one", 1, hook=KILL.format(number=MOMENTS))
    assert one_epoch.wait() == 0, "an epoch has more moments than there are kills"
    seed = random.randrange(1000)
    draw = random.Random(seed)
    moments = [*range(1, MOMENTS + 1), *[None] * TIMED]
    draw.shuffle(moments)
    timed = kills = 0
    for number in moments:
        if number is None:
            command = train(exp, hook=SLOW)
            time.sleep(draw.uniform(0.0, 0.6))
            timed += command.running
            command.kill()
        else:
            command = train(exp, hook=KILL.format(number=number))
            status = command.wait()
            assert status in (0, -9), f"seed {seed}, moment {number}: {command.err}"
            kills += status == -9
    assert (timed, kills) == (TIMED, MOMENTS), f"seed {seed}: some runs were not killed"
    command = train(exp)
    assert command.wait() == 0, f"seed {seed}: {command.err}"
    assert f"/{MAX_EPOCH}epoch started" in command.err, "nothing was left to train after the kills"
    try:
        assert_same_experiment(exp, reference)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error

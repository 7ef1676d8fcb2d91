"""What any task that derives from ``ReliableTask`` has, seen on one that mixes nothing."""

import pytest
import torch
import yaml

TASK = "regression"
EPOCHS = ["--max_epoch", 2, "--resume", "true"]


@pytest.fixture
def fails(start, points_args, tmp_path):
    """The message of the command, with some arguments more."""

    def run_failing(*more):
        command = start(TASK, *points_args, *EPOCHS, "--output_dir", tmp_path / "exp", *more)
        assert command.wait() == 1 and "Traceback" not in command.err, command.err
        return command.err.splitlines()[-1]

    return run_failing


def test_its_setup_may_not_change(run, fails, points_args, tmp_path):
    exp = tmp_path / "exp"
    run(TASK, *points_args, *EPOCHS, "--output_dir", exp)
    before = (exp / "config.yaml").read_bytes()
    last = fails("--hidden", 5)
    assert last.startswith(f"error: {exp}: this run was begun with hidden 4, now it is 5; choose")
    assert (exp / "config.yaml").read_bytes() == before
    run(TASK, *points_args, *EPOCHS, "--output_dir", exp, "--max_epoch", 3, "--batch_size", 6)
    assert (exp / "3epoch.pth").is_file()


def test_the_second_yaml_overrides_the_first(run, points_args, tmp_path):
    (tmp_path / "method.yaml").write_text("hidden: 7\nbatch_size: 18\n")
    more = ["--method_config", tmp_path / "method.yaml", "--batch_size", 6, "--max_epoch", 1]
    run(TASK, *points_args, *more, "--output_dir", tmp_path / "exp")
    written = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    assert (written["hidden"], written["batch_size"]) == (7, 6)
    weights = torch.load(tmp_path / "exp" / "1epoch.pth", weights_only=True)
    assert weights["layers.0.weight"].shape == (7, 1)


@pytest.mark.parametrize(
    "more, message",
    [
        (["--hiden", 5], "no option --hiden; did you mean --hidden?"),
        (["--points", "no"], "--train_data_path_and_name_and_type: no/x: no such file"),
        (["--optim_conf", "rate=1"], "optim_conf of adam: no option 'rate'"),
        (["--scheduler", "steplr"], "scheduler_conf of steplr: missing: step_size"),
        (["--ngpu", 99], "GPUs; 0 trains on the CPU"),
        (["--init_param", "no.pth"], "no.pth: no such file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(fails, more, message):
    assert message in fails(*more)

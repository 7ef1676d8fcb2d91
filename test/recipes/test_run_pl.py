"""run.pl keeps Kaldi's command line, log format and exit status, and leaves nothing running."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN_PL = Path(__file__).parents[2] / "egs/TEMPLATE/utils/run.pl"


def body(log):
    """What the job printed: the log without run.pl's own lines."""
    lines = Path(log).read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def wait_for(condition, seconds=20.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_log_has_kaldi_header_and_trailer(run, tmp_path):
    result = run(tmp_path, RUN_PL, "a.log", "echo", "hello")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert lines[0] == "# echo hello"
    assert lines[1].startswith("# Started at ")
    assert lines[2:4] == ["#", "hello"]
    assert re.fullmatch(r"# Accounting: time=\d+ threads=1", lines[4])
    assert re.fullmatch(r"# Ended \(code 0\) at .*, elapsed time \d+ seconds", lines[5])


def test_array_replaces_the_job_name_everywhere(run, tmp_path):
    result = run(tmp_path, RUN_PL, "NR=2:4", "log/x.NR.log", "echo", "part-NR", "of NR")
    assert result.returncode == 0
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == [
        "x.2.log",
        "x.3.log",
        "x.4.log",
    ]
    assert body(tmp_path / "log/x.3.log") == "part-3 of 3"


def test_options_and_job_range_interleave_and_unknown_options_take_one_value(run, tmp_path):
    options = ["--mem", "4G", "JOB=1:2", "--num-threads", "2", "--config", "none.conf"]
    options += ["--name", "x", "-tc", "5", "--max-jobs-run", "1", "-V", "-pe", "smp", "2"]
    result = run(tmp_path, RUN_PL, *options, "x.JOB.log", "echo", "JOB")
    assert result.returncode == 0, result.stderr
    assert body(tmp_path / "x.2.log") == "2"


@pytest.mark.parametrize(
    "words, printed",
    [
        (["echo", "two  words", ""], "two  words "),
        (["echo", "it's \"here\" now", "it's $((1+2))"], 'it\'s "here" now it\'s 3'),
        (["echo", "b", "|", "sed", "s/b/c/"], "c"),
        (["echo", "--dash", "-n", "a=b"], "--dash -n a=b"),
        (["echo", "$((1+2))"], "3"),
    ],
)
def test_quoting(run, tmp_path, words, printed):
    result = run(tmp_path, RUN_PL, "my log - 1/a.log", *words)
    assert result.returncode == 0, result.stderr
    assert body(tmp_path / "my log - 1/a.log") == printed


def test_one_failed_job_fails_the_array_but_not_the_others(run, tmp_path):
    script = tmp_path / "fail two.sh"
    script.write_text('[ "$1" != 2 ] || { echo "error: no such clip" >&2; exit 7; }\n')
    result = run(tmp_path, RUN_PL, "JOB=1:3", "l.JOB.log", "bash", script, "JOB")
    assert result.returncode == 1
    assert "run.pl: 1 / 3 failed, log is in l.*.log" in result.stderr
    assert "error: no such clip" in result.stderr
    assert "# Ended (code 7) at" in (tmp_path / "l.2.log").read_text()
    assert "# Ended (code 0) at" in (tmp_path / "l.3.log").read_text()


def test_single_failure_names_its_log(run, tmp_path):
    result = run(tmp_path, RUN_PL, "l.log", "kill", "-9", "$$")
    assert result.returncode == 1
    assert result.stderr.startswith("run.pl: job failed, log is in l.log")
    assert "# Ended (code 0; signal 9) at" in (tmp_path / "l.log").read_text()


@pytest.mark.parametrize(
    "words, message",
    [
        (["JOB=1:3", "a.log", "true"], "must contain JOB"),
        (["JOB=0:3", "a.JOB.log", "true"], "bad job range"),
        (["JOB=3:2", "a.JOB.log", "true"], "bad job range"),
        (["a.log"], "usage"),
        (["--gpu", "one", "a.log", "true"], "--gpu: expected a whole number"),
        (["a_file/a.log", "true"], "cannot write"),
    ],
)
def test_wrong_use_is_refused(run, tmp_path, words, message):
    (tmp_path / "a_file").write_text("")
    result = run(tmp_path, RUN_PL, *words)
    assert result.returncode == 1
    assert message in result.stderr


def test_no_more_jobs_at_once_than_asked(run, tmp_path):
    note = "echo +1 >>count; sleep 0.2; echo -1 >>count"
    script = tmp_path / "note.sh"
    script.write_text(note)
    result = run(tmp_path, RUN_PL, "--max-jobs-run", 2, "JOB=1:6", "l.JOB.log", "bash", script)
    assert result.returncode == 0
    now, most = 0, 0
    for step in (tmp_path / "count").read_text().split():
        now += int(step)
        most = max(most, now)
    assert most == 2


def test_concurrent_gpu_jobs_get_devices_of_their_own(run, tmp_path):
    script = tmp_path / "job.sh"
    script.write_text('echo "$CUDA_VISIBLE_DEVICES"; sleep 0.3')
    gpus = {"CUDA_VISIBLE_DEVICES": "3,5,6,7"}
    command = [RUN_PL, "--gpu", 2, "JOB=1:2", "l.JOB.log", "bash", script]
    assert run(tmp_path, *command, **gpus).returncode == 0
    assert {body(tmp_path / "l.1.log"), body(tmp_path / "l.2.log")} == {"3,5", "6,7"}
    assert run(tmp_path, RUN_PL, "--gpu", 2, "one.log", "bash", script, **gpus).returncode == 0
    assert body(tmp_path / "one.log") == "3,5,6,7"  # a single job sees what its caller saw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_stopping_run_pl_ends_the_jobs_and_their_children(tmp_path, environment, number):
    script = tmp_path / "job.sh"
    script.write_text("sleep 300 & echo $! >child.$1; wait")
    process = subprocess.Popen(
        [RUN_PL, "--max-jobs-run", "2", "JOB=1:2", "l.JOB.log", "bash", script, "JOB"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    files = [tmp_path / "child.1", tmp_path / "child.2"]
    wait_for(lambda: all(path.is_file() and path.read_text().strip() for path in files))
    children = [int(path.read_text()) for path in files]
    assert all(alive(child) for child in children)
    os.kill(process.pid, number)
    assert process.wait(20) == -number
    wait_for(lambda: not any(alive(child) for child in children))


def test_a_job_that_ignores_sigterm_is_killed(tmp_path, environment):
    script = tmp_path / "job.sh"
    script.write_text("trap '' TERM; echo $$ >pid; while true; do sleep 0.1; done")
    fast = tmp_path / "run.pl"
    (tmp_path / "Jobs.pm").symlink_to(RUN_PL.with_name("Jobs.pm"))
    fast.write_text(RUN_PL.read_text().replace("my $grace = 10;", "my $grace = 1;"))
    process = subprocess.Popen(
        ["perl", fast, "l.log", "bash", script],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text().strip())
    process.terminate()
    process.wait(20)
    wait_for(lambda: not alive(int((tmp_path / "pid").read_text())))


def test_espnet_launch_works_with_it(run, tmp_path):
    words = ["-c", "import sys; print(sys.argv[1:])", "--output_dir", "an exp"]
    result = run(
        tmp_path,
        *[sys.executable, "-m", "espnet2.bin.launch"],
        *["--cmd", f"'{RUN_PL}' --name 'a - b' --mem 1G"],
        *["--log", "exp dir/train.log", "--ngpu", "0", "--", sys.executable, *words],
    )
    assert result.returncode == 0, result.stderr
    printed = body(tmp_path / "exp dir/train.log")
    assert printed == str([*words[2:], "--ngpu", "0", "--multiprocessing_distributed", "True"])

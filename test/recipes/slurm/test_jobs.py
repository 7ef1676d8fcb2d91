"""slurm.pl with a real Slurm: what it hands over, and how it notices each end of a job."""

import os
import random
import re
import signal
import time

import pytest

# It ends itself as asked by its argument, leaves its process id, and counts how often it ran.
JOB = """
count=$(($(cat count 2>/dev/null || echo 0) + 1)) && echo "${count}" >count
trap 'echo saved; exit 99' TERM USR1
[ "${count}" = 1 ] || { echo "run ${count}"; exit 0; }
echo $$ >pid.tmp && mv pid.tmp pid
while true; do sleep 0.1; done
"""
OLD_SUCCESS = "# Finished at Mon Jan  1 00:00:00 UTC 2024 with status 0\n"


def wait_for(condition, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.1)


def status(pid):
    """Of a process: what follows its name in /proc, or nothing."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()
    except OSError:
        return []


def alive(pid):
    return status(pid)[:1] not in ([], ["Z"])


def parent(pid):
    return int(status(pid)[1])


@pytest.fixture
def job(work, start):
    """``job(*options)``: slurm.pl with a job that runs, and the id of the job's process."""

    def job(*options):
        (work / "job.sh").write_text(JOB)
        process = start(*options, "x.log", "bash", "job.sh")
        wait_for((work / "pid").exists)
        return process, int((work / "pid").read_text())

    return job


def test_an_array_in_a_directory_of_a_difficult_name(work, run, node):
    before = node.submitted()
    options = ["--name", "a - b", "--mem", "10M", "--time", "0:5:0", "--num-threads", 2]
    words = [*options, "--max-jobs-run", 2, "NR=2:5", "log - 1/x 5%.NR.log"]
    result = run(work, "slurm.pl", *words, "echo", "say 'NR'", "-n", "NR.x", "$SLURM_CPUS_PER_TASK")
    assert (result.returncode, result.stderr) == (0, "")
    for number in range(2, 6):
        text = (work / f"log - 1/x 5%.{number}.log").read_text()
        assert f"\nsay '{number}' -n {number}.x 2\n" in text
        assert re.search(r"# Finished at .* with status 0\n$", text)
    assert not list((work / "log - 1/q").glob("done*"))
    assert node.submitted() - before == 4
    text = (node.directory / "jobs.log").read_text()
    assert len(re.findall(r" Name=a - b JobState=COMPLETED .*TimeLimit=5 ", text)) == 4


def test_a_failing_member_fails_the_array_and_not_the_others(work, run):
    (work / "job.sh").write_text('[ "$1" != 2 ] || { echo "error: no clip" >&2; exit 3; }\n')
    result = run(work, "slurm.pl", "JOB=1:3", "x.JOB.log", "bash", "job.sh", "JOB")
    assert result.returncode == 1
    assert "slurm.pl: 1 / 3 failed, log is in x.*.log" in result.stderr
    assert "error: no clip" in result.stderr
    for number, status in ((1, 0), (2, 3), (3, 0)):
        assert f"with status {status}\n" in (work / f"x.{number}.log").read_text()


def test_gpu_jobs_get_devices_of_their_own(work, run):
    (work / "job.sh").write_text('echo "devices $CUDA_VISIBLE_DEVICES"; sleep 3\n')
    words = ["--gpu", 1, "JOB=1:2", "x.JOB.log", "bash", "job.sh"]
    assert run(work, "slurm.pl", *words).returncode == 0
    logs = "".join((work / f"x.{number}.log").read_text() for number in (1, 2))
    assert sorted(re.findall(r"^devices (.*)$", logs, re.M)) == ["0", "1"]


def test_a_job_cancelled_by_someone_else_has_failed(job, node):
    process, pid = job()
    assert node.run("scancel", *node.queue()).returncode == 0
    assert process.wait(60) == 1
    assert "slurm.pl: job failed, log is in x.log" in process.stderr.read()
    assert not alive(pid) and not node.queue()


def test_a_job_cancelled_before_it_began_has_failed_whatever_an_old_log_says(work, start, node):
    (work / "x.log").write_text(OLD_SUCCESS)
    process = start("-b", "now+3600", "x.log", "true")
    wait_for(node.queue)
    node.run("scancel", *node.queue())
    assert process.wait(60) == 1
    assert "was ended by Slurm: CANCELLED" in process.stderr.read()


def test_a_killed_command_has_failed(job, node):
    process, pid = job()
    os.kill(pid, signal.SIGKILL)
    assert process.wait(60) == 1
    assert "slurm.pl: job failed" in process.stderr.read()
    node.wait_until_empty()


def test_a_killed_batch_script_has_failed(job, node):
    process, pid = job()
    script = parent(parent(pid))
    os.kill(script, signal.SIGKILL)
    assert process.wait(60) == 1
    assert "was ended by Slurm: FAILED" in process.stderr.read()
    os.kill(pid, signal.SIGKILL)  # which a cluster's control groups would do


def test_a_job_out_of_time_has_failed(work, start, node):
    """Slurm counts in minutes: the limit is moved."""
    process = start("--time", "0:1:0", "x.log", "sleep", 300)
    wait_for((work / "x.log").exists)
    node.run("scontrol", "update", f"jobid={node.queue()[0]}", "timelimit=0:01")
    assert process.wait(150) == 1
    text = (work / "x.log").read_text() + process.stderr.read()
    assert "TIMEOUT" in text or "with status 143" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_slurm_pl_cancels_its_jobs(job, node, number):
    """The whole process group gets the signal, as from Ctrl-C at a terminal."""
    process, pid = job()
    os.killpg(process.pid, number)
    assert process.wait(30) == -number
    assert not alive(pid) and not node.queue("%i %T")


def test_stopped_at_any_moment_no_job_is_left(work, start, node):
    before, moments = node.submitted(), random.Random(0)
    for _ in range(12):
        process = start("JOB=1:2", "x.JOB.log", "sleep", 300)
        time.sleep(moments.uniform(0.0, 0.4))
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) in (-signal.SIGINT, 130)
        node.wait_until_empty()  # at once, or when Slurm sends SIGKILL to a job that just began
    assert node.submitted() > before


def test_a_requeued_job_is_waited_for(work, job, node):
    process, _ = job()
    assert node.run("scontrol", "requeue", *node.queue()).returncode == 0
    assert process.wait(100) == 0, process.stderr.read()
    assert "run 2" in (work / "x.log").read_text()


def test_a_command_that_saved_before_the_end_of_its_time_is_requeued(work, job, node):
    """``sbatch --signal=B:USR1@...`` sends this signal; exit status 99 asks to be run again."""
    process, _ = job()
    assert node.run("scancel", "--batch", "--signal", "USR1", *node.queue()).returncode == 0
    assert process.wait(100) == 0, process.stderr.read()
    text = (work / "x.log").read_text()
    assert text.index("saved\n") < text.index("with status 99\n") < text.index("run 2\n")


def test_a_preempted_job_saves_and_runs_again(work, job, node):
    process, _ = job("-p", "preempt")
    node.run("sbatch", "-p", "cpu", "-n", 4, "-o", "/dev/null", "--wrap", "sleep 1")
    assert process.wait(150) == 0, process.stderr.read()
    text = (work / "x.log").read_text()
    assert text.index("saved\n") < text.index("run 2\n")
    assert "DUE TO PREEMPTION" in (work / "q/x.log").read_text()


def test_the_controller_may_be_away_for_a_while(work, job, node):
    process, pid = job()
    time.sleep(10)  # it writes down what it knows every few seconds
    controller = int((node.directory / "slurmctld.pid").read_text())
    os.kill(controller, signal.SIGKILL)
    time.sleep(4)
    assert process.poll() is None
    assert node.control("start", "--cpus", 4, "--gpus", 2).returncode == 0
    os.kill(pid, signal.SIGUSR2)
    assert process.wait(60) == 1
    assert "with status 140" in (work / "x.log").read_text()
    node.wait_until_empty()


def test_max_jobs_run(work, run):
    (work / "job.sh").write_text("echo +1 >>count; sleep 1; echo -1 >>count\n")
    words = ["--max-jobs-run", 2, "JOB=1:5", "x.JOB.log", "bash", "job.sh"]
    assert run(work, "slurm.pl", *words).returncode == 0
    steps = [int(step) for step in (work / "count").read_text().split()]
    assert max(sum(steps[: end + 1]) for end in range(len(steps))) == 2

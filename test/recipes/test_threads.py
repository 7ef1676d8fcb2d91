"""How many threads a training run takes: a share of the CPU cores, of those that are idle."""

from pathlib import Path

import pytest

THREADS = Path(__file__).parents[2] / "egs/TEMPLATE/utils/threads.sh"


@pytest.fixture
def threads(run, tmp_path):
    """``threads(ticks that are idle, of 400 a look, options)`` on four cores."""

    def threads(*idle, **options):
        programs = tmp_path / "programs"
        programs.mkdir(exist_ok=True)
        for number in range(len(idle) + 1):
            free = sum(idle[:number])
            line = f"cpu {400 * number - free} 0 0 {free} 0 0 0 0 0 0\n"
            (tmp_path / f"look{number}").write_text(line)
        (programs / "getconf").write_text("#!/bin/sh\necho 4\n")
        (programs / "sleep").write_text("#!/bin/sh\n")
        (programs / "head").write_text(
            "#!/bin/sh\nfor one in look?; do cat $one; rm $one; break; done\n"
        )
        for path in programs.iterdir():
            path.chmod(0o755)
        given = {"share": 1, "num_threads": 0, "ngpu": 0, "cuda_cmd": "run.pl", **options}
        words = "; ".join(f"{name}='{value}'" for name, value in given.items())
        path = f"{programs}:/usr/bin:/bin"
        done = run(tmp_path, "bash", "-c", f". '{THREADS}'; {words}; training_threads", PATH=path)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    return threads


def test_free_cores_are_taken(threads):
    assert threads(400, 400, 400) == 4
    assert threads(395, 390, 385) == 4
    assert threads(100, 398, 200) == 4, "free at one look: what ran at the others was short"


def test_busy_cores_are_left_to_others(threads):
    assert threads(200, 195, 205) == 2
    assert threads(40, 20, 0) == 1
    assert threads(0, 0, 0) == 1


def test_no_more_than_the_share(threads):
    assert threads(400, 400, 400, share=2) == 2
    assert threads(40, 20, 30, share=2) == 1
    assert threads(400, 400, 400, share=9) == 1


def test_what_is_asked_for_is_taken_wherever_it_runs(threads):
    assert threads(0, 0, 0, num_threads=3) == 3
    assert threads(400, 400, 400, cuda_cmd="slurm.pl --mem 4G") == 1
    assert threads(400, 400, 400, ngpu=1) == 1

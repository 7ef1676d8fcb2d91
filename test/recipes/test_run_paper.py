"""``run_paper.sh``: which runs it starts, leaves alone and reports; ``run.sh`` stands aside.

Seeds ``"0 1 2"``, as the help says, were refused once as no whole number.
"""

import itertools
import os
import re
import signal
import subprocess
import time

import pytest

from tsx_espnet.evaluation.paper_yaml import read_paper

# says what it was asked to do, and leaves what a run, or a broken one, leaves
STAND_IN = r"""#!/usr/bin/env bash
set -eu
(IFS=$'\t'; echo "$*" >>asked)
stage=1
while [ $# -gt 0 ]; do printf -v "${1#--}" '%s' "$2"; shift 2; done
exp=${expdir}/${tag}
if [ "${broken:-}" = "${method}:${stop_stage}" ]; then echo "no memory left"; exit 1; fi
[ "${slow:-}" != "${stop_stage}" ] || sleep 987
case ${stop_stage} in
8)
    touch "running.$$"
    [ "$(ls running.* | wc -l)" -le 2 ] || echo "${exp}" >>too_many
    sleep "${SLEEP:-0.3}"
    rm "running.$$"
    touch "${exp}/RESULTS.md"
    ;;
14) [ -e "${exp}/RESULTS.md" ] ;;
esac
"""
# lists the runs, and notes how a page was to be made
PYTHON = """#!/bin/sh
case "$*" in
*--list_runs* | -c*) exec python3 "$@" ;;
*) echo "$*" >>pages ;;
esac
"""
SMALL = ["--train_config", "conf/train_small.yaml"]
RANDOM = ["--mixings", "random", "--difficulties", "hard"]
NEW = ["--new_classes", "Oboe,Frog", "--fsdkaggle2018", "a dir", "--num_new", "7"]
METHODS = ("onehot", "enrl", "mixed", "mixed_el")


class Recipe:
    """A copy of a recipe with the stand-ins."""

    def __init__(self, directory, run):
        self.directory, self.run = directory, run
        for name, text in (("run.sh", STAND_IN), ("python", PYTHON)):
            (directory / name).write_text(text)
            (directory / name).chmod(0o755)

    def __call__(self, *words, script="./run_paper.sh", **variables):
        for name in ("asked", "pages"):
            (self.directory / name).unlink(missing_ok=True)
        return self.run(self.directory, script, "--python", "./python", *words, **variables)

    @property
    def asked(self):
        """The options of each call of ``run.sh``."""
        path = self.directory / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [
            {"--stage": "1", **dict(zip(line.split("\t")[::2], line.split("\t")[1::2]))}
            for line in lines
        ]

    @property
    def pages(self):
        path = self.directory / "pages"
        return path.read_text().splitlines() if path.exists() else []

    def ran(self, *stages):
        """Every ``(stage, method, seed)`` of these stages that was run, in order."""
        return [
            (stage, one["--method"], one["--train_seed"])
            for one in self.asked
            for stage in range(int(one["--stage"]), int(one["--stop_stage"]) + 1)
            if stage in stages
        ]

    def tags(self):
        return {path.parent.name for path in self.directory.glob("exp/*/RESULTS.md")}


@pytest.fixture
def paper(recipes, run):
    """OCT's."""
    return Recipe(recipes / "fsd50k", run)


@pytest.fixture
def soundbeam(recipes, run):
    """SoundBeam's, with new classes."""
    return Recipe(recipes / "fsdkaggle2018", run)


def test_every_run_once_and_what_is_done_not_again(paper):
    words = ["--methods", "oct pit", "--mixings", "random same", "--difficulties", "hard"]
    words += ["--seeds", "0 2", "--fsd50k", "a dir", "--parallel", 2]
    result = paper(*words)
    assert result.returncode == 0, result.stderr
    assert paper.tags() == {
        f"{method}_{mixing}_hard{seed}"
        for method in ("oct", "pit")
        for mixing in ("random", "same")
        for seed in ("", "_seed2")
    }
    assert len(paper.ran(5)) == 8
    assert all(one["--fsd50k"] == "a dir" for one in paper.asked)  # handed on
    assert not (paper.directory / "too_many").exists()
    assert "8 of 8 runs done" in result.stdout

    (paper.directory / "exp/oct_same_hard/RESULTS.md").unlink()
    result = paper(*words)
    assert [(one["--method"], one["--mixing"]) for one in paper.asked][-1] == ("oct", "same")
    assert len(paper.ran(5)) == 1
    assert len(re.findall("done already", result.stdout)) == 7


def test_what_runs_share_is_made_once(paper):
    words = ["--methods", "oct pit", "--mixings", "random same", "--seeds", "0 1"]
    assert paper(*words).returncode == 0
    assert [stage for stage, _, _ in paper.ran(1, 2)] == [1, 2]
    kinds = [
        (one["--mixing"], one["--difficulty"])
        for one in paper.asked
        if int(one["--stage"]) <= 3 <= int(one["--stop_stage"])
    ]
    assert sorted(kinds) == sorted(itertools.product(("random", "same"), ("hard", "easy")))
    assert sorted(method for _, method, _ in paper.ran(4)) == ["oct", "pit"]


def test_with_every_run_done_only_the_page_is_made(paper):
    """Without a word about where the corpus is."""
    words = ["--methods", "oct", *RANDOM]
    assert paper(*words).returncode == 0
    assert paper(*words).returncode == 0
    assert not paper.asked and len(paper.pages) == 1


def test_the_whole_paper(paper):
    known = read_paper(paper.directory / "paper.yaml").methods()
    assert paper(SLEEP="0").returncode == 0
    assert len(known) == 10 and len(paper.tags()) == 10 * 3 * 2


def test_one_that_fails_does_not_stop_the_others_and_is_named_at_the_end(paper):
    result = paper("--methods", "hct oct", *RANDOM, *SMALL, broken="hct:8")
    assert result.returncode == 3
    assert paper.tags() == {"small_oct_random_hard"}
    assert "small_hct_random_hard: FAILED: no memory left" in result.stdout
    assert result.stderr == "run_paper.sh: not done: small_hct_random_hard\n"
    (page,) = paper.pages  # of what there is
    assert page == (
        "-m tsx_espnet.bin.study --paper paper.yaml --size small --exp exp --out exp/PAPER.md "
        "--figure exp/paper_figure.png --data_kind recordings"
    )


def test_texts_that_cannot_be_embedded_are_not_the_end(paper):
    """Of one language model there is no copy here and no way to the model hub."""
    result = paper("--methods", "text_bert pit", *RANDOM, broken="text_bert:4")
    assert result.returncode == 0, result.stderr
    assert paper.tags() == {"text_bert_random_hard", "pit_random_hard"}


def test_mixtures_that_cannot_be_made_are_the_end(paper):
    result = paper("--methods", "oct", *RANDOM, broken="oct:3")
    assert result.returncode == 1
    assert not paper.ran(5) and not paper.pages


@pytest.mark.parametrize(
    "words, message",
    [
        (["--methods", "otc"], "error: --methods: the paper has none called 'otc'; did you mean"),
        (["--mixings", "rnadom"], "error: --mixings: the paper has none called 'rnadom'"),
        (["--method", "oct"], "run_paper.sh: --method is chosen here: see --methods"),
        (["--tag", "mine"], "run_paper.sh: --tag is chosen here"),
        (["--share", "2"], "run_paper.sh: --share is chosen here"),
        (["--stage", "12"], "run_paper.sh: --stage is chosen here"),
        (["--methods", " "], "run_paper.sh: option --methods is empty"),
        (["--mixings="], "run_paper.sh: option --mixings is empty"),
        (["--seeds", "0 1,2"], "error: --seeds: expected whole numbers, found '0 1,2'"),
        (["--seeds", "-1"], "error: --seeds: expected whole numbers, found '-1'"),
        (["--train_config", "small.yaml"], "run_paper.sh: no file small.yaml; there are: none"),
        (["--paper", "no.yaml"], "error: no.yaml: no such file"),
        (["--options_elsewhere", "x"], "run_paper.sh: no option --options_elsewhere"),
        (["--train-seed", "3"], "run_paper.sh: --train_seed is chosen here"),
        (["--parallel", "0"], "run_paper.sh: --parallel must be at least 1"),
        (["--paralel", "2"], "run_paper.sh: no option --paralel (did you mean --parallel?)"),
        (["3"], "run_paper.sh: unexpected argument '3'"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_made(paper, words, message):
    result = paper(*words)
    assert result.returncode == 2
    assert result.stderr.startswith(message) and result.stderr.count("\n") == 1
    assert not paper.asked and not (paper.directory / "exp").exists()


def test_a_method_without_a_file_is_named_before_anything_is_made(paper):
    (paper.directory / "conf/method_hct.yaml").unlink()
    result = paper()
    assert result.returncode == 2 and not paper.asked
    assert "no file conf/method_hct.yaml; there are: conf/method_" in result.stderr


def test_started_elsewhere(recipes, run):
    result = run(recipes, "mini/run_paper.sh")
    assert result.returncode == 2
    assert result.stderr == "run_paper.sh: start it in its directory: cd mini\n"


def test_the_page_also_where_the_environment_was_not_activated(paper):
    """The one of ``make install``: path.sh finds it."""
    words = ["--methods", "oct", *RANDOM]
    python = paper.directory.parents[1] / ".venv" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    interpreter = paper.run(paper.directory, "sh", "-c", "command -v python3").stdout.strip()
    python.write_text(PYTHON.replace("python3", interpreter))
    python.chmod(0o755)
    assert paper(*words, "--python", "python3", VIRTUAL_ENV="", CONDA_PREFIX="").returncode == 0
    assert len(paper.pages) == 1


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2"], ["--seeds", "0 1 2"]], ids=str)
def test_new_classes_of_every_method_and_seed(soundbeam, seeds):
    result = soundbeam(*NEW, *SMALL, *seeds)
    assert result.returncode == 0, result.stderr
    pairs = sorted(itertools.product(METHODS, seeds[-1].split() if seeds else ["0"]))
    for stage in (5, 6, 7, 8, 12, 13, 14):
        assert sorted(ran[1:] for ran in soundbeam.ran(stage)) == pairs, stage
    order = [stage for stage, _, _ in soundbeam.ran(1, 2, 3, 11, 12)]
    assert order == sorted(order) and order.count(11) == 1  # mixed before they are extracted


def test_options_reach_every_stage(soundbeam):
    options = dict(zip(*[iter([*NEW, *SMALL, "--expdir", "my exp", "--examples", "1,5"])] * 2))
    result = soundbeam(*itertools.chain(*options.items()))
    assert result.returncode == 0, result.stderr
    assert all(options.items() <= one.items() for one in soundbeam.asked)
    assert "--exp my exp --out my exp/PAPER.md" in soundbeam.pages[0]


@pytest.mark.parametrize("broken", ["mixed:8", "mixed:14"])
def test_new_classes_of_a_run_that_fails_are_named(soundbeam, broken):
    result = soundbeam(*NEW, *SMALL, broken=broken)
    assert result.returncode == 3
    assert "not done: small_mixed_random_soundbeam\n" in result.stderr
    done = {method for _, method, _ in soundbeam.ran(14)} - ({"mixed"} if "14" in broken else set())
    assert done == set(METHODS) - {"mixed"}
    assert len(soundbeam.pages) == 1


def test_what_is_trained_is_not_trained_again_for_further_draws(soundbeam):
    soundbeam(*NEW, "--methods", "enrl", "--seeds", "0")
    result = soundbeam(*NEW, "--methods", "enrl mixed", "--seeds", "0 1", "--num_draws", "3")
    assert result.returncode == 0, result.stderr
    trained = sorted(ran[1:] for ran in soundbeam.ran(5))
    assert trained == [("enrl", "1"), ("mixed", "0"), ("mixed", "1")]
    assert len(soundbeam.ran(14)) == 4 and len(soundbeam.ran(1)) == 1
    assert all(one["--num_draws"] == "3" for one in soundbeam.asked)


def test_generated_sounds_by_both_papers(recipes, run):
    mini = Recipe(recipes / "mini", run)
    assert mini("--methods", "oct pit", script="./run_paper.sh").returncode == 0
    assert mini.tags() == {"short_oct_random_demo", "short_pit_random_demo"}
    assert "--size short --exp exp --out exp/PAPER.md" in mini.pages[0]
    assert mini(script="./run_new_classes.sh").returncode == 0
    assert [ran[1] for ran in mini.ran(14)] == ["mixed_el"]
    assert mini.asked[-1]["--difficulty"] == "events"
    assert "--paper new_classes.yaml" in mini.pages[0] and "--data_kind synthetic" in mini.pages[0]


@pytest.fixture
def begin(paper, environment):
    """``begin(count, *words)``: in the background, once ``count`` of its runs are under way."""
    started = []

    def run_in_background(count, *words, **variables):
        process = subprocess.Popen(
            ["./run_paper.sh", "--python", "./python", *words],
            cwd=paper.directory,
            env={**environment, "SLEEP": "987", **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # ignored where the tests themselves run in the background, and then for good
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        wait_for(lambda: len(sleepers(paper.directory)) == count or process.poll() is not None)
        assert process.poll() is None
        return process

    yield run_in_background
    for process in started:
        process.terminate()
        process.wait(20)


def wait_for(condition, seconds=30):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_it_stops_what_it_started(paper, begin, number):
    """Ctrl-C, or kill: no training is left behind, and no further one begins."""
    process = begin(2, "--methods", "oct pit hct", *RANDOM, "--parallel", "2")
    process.send_signal(number)
    assert process.wait(20) == 143
    wait_for(lambda: not sleepers(paper.directory))
    assert len(paper.ran(5)) == 2


def test_stopping_it_while_mixtures_are_made(paper, begin):
    process = begin(1, "--methods", "oct", *RANDOM, slow="3")
    process.terminate()
    assert process.wait(20) == 143
    wait_for(lambda: not sleepers(paper.directory))
    assert not paper.ran(5)


def test_what_was_stopped_is_not_done_and_goes_on(paper, begin):
    words = ["--methods", "oct", *RANDOM]
    process = begin(1, *words)
    process.terminate()
    process.wait(20)
    for path in paper.directory.glob("running.*"):
        path.unlink()
    result = paper(*words)
    assert result.returncode == 0 and "1 of 1 runs done" in result.stdout


def test_two_at_once_do_not_train_the_same_run(paper, begin):
    words = ["--methods", "oct", *RANDOM]
    begin(1, *words)
    result = paper(*words)
    assert result.returncode == 3
    assert "oct_random_hard: another process is working on it" in result.stdout


def sleepers(directory):
    """The processes that stand for a training in this directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                words = stream.read().split(b"\0")
            where = os.readlink(f"/proc/{pid}/cwd")
            if words[:2] == [b"sleep", b"987"] and where == str(directory):
                found.append(pid)
        except OSError:
            continue
    return found

"""``egs/fsdkaggle2018/run_tables.sh``: what it has ``run.sh``, which stands aside, do, and when.

``--seeds "0 1 2"``, as its help says, was refused as no whole number.
"""

import itertools

import pytest

# says what it was asked, and leaves what a training leaves, or a failed one
STAND_IN = r"""#!/usr/bin/env bash
set -eu
. ./lib.sh
(IFS=$'\t'; echo "$*" >>asked)
stage=1
while [ $# -gt 0 ]; do printf -v "${1#--}" '%s' "$2"; shift 2; done
tag=$(experiment_tag "${train_config}" "${method}" random_soundbeam "${train_seed}")
case ${stop_stage} in
8) [ "${method}" != "${broken:-}" ] && touch "${expdir}/${tag}/RESULTS.md" ;;
1[2-4]) [ -e "${expdir}/${tag}/RESULTS.md" ] ;;
esac
"""
METHODS = ("onehot", "enrl", "mixed", "mixed_el")
NEW = ["--new_classes", "Oboe,Frog", "--fsdkaggle2018", "a dir"]
SMALL = ["--train_config", "conf/train_small.yaml", "--num_new", "7"]


@pytest.fixture
def tables(recipes, run):
    """``start(*words, **variables)``: the script with the stand-in; also what that was asked."""
    directory = recipes / "fsdkaggle2018"
    (directory / "run.sh").write_text(STAND_IN)

    def start(*words, **variables):
        (directory / "asked").unlink(missing_ok=True)
        result = run(directory, "./run_tables.sh", "--python", "true", *words, **variables)
        asked = []
        if (directory / "asked").exists():
            for line in (directory / "asked").read_text().splitlines():
                said = line.split("\t")
                asked.append({"--stage": "1", **dict(zip(said[::2], said[1::2]))})
        return result, asked

    return start


def done(asked):
    """Every stage that was run, in order, as ``(stage, method, seed)``."""
    return [
        (stage, one["--method"], one["--train_seed"])
        for one in asked
        for stage in range(int(one["--stage"]), int(one["--stop_stage"]) + 1)
    ]


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2"], ["--seeds", "0 1 2"]], ids=str)
def test_every_stage_of_every_method_and_seed_then_the_tables(tables, seeds):
    result, asked = tables(*NEW, *SMALL, *seeds)
    assert result.returncode == 0, result.stderr
    stages = done(asked)
    pairs = list(itertools.product(METHODS, seeds[-1].split() if seeds else ["0"]))
    for stage in (5, 6, 7, 8, 12, 13, 14):
        found = [(method, seed) for number, method, seed in stages if number == stage]
        assert sorted(set(found)) == sorted(pairs), stage
    numbers = [number for number, _, _ in stages]
    assert {1, 2, 3, 4} <= set(numbers) and numbers.count(15) == 1
    order = [number for number in numbers if number in (8, 11, 12, 15)]
    assert order == sorted(order)  # mixtures of new classes before they are extracted


def test_options_reach_every_stage(tables):
    options = dict(zip(*[iter([*NEW, *SMALL, "--expdir", "my exp", "--examples", "1,5"])] * 2))
    result, asked = tables(*itertools.chain(*options.items()))
    assert result.returncode == 0, result.stderr
    assert all(options.items() <= one.items() for one in asked)


def test_a_training_that_fails_is_named_and_the_tables_are_of_the_others(tables):
    result, asked = tables(*NEW, *SMALL, broken="mixed")
    assert result.returncode == 3
    assert "not done: small_mixed_random_soundbeam\n" in result.stderr
    after = [method for stage, method, _ in done(asked) if 12 <= stage <= 14]
    assert sorted(set(after)) == sorted(set(METHODS) - {"mixed"})
    assert done(asked)[-1][0] == 15


def test_what_is_trained_is_not_trained_again(tables):
    tables(*NEW, "--methods", "enrl", "--seeds", "0")
    result, asked = tables(*NEW, "--methods", "enrl mixed", "--seeds", "0 1")
    assert result.returncode == 0, result.stderr
    trained = [one[1:] for one in done(asked) if one[0] == 5]
    assert sorted(trained) == [("enrl", "1"), ("mixed", "0"), ("mixed", "1")]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--seeds", "0,1"], "option --seeds: expected whole numbers, found '0,1'"),
        (["--methods", ""], "option --methods is empty"),
        (["--methods", "mixd"], "no file conf/method_mixd.yaml; there are: conf/method_enrl.yaml"),
        (["--method", "mixed"], "--method is chosen here: see --methods"),
        (["--stage", "12"], "--stage is chosen here"),
        (["--new_clases", "Oboe"], "no option --new_clases (did you mean --new_classes?)"),
        (["Oboe"], "unexpected argument 'Oboe'"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_made(tables, words, message):
    result, asked = tables(*words)
    assert result.returncode == 2 and not asked
    assert f": {message}" in result.stderr and result.stderr.count("\n") == 1

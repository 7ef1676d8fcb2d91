"""Examples: the enrollments of a mixture are all clips of another set of its target's class."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tsx_espnet.bin.mix import main
from tsx_espnet.conditions.enrollment import enrollment_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.tables import read_table

NUMBER = 40


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def names(labels):
    """Id of each example -> its labels; the ids of a class say which comes first."""
    return {
        f"{rank:02d}_{kind}{9 - rank}": own
        for kind, own in labels.items()
        for rank in range(1, 2 if kind == "drip" else 4)
    }


@pytest.fixture
def examples(make_clips, make_noise, names, rng):
    """Three examples of each class, longer than a drawn enrollment would be; one drip."""
    lengths = dict(zip(names, range(len(names))))
    return make_clips(
        {name: (make_noise(rng, 0.5 + lengths[name] / 100), own) for name, own in names.items()}
    )


@pytest.fixture
def command(corpus_dir, tmp_path):
    """Makes a set with these options; returns the directory."""

    def run(name, *more):
        config = tmp_path / "mix.yaml"
        config.write_text("{duration: 1.0, enrollments: 1, enrollment_duration: 0.3}")
        words = ["--clips", corpus_dir, "--out", tmp_path / name]
        if "--rebuild" not in more:
            words += ["--config", config, "--num_mixtures", NUMBER]
        main([str(word) for word in (*words, *more)])
        return tmp_path / name

    return run


def audio(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in (*directory.rglob("*.wav"), directory / "mixtures.jsonl")
    }


def test_tables_of_a_set(command, examples, names):
    out = command("set", "--examples", examples.directories[0])
    classes, values = read_table(out / "utt2class"), read_table(out / "utt2enrollment")
    of_class = {}
    for name, value in values.items():
        expected = [one for one in sorted(names) if classes[name] in names[one]]
        paths = [str(examples.directories[0] / "wav" / f"{one}.wav") for one in expected]
        assert value == (json.dumps(paths) if len(paths) > 1 else paths[0])
        assert enrollment_paths(value) == paths
        of_class.setdefault(classes[name], set()).add(value)
    assert len(values) == NUMBER and len(of_class) > 3 and "Drip" in of_class
    assert all(len(found) == 1 for found in of_class.values())  # the same for each mixture
    for plan in read_plans(out / "mixtures.jsonl"):  # whole, whatever enrollment_duration is
        for one in plan.enrollments:
            assert (one.start, one.length) == (0, examples.num_samples(one.clip))
    assert not (out / "wav" / "enrollment").exists()


def test_examples_change_no_mixture(corpus, examples):
    for enrollments in (0, 3):
        config = MixingConfig(duration=1.0, enrollments=enrollments)
        with_examples = Sampler(corpus, config, examples=examples)
        without = Sampler(corpus, config)
        for index in range(30):
            plan = with_examples.draw(0, 0, index)
            assert plan.enrollments
            drawn = without.draw(0, 0, index).enrollments
            assert len(drawn) == enrollments
            assert without.draw(0, 0, index) == dataclasses.replace(plan, enrollments=drawn)


def test_rebuilding_and_parts_give_the_same_set(command, examples):
    given = ("--examples", examples.directories[0])
    whole = command("whole", *given)
    for part in (1, 2):
        command("parts", *given, "--num_jobs", 2, "--job", part)
    parts = command("parts", *given, "--num_jobs", 2, "--merge")
    again = command("again", *given, "--rebuild", whole)
    table = (whole / "utt2enrollment").read_bytes()
    for other in (parts, again):
        assert audio(other) == audio(whole)
        assert (other / "utt2enrollment").read_bytes() == table
    with pytest.raises(TSXError, match=r"no clip '0\d_\w+'$"):
        command("without", "--rebuild", whole)


def test_other_examples_are_another_set(command, examples, tmp_path, capsys):
    command("set", "--examples", examples.directories[0])
    moved = tmp_path / "moved"
    shutil.copytree(examples.directories[0], moved)
    command("set", "--examples", moved)
    assert capsys.readouterr().out.endswith(f"already done ({NUMBER} mixtures)\n")
    (moved / ".done").write_text('{"fs": 8000, "checksum": "other"}')
    with pytest.raises(TSXError, match=r"made differently .examples.formatted.checksum: '\w+' th"):
        command("set", "--examples", moved)
    with pytest.raises(TSXError, match=r"made differently .examples: \{.*\} there, None now\)"):
        command("set")


def test_a_class_without_an_example_is_refused_by_name(command, make_clips, make_noise, rng):
    given = {"01_x": (make_noise(rng, 0.5), ("Bark", "Growling", "Rain", "Drip", "Engine", "Horn"))}
    few = make_clips(given)
    with pytest.raises(TSXError, match=f"{few}: holds no example of Meow$"):
        command("set", "--examples", few.directories[0])


def test_examples_alone_need_no_second_clip_of_a_class(make_clips, make_noise, rng):
    """A class with a single clip is refused only where enrollments are drawn among the clips."""
    clips = make_clips({name: (make_noise(rng, 1.0), (name,)) for name in ("Bark", "Horn")})
    config = MixingConfig(duration=1.0, enrollments=1)
    with pytest.raises(TSXError, match="too few of Bark"):
        Sampler(clips, config)
    examples = make_clips({f"01_{x}": (make_noise(rng, 1.0), (x,)) for x in ("Bark", "Horn")})
    for index in range(10):
        plan = Sampler(clips, config, examples=examples).draw(0, 0, index)
        assert [one.clip for one in plan.enrollments] == [f"01_{plan.conditions['class']}"]

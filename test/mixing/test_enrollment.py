"""Enrollments: other recordings of the target's class, drawn and stored with the mixture."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
import scipy.stats
import soundfile

from tsx_espnet.bin.mix import main
from tsx_espnet.conditions.enrollment import enrollment_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.mixture_set import data_table
from tsx_espnet.mixing.plan import Plan, read_plans
from tsx_espnet.mixing.render import render_enrollments
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.tables import read_table

CONFIG = MixingConfig(duration=1.0, enrollments=2, enrollment_duration=1.5)


@pytest.fixture(scope="module")
def sampler(corpus):
    return Sampler(corpus, CONFIG)


def test_other_clips_of_the_target_class_alone(sampler, corpus):
    for index in range(150):
        plan = sampler.draw(0, 0, index)
        target = plan.sources[plan.target]
        foreign = {x for s in plan.sources for x in s.labels}.difference(target.labels)
        names = [one.clip for one in plan.enrollments]
        assert len(set(names)) == 2 and target.clip not in names
        for name in names:
            assert plan.conditions["class"] in corpus.labels(name)
            assert not foreign.intersection(corpus.labels(name))
        assert Plan.from_json(plan.to_json()) == plan


def test_whole_clips_or_a_part_that_sounds(sampler, corpus):
    whole = 0
    for index in range(150):
        plan = sampler.draw(1, 0, index)
        for one, samples in zip(plan.enrollments, render_enrollments(plan, corpus)[plan.target]):
            total = corpus.num_samples(one.clip)
            assert one.length == len(samples) <= 12000
            assert one.length == total or one.length > 12000 - 80 and total > 12000
            whole += one.length == total
            np.testing.assert_array_equal(samples, corpus.read(one.clip)[one.start :][: one.length])
            frames = np.square(samples[: len(samples) // 80 * 80]).reshape(-1, 80).sum(axis=1)
            assert (frames > 80 * 1e-6).sum() >= 25
    assert 0 < whole < 300


def test_mixtures_are_the_same_with_and_without(sampler, corpus):
    without = Sampler(corpus, dataclasses.replace(CONFIG, enrollments=0))
    for index in range(40):
        plan = sampler.draw(2, 0, index)
        assert without.draw(2, 0, index) == dataclasses.replace(plan, enrollments=())


def test_every_other_clip_is_as_likely(make_clips, make_noise):
    rng = np.random.default_rng(0)
    clips = {f"{x}{n}": (make_noise(rng, 0.5), (x,)) for x in "AB" for n in range(4)}
    config = MixingConfig(duration=0.6, enrollments=1)
    sampler = Sampler(make_clips(clips), config)
    plans = [sampler.draw(0, 0, index) for index in range(1200)]
    pairs = Counter((p.sources[p.target].clip, p.enrollments[0].clip) for p in plans)
    assert len(pairs) == 24 and scipy.stats.chisquare(list(pairs.values())).pvalue > 0.01


def test_a_class_with_a_single_clip_is_refused_with_its_name(make_clips, make_noise):
    rng = np.random.default_rng(0)
    clips = {f"{x}{n}": (make_noise(rng, 1.0), (x,)) for x in ("Bark", "Rain") for n in range(3)}
    clips = make_clips({**clips, "horn": (make_noise(rng, 1.0), ("Horn",))})
    config = MixingConfig(duration=1.0)
    Sampler(clips, config)
    with pytest.raises(TSXError, match=r"enrollments: 1 needs 2 clips .* too few of Horn \(1\)$"):
        Sampler(clips, dataclasses.replace(config, enrollments=1))
    with pytest.raises(TSXError, match=r"too few of Bark \(3\), Horn \(1\), Rain \(3\)$"):
        Sampler(clips, dataclasses.replace(config, enrollments=3))


def test_no_enrollment_without_the_other_source(make_clips, make_noise):
    rng = np.random.default_rng(0)
    labels = {"a": ("Bark",), "b": ("Bark", "Rain"), "c": ("Rain",)}
    clips = make_clips({name: (make_noise(rng, 1.0), own) for name, own in labels.items()})
    with pytest.raises(TSXError, match=r"refused: \d+ .*no enrollment without the other sources'"):
        Sampler(clips, MixingConfig(duration=1.0, enrollments=1))


@pytest.fixture(scope="module")
def command(corpus_dir, tmp_path_factory):
    """Makes a set with these options of the config; returns the directory."""
    folder = tmp_path_factory.mktemp("enrolled")

    def run(name, options, *more):
        (folder / "mix.yaml").write_text(f"{{duration: 1.0, {options}}}")
        words = ["--clips", corpus_dir, "--out", folder / name, "--config", folder / "mix.yaml"]
        main([str(word) for word in (*words, "--num_mixtures", 9, *more)])
        return folder / name

    return run


@pytest.mark.parametrize("number", [1, 2])
def test_tables_of_a_set(command, corpus, number):
    out = command(f"set{number}", f"enrollments: {number}, enrollment_duration: 1.5")
    plans = read_plans(out / "mixtures.jsonl")
    values = read_table(out / "utt2enrollment")
    assert list(values) == [plan.id for plan in plans]
    kinds, written = set(), set()
    for plan in plans:
        paths = json.loads(values[plan.id]) if number > 1 else [values[plan.id]]
        assert paths == enrollment_paths(values[plan.id]) and len(paths) == number
        recordings = render_enrollments(plan, corpus)[plan.target]
        for path, one, samples in zip(paths, plan.enrollments, recordings):
            found, fs = soundfile.read(path, dtype="float32")
            assert fs == 8000
            np.testing.assert_array_equal(found, samples)
            kinds.add(path == corpus.path(one.clip))
            written |= {path}.difference([corpus.path(one.clip)])
    assert kinds == {True, False}  # a clip where it is, a part as a file of the set
    assert written == set(map(str, (out / "wav" / "enrollment").iterdir()))
    assert files(out) == {row.file for row in data_table()}


def test_a_set_without(command):
    out = command("none", "enrollments: 0")
    assert set(read_table(out / "utt2enrollment").values()) == {"n/a"}
    assert not list((out / "wav").glob("enroll*"))
    assert "enrollments" not in (out / "mixtures.jsonl").read_text()
    assert files(out) == {row.file for row in data_table()}


def test_parts_and_rebuilding_give_the_same_set(command, corpus_dir, tmp_path):
    options = "enrollments: 1, enrollment_duration: 1.0"
    whole = command("whole", options)
    command("parts", options, "--num_jobs", 2, "--job", 2)
    command("parts", options, "--num_jobs", 2, "--job", 1)
    parts = command("parts", options, "--num_jobs", 2, "--merge")
    again = tmp_path / "again"
    main(["--rebuild", str(whole), "--clips", str(corpus_dir), "--out", str(again)])
    for other in (parts, again):
        assert contents(other) == contents(whole)
    assert any("wav/enrollment/" in name for name in contents(whole))


def test_a_damaged_enrollment_is_written_again(command, tmp_path):
    options = "enrollments: 1, enrollment_duration: 0.5"
    out = command("damaged", options)
    before = contents(out)
    (out / ".done").unlink()
    path = next((out / "wav" / "enrollment").glob("*.wav"))
    path.write_bytes(path.read_bytes()[:100])
    (out / ".begun").write_text((command("like", options) / ".done").read_text())
    command("damaged", options)
    assert contents(out) == before


def files(directory):
    """The tables of a set."""
    found = {path.name for path in directory.iterdir()}
    assert found >= {"mixtures.jsonl", ".done", "wav"}
    return found - {"mixtures.jsonl", ".done", "wav"}


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes().replace(str(directory).encode(), b"SET")
        for path in directory.rglob("*")
        if path.is_file() and path.name != ".done"
    }

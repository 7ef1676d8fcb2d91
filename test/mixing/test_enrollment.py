"""Enrollments: other recordings of the target's class, drawn and stored with the mixture."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import soundfile

from tsx_espnet.bin.mix import main
from tsx_espnet.conditions.enrollment import enrollment_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import data_table
from tsx_espnet.mixing.plan import Plan, read_plans
from tsx_espnet.mixing.render import render, render_enrollments
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


class TestOfTheSameClip:
    """``enrollment_from: same``: source and enrollment are disjoint parts of one clip."""

    CONFIG = MixingConfig(
        **{"duration": 1.0, "strategy": "clips", "num_sources": (1, 3), "min_overlap": 0.1},
        **{"enrollments": 1, "enrollment_duration": 1.5, "enrollment_from": "same"},
    )

    @pytest.fixture(scope="class")
    def sampler(self, corpus):
        return Sampler(corpus, self.CONFIG)

    def test_they_share_no_sample_and_both_sound(self, sampler, corpus):
        """On clips of 0.1 to 9 s, sparse ones among them, against the audio itself."""
        sides, least = Counter(), 25  # frames
        for index in range(1500):
            plan = sampler.draw(0, 0, index)
            (one,), target = plan.enrollments, plan.sources[plan.target]
            assert one.clip == target.clip
            total = corpus.num_samples(one.clip)
            assert total >= 4000 and one.start + one.length <= total
            source_first = target.start + target.length <= one.start
            assert source_first or one.start + one.length <= target.start
            sides[source_first] += 1
            assert one.length <= 12000 and target.length <= 8000
            whole = loudness(corpus.read(one.clip))
            part = loudness(render_enrollments(plan, corpus)[plan.target][0])
            assert (part > max(whole.max() * 1e-4, 1e-6)).sum() >= least
            source = loudness(render(plan, corpus)[0][plan.target])
            assert (source > max(source.max() * 1e-4, 1e-6)).sum() >= least
            assert Plan.from_json(plan.to_json()) == plan
        assert scipy.stats.binomtest(sides[True], 1500).pvalue > 0.01

    def test_a_long_clip_has_room_for_both(self, make_clips, make_noise):
        """Of 10 s, 1 s is mixed and 1.5 s are the enrollment, anywhere."""
        rng = np.random.default_rng(0)
        clips = make_clips({name: (make_noise(rng, 10.0), ()) for name in "ab"}, captions=TEXTS)
        sampler = Sampler(clips, dataclasses.replace(self.CONFIG, num_sources=1))
        plans = [sampler.draw(0, 0, index) for index in range(600)]
        assert {plan.enrollments[0].length for plan in plans} == {12000}
        assert {plan.sources[0].length for plan in plans} == {8000}
        for one in ([p.sources[0] for p in plans], [p.enrollments[0] for p in plans]):
            starts = np.array([x.start / (80000 - x.length) for x in one])
            assert np.histogram(starts, 5, (0, 1))[0].min() > 60 and starts.max() > 0.97

    @pytest.mark.parametrize("seconds", [2.2, 1.0, 0.5])
    def test_a_short_clip_is_shared(self, make_clips, make_noise, seconds):
        """As 1 s and 1.5 s would be."""
        rng = np.random.default_rng(0)
        clips = make_clips({name: (make_noise(rng, seconds), ()) for name in "ab"}, captions=TEXTS)
        config = dataclasses.replace(self.CONFIG, num_sources=1, min_sounding=0.1)
        sampler = Sampler(clips, config)
        for index in range(50):
            plan = sampler.draw(0, 0, index)
            source, enrollment = plan.sources[0].length, plan.enrollments[0].length
            assert source + enrollment == seconds * 8000
            assert source / enrollment == pytest.approx(1 / 1.5, rel=0.05)

    def test_sound_at_one_end_is_cut_where_it_is(self, make_clips, make_noise):
        """0.6 s of sound at the end of 5 s: each part has 0.25 s of it, or there is no mixture."""
        rng = np.random.default_rng(0)
        silence = np.zeros(35200)
        late = np.concatenate([silence, make_noise(rng, 0.6)])
        clips = make_clips({name: (late, ()) for name in "ab"}, captions=TEXTS)
        sampler = Sampler(clips, dataclasses.replace(self.CONFIG, num_sources=1))
        for index in range(50):
            plan = sampler.draw(0, 0, index)
            cuts = sorted((x.start, x.start + x.length) for x in (*plan.sources, *plan.enrollments))
            assert 35200 + 2000 <= cuts[0][1] <= cuts[1][0] <= 40000 - 2000
        short = np.concatenate([silence, make_noise(rng, 0.4)])
        clips = make_clips({name: (short, ()) for name in "ab"}, captions=TEXTS)
        with pytest.raises(TSXError, match="1000 draws refused: 1000 too short to be cut in two"):
            Sampler(clips, dataclasses.replace(self.CONFIG, num_sources=1))

    def test_clips_too_short_for_two_are_never_drawn(self, make_clips, make_noise):
        rng = np.random.default_rng(0)
        clips = {name: (make_noise(rng, 0.6), (name,)) for name in "ab"}
        clips = make_clips({**clips, "c": (make_noise(rng, 0.45), ("c",))})
        config = dataclasses.replace(self.CONFIG, num_sources=2, strategy="random")
        sampler = Sampler(clips, config)
        drawn = {s.clip for index in range(60) for s in sampler.draw(0, 0, index).sources}
        assert drawn == {"a", "b"}
        with pytest.raises(TSXError, match="all 3 clips are shorter than twice min_sounding = 0.5"):
            Sampler(clips, dataclasses.replace(config, min_sounding=0.5))

    def test_an_only_clip_of_its_class_will_do(self, corpus, make_clips, make_noise):
        rng = np.random.default_rng(0)
        clips = make_clips({name: (make_noise(rng, 1.0), (name,)) for name in "ab"})
        config = dataclasses.replace(self.CONFIG, strategy="random", num_sources=2)
        assert Sampler(clips, config).draw(0, 0, 0).enrollments
        with pytest.raises(TSXError, match="enrollments: 1 needs 2 clips of each class"):
            Sampler(clips, dataclasses.replace(config, enrollment_from="other"))

    def test_every_target_has_its_own(self, corpus):
        config = dataclasses.replace(self.CONFIG, num_sources=(2, 3), num_targets="all")
        sampler = Sampler(corpus, config)
        for index in range(100):
            plan = sampler.draw(0, 0, index)
            assert len(plan.enrollments) == len(plan.sources)
            for one in plan.enrollments:
                number = plan.target if one.component is None else one.component
                source = plan.sources[number]
                assert one.clip == source.clip
                first, second = sorted([source, one], key=lambda x: x.start)
                assert first.start + first.length <= second.start

    def test_a_set_on_disk(self, command, corpus):
        out = command("cut", "strategy: clips, enrollments: 1, enrollment_from: same")
        values = read_table(out / "utt2enrollment")
        for plan in read_plans(out / "mixtures.jsonl"):
            found, _ = soundfile.read(values[plan.id], dtype="float32")
            np.testing.assert_array_equal(found, render_enrollments(plan, corpus)[plan.target][0])
            assert Path(values[plan.id]).parent == out / "wav" / "enrollment"


class TestOfOtherClips:
    """``enrollment_from: other`` goes by labels."""

    def test_clips_without_labels_are_refused_by_name(self, make_clips, make_noise):
        rng = np.random.default_rng(0)
        clips = {f"a{n}": (make_noise(rng, 0.6), ("A",)) for n in range(3)}
        clips = make_clips({**clips, "b": (make_noise(rng, 0.6), ())}, captions=TEXTS)
        config = MixingConfig(duration=0.6, strategy="clips", enrollments=1)
        with pytest.raises(TSXError, match="enrollments: clip 'b' has no label .*_from: same"):
            Sampler(clips, config)
        with pytest.raises(TSXError, match="enrollments: clip 'b' has no label"):
            Sampler(clips, dataclasses.replace(config, enrollments=0), examples=clips)

    def test_not_applicable_if_the_other_source_has_the_label(self, corpus):
        sampler = Sampler(corpus, MixingConfig(duration=1.0, strategy="clips", enrollments=1))
        seen = Counter()
        for index in range(400):
            plan = sampler.draw(0, 0, index)
            assert bool(plan.enrollments) == ("class" in plan.conditions)
            target, other = (plan.sources[n].labels for n in (plan.target, 1 - plan.target))
            for one in plan.enrollments:
                assert plan.conditions["class"] in corpus.labels(one.clip)
                assert not set(corpus.labels(one.clip)).intersection(set(other) - set(target))
            seen[bool(plan.enrollments)] += 1
        assert min(seen.values()) > 10


TEXTS = {name: [f"It is {name}."] for name in "ab"}


def loudness(samples):
    """Mean square of each whole 10 ms."""
    return np.square(samples[: len(samples) // 80 * 80], dtype=float).reshape(-1, 80).mean(axis=1)

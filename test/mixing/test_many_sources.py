"""Mixtures of three and more sources, with and without a background, checked on their audio."""

import dataclasses
import multiprocessing
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.render import mix, render
from tsx_espnet.mixing.sampler import Sampler

HOP = 80
CONFIGS = {
    "three": {"num_sources": 3, "min_overlap": 0.5, "snr": [0, 5]},
    "four": {"num_sources": 4, "min_overlap": 0.1, "duration": 3.0},
    "gap": {"num_sources": 3, "min_overlap": 0.1, "duration": 2.0, "onset_gap": [0.2, 0.9]},
    "anywhere": {"num_sources": 3, "placement": "uniform", "clip_duration": [0.5, 1.5]},
    "whole": {"placement": "uniform", "duration": 4.0, "class_level": "any"},
    "noisy": {"num_sources": 3, "min_overlap": 0.3, "background": {"snr": [5, 10]}},
    "soundbeam": {
        **{"duration": 6.0, "num_sources": 3, "clip_duration": [2, 5], "placement": "uniform"},
        **{"snr": None, "background": {"snr": [15, 25]}},
    },
}


@pytest.fixture(scope="module")
def samplers(corpus):
    return {name: Sampler(corpus, MixingConfig(**options)) for name, options in CONFIGS.items()}


def decibels(energy):
    return 10 * np.log10(energy)


def heard(source):
    """Sounding frames: within 40 dB of the loudest frame and above -60 dB."""
    level = decibels(np.square(source, dtype=np.float64).reshape(-1, HOP).mean(axis=1) + 1e-20)
    return (level > level.max() - 40) & (level > -60)


def spans(sources):
    frames = [np.flatnonzero(heard(source)) for source in sources]
    return [(own[0], own[-1] + 1) for own in frames]


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), index=st.integers(0, 10**6))
def test_what_is_heard_is_what_was_planned(samplers, corpus, name, seed, index):
    config = samplers[name].config
    plan = samplers[name].draw(seed, 0, index)
    assert Plan.from_json(plan.to_json()) == plan
    rows, mixture = render(plan, corpus)
    np.testing.assert_array_equal(render(plan, corpus)[1], mixture)
    other = mix(rows, plan.target)[0]
    np.testing.assert_array_equal(mixture, rows[plan.target] + other)
    number = config.num_sources
    assert len(plan.sources) == number and len(rows) == number + (config.background is not None)
    energy = np.square(rows, dtype=np.float64).sum(axis=1)
    assert decibels(energy.sum() / len(mixture)) == pytest.approx(config.level, abs=0.01)
    rest = energy.sum() - energy[plan.target]
    assert decibels(energy[plan.target] / rest) == pytest.approx(plan.snr, abs=0.01)
    if config.snr is not None:
        difference = np.abs(decibels(energy[1:number] / energy[0]))
        assert np.all(difference >= config.snr[0] - 0.01)
        assert np.all(difference <= config.snr[1] + 0.01)
        if config.background is not None:
            over = decibels(energy[:-1].sum() / energy[-1])
            assert config.background.snr[0] - 0.01 <= over <= config.background.snr[1] + 0.01
    else:  # over the time of each crop, whole frames
        frames = np.array([-(-source.length // HOP) for source in plan.sources])
        noise = energy[-1] / (len(mixture) // HOP)
        over = decibels(energy[:-1] / frames / noise)
        low, high = config.background.snr
        assert np.all((low - 0.01 <= over) & (over <= high + 0.01))


@pytest.mark.parametrize("name", CONFIGS)
def test_times(samplers, corpus, name):
    config = samplers[name].config
    for index in range(25):
        plan = samplers[name].draw(1, 0, index)
        places = spans(render(plan, corpus)[0][: config.num_sources])
        pairs = [(one, two) for n, one in enumerate(places) for two in places[:n]]
        common = [max(0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in pairs]
        shorter = [min(a[1] - a[0], b[1] - b[0]) for a, b in pairs]
        # what is left of a span is at most as long as it was drawn
        assert min(c / s for c, s in zip(common, shorter)) >= plan.overlap - 1e-9
        if config.placement == "overlap":
            assert plan.overlap >= config.min_overlap - 1e-9
        if config.onset_gap is not None:
            gaps = np.diff(sorted(place[0] for place in places)).cumsum() * 0.01
            assert np.all((gaps > config.onset_gap[0] - 1e-6) & (gaps < config.onset_gap[1] + 1e-6))
        for source in plan.sources:
            total = corpus.num_samples(source.clip)
            if config.clip_duration is not None:
                low, high = (round(8000 * bound) for bound in config.clip_duration)
                assert min(low, total) - HOP < source.length <= high
            elif config.placement == "uniform":
                assert source.length == min(total, round(config.duration * 8000))


@pytest.mark.parametrize("name", CONFIGS)
def test_conditions_tell_the_target_from_every_other_source(samplers, corpus, name):
    seen = Counter()
    for index in range(60):
        plan = samplers[name].draw(2, 0, index)
        rows = render(plan, corpus)[0][: len(plan.sources)]
        own = rows[plan.target]
        others = [row for n, row in enumerate(rows) if n != plan.target]
        level = [decibels(np.sum(row.astype(float) ** 2)) for row in (own, *others)]
        onset = [np.flatnonzero(heard(row))[0] for row in (own, *others)]
        if plan.conditions.get("energy") == "high":
            assert level[0] > max(level[1:])
        if plan.conditions.get("energy") == "low":
            assert level[0] < min(level[1:])
        if plan.conditions.get("order") == "first":
            assert onset[0] < min(onset[1:])
        if plan.conditions.get("order") == "second":
            assert onset[0] > max(onset[1:])
        labels = {x for n, s in enumerate(plan.sources) if n != plan.target for x in s.labels}
        assert plan.conditions["class"] in set(plan.sources[plan.target].labels) - labels
        assert len({source.label for source in plan.sources}) == len(plan.sources)
        for m, source in enumerate(plan.sources):
            assert all(source.label not in s.labels for n, s in enumerate(plan.sources) if n != m)
        seen.update(plan.conditions.keys())
    assert 0 < seen["energy"] < 60 or len(plan.sources) == 2


def test_times_and_lengths_are_uniform(make_clips, make_noise):
    rng = np.random.default_rng(0)
    clips = make_clips({name: (make_noise(rng, 9.0), (name.upper(),)) for name in "abc"})
    sampler = Sampler(clips, MixingConfig(**CONFIGS["soundbeam"]))
    plans = [sampler.draw(0, 0, index) for index in range(300)]
    sources = [source for plan in plans for source in plan.sources]
    length = np.array([source.length for source in sources]) / 8000
    assert scipy.stats.kstest(length, "uniform", args=(2, 3)).pvalue > 0.01
    place = np.array([s.offset / (48000 - s.length) for s in sources])
    start = np.array([s.start / (72000 - s.length) for s in sources])
    for part in (place, start):
        assert scipy.stats.kstest(part, "uniform").pvalue > 0.01
    first = np.array([plan.sources[0].offset / 8000 for plan in plans])
    second = np.array([plan.sources[1].offset / 8000 for plan in plans])
    assert scipy.stats.spearmanr(first, second).pvalue > 0.01
    slope = [plan.background.slope for plan in plans]
    assert scipy.stats.kstest(slope, "uniform", args=(-6, 6)).pvalue > 0.01
    assert len({plan.background.seed for plan in plans}) == 300


def test_every_source_is_as_often_the_target_and_classes_are_uniform(make_clips, make_noise):
    rng = np.random.default_rng(0)
    names = [f"{label}{n}" for label in "ABCDE" for n in range(1 + ord(label) % 3)]
    clips = {name: (make_noise(rng, 0.5), (name[0],)) for name in names}
    config = MixingConfig(num_sources=3, duration=1.0, placement="uniform")
    sampler = Sampler(make_clips(clips), config)
    plans = [sampler.draw(0, 0, index) for index in range(1800)]
    assert scipy.stats.chisquare(list(Counter(p.target for p in plans).values())).pvalue > 0.01
    triples = Counter(tuple(source.label for source in plan.sources) for plan in plans)
    assert len(triples) == 60 and scipy.stats.chisquare(list(triples.values())).pvalue > 0.01


@pytest.mark.parametrize("strategy", ["different", "same"])
def test_super_classes(corpus, superclasses, strategy):
    options = {"num_sources": 3, "duration": 3.0, "min_overlap": 0.1, "strategy": strategy}
    sampler = Sampler(corpus, MixingConfig(**options), superclasses)
    group_of = {sub: group for group, subs in superclasses.items() for sub in subs}
    for index in range(100):
        groups = {group_of[s.label] for s in sampler.draw(0, 0, index).sources}
        assert len(groups) == 3 if strategy == "different" else groups == {"Animal"}


class TestNewClasses:
    OPTIONS = {"num_sources": 3, "duration": 1.0, "placement": "uniform"}

    @pytest.mark.parametrize("target, places", [("any", {0, 1, 2}), ("new", {0}), ("seen", {1, 2})])
    def test_one_source_is_new(self, corpus, target, places):
        config = MixingConfig(**self.OPTIONS)
        new = ["Engine", "Horn"]
        sampler = Sampler(corpus, config, new_classes=new, target=target)
        plans = [sampler.draw(0, 0, index) for index in range(100)]
        assert {plan.target for plan in plans} == places
        firsts = Counter(plan.sources[0].label for plan in plans)
        assert set(firsts) == set(new) and min(firsts.values()) > 30
        assert not any(source.label in new for plan in plans for source in plan.sources[1:])

    def test_refusals(self, corpus):
        config = MixingConfig(**self.OPTIONS)
        with pytest.raises(TSXError, match="no clip of the new classes Zebra"):
            Sampler(corpus, config, new_classes=["Zebra"])
        most = [label for label in corpus.classes if label != "Rain"]
        with pytest.raises(TSXError, match=r"two classes that are not new are needed.* 1 \(Rain\)"):
            Sampler(corpus, config, new_classes=most)
        with pytest.raises(TSXError, match="target new: only with new classes"):
            Sampler(corpus, config, target="new")
        with pytest.raises(TSXError, match="target: expected one of any, new, seen, found 'old'"):
            Sampler(corpus, config, new_classes=["Horn"], target="old")
        with pytest.raises(TSXError, match="only with strategy random, not same"):
            same = dataclasses.replace(config, strategy="same")
            Sampler(corpus, same, new_classes=["Horn"])


def _draw_some(sampler):
    return [sampler.draw(3, 7, index).to_json() for index in range(10)]


def test_any_process_draws_the_same(samplers):
    here = _draw_some(samplers["soundbeam"])
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(_draw_some, [samplers["soundbeam"]]) == [here]


def test_too_few_classes(make_clips, make_noise, superclasses):
    rng = np.random.default_rng(0)
    clips = make_clips({x: (make_noise(rng, 1.0), (x,)) for x in ("Bark", "Rain")})
    with pytest.raises(TSXError, match=r"3 classes are needed to mix, found 2 \(Bark, Rain\)"):
        Sampler(clips, MixingConfig(num_sources=3))
    needs = {"different": "3 super-classes with a", "same": "a super-class with 3"}
    for strategy, needed in needs.items():
        config = MixingConfig(num_sources=3, strategy=strategy)
        with pytest.raises(TSXError, match=f"needs {needed} sub-class"):
            Sampler(clips, config, superclasses)

"""Mixtures as drawn, checked on the audio they render to."""

import dataclasses
import multiprocessing
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.conditions import phrase
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.render import mix, render
from tsx_espnet.mixing.sampler import Sampler

HOP = 80
CONFIGS = {
    "hard": MixingConfig(),
    "easy": MixingConfig(snr=(0, 5), min_overlap=0.6),
    "short": MixingConfig(duration=1.3, snr=(3, 8), min_overlap=0.3),
    "gap": MixingConfig(duration=2.0, onset_gap=(0.4, 0.9), min_overlap=0.2),
    "loose": MixingConfig(min_overlap=0.0, class_level="any", text_variants=True, level=-35),
}


@pytest.fixture(scope="module")
def samplers(corpus):
    return {name: Sampler(corpus, config) for name, config in CONFIGS.items()}


def heard(source):
    """Sounding frames, said again: within 40 dB of the loudest frame and above -60 dB."""
    energy = np.square(source, dtype=np.float64).reshape(-1, HOP).sum(axis=1)
    decibels = 10 * np.log10(energy / HOP + 1e-20)
    return (decibels > decibels.max() - 40) & (decibels > -60)


def span(mask):
    frames = np.flatnonzero(mask)
    return frames[0], frames[-1] + 1


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 1000), index=st.integers(0, 10**6))
def test_what_is_heard_is_what_was_planned(samplers, corpus, name, seed, epoch, index):
    config = CONFIGS[name]
    plan = samplers[name].draw(seed, epoch, index)
    sources, mixture = render(plan, corpus)
    target, other = plan.target, 1 - plan.target
    # mixture
    assert sources.dtype == mixture.dtype == np.float32
    assert mixture.shape == (round(config.duration * 8000),)
    np.testing.assert_array_equal(mixture, sources[target] + sources[other])
    np.testing.assert_array_equal(render(plan, corpus)[1], mixture)
    # levels
    power = np.square(sources, dtype=np.float64).mean(axis=1)
    snr = 10 * np.log10(power[target] / power[other])
    assert snr == pytest.approx(plan.snr, abs=0.01)
    assert config.snr[0] - 0.01 <= abs(snr) <= config.snr[1] + 0.01
    assert 10 * np.log10(power.sum()) == pytest.approx(config.level, abs=0.01)
    # overlap; as drawn, a span was at least as long as what is left of it
    masks = [heard(source) for source in sources]
    assert min(mask.sum() for mask in masks) * 0.01 >= config.min_sounding - 1e-9
    spans = [span(mask) for mask in masks]
    common = max(0, min(s[1] for s in spans) - max(s[0] for s in spans))
    shorter = min(s[1] - s[0] for s in spans)
    assert common / shorter >= plan.overlap - 1e-9 >= config.min_overlap - 2e-9
    # conditions
    gap = (spans[target][0] - spans[other][0]) * 0.01
    if config.onset_gap:
        assert config.onset_gap[0] - 1e-6 <= abs(gap) <= config.onset_gap[1] + 1e-6
    order = None if abs(gap) < config.onset_margin - 1e-6 else ("first" if gap < 0 else "second")
    assert plan.conditions.get("order") == order
    energy = None if abs(snr) < config.level_margin else ("low" if snr < 0 else "high")
    assert plan.conditions.get("energy") == energy
    one, two = (plan.sources[n] for n in (target, other))
    assert plan.conditions["class"] in set(one.labels) - set(two.labels)
    assert one.label not in two.labels and two.label not in one.labels
    # as text
    assert Plan.from_json(plan.to_json()) == plan


def test_onsets_spread_over_all_gaps_that_keep_the_overlap(make_clips, make_noise):
    """Of two sounds that fill the mixture, the later one comes U(0, 0.2) of its length later."""
    rng = np.random.default_rng(0)
    clips = {name: (make_noise(rng, 2.0), (name.upper(),)) for name in "ab"}
    sampler = Sampler(make_clips(clips), MixingConfig(duration=2.0))
    plans = [sampler.draw(0, 0, index) for index in range(400)]
    gaps = np.array([max(s.offset for s in plan.sources) / 8000 for plan in plans])
    assert scipy.stats.kstest(gaps, "uniform", args=(0, 0.4)).pvalue > 0.01
    overlap = np.array([plan.overlap for plan in plans])
    np.testing.assert_allclose(overlap, 1 - gaps / 2.0)
    assert scipy.stats.kstest([abs(p.snr) for p in plans], "uniform", args=(0, 2.5)).pvalue > 0.01


def test_short_sounds_are_put_anywhere(make_clips, make_noise):
    rng = np.random.default_rng(0)
    clips = {name: (make_noise(rng, 0.5), (name.upper(),)) for name in "ab"}
    sampler = Sampler(make_clips(clips), MixingConfig(duration=2.0))
    plans = [sampler.draw(0, 0, index) for index in range(400)]
    first = [min(s.offset for s in plan.sources) / 8000 for plan in plans]
    assert min(first) < 0.05 and max(first) > 1.35
    assert all(source.length == 4000 for plan in plans for source in plan.sources)


def test_coins_are_fair_and_independent(make_clips, make_noise):
    rng = np.random.default_rng(0)
    clips = {name: (make_noise(rng, 1.0), (name.upper(),)) for name in "ab"}
    config = MixingConfig(duration=2.0, min_overlap=0.3)
    sampler = Sampler(make_clips(clips, harmonic={"a": 0.9, "b": 0.2}), config)
    plans = [sampler.draw(5, 1, index).conditions for index in range(1600)]
    seen = Counter(
        tuple(plan[name] for name in ("energy", "harmonicity", "order", "class"))
        for plan in plans
        if "order" in plan and "energy" in plan
    )
    # the class and the harmonicity say the same here; 2 x 2 x 2 combinations are left
    assert {key[1::2] for key in seen} == {("harmonic", "A"), ("percussive", "B")}
    assert len(seen) == 8
    assert scipy.stats.chisquare(list(seen.values())).pvalue > 0.01


def test_classes_are_uniform_whatever_their_number_of_clips(make_clips, make_noise):
    rng = np.random.default_rng(0)
    clips = {}
    for number, label in enumerate("ABCDE"):
        for copy in range(1 + 4 * number):
            clips[f"{label}{copy}"] = (make_noise(rng, 0.6), (label,))
    sampler = Sampler(make_clips(clips), MixingConfig(duration=0.8))
    plans = [sampler.draw(1, 0, index) for index in range(2000)]
    pairs = Counter(tuple(source.label for source in plan.sources) for plan in plans)
    assert len(pairs) == 20
    assert scipy.stats.chisquare(list(pairs.values())).pvalue > 0.01
    targets = Counter(plan.conditions["class"] for plan in plans)
    assert scipy.stats.chisquare(list(targets.values())).pvalue > 0.01
    of_e = Counter(s.clip for plan in plans for s in plan.sources if s.label == "E")
    assert len(of_e) == 17 and scipy.stats.chisquare(list(of_e.values())).pvalue > 0.01


@pytest.mark.parametrize("strategy", ["random", "different", "same"])
def test_the_text_is_of_the_drawn_class_and_nothing_else_changes(corpus, superclasses, strategy):
    default, drawn = (
        Sampler(corpus, MixingConfig(strategy=strategy, text_of=text_of), superclasses)
        for text_of in ("specific", "drawn")
    )
    texts = Counter()
    for index in range(60):
        plan, other = (sampler.draw(1, 0, index) for sampler in (drawn, default))
        target = plan.sources[plan.target]
        text = plan.conditions.get("text")
        texts[text] += 1
        assert text in (None, phrase(target.label))
        rest = {name: value for name, value in other.conditions.items() if name != "text"}
        if text is not None:
            rest["text"] = text
        assert dataclasses.replace(other, conditions=rest) == plan
    if strategy == "random":  # parents are drawn too
        assert {"animal", "water", "bark"} & set(texts)


def test_random_signals_are_independent_of_the_measured_ones_and_change_nothing_else(corpus):
    """Both are exchanged, or neither, for the two targets of a mixture."""
    options = {"num_targets": "all", "snr": (0.0, 5.0), "min_overlap": 0.5}
    measured, control = (
        Sampler(corpus, MixingConfig(signal_values=values, **options))
        for values in ("measured", "random")
    )
    exchanged = Counter()
    patterns = set()
    for index in range(300):
        expected, found = (sampler.draw(5, 0, index) for sampler in (measured, control))
        signals = [name for name in ("energy", "harmonicity", "order") if name in found.conditions]
        changed = [name for name in signals if found.conditions[name] != expected.conditions[name]]
        for name in signals:
            exchanged[name, name in changed] += 1
            (other,) = [query for query in found.queries if query.condition == name]
            assert other.value != found.conditions[name]
        patterns.add(tuple(changed))
        for one in (expected, found):
            assert set(one.conditions) == set(expected.conditions)
        words = {**found.conditions, **{name: expected.conditions[name] for name in signals}}
        queries = expected.queries
        assert dataclasses.replace(found, conditions=words, queries=queries) == expected
        assert control.draw(5, 0, index) == found
    for name in ("energy", "harmonicity", "order"):
        share = exchanged[name, True] / (exchanged[name, True] + exchanged[name, False])
        assert 0.4 < share < 0.6, name
    assert len(patterns) == 8  # and of each other


@pytest.mark.parametrize("strategy", ["different", "same"])
def test_super_classes(corpus, superclasses, strategy):
    sampler = Sampler(corpus, MixingConfig(duration=2.0, strategy=strategy), superclasses)
    group_of = {sub: group for group, subs in superclasses.items() for sub in subs}
    plans = [sampler.draw(0, 0, index) for index in range(600)]
    pairs = [tuple(group_of[source.label] for source in plan.sources) for plan in plans]
    assert all((one == two) == (strategy == "same") for one, two in pairs)
    assert all(plan.sources[0].label != plan.sources[1].label for plan in plans)
    assert scipy.stats.chisquare(list(Counter(pairs).values())).pvalue > 0.01
    if strategy == "same":  # both are animals, which cannot be what is asked for
        assert not {plan.conditions["class"] for plan in plans} & set(superclasses)


def test_a_dog_in_the_rain_is_never_mixed_with_rain(make_clips, make_noise, superclasses):
    rng = np.random.default_rng(0)
    labels = {"wet": ("Bark", "Drip", "Water"), "dry": ("Bark",), "rain": ("Rain", "Water")}
    clips = {name: (make_noise(rng, 1.0), own) for name, own in labels.items()}
    config = MixingConfig(duration=1.0, strategy="different")
    sampler = Sampler(make_clips(clips), config, superclasses)
    for index in range(50):
        assert {source.clip for source in sampler.draw(0, 0, index).sources} == {"dry", "rain"}


def _draw_some(sampler):
    return [sampler.draw(3, 7, index).to_json() for index in range(20)]


def test_any_process_draws_the_same(samplers):
    here = _draw_some(samplers["hard"])
    with multiprocessing.get_context("fork").Pool(2) as pool:  # the sampler is pickled
        assert pool.map(_draw_some, [samplers["hard"]] * 2) == [here, here]


def test_plans_depend_on_every_number(samplers):
    drawn = {
        samplers["hard"].draw(*numbers).to_json()
        for numbers in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]
    }
    assert len({line.partition("sources")[2].partition("seed")[0] for line in drawn}) == 5
    for bad in [(-1, 0, 0), (0, -1, 0), (0, 0, 2**32)]:
        with pytest.raises(TSXError, match="expected an integer in"):
            samplers["hard"].draw(*bad)


def test_background_noise_between_two_calls_is_no_call(make_clips, make_noise):
    rng = np.random.default_rng(0)
    call, hiss = make_noise(rng, 0.5, 5000.0), make_noise(rng, 9.0, 15.0)  # 50 dB apart
    clips = {
        "bird": (np.concatenate([hiss, call]), ("Bird",)),
        "sea": (make_noise(rng, 5), ("Sea",)),
    }
    clips = make_clips(clips)
    sampler = Sampler(clips, MixingConfig(duration=1.0))
    for index in range(50):
        plan = sampler.draw(0, 0, index)
        bird = next(source for source in plan.sources if source.clip == "bird")
        assert bird.start + bird.length >= 72000 + 2000  # 0.25 s of the call


def test_more_than_two_sources_render(corpus, samplers):
    plans = [samplers["hard"].draw(0, 0, index) for index in range(2)]
    sources = plans[0].sources + plans[1].sources
    three = Plan(**{**vars(plans[0]), "sources": sources[:3], "target": 1})
    rendered, mixture = render(three, corpus)
    assert rendered.shape == (3, 40000)
    other, again = mix(rendered, 1)
    np.testing.assert_array_equal(other, rendered[0] + rendered[2])
    np.testing.assert_array_equal(mixture, rendered[1] + other)
    np.testing.assert_array_equal(again, mixture)


class TestRefusals:
    """A corpus from which nothing can be drawn says why."""

    @pytest.fixture
    def sound(self, make_noise):
        return make_noise(np.random.default_rng(0), 1.0)

    def test_one_class(self, make_clips, sound):
        clips = make_clips({"a": (sound, ("A",)), "b": (sound, ("A",))})
        with pytest.raises(TSXError, match=r"two classes are needed to mix, found 1 \(A\)"):
            Sampler(clips, MixingConfig())

    def test_a_class_within_the_other(self, make_clips, sound):
        clips = make_clips({"a": (sound, ("Bark", "Dog")), "b": (sound, ("Dog",))})
        with pytest.raises(TSXError, match="1000 draws refused: 1000 shared label"):
            Sampler(clips, MixingConfig())

    def test_too_short(self, make_clips, sound):
        clips = make_clips({"a": (sound[:1000], ("A",)), "b": (sound[:1999], ("B",))})
        with pytest.raises(TSXError, match="all 2 clips are shorter than min_sounding = 0.25 s"):
            Sampler(clips, MixingConfig())

    def test_silent(self, make_clips, sound):
        clips = make_clips({"a": (sound * 0 + 3, ("A",)), "b": (sound, ("B",))})
        with pytest.raises(TSXError, match="1000 draws refused: 1000 silent crop"):
            Sampler(clips, MixingConfig())

    def test_no_gap_fits(self, make_clips, sound):
        clips = make_clips({"a": (sound, ("A",)), "b": (sound, ("B",))})
        with pytest.raises(TSXError, match="1000 no onset gap keeps the overlap"):
            Sampler(clips, MixingConfig(onset_gap=(0.5, 1.0), min_overlap=0.8))

    @pytest.mark.parametrize("strategy", ["same", "different"])
    def test_no_super_class(self, make_clips, sound, superclasses, strategy):
        labels = ("Bark", "Rain") if strategy == "same" else ("Bark", "Meow")
        clips = make_clips({name: (sound, (name,)) for name in labels})
        with pytest.raises(TSXError, match=r"sub-classes: Animal: [12], Water: [01], Vehicle"):
            Sampler(clips, MixingConfig(strategy=strategy), superclasses)

    def test_reasons_are_counted(self, make_clips, sound):
        quiet = np.concatenate([sound[:800], sound[:8000] * 0])
        clips = {"a": (sound, ("A", "C")), "b": (quiet, ("B",)), "c": (sound, ("C",))}
        with pytest.raises(TSXError, match=r"refused: \d+ silent crop, \d+ shared label"):
            Sampler(make_clips(clips), MixingConfig())

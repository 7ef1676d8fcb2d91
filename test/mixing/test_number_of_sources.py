"""Mixtures of one source, and of a number of sources that is drawn."""

from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.bin.mix import main
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.plan import Plan, read_plans
from tsx_espnet.mixing.render import render
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.tables import read_table

COMPARED = {"energy", "harmonicity", "order"}
CONFIGS = {
    "one": {"num_sources": 1},
    "one anywhere": {"num_sources": 1, "placement": "uniform", "clip_duration": [0.5, 0.9]},
    "one with gap": {"num_sources": 1, "onset_gap": [0.1, 0.2], "class_level": "any"},
    "one over noise": {"num_sources": 1, "background": {"snr": [5, 10]}},
    "one to four": {"num_sources": [1, 4], "min_overlap": 0.1},
    "two or three": {"num_sources": [2, 3], "min_overlap": 0.1, "strategy": "clips"},
    "levels over noise": {"num_sources": [1, 3], "min_overlap": 0, "snr": None, "background": {}},
}


@pytest.fixture(scope="module")
def samplers(corpus):
    options = {name: {"duration": 1.0, **config} for name, config in CONFIGS.items()}
    return {name: Sampler(corpus, MixingConfig(**config)) for name, config in options.items()}


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), index=st.integers(0, 10**6))
def test_what_is_heard_is_what_was_planned(samplers, corpus, name, seed, index):
    sampler = samplers[name]
    low, high = sampler.config.source_counts
    plan = sampler.draw(seed, 0, index)
    number = len(plan.sources)
    assert low <= number <= high and 0 <= plan.target < number
    assert Plan.from_json(plan.to_json()) == plan
    rows, mixture = render(plan, corpus)
    energy = np.square(rows, dtype=np.float64).sum(axis=1)
    assert 10 * np.log10(energy.sum() / mixture.size) == pytest.approx(-26, abs=0.01)
    rest = np.delete(energy, plan.target).sum()
    if rest:
        snr = 10 * np.log10(energy[plan.target] / rest)
        assert plan.snr == pytest.approx(snr, abs=0.01)
    else:
        assert plan.snr is None and len(rows) == 1
        np.testing.assert_array_equal(mixture, rows[0])
    assert (plan.overlap is None) == (number == 1)
    if number == 1:
        assert not COMPARED & plan.conditions.keys()
        assert plan.conditions["class"] in plan.sources[0].labels


def test_each_number_is_as_likely(samplers):
    """Though mixtures of many sources are refused more often."""
    sampler = samplers["one to four"]
    numbers = Counter(len(sampler.draw(0, 0, index).sources) for index in range(1200))
    assert sorted(numbers) == [1, 2, 3, 4]
    assert scipy.stats.chisquare(list(numbers.values())).pvalue > 0.01


def test_components_of_several_sources_stay_whole(corpus):
    config = MixingConfig(duration=1.0, min_overlap=0, num_sources=(2, 6), component_sources=2)
    sampler = Sampler(corpus, config)
    plans = [sampler.draw(0, 0, index) for index in range(200)]
    assert {len(plan.sources) for plan in plans} == {2, 4, 6}
    for plan in plans:
        assert [number for own in plan.components for number in own] == [*range(len(plan.sources))]
        assert (plan.snr is None) == (len(plan.components) == 1)
    with pytest.raises(TSXError, match="num_sources: expected a multiple with component_sources 2"):
        MixingConfig(num_sources=(2, 3), component_sources=2)


def test_a_set_of_single_sources_can_be_written_and_made_again(corpus_dir, corpus, tmp_path):
    (tmp_path / "mix.yaml").write_text("{duration: 1.0, num_sources: 1}")
    words = ["--clips", str(corpus_dir), "--config", str(tmp_path / "mix.yaml")]
    main([*words, "--num_mixtures", "5", "--out", str(tmp_path / "set")])
    main(["--rebuild", str(tmp_path / "set"), *words[:2], "--out", str(tmp_path / "again")])
    one, two = tmp_path / "set", tmp_path / "again"
    mixtures = MixtureSet(one)
    for plan in read_plans(one / "mixtures.jsonl"):
        files = [path.relative_to(one) for path in one.glob(f"wav/*/{plan.id}*")]
        assert len(files) == 3
        assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)
        assert mixtures.label(plan.id) == plan.sources[0].labels[0]
    for name in COMPARED:
        assert set(read_table(tmp_path / "set" / f"utt2{name}").values()) == {"n/a"}


def test_there_must_be_enough_for_the_greatest_number(corpus):
    with pytest.raises(TSXError, match="16 classes are needed to mix, found 12"):
        Sampler(corpus, MixingConfig(num_sources=(1, 16)))
    with pytest.raises(TSXError, match="target seen: expected two sources or more"):
        Sampler(corpus, MixingConfig(num_sources=(1, 2)), new_classes=["Rain"], target="seen")

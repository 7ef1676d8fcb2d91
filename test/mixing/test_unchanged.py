"""Mixtures of two sources stay what they were before there could be more of them.

``stored/two_sources.jsonl`` was drawn by the code as it stood then, from the clips made below, and
``AUDIO`` is the sha256 of what it rendered. Plans of that time must stay valid.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import Plan, read_plans
from tsx_espnet.mixing.render import render
from tsx_espnet.mixing.sampler import Sampler

STORED = Path(__file__).parent / "stored" / "two_sources.jsonl"
AUDIO = "e9063fb03033d1dc9adbf331c85b0fedc4253486a0a5fbf5bd79b97d652320fb"
CONFIGS = {
    "default": {},
    "easy": {"snr": [0, 5], "min_overlap": 0.6, "duration": 2.0},
    "gap": {"duration": 2.0, "onset_gap": [0.4, 0.9], "min_overlap": 0.2, "snr": [3, 8]},
    "loose": {"min_overlap": 0.0, "class_level": "any", "text_variants": True, "level": -35},
    "different": {"duration": 3.0, "strategy": "different"},
    "same": {"duration": 1.0, "strategy": "same"},
}
PLANS_EACH = 4


def clip(number):
    """A sound of whole numbers that comes and goes, the same on any machine: (T,) int16."""
    n = np.arange(3000 + 5077 * (number % 9), dtype=np.int64)
    sound = (n * n * (2 * number + 3) + 12345 * n * (number + 1)) % 9001 - 4500
    swell = np.abs((n + 997 * number) % 8000 - 4000)
    return (sound * swell // 4000).astype(np.int16)


@pytest.fixture
def clips(make_clips, labels):
    sounds, harmonic = {}, {}
    for kind, (name, own) in enumerate(sorted(labels.items())):
        for copy in range(4):
            sounds[f"{name}{copy}"] = (clip(7 * copy + kind), own)
            harmonic[f"{name}{copy}"] = (1 + (kind + 3 * copy) % 7) / 8
    captions = {"rain1": ["Rain falls on a roof.", "It rains."], "bark0": ["A dog barks."]}
    return make_clips(sounds, harmonic=harmonic, captions=captions)


def draw_all(clips, superclasses):
    """``PLANS_EACH`` plans of each config, numbered through."""
    for seed, options in enumerate(CONFIGS.values()):
        sampler = Sampler(clips, MixingConfig(**options), superclasses)
        for index in range(PLANS_EACH):
            yield sampler.draw(seed, 5, index)


def checksum(plans, clips):
    digest = hashlib.sha256()
    for plan in plans:
        sources, mixture = render(plan, clips)
        digest.update(sources.tobytes() + mixture.tobytes())
    return digest.hexdigest()


def flat(value, place=""):
    """Every number and text of a JSON value, by where it stands."""
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, own in items for k, v in flat(own, f"{place}.{key}").items()}
    return {place: value}


def test_the_same_plans_are_drawn(clips, superclasses):
    lines = STORED.read_text().splitlines()
    plans = list(draw_all(clips, superclasses))
    assert len(plans) == len(lines) == 24
    for line, plan in zip(lines, plans):
        old, new = flat(json.loads(line)), flat(json.loads(plan.to_json()))
        assert list(old) == list(new)
        for place, value in old.items():  # a logarithm may differ in its last bit between machines
            expected = pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
            assert new[place] == expected, place


def test_stored_plans_render_to_the_same_bits(clips):
    plans = read_plans(STORED)
    assert [plan.to_json() for plan in plans] == STORED.read_text().splitlines()
    assert all(isinstance(plan, Plan) and plan.background is None for plan in plans)
    assert checksum(plans, clips) == AUDIO


def test_facts_of_sets_and_runs_name_every_option():
    """They are compared with those of a set or a run that was begun."""
    assert MixingConfig().to_dict() == {
        "duration": 5.0,
        "strategy": "random",
        "snr": [0.0, 2.5],
        "min_overlap": 0.8,
        "onset_gap": None,
        "min_sounding": 0.25,
        "level": -26.0,
        "level_margin": 0.1,
        "harmonicity_margin": 0.5,
        "onset_margin": 0.1,
        "class_level": "specific",
        "text_variants": False,
        "superclasses": None,
        "num_sources": 2,
        "clip_duration": None,
        "placement": "overlap",
        "background": None,
        "enrollments": 0,
        "enrollment_duration": 10.0,
    }

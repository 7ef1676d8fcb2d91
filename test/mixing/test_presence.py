"""Which classes sound when, against what was put there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.mixing.plan import Placement, Plan
from tsx_espnet.mixing.presence import presence
from tsx_espnet.mixing.render import Rendered

FS = 8000
LABELS = (("Bark", "Dog", "Animal"), ("Meow", "Cat", "Animal"), ("Rain",))


def rendered(components, labels=LABELS, groups=()):
    """A mixture of given components."""
    num_samples = components.shape[1]
    sources = tuple(
        Placement(f"clip{n}", own[0], own, 0, num_samples, 0, 1.0) for n, own in enumerate(labels)
    )
    plan = Plan("mix", FS, num_samples, sources, 0, {}, None, None, 0, 0, 0, components=groups)
    other = components[1:].sum(axis=0)
    return Rendered(plan, components.sum(axis=0), components, None, other, {})


def burst(rng, num_samples, begin, end):
    """Noise between two frames of 10 ms, and silence around it."""
    track = np.zeros(num_samples, dtype=np.float32)
    length = len(track[80 * begin : 80 * end])
    track[80 * begin : 80 * end] = 0.1 * rng.normal(size=length)
    return track


@given(
    ends=st.tuples(*[st.tuples(st.integers(0, 49), st.integers(1, 30)) for _ in LABELS]),
    num_samples=st.integers(3900, 4000),
    step=st.sampled_from([1, 3, 4]),
)
def test_a_class_is_present_where_one_of_its_sources_sounds(ends, num_samples, step):
    rng = np.random.default_rng(0)
    spans = [(begin, begin + length) for begin, length in ends]
    components = np.stack([burst(rng, num_samples, *span) for span in spans])
    classes = ("Animal", "Bark", "Cat", "Rain", "Siren")
    found = presence(rendered(components), classes, 80 * step)
    frames = -(-num_samples // (80 * step))
    assert found.shape == (frames, 5) and found.dtype == np.float32
    for frame in range(frames):
        covered = range(step * frame, step * (frame + 1))
        for place, name in enumerate(classes):
            sounds = [
                name in labels and any(begin <= f < min(end, 50) for f in covered)
                for labels, (begin, end) in zip(LABELS, spans)
            ]
            assert found[frame, place] == any(sounds), (frame, name)


def test_what_is_too_soft_to_be_heard_is_not_present():
    """More than 40 dB below the loudest frame of its own, or below -60 dB re full scale."""
    rng = np.random.default_rng(0)
    component = burst(rng, 4000, 0, 50)
    component[2000:] *= 0.005  # -46 dB
    faint = 0.004 * burst(rng, 4000, 0, 50)  # -68 dB
    found = presence(rendered(np.stack([component, faint, 0 * faint])), ("Bark", "Meow"), 400)
    np.testing.assert_array_equal(found[:, 0], [1] * 5 + [0] * 5)
    assert not found[:, 1].any()


def test_a_component_of_several_sources_has_the_labels_of_all():
    rng = np.random.default_rng(0)
    components = np.stack([burst(rng, 800, 0, 5), burst(rng, 800, 5, 10)])
    found = presence(
        rendered(components, groups=((0, 1), (2,))), ("Bark", "Meow", "Rain"), 400
    )
    np.testing.assert_array_equal(found, [[1, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("number", range(5))
def test_of_drawn_mixtures_every_source_is_present(corpus, number):
    from tsx_espnet.mixing.config import MixingConfig
    from tsx_espnet.mixing.sampler import Sampler

    config = MixingConfig(duration=3.0, num_sources=(1, 2), min_overlap=0.0)
    drawn = Sampler(corpus, config)
    one = drawn.render(drawn.draw(0, 0, number))
    found = presence(one, corpus.classes, 320)
    there = {name for name, column in zip(corpus.classes, found.T) if column.any()}
    assert there == {label for source in one.plan.sources for label in source.labels}

"""``SoundSeparator``: sounds keep their output, outputs add up, labels, times and activity."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import small_parts
import torch
from exact_separator import FS, Bands, Exact, noise
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet import SoundSeparator
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import load_experiment
from tsx_espnet.pretrained.store import keep, load

PIT = {"conditions": {UNCONDITIONAL: {}}, "objective": "pit", "objective_conf": {}}


@pytest.fixture(scope="module")
def directory(make_experiment, tmp_path_factory):
    """A model of two outputs that is not queried."""
    return make_experiment(tmp_path_factory.mktemp("exp") / "pit", **PIT)


@pytest.fixture(scope="module")
def separate(directory):
    return SoundSeparator.load(directory)


@pytest.fixture
def exact(directory, monkeypatch):
    """``(number of outputs, classifier, seed) -> separator`` that makes no mistake."""

    def make(num_outputs=2, classifier=None, seed=0):
        separator = SoundSeparator(load_experiment(directory), classifier)
        separator.model.extract = Exact(num_outputs, seed)
        separator.model.extractor.num_outputs = num_outputs
        return separator

    return make


def hum_sounds(times):
    return times % 6 < 2.7


def hiss_sounds(times):
    return times % 6 >= 3.3


def never_where_segments_meet(sounds):
    return lambda times: sounds(times) & (np.abs((times - 9.5) % 19 - 10) > 1.5)


def in_blocks(samples, size):
    return (samples[start : start + size] for start in range(0, len(samples), size))


def correlation(one, other):
    return float(np.sum(one * other) / np.sqrt(np.sum(one**2) * np.sum(other**2)))


def tracks(outputs, sounds):
    """The output of each sound, which has to be nearly that sound; all others hold nothing."""
    found = [int(np.argmax([abs(correlation(o, s)) for o in outputs])) for s in sounds]
    for track, sound in zip(found, sounds):
        assert correlation(outputs[track], sound) > 0.99
    rest = [output for number, output in enumerate(outputs) if number not in found]
    assert len(set(found)) == len(sounds)
    assert all(np.square(one).sum() < 1e-3 * np.square(sounds).sum() for one in rest)
    return found


@pytest.mark.parametrize(
    "fs, num_outputs, meeting",
    [(8000, 2, True), (8000, 4, False), (11025, 2, False), (11025, 4, True), (44100, 4, False)],
)
def test_sounds_that_alternate_stay_in_their_outputs(exact, fs, num_outputs, meeting):
    """A minute of four segments, of which the model puts each into another order.

    Where neighbours meet, one sound is heard, or neither.
    """
    gates = [hum_sounds, hiss_sounds]
    if not meeting:
        gates = [never_where_segments_meet(gate) for gate in gates]
    sounds = [noise(name, 60, fs, gate) for name, gate in zip(("Hum", "Hiss"), gates)]
    mixture = np.sum(sounds, axis=0)
    separate = exact(num_outputs, seed=num_outputs)
    outputs, found = separate(mixture, fs)
    assert len(set(separate.model.extract.orders)) > 1, "the model changes its order"
    assert outputs.shape == (num_outputs, len(mixture)) and outputs.dtype == np.float32
    used = tracks(outputs, np.array(sounds))
    np.testing.assert_allclose(outputs.sum(axis=0), mixture, atol=1e-6)
    assert [number for number, one in enumerate(found) if one.active] == sorted(used)


@pytest.mark.parametrize("gains", [[(1, 1), (1, 1)], [(1, 0), (0, 1)], [(1, -1), (0.3, 0.9)]])
def test_all_channels_have_one_order(exact, gains):
    """Sounds in both channels, one in each, or with opposite signs."""
    sounds = [noise("Hum", 45, sounding=hum_sounds), noise("Hiss", 45, sounding=hiss_sounds)]
    images = np.array([s[:, None] * g for s, g in zip(sounds, np.array(gains))])  # (2, T, 2)
    outputs, _ = exact(3)(images.sum(axis=0), FS)
    assert outputs.shape == (3, 45 * FS, 2)
    tracks(outputs, images)
    np.testing.assert_allclose(outputs.sum(axis=0), images.sum(axis=0), atol=1e-6)


def test_a_sound_that_reaches_the_channels_at_different_times(exact):
    """8 ms are more than two metres between microphones: the waveforms no longer agree."""
    sounds = [noise("Hum", 25, sounding=hum_sounds), noise("Hiss", 25, sounding=hiss_sounds)]
    images = np.array([np.stack([s, np.roll(s, d)], axis=1) for s, d in zip(sounds, (64, -64))])
    for seed in range(3):
        outputs, _ = exact(2, seed=seed)(images.sum(axis=0), FS)
        tracks(outputs, images)


@pytest.mark.parametrize("fs", [8000, 11025, 16000, 44100, 4000, 1000])
@pytest.mark.parametrize("length", [1, 2, 5, 1000])
@pytest.mark.parametrize("channels", [None, 1, 2])
def test_any_rate_length_and_number_of_channels(separate, fs, length, channels):
    shape = (length,) if channels is None else (length, channels)
    mixture = np.random.default_rng(0).standard_normal(shape)
    outputs, sounds = separate(mixture, fs)
    assert outputs.shape == (2, *shape) and outputs.dtype == np.float32 and len(sounds) == 2
    np.testing.assert_allclose(outputs.sum(axis=0), mixture, atol=2e-6)


def test_a_network_of_one_output_has_a_rest(make_experiment, tmp_path):
    network = {"extractor": "conv_tasnet", "extractor_conf": {"layer": 1, "stack": 1}}
    separate = SoundSeparator.load(make_experiment(tmp_path / "exp", **PIT, **network))
    assert separate.model.extractor.num_outputs == 1 and separate.num_outputs == 2
    mixture = np.random.default_rng(0).standard_normal((900, 2))
    outputs, sounds = separate(mixture, FS)
    assert outputs.shape == (2, 900, 2) and len(sounds) == 2
    np.testing.assert_allclose(outputs.sum(axis=0), mixture, atol=1e-6)


def test_at_the_models_rate_it_is_the_model(separate):
    mixture = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    condition = separate.experiment.embed(UNCONDITIONAL, "any")
    with torch.no_grad():
        expected = separate.model.extract(torch.from_numpy(mixture)[None], condition)[0]
    np.testing.assert_allclose(separate(mixture, FS)[0], expected, atol=1e-6)


def test_a_model_that_hears_the_mixture(make_experiment, tmp_path, monkeypatch):
    """Frame by frame, and has three outputs."""
    small_parts.register(monkeypatch)
    options = {
        "conditions": {UNCONDITIONAL: {"conditioner": "envelopes", "hears": ["mixture"]}},
        "extractor": "threeoutputs",
        "extractor_conf": {"fusion": "concat"},
    }
    separate = SoundSeparator.load(make_experiment(tmp_path / "exp", **{**PIT, **options}))
    mixture = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    outputs, _ = separate(mixture, FS)
    assert outputs.shape == (3, 4000)
    with torch.no_grad():
        expected = separate.model.extract(torch.from_numpy(mixture)[None], UNCONDITIONAL)[0]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


@settings(max_examples=15)
@given(
    level=st.floats(1e-4, 1e3),
    num_outputs=st.integers(2, 5),
    kept=st.floats(0, 1.5),
    seed=st.integers(0, 99),
)
def test_outputs_add_up_whatever_the_model_leaves(directory, level, num_outputs, kept, seed):
    """Also of a model without consistency."""
    separator = SoundSeparator(load_experiment(directory))
    rng = np.random.default_rng(seed)
    separator.model.extractor.num_outputs = num_outputs
    separator.model.extract = lambda mixture, _: (
        kept
        * torch.from_numpy(rng.dirichlet(np.ones(num_outputs))).float()[None, :, None]
        * mixture.unsqueeze(1)
    )
    mixture = level * rng.standard_normal(1500)
    outputs, _ = separator(mixture, 11025)
    np.testing.assert_allclose(outputs.sum(axis=0), mixture, atol=4e-6 * level)


def test_what_the_model_cannot_hear_goes_with_the_louder_output(exact):
    """A whistle of 9 kHz that sounds with the hum is given to the hum's output."""
    fs, seconds = 44100, 12
    sounds = [noise("Hum", seconds, fs, hum_sounds), noise("Hiss", seconds, fs, hiss_sounds)]
    times = np.arange(seconds * fs) / fs
    sounds[0] = sounds[0] + 0.1 * np.sin(2 * np.pi * 9000 * times) * hum_sounds(times)
    outputs, _ = exact()(np.sum(sounds, axis=0), fs)
    tracks(outputs, np.array(sounds))


def test_labels_and_times(exact):
    """Hum 2 to 22 s, across two segments; hiss 5 to 6 and 30 to 31 s."""
    separate = exact(4, Bands(floor=0.05))
    hum = noise("Hum", 40, sounding=lambda t: (t >= 2) & (t < 22))
    hiss = noise("Hiss", 40, sounding=lambda t: ((t >= 5) & (t < 6)) | ((t >= 30) & (t < 31)))
    outputs, found = separate(hum + hiss, FS)
    first, second = tracks(outputs, np.array([hum, hiss]))
    assert found[first].labels == ("Hum",) and found[second].labels == ("Hiss",)
    (heard,) = found[first].heard
    assert heard.label == "Hum" and heard.probability == pytest.approx(1 / (1 + np.exp(-4)))
    assert (heard.start, heard.end) == pytest.approx((2, 22), abs=0.11)
    times = [(one.start, one.end) for one in found[second].heard]
    np.testing.assert_allclose(times, [(5, 6), (30, 31)], atol=0.11)
    others = [one for number, one in enumerate(found) if number not in (first, second)]
    assert [(one.active, one.heard) for one in others] == 2 * [(False, ())]


def test_the_classifier_hears_the_mixture_at_unit_level(exact):
    """One gain for all outputs, whatever the level of the recording; silence is not classified."""
    for level in (1e-3, 1.0):
        separate = exact(3, Bands())
        hum, hiss = noise("Hum", 4), 0.3 * noise("Hiss", 4)
        separate(level * (hum + hiss), FS)
        total = np.sqrt(np.mean((hum + hiss) ** 2))
        expected = sorted(np.sqrt(np.mean(s**2)) / total for s in (hum, hiss))
        np.testing.assert_allclose(sorted(separate.classifier.levels), expected, rtol=1e-3)


@pytest.mark.parametrize("level, active", [(-19, True), (-21, False)])
def test_an_output_is_active_above_minus_20_db(exact, level, active):
    hum, hiss = noise("Hum", 4), noise("Hiss", 4)
    hiss *= np.sqrt(np.sum(hum**2) / np.sum(hiss**2))
    gain = np.sqrt(1 / (10 ** (-level / 10) - 1))  # so that it has this part of the sum
    outputs, found = exact(2, Bands())(hum + gain * hiss, FS)
    soft = min(found, key=lambda sound: sound.level)
    assert soft.level == pytest.approx(level, abs=0.05) and soft.active is active
    assert soft.labels == (("Hiss",) if active else ())


def test_a_short_sound_in_a_long_recording_is_active(exact):
    """Over all, it is 30 dB softer than the mixture; not in its segment."""
    hum = noise("Hum", 100, sounding=lambda t: (t < 60) | (t > 80))
    hiss = 0.2 * noise("Hiss", 100, sounding=lambda t: (t > 70) & (t < 73))
    outputs, found = exact()(hum + hiss, FS)
    assert sorted(one.active for one in found) == [True, True]
    assert min(one.level for one in found) < -20


def test_silence(exact):
    outputs, found = exact(3, Bands())(np.zeros((900, 2)), 11025)
    assert not outputs.any()
    assert [(one.active, one.level, one.heard) for one in found] == 3 * [(False, -np.inf, ())]


@pytest.mark.parametrize("fs, size", [(8000, 1000), (44100, 65536)])
@pytest.mark.parametrize("channels", [None, 2])
def test_a_stream_is_the_call(separate, directory, fs, size, channels):
    classified = SoundSeparator(separate.experiment, Bands())
    shape = (25 * fs,) if channels is None else (25 * fs, channels)
    mixture = np.random.default_rng(0).standard_normal(shape)
    outputs, sounds = classified(mixture, fs)
    separation = classified.stream(in_blocks(mixture, size), fs)
    assert separation.sounds == []
    streamed = np.concatenate(list(separation), axis=1)
    np.testing.assert_allclose(streamed, outputs, atol=1e-5, rtol=0)
    assert [one.active for one in separation.sounds] == [one.active for one in sounds]
    assert [one.labels for one in separation.sounds] == [one.labels for one in sounds]


@pytest.mark.parametrize("fs", [8000, 11025])
def test_the_memory_of_a_stream_does_not_grow(exact, fs):
    peaks = []
    for seconds in (60, 180):
        blocks = (np.random.default_rng(second).standard_normal(fs) for second in range(seconds))
        separate = exact(3)
        separate.model.extract = lambda mixture, _: mixture.unsqueeze(1).expand(1, 3, -1) / 3
        tracemalloc.start()
        length = sum(outputs.shape[1] for outputs in separate.stream(blocks, fs))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert length == seconds * fs
    assert peaks[1] < 1.05 * peaks[0]


@pytest.mark.parametrize(
    "mixture, fs, message",
    [
        (np.array([0.0, np.nan, 0.0]), FS, "mixture: found NaN or infinite samples"),
        (np.zeros(0), FS, "mixture: expected floating point samples"),
        (np.zeros(9, dtype=np.int16), FS, "mixture: expected floating point samples"),
        (np.zeros(9), 0, "fs: expected a sampling rate in Hz, found 0"),
    ],
)
def test_mixtures_that_cannot_be(separate, mixture, fs, message):
    with pytest.raises(TSXError, match=message):
        separate(mixture, fs)
    with pytest.raises(TSXError, match=message):
        list(separate.stream([mixture], fs))


def test_a_model_that_is_queried_is_refused(tiny_experiment):
    with pytest.raises(TSXError) as error:
        SoundSeparator.load(tiny_experiment)
    expected = "expected a model that separates without a query, found one queried by energy, "
    assert str(error.value).startswith(f"{tiny_experiment}: {expected}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_what_is_no_probability(directory, threshold):
    with pytest.raises(TSXError, match="threshold: expected a probability, found "):
        SoundSeparator.load(directory, threshold=threshold)


def test_the_models_own_classifier_or_another(
    make_experiment, tiny_ast, panns, tmp_path, directory
):
    where = make_experiment(tmp_path / "exp", **PIT, pretrained={"heard": "where/it/was"})
    keep(tiny_ast, where / "pretrained" / "heard")
    mixture = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    own = SoundSeparator.load(where, threshold=0.0)
    assert own.labels == ("Bark", "Rain", "Meow")
    outputs, sounds = own(mixture, FS)
    scaled = torch.from_numpy(outputs) / float(np.sqrt(np.mean(mixture**2)))
    with torch.no_grad():
        expected = load(tiny_ast).eval()(scaled, FS).sigmoid().amax(dim=1)
    assert any(sound.active for sound in sounds)
    for sound, row in zip(sounds, expected.tolist()):
        if sound.active:
            best = {one.label: one.probability for one in sound.heard}
            assert best == pytest.approx(dict(zip(own.labels, row)), abs=1e-4)
            assert sound.labels == tuple(sorted(best, key=lambda label: -best[label]))
    other = SoundSeparator.load(where, classifier=panns)
    assert "Siren" in other.labels
    assert SoundSeparator.load(directory).labels == ()


def test_what_is_no_classifier(directory, tiny_clap, tmp_path):
    with pytest.raises(TSXError, match="expected a classifier of sounds, found a Clap"):
        SoundSeparator.load(directory, classifier=tiny_clap)
    with pytest.raises(TSXError, match="no such directory; expected a pretrained network"):
        SoundSeparator.load(directory, classifier=tmp_path / "none")


def test_unknown_labels(directory, separate):
    with pytest.raises(TSXError, match="unknown label 'hum'; nearest known: 'Hum'"):
        SoundSeparator(load_experiment(directory), Bands()).check_labels(["Hum", "hum"])
    with pytest.raises(TSXError, match="pit: has no classifier, which label 'Hum' asks for"):
        separate.check_labels(["Hum"])


def test_espnets_tasks_and_transformers_are_not_imported(directory):
    program = f"""
import sys, tsx_espnet, numpy
assert "torch" not in sys.modules
separate = tsx_espnet.SoundSeparator.load({str(directory)!r})
outputs, sounds = separate(numpy.ones(500, dtype="float32"), 44100)
print([m for m in sys.modules if m.startswith(("espnet2.tasks", "transformers", "librosa"))])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr

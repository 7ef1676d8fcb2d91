"""``TargetSoundExtractor``: any rate, length, level and number of channels; what is refused."""

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr
import torch

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.language_model import LanguageModel

FS = 8000
MIXING = {"duration": 0.4, "snr": [0.0, 5.0], "min_overlap": 0.3, "min_sounding": 0.1}


@pytest.fixture(scope="module")
def tsx(tiny_experiment):
    return TargetSoundExtractor.load(tiny_experiment)


@pytest.fixture
def through(tsx, monkeypatch):
    """``tsx`` with a model that takes all it hears for the target."""
    monkeypatch.setattr(tsx.model, "extract", lambda part, _: torch.stack([part, 0 * part], dim=1))
    return tsx


def noise(length, channels=None, seed=0, level=0.1):
    shape = (length,) if channels is None else (length, channels)
    return level * np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def extract_with_the_model(tsx, mixture, **asked):
    with torch.no_grad():
        outputs = tsx.model.extract(torch.from_numpy(mixture)[None], tsx.embed(asked))
    return outputs[0, 0].numpy()


@pytest.mark.parametrize(
    "asked",
    [
        {"energy": "high"},
        {"harmonicity": "harmonic"},
        {"order": "first"},
        {"class_label": "Rain"},
        {"text": "a dog barking"},
    ],
)
def test_at_the_models_rate_it_is_the_model(tsx, asked):
    mixture = noise(4000)
    target, rest = tsx(mixture, FS, **asked)
    assert target.dtype == rest.dtype == np.float32
    names = {"class" if name == "class_label" else name: value for name, value in asked.items()}
    np.testing.assert_array_equal(target, extract_with_the_model(tsx, mixture, **names))
    np.testing.assert_allclose(target + rest, mixture, atol=1e-7)
    assert np.abs(target).max() > 0 and np.abs(rest).max() > 0


def test_conditions_ask_for_different_sounds(tsx):
    mixture = noise(4000)
    targets = [
        tsx(mixture, FS, **asked)[0]
        for asked in (
            {"energy": "high"},
            {"energy": "low"},
            {"order": "first"},
            {"class_label": "Rain"},
            {"class_label": "Bark"},
            {"text": "rain"},
            {"text": "bark"},
        )
    ]
    for one in range(len(targets)):
        for two in range(one):
            assert np.abs(targets[one] - targets[two]).max() > 1e-5


@pytest.mark.parametrize("fs", [8000, 11025, 16000, 44100, 48000.0, 96000, 4000, 1000])
@pytest.mark.parametrize("length", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("channels", [None, 1, 2])
def test_any_rate_length_and_number_of_channels(tsx, fs, length, channels):
    mixture = noise(length, channels)
    target, rest = tsx(mixture, fs, energy="high")
    assert target.shape == rest.shape == mixture.shape
    assert target.dtype == rest.dtype == np.float32
    assert np.isfinite(target).all()
    np.testing.assert_allclose(target + rest, mixture, atol=1e-7)


@pytest.mark.parametrize("fs", [11025, 16000, 44100, 48000, 4000])
def test_resampling_moves_nothing(through, fs):
    """A tone that the model can hear comes back where it was."""
    time = np.arange(fs) / fs
    tone = np.sin(2 * np.pi * 700 * time).astype(np.float32)
    target, _ = through(tone, fs, energy="high")
    inner = slice(fs // 10, -fs // 10)
    np.testing.assert_allclose(target[inner], tone[inner], atol=1e-3)


@pytest.mark.parametrize("fs", [11025, 44100])
def test_what_the_model_cannot_hear_is_in_the_rest(through, fs):
    time = np.arange(fs) / fs
    tone = np.sin(2 * np.pi * 5000 * time).astype(np.float32)  # above half of 8 kHz
    target, rest = through(tone, fs, energy="high")
    inner = slice(fs // 10, -fs // 10)
    assert np.abs(target[inner]).max() < 1e-3
    np.testing.assert_allclose(rest[inner], tone[inner], atol=1e-3)


@pytest.mark.parametrize("fs", [8000, 44100])
@pytest.mark.parametrize("gain", [1e-4, 30.0, 1e4])
def test_the_level_is_kept(tsx, fs, gain):
    mixture = noise(3000)
    target, rest = tsx(mixture, fs, energy="high")
    louder_target, louder_rest = tsx(np.float32(gain) * mixture, fs, energy="high")
    np.testing.assert_allclose(louder_target / gain, target, atol=1e-4)
    np.testing.assert_allclose(louder_rest / gain, rest, atol=1e-4)


@pytest.mark.parametrize("fs", [8000, 44100])
def test_channels_are_processed_apart(tsx, fs):
    mixture = noise(3000, channels=3)
    mixture[:, 1] *= 100
    target, _ = tsx(mixture, fs, order="first")
    for channel in range(3):
        alone, _ = tsx(mixture[:, channel].copy(), fs, order="first")
        np.testing.assert_allclose(target[:, channel], alone, atol=1e-6)


@pytest.mark.parametrize("fs", [8000, 44100])
def test_silence(tsx, fs):
    target, rest = tsx(np.zeros((900, 2)), fs, energy="low")
    assert np.abs(target).max() < 1e-6 and np.abs(rest).max() < 1e-6


def test_double_precision_half_precision_and_views(tsx):
    mixture = noise(2000).astype(np.float16).astype(np.float64)
    target, _ = tsx(mixture, FS, energy="high")
    views = mixture[::-1].copy()[::-1], np.repeat(mixture, 2)[::2]
    for same in (mixture.astype(np.float16), *views):
        np.testing.assert_array_equal(tsx(same, FS, energy="high")[0], target)
    np.testing.assert_array_equal(mixture, noise(2000).astype(np.float16).astype(np.float64))


def test_up_to_one_segment_nothing_is_cut(tsx):
    mixture = noise(20 * FS)
    seen = []
    target, _ = tsx(
        mixture, FS, energy="high", progress=lambda starts: seen.extend(starts) or starts
    )
    assert seen == [0]
    np.testing.assert_array_equal(target, extract_with_the_model(tsx, mixture, energy="high"))


def test_segments_of_a_long_recording(tsx):
    """45 s: segments of 20 s from 0, 19 and 38 s, faded into each other over the second shared."""
    mixture = noise(45 * FS)
    seen = []
    target, rest = tsx(
        mixture, FS, energy="high", progress=lambda starts: seen.extend(starts) or starts
    )
    assert seen == [0, 19 * FS, 38 * FS]
    np.testing.assert_allclose(target + rest, mixture, atol=1e-7)
    one, two, three = (
        extract_with_the_model(tsx, mixture[start : start + 20 * FS], energy="high")
        for start in seen
    )
    rise = np.linspace(0, 1, FS)
    expected = np.concatenate(
        [
            one[: 19 * FS],
            (1 - rise) * one[19 * FS :] + rise * two[:FS],
            two[FS : 19 * FS],
            (1 - rise) * two[19 * FS :] + rise * three[:FS],
            three[FS:],
        ]
    )
    np.testing.assert_allclose(target, expected, atol=1e-6)


@pytest.mark.parametrize("length", [20 * FS + 1, 39 * FS, 39 * FS + 1, 43 * FS + 77])
def test_segments_are_neither_lost_nor_doubled(through, length):
    mixture = noise(length)
    target, _ = through(mixture, FS, energy="high")
    np.testing.assert_allclose(target, mixture, atol=1e-6)


def test_no_click_where_segments_meet(tsx, monkeypatch):
    """Even if the model says one thing in one segment and the opposite in the next."""
    signs = iter([1.0, -1.0, 1.0])
    monkeypatch.setattr(
        tsx.model, "extract", lambda part, _: torch.full_like(part, next(signs)).unsqueeze(1)
    )
    target, _ = tsx(noise(45 * FS), FS, energy="high")
    assert target[0] == target[-1] == 1 and target[25 * FS] == -1
    assert np.abs(np.diff(target)).max() <= 2 / (FS - 1) + 1e-6


def in_blocks(samples, size):
    return (samples[start : start + size] for start in range(0, len(samples), size))


def joined(stream):
    return tuple(np.concatenate(parts) for parts in zip(*stream))


@pytest.mark.parametrize("fs, size", [(8000, 1000), (8000, 200001), (44100, 65536), (11025, 30011)])
@pytest.mark.parametrize("seconds", [0.01, 20, 20.001, 39, 45.3])
@pytest.mark.parametrize("channels", [None, 2])
def test_a_stream_is_the_call(tsx, fs, size, seconds, channels):
    mixture = noise(round(seconds * fs), channels)
    expected = tsx(mixture, fs, class_label="Rain")
    found = joined(tsx.stream(in_blocks(mixture, size), fs, class_label="Rain"))
    for one, other in zip(found, expected):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=1e-6 if fs != FS else 0, rtol=0)
    np.testing.assert_array_equal(found[1], mixture - found[0])


@pytest.mark.parametrize("fs", [4000, 11025, 44100, 48000])
def test_resampling_in_blocks_is_resampling_at_once(through, fs):
    """Against soxr's function for whole arrays, there and back."""
    mixture = noise(30 * fs + 123)
    target, _ = joined(through.stream(in_blocks(mixture, 5000), fs, energy="high"))
    expected = soxr.resample(soxr.resample(mixture, fs, FS), FS, fs)[: len(mixture)]
    assert len(target) == len(mixture)
    np.testing.assert_allclose(target[: len(expected)], expected, atol=1e-6, rtol=0)


def test_a_stream_without_end(tsx):
    """Of a microphone, some blocks are empty; what was heard comes back some 20 s later."""
    block, empty = noise(480), noise(0)
    heard = []

    def microphone():
        for _ in range(FS):
            heard.append(len(block))
            yield from (block, empty)

    stream = tsx.stream(microphone(), FS, energy="high")
    target, rest = next(stream)
    assert len(target) == len(rest) == 19 * FS
    assert 20 * FS < sum(heard) < 21.1 * FS


@pytest.mark.parametrize("fs", [8000, 44100])
def test_the_memory_of_a_stream_does_not_grow(through, fs):
    peaks = []
    for seconds in (60, 240):
        blocks = (noise(fs, seed=second) for second in range(seconds))
        tracemalloc.start()
        length = sum(len(target) for target, _ in through.stream(blocks, fs, energy="high"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert length == seconds * fs
    assert peaks[1] < 1.05 * peaks[0] < 1.05 * 10 * 4 * 20 * fs


def test_what_is_wrong_with_a_stream(tsx):
    def never():
        raise AssertionError("a condition is checked before the first block is asked for")
        yield

    with pytest.raises(TSXError, match="unknown class 'Barck'"):
        tsx.stream(never(), FS, class_label="Barck")
    with pytest.raises(TSXError, match="expected exactly one of .*, found text, energy"):
        tsx.stream(never(), FS, text="rain", energy="low")
    for blocks, message in (
        ([], r"mixture: expected floating point samples .* found float64 \(0,\)"),
        ([noise(0)], "mixture: expected floating point samples"),
        ([noise(9, 2), noise(9)], r"expected blocks of shape \(n, 2\), found \(9,\)"),
        ([noise(9), noise(9, 1)], r"expected blocks of shape \(n,\), found \(9, 1\)"),
        ([noise(9), np.array([np.nan])], "mixture: found NaN or infinite samples"),
        ([noise(9), np.zeros(9, dtype=int)], r"found int64 \(9,\)"),
    ):
        with pytest.raises(TSXError, match=message):
            list(tsx.stream(blocks, FS, energy="low"))
    with pytest.raises(TSXError, match="fs: expected a sampling rate in Hz, found 0"):
        list(tsx.stream([noise(9)], 0, energy="low"))


def test_two_or_no_conditions(tsx):
    names = "energy, harmonicity, order, enrollment, class, text"
    expected = f"expected exactly one of {names}, found "
    for asked, found in (({}, "none"), ({"text": "rain", "energy": "low"}, "text, energy")):
        with pytest.raises(TSXError) as error:
            tsx(noise(100), FS, **asked)
        assert str(error.value) == expected + found


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"class_label": "Barck"}, "unknown class 'Barck'; nearest known: 'Bark'"),
        ({"class_label": "rain"}, "unknown class 'rain'; nearest known: 'Rain'"),
        ({"class_label": ""}, "unknown class ''; nearest known: "),
        ({"energy": "loud"}, "unknown energy 'loud'; expected low or high"),
        ({"order": "last"}, "unknown order 'last'; expected first or second"),
        ({"harmonicity": "tonal"}, "unknown harmonicity 'tonal'; expected percussive or harmonic"),
        ({"text": " "}, "text: expected a phrase, found an empty one"),
        ({"energy": "n/a"}, "energy: expected something to query by, found 'n/a'"),
        ({"class_label": "n/a"}, "class: expected something to query by, found 'n/a'"),
    ],
)
def test_unknown_values(tsx, asked, message):
    with pytest.raises(TSXError) as error:
        tsx(noise(100), FS, **asked)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_a_condition_the_model_does_not_have(make_experiment, tmp_path):
    conditions = {"energy": {}, "class": {}}
    tsx = TargetSoundExtractor.load(make_experiment(tmp_path / "exp", conditions=conditions))
    assert tsx.conditions == ("energy", "class")
    with pytest.raises(TSXError, match="cannot be queried by text; it knows energy, class"):
        tsx(noise(100), FS, text="rain")


@pytest.mark.parametrize(
    "mixture, fs, message",
    [
        (np.array([0.0, np.nan, 0.0]), FS, "mixture: found NaN or infinite samples"),
        (np.array([[0.0, np.inf]]), FS, "mixture: found NaN or infinite samples"),
        (np.array([0.0, 1e39]), FS, "mixture: found NaN or infinite samples"),
        (np.zeros(0), FS, r"mixture: expected floating point samples .* found float64 \(0,\)"),
        (np.zeros((0, 2)), FS, r"found float64 \(0, 2\)"),
        (np.zeros((2, 3, 4)), FS, r"found float64 \(2, 3, 4\)"),
        (np.float64(0.5), FS, r"found float64 \(\)"),
        (np.zeros(9, dtype=np.int16), FS, r"found int16 \(9,\)"),
        (np.zeros(9, dtype=complex), FS, r"found complex128 \(9,\)"),
        (["a", "b"], FS, r"mixture: expected floating point samples"),
        (np.zeros(9), 0, "fs: expected a sampling rate in Hz, found 0"),
        (np.zeros(9), -8000, "fs: expected a sampling rate in Hz, found -8000"),
        (np.zeros(9), float("nan"), "fs: expected a sampling rate in Hz, found nan"),
        (np.zeros(9), float("inf"), "fs: expected a sampling rate in Hz, found inf"),
    ],
)
def test_mixtures_that_cannot_be(tsx, mixture, fs, message):
    with pytest.raises(TSXError, match=message):
        tsx(mixture, fs, energy="low")


def test_a_known_phrase_needs_no_language_model(tsx, monkeypatch):
    monkeypatch.setattr(LanguageModel, "__init__", None)
    array = torch.from_numpy(tsx.vocabulary.text_table["meow"])
    expected = tsx.model.conditioners["text"].linear(array)
    torch.testing.assert_close(tsx.embed({"text": "meow"}).vector()[0], expected)


def test_a_new_phrase_goes_through_the_tables_language_model(make_experiment, tiny_bert, tmp_path):
    experiment = make_experiment(tmp_path / "exp", language_model=tiny_bert)
    tsx = TargetSoundExtractor.load(experiment)
    pooling = "first"  # the table's
    vector = LanguageModel(str(tiny_bert), pooling).embed(["rain falling"])[0]
    expected = tsx.model.conditioners["text"].linear(torch.from_numpy(vector))
    found = tsx.embed({"text": "  rain falling "}).vector()[0]
    torch.testing.assert_close(found, expected)
    target, _ = tsx(noise(500), FS, text="rain falling")
    assert np.abs(target - tsx(noise(500), FS, text="rain")[0]).max() > 1e-5


def test_a_new_phrase_without_the_tables_language_model(tsx, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(TSXError, match="language model 'none' cannot be loaded"):
        tsx(noise(100), FS, text="something else")


def test_a_model_that_is_asked_for_nothing(make_experiment, tsx, tmp_path):
    options = {"conditions": {"unconditional": {}}, "objective": "pit", "objective_conf": {}}
    exp = make_experiment(tmp_path / "pit", **options)
    separator = TargetSoundExtractor.load(exp)
    one, two = separator(noise(500), FS, unconditional=True)
    np.testing.assert_allclose(one + two, noise(500), atol=1e-5)
    with pytest.raises(TSXError, match="cannot be queried by text; it knows unconditional"):
        separator(noise(500), FS, text="rain")
    with pytest.raises(TSXError, match="cannot be queried by unconditional; it knows energy"):
        tsx(noise(500), FS, unconditional=True)


def test_text_without_a_table(make_experiment, tmp_path):
    directory = make_experiment(tmp_path / "exp", conditions={"text": {"input_dim": 8}})
    (directory / "text_embeddings.safetensors").unlink()
    tsx = TargetSoundExtractor.load(directory)
    with pytest.raises(TSXError, match="no text_embeddings.safetensors"):
        tsx(noise(100), FS, text="rain")


@pytest.fixture
def recordings(tmp_path):
    """Three recordings of other rates than the model's; the last in stereo."""
    paths = []
    for number, fs in enumerate((16000, 11025, 8000)):
        samples = noise(fs // 2, 2 if number == 2 else None, seed=number)
        paths.append(tmp_path / f"my dog {number}.wav")
        soundfile.write(paths[-1], samples, fs)
    return paths


@pytest.fixture
def learner(make_experiment, format_clips, tmp_path):
    """An extractor whose config says what it was trained on."""
    clips = format_clips(tmp_path / "train", {"Bark": 2, "Meow": 2, "Rain": 2})
    changes = {"train_clips": str(clips), "mixing_conf": MIXING}
    return TargetSoundExtractor.load(make_experiment(tmp_path / "exp", **changes))


def test_enrollments_are_averaged(tsx, recordings):
    mixture = noise(3000)
    with torch.no_grad():
        vectors = [tsx.embed({"enrollment": path}).vector() for path in recordings]
        mean = ConditionEmbedding(torch.stack(vectors).mean(dim=0)[None], torch.ones(1, 1).bool())
        expected = tsx.model.extract(torch.from_numpy(mixture)[None], mean)[0][0].numpy()
    target, rest = tsx(mixture, FS, enrollment=recordings)
    np.testing.assert_allclose(target, expected, atol=1e-6)
    np.testing.assert_allclose(target + rest, mixture, atol=1e-7)
    one, same = (tsx(mixture, FS, enrollment=given)[0] for given in (recordings[0], recordings[:1]))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - target).max() > 1e-6
    strings = tsx(mixture, FS, enrollment=tuple(map(str, recordings)))[0]
    np.testing.assert_array_equal(strings, target)


@pytest.mark.parametrize(
    "enrollment, message",
    [
        ("gone.wav", "gone.wav: no such file"),
        ([], "expected at least one recording of the sound, found none"),
        ("n/a", "expected the path of a recording, found 'n/a'"),
        (noise(100), "expected a path or a list of paths, found ndarray"),
    ],
)
def test_what_is_no_enrollment(tsx, enrollment, message):
    with pytest.raises(TSXError, match=message):
        tsx(noise(100), FS, enrollment=enrollment)


def test_a_model_that_takes_no_enrollments(make_experiment, tmp_path, recordings):
    exp = make_experiment(tmp_path / "exp", conditions={"energy": {}, "class": {}})
    tsx = TargetSoundExtractor.load(exp)
    with pytest.raises(TSXError, match="cannot be queried by enrollment; it knows energy, class"):
        tsx(noise(100), FS, enrollment=recordings)
    with pytest.raises(TSXError, match="that takes enrollments, found one that knows energy"):
        tsx.add_class("my_dog", recordings)
    assert tsx.add_class("my_dog", recordings, init="random") == []
    assert tsx(noise(100), FS, class_label="my_dog")[0].shape == (100,)


def test_a_class_is_added_saved_and_loaded(learner, recordings, tmp_path):
    mixture = noise(3000)
    before = learner(mixture, FS, class_label="Bark")[0]
    expected = learner(mixture, FS, enrollment=recordings)[0]
    assert learner.add_class("my_dog", recordings) == []
    learner.add_class("my_cat", recordings[0])
    learner.save(tmp_path / "grown")
    for tsx in (learner, TargetSoundExtractor.load(tmp_path / "grown")):
        assert tsx.vocabulary.classes == ("Bark", "Meow", "Rain", "my_dog", "my_cat")
        found = tsx(mixture, FS, class_label="my_dog")[0]
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_array_equal(tsx(mixture, FS, class_label="Bark")[0], before)
    with pytest.raises(TSXError, match="grown: holds an experiment already"):
        learner.save(tmp_path / "grown")


def test_a_class_is_adapted(learner, recordings, tmp_path, format_clips, capsys):
    options = {"num_mixtures": 12, "num_epochs": 3, "lr": 1e-2}
    mixture, state = noise(3000), learner.model.state_dict()
    average = TargetSoundExtractor(learner.experiment)
    average.add_class("my_dog", recordings)
    losses = learner.add_class("my_dog", recordings, adapt=True, **options)
    assert len(losses) == 3 and losses[-1] < losses[0]
    after = learner.model.state_dict()
    row = after.pop("conditioners.class.new.weight")
    start = average.model.state_dict()["conditioners.class.new.weight"]
    assert (row - start).abs().min() > 0
    assert after.keys() == state.keys()
    assert all(torch.equal(after[name], value) for name, value in state.items())

    # one more, from a random start and other clips, leaves the first as it is
    found = learner(mixture, FS, class_label="my_dog")[0]
    clips = format_clips(tmp_path / "other", {"Bark": 1, "Meow": 1})
    options.update(init="random", clips=clips, seed=3)
    learner.add_class("my_cat", recordings[1:], adapt=True, **options)
    assert torch.equal(learner.model.conditioners["class"].new.weight[0], row[0])
    np.testing.assert_array_equal(learner(mixture, FS, class_label="my_dog")[0], found)
    assert "wav" not in capsys.readouterr().out  # nothing is said of temporary files


def bad_recording(path):
    path.write_text("not audio at all")
    return path


@pytest.mark.parametrize(
    "label, options, message",
    [
        ("Bark", {}, "the model knows the class 'Bark' already"),
        ("my dog", {}, "class 'my dog': expected a name without spaces and commas"),
        ("Dog", {"init": "mean"}, "init: expected average or random, found 'mean'"),
        ("Dog", {"recordings": []}, "class 'Dog': expected at least one recording, found none"),
        ("Dog", {"recordings": "gone.wav"}, "gone.wav: no such file"),
        ("Dog", {"adapt": True, "num_epochs": 0}, "num_epochs: expected at least 1, found 0"),
        ("Dog", {"adapt": True, "num_mixtures": 0}, "num_mixtures: expected at least 1"),
        ("Dog", {"adapt": True, "clips": "none"}, "none"),
    ],
)
def test_a_class_that_cannot_be_added_changes_nothing(learner, recordings, label, options, message):
    before = learner.experiment
    options = {"recordings": recordings, **options}
    with pytest.raises(TSXError, match=message):
        learner.add_class(label, **options)
    assert learner.experiment is before and learner.vocabulary.classes == ("Bark", "Meow", "Rain")


def test_a_recording_that_cannot_be_mixed_is_named(learner, recordings, tmp_path):
    bad = bad_recording(tmp_path / "bad.wav")
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(4000), FS)
    before = learner.experiment
    for path, reason in ((bad, "unreadable"), (silent, "silent")):
        for given in ([path], [*recordings, path]):
            with pytest.raises(TSXError, match=f"class 'Dog'.*cannot be used: {reason}"):
                learner.add_class("Dog", given, adapt=True, init="random")
    assert learner.experiment is before


def test_training_clips_that_are_gone(make_experiment, tsx, recordings, tmp_path):
    with pytest.raises(TSXError, match="it does not say which: expected a directory of formatted"):
        tsx.add_class("Dog", recordings, adapt=True)
    changes = {"train_clips": str(tmp_path / "gone"), "mixing_conf": MIXING}
    learner = TargetSoundExtractor.load(make_experiment(tmp_path / "exp", **changes))
    with pytest.raises(TSXError, match="gone is not there: expected a directory of formatted"):
        learner.add_class("Dog", recordings, adapt=True)


def test_espnets_tasks_and_transformers_are_not_imported(tiny_experiment, tmp_path):
    """They cost more than ten seconds."""
    program = f"""
import json, sys
import tsx_espnet
light = [name for name in ("torch", "espnet2", "librosa") if name in sys.modules]
tsx = tsx_espnet.TargetSoundExtractor.load({str(tiny_experiment)!r})
import numpy as np
target, rest = tsx(np.ones(500, dtype=np.float32), 44100, text="rain")
heavy = ("espnet2.tasks", "transformers", "matplotlib", "librosa", "scipy", "pandas")
found = [name for name in sys.modules if name.startswith(heavy)]
import soundfile
soundfile.write({str(tmp_path / "dog.wav")!r}, np.ones(500), 8000)
tsx(np.ones(500, dtype=np.float32), 8000, enrollment={str(tmp_path / "dog.wav")!r})
tsx.add_class("dog", {str(tmp_path / "dog.wav")!r})
found += [name for name in sys.modules if name.startswith(heavy)]
print(json.dumps([light, found, len(target)]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[], [], 500]

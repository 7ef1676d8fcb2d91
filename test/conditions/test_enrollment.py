"""Recordings as users have them: any rate, any number of channels, several, damaged."""

import json

import numpy as np
import pytest
import soundfile

from tsx_espnet.audio import read_recording
from tsx_espnet.conditions.enrollment import enrollment_paths
from tsx_espnet.errors import TSXError


def write(path, samples, fs=8000):
    soundfile.write(path, samples, fs, subtype="FLOAT")
    return path


def test_a_path_or_a_list_of_paths():
    paths = ["a dog.wav", '"b",.wav', "ü.wav"]
    assert enrollment_paths(json.dumps(paths)) == paths
    assert enrollment_paths('["a.wav"]') == ["a.wav"]
    assert enrollment_paths("/tmp/a dog[1].wav") == ["/tmp/a dog[1].wav"]


@pytest.mark.parametrize("value", ["[]", "[1]", '["a.wav"', '[["a.wav"]]'])
def test_a_bad_list_is_named(value):
    with pytest.raises(TSXError, match="enrollment: expected a path or a JSON list of paths") as e:
        enrollment_paths(value)
    assert repr(value) in str(e.value)


def test_at_its_own_rate_it_is_read_as_it_is(tmp_path):
    samples = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    path = write(tmp_path / "a.wav", samples)
    for fs in (None, 8000):
        found = read_recording(path, fs)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, samples)


@pytest.mark.parametrize("rate", [11025, 16000, 44100])
def test_another_rate_is_the_same_sound(tmp_path, rate):
    path = write(tmp_path / "a.wav", np.sin(2 * np.pi * 500 * np.arange(rate) / rate), rate)
    found = read_recording(path, 8000)
    assert len(found) == pytest.approx(8000, abs=1)
    expected = np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    np.testing.assert_allclose(found[800:7200], expected[800:7200], atol=1e-3)


def test_channels_are_averaged(tmp_path):
    samples = np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32)
    found = read_recording(write(tmp_path / "a.wav", samples), 8000)
    np.testing.assert_allclose(found, (samples[:, 0] + samples[:, 1]) / 2, atol=1e-7)


@pytest.mark.parametrize(
    "samples, message",
    [
        (None, "no such file"),
        (np.zeros(0), "holds no samples"),
        (np.array([0.0, np.nan]), "1 samples are NaN or infinite"),
    ],
)
def test_a_bad_recording_is_named(tmp_path, samples, message):
    path = tmp_path / "a.wav"
    if samples is not None:
        write(path, samples)
    with pytest.raises(TSXError) as error:
        read_recording(path, 8000)
    assert str(error.value).startswith(f"{path}: {message}") and "\n" not in str(error.value)
    path.write_text("no audio")
    with pytest.raises(TSXError, match="a.wav: cannot be read"):
        read_recording(path)

"""When sounds are heard, against a grid of frames; activity; the tables."""

import csv

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.pretrained.classifier import AbsClassifier
from tsx_espnet.recordings.contents import Contents, Heard, Sound, write_tables

FS, HOP = 1000, 100
LABELS = ("Bark", "Rain, heavy")


class Scripted(AbsClassifier):
    """Hears what the samples say: both labels are coded in the first sample of each frame."""

    labels = LABELS
    hop, fs = HOP, FS

    def __init__(self, heard):
        super().__init__()
        self.heard = list(heard)  # (F, 2) of one segment after the other

    def forward(self, waveform, fs=None):
        probability = self.heard.pop(0)
        assert len(probability) == -(-waveform.shape[1] // self.hop)
        return torch.logit(torch.tensor(probability)[None])


def grid(heard, number, label):
    """The frames of 0.1 s in which a label is heard."""
    frames = np.zeros(number, dtype=bool)
    for one in heard:
        if one.label == label:
            frames[round(one.start * 10) : round(one.end * 10)] = True
    return frames


@given(
    script=st.lists(
        st.lists(st.tuples(*2 * [st.sampled_from([0.2, 0.7, 0.9])]), min_size=6, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_times_are_the_union_over_segments(script):
    """Segments of 6 frames that share 2."""
    contents = Contents(1, FS, Scripted(script), 0.5)
    number = 4 * len(script) + 2
    expected = np.zeros((number, 2))
    for position, frames in enumerate(script):
        ones = torch.ones(1, 1, 600)
        contents.add(0.4 * position, ones, ones[0], torch.ones(1))
        part = expected[4 * position : 4 * position + 6]
        np.maximum(part, frames, out=part)
    (sound,) = contents.sounds()
    for column, label in enumerate(LABELS):
        above = expected[:, column] >= 0.5
        np.testing.assert_array_equal(grid(sound.heard, number, label), above)
        times = [one for one in sound.heard if one.label == label]
        assert len(times) == np.sum(np.diff(above.astype(int), prepend=0) == 1)
        for one in times:
            inside = expected[round(one.start * 10) : round(one.end * 10), column]
            assert one.probability == pytest.approx(inside.max())
    assert list(sound.heard) == sorted(sound.heard, key=lambda one: (one.start, one.label))
    assert set(sound.labels) == {one.label for one in sound.heard}


def test_the_last_frame_ends_with_the_recording():
    contents = Contents(1, FS, Scripted([[(0.9, 0.1)] * 3]), 0.5)
    contents.add(0.0, torch.ones(1, 1, 250), torch.ones(1, 250), torch.ones(1))
    (heard,) = contents.sounds()[0].heard
    assert (heard.start, heard.end) == (0.0, 0.25)


def test_levels_are_those_of_the_whole_recording_in_all_channels():
    contents = Contents(2, FS)
    rng = np.random.default_rng(0)
    outputs = rng.standard_normal((2, 3, 4000)) * np.array([1.0, 0.04])[:, None, None]
    mixture = outputs.sum(axis=0)
    for start in (0, 1000):
        part = slice(2 * start, 2 * start + 2000)
        found = (torch.from_numpy(array[..., part]) for array in (outputs, mixture))
        contents.add(float(start), *found, torch.ones(3) / 3)
    expected = 10 * np.log10(np.square(outputs).sum(axis=(1, 2)) / np.square(mixture).sum())
    sounds = contents.sounds()
    np.testing.assert_allclose([one.level for one in sounds], expected)
    assert [one.active for one in sounds] == [True, False]


def test_the_tables(tmp_path):
    heard = (Heard("Rain, heavy", 0.0, 1.5, 0.6), Heard("Bark", 0.5, 0.75, 0.9))
    sounds = {"output1.wav": Sound(True, -1.25, heard), "output2.wav": Sound(False, -np.inf, ())}
    write_tables(tmp_path, sounds, labelled=True)
    with open(tmp_path / "outputs.csv", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["file", "active", "level", "labels"],
            ["output1.wav", "1", "-1.2", "Bark; Rain, heavy"],
            ["output2.wav", "0", "-inf", ""],
        ]
    with open(tmp_path / "labels.csv", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["file", "label", "start", "end", "probability"],
            ["output1.wav", "Rain, heavy", "0.00", "1.50", "0.600"],
            ["output1.wav", "Bark", "0.50", "0.75", "0.900"],
        ]

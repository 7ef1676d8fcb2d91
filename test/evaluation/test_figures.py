"""Figures are drawn; what they show is right."""

import numpy as np
import pytest

from tsx_espnet.conditions import ASKED
from tsx_espnet.evaluation.figures import (
    COLORS,
    Bars,
    draw_conditions,
    draw_learning_curves,
    draw_panels,
    draw_spectrograms,
    spectrogram,
)
from tsx_espnet.evaluation.provenance import History
from tsx_espnet.evaluation.statistics import Mean, Summary


def size(path):
    """Width and height of a PNG, in its header as the format says."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


@pytest.mark.parametrize("frequency", [250.0, 1000.0, 3000.0])
def test_a_tone_is_a_line_at_its_frequency(frequency):
    rate = 8000
    power = spectrogram(np.sin(2 * np.pi * frequency * np.arange(rate) / rate), rate)
    assert power.shape == (129, 126)
    peaks = power.argmax(axis=0)[2:-2] * rate / 2 / 128
    assert np.all(np.abs(peaks - frequency) <= 31.25)


def test_a_click_is_at_its_time():
    signal = np.zeros(8000)
    signal[4000] = 1
    assert abs(spectrogram(signal, 8000).sum(axis=0).argmax() - 4000 / 64) <= 1


def test_a_signal_shorter_than_the_window_has_a_spectrogram():
    assert spectrogram(np.ones(10), 8000).shape == (129, 1)


def test_bars_with_losses_and_empty_conditions(tmp_path):
    rows = [
        Summary("energy", 3, 3, 0, {"si_sdri": -2.0}, (-3.0, -1.0)),
        Summary("order", 0, 0, 4, {}),
        Summary("text", 90, 90, 1, {"si_sdri": 8.0}, (7.5, 8.5)),
    ]
    draw_conditions(tmp_path / "bars.png", rows)
    narrow = size(tmp_path / "bars.png")
    draw_conditions(tmp_path / "bars.png", rows + rows[:1])
    assert size(tmp_path / "bars.png")[0] > narrow[0]


def test_learning_curves_with_and_without_conditions(tmp_path, experiment):
    draw_learning_curves(tmp_path / "all.png", History(experiment.exp))
    (tmp_path / "train.log").write_text("1epoch results: [train] loss=1.0\n")
    draw_learning_curves(tmp_path / "loss.png", History(tmp_path))
    assert size(tmp_path / "all.png")[0] > 1.5 * size(tmp_path / "loss.png")[0]


def test_spectrograms_of_silence_do_not_fail(tmp_path):
    signals = {"mixture": np.zeros(800), "target": np.zeros(800)}
    draw_spectrograms(tmp_path / "picture.png", signals, 8000, "silence")
    assert size(tmp_path / "picture.png")[0] > 500


def test_a_figure_is_the_same_twice(tmp_path):
    rows = [Summary("text", 9, 9, 0, {"si_sdri": 8.0}, (7.5, 8.5))]
    for name in "ab":
        draw_conditions(tmp_path / name, rows)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_condition_has_a_colour_of_its_own():
    assert set(COLORS) == {*ASKED, "oracle"}
    assert len(set(COLORS.values())) == len(COLORS)


def test_panels_of_groups_and_of_classes(tmp_path):
    mean = Mean(2.0, 9, 9, (1.0, 3.0))
    means = {"Random": {"H": mean, "T": mean}, "Same": {"T": mean}}
    groups = Bars("a", means, names=["H", "O", "T"])
    classes = Bars("b", {f"Some_class_{n}": {"": mean} for n in range(9)}, (5.0, "above 5 dB"))
    draw_panels(tmp_path / "one.png", [groups], "SI-SDR (dB)")
    draw_panels(tmp_path / "two.png", [groups, classes], "SI-SDR (dB)")
    assert size(tmp_path / "two.png")[1] > 1.6 * size(tmp_path / "one.png")[1]

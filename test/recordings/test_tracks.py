"""Tracks, against permutations that are known."""

import numpy as np
import pytest
import torch
from exact_separator import BANDS, FS, band, noise
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.recordings.tracks import Tracks, in_order_of, magnitudes, weights_to_mono

SHARED = 1000


def bands(number, channels, length, seed=0):
    """Noises in bands of their own, in every channel at another level: (M, C, T)."""
    rng = np.random.default_rng(seed)
    width = FS / 2 / number
    sounds = [
        band(rng.standard_normal(length), FS, k * width, (k + 1) * width) for k in range(number)
    ]
    gains = rng.uniform(0.2, 1, (number, channels, 1))
    return torch.from_numpy(gains * np.array(sounds)[:, None]).float()


@given(
    number=st.integers(2, 6), channels=st.integers(1, 3), seed=st.integers(0, 99), data=st.data()
)
def test_the_order_of_the_first_segment_stays(number, channels, seed, data):
    whole = bands(number, channels, 9000, seed)
    orders = [data.draw(st.permutations(range(number))) for _ in range(3)]
    tracks = Tracks(FS, SHARED)
    for start, order in zip((0, 3000, 6000), orders):
        segment = whole[..., start : start + 4000]
        found = tracks.place(segment[list(order)])
        assert torch.equal(found, segment[list(orders[0])])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("leak", [0.0, 1e-3])
def test_what_is_silent_where_segments_meet_is_known_by_its_sound(order, leak):
    """The second segment of two shares silence with the first; one output was never used.

    With ``leak``, no output is quite silent, and every one has something of all sounds.
    """
    sounds = bands(3, 1, 9000)
    sounds[:, :, 3500:5500] = 0
    sounds[2] = 0
    sounds = sounds + leak * sounds.sum(dim=0)
    tracks = Tracks(FS, SHARED)
    tracks.place(sounds[..., :5000])
    found = tracks.place(sounds[list(order)][..., 4000:])
    for one, expected in zip(found[:2], sounds[:2, :, 4000:]):
        assert torch.equal(one, expected)


def test_a_soft_new_sound_takes_no_track_from_one_that_goes_on():
    """In what the segments share, the first goes on; the second is over, a third begins later."""
    old, over, new = bands(3, 1, 9000)
    over[:, 3000:], new[:, :6000] = 0, 0
    tracks = Tracks(FS, SHARED)
    tracks.place(torch.stack([over, old])[..., :5000])
    found = tracks.place(torch.stack([old, new])[..., 4000:])
    assert torch.equal(found, torch.stack([new, old])[..., 4000:])


def test_magnitudes_are_those_of_windowed_frames():
    """Against NumPy: frame w is centred at sample 128 w, zeros beyond the ends."""
    signal = np.random.default_rng(0).standard_normal(1500)
    found = magnitudes(torch.from_numpy(signal).float()[None, None], FS)[0, 0]
    padded = np.pad(signal, 128)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    frames = [padded[start : start + 256] * window for start in range(0, len(padded) - 255, 128)]
    np.testing.assert_allclose(found.T, np.abs(np.fft.rfft(frames)), atol=1e-4)


def test_a_channel_follows_even_if_it_is_late_or_turned():
    sounds = torch.from_numpy(np.stack([noise("Hum", 1), noise("Hiss", 1)])).float()
    for channel in (-sounds, sounds.roll(60, dims=1), sounds * torch.tensor([[1.0], [0.0]])):
        assert torch.equal(in_order_of(sounds, channel.flip(0), FS), channel)
    assert BANDS["Hum"] != BANDS["Hiss"]


def test_opposite_channels_do_not_cancel():
    left = torch.randn(500, generator=torch.Generator().manual_seed(0))
    assert weights_to_mono(torch.stack([left, left])).tolist() == [0.5, 0.5]
    weights = weights_to_mono(torch.stack([0.5 * left, -left]))
    assert weights.tolist() == [-0.5, 0.5]
    assert weights_to_mono(torch.zeros(3, 9)).tolist() == pytest.approx([1 / 3] * 3)

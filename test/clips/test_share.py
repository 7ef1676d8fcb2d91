"""Clips divided in two: nothing lost, nothing twice, and always the same."""

import numpy as np
import pytest

from tsx_espnet.bin.divide import main
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.clips.share import Share, place
from tsx_espnet.errors import TSXError

NUMBER = 40


@pytest.fixture
def clips(make_clips, make_noise):
    """40 clips cut from 20 recordings, some of them with captions."""
    rng = np.random.default_rng(0)
    sounds = {
        f"clip{n:02d}": (make_noise(rng, 0.11 + 0.01 * (n % 5)), (f"Sound{n % 3}", "Any"))
        for n in range(NUMBER)
    }
    recordings = {f"clip{n:02d}": f"recording{n // 2}" for n in range(NUMBER)}
    captions = {"clip03": ["a sound"]}
    return make_clips(sounds, recordings=recordings, captions=captions)


@pytest.fixture
def halves(clips, tmp_path):
    (directory,) = clips.directories
    out = [tmp_path / "half", tmp_path / "rest"]
    main(["--clips", str(directory), "--share", "0.5", "--out", str(out[0]), "--rest", str(out[1])])
    return [ClipSet(one) for one in out]


def test_both_have_all_clips_together_and_none_in_common(clips, halves):
    ids = [set(half.ids) for half in halves]
    assert ids[0] | ids[1] == set(clips.ids) and not ids[0] & ids[1]
    assert all(8 < len(one) < 32 for one in ids)


def test_a_clip_is_what_it_was(clips, halves):
    for half in halves:
        for name in half.ids:
            np.testing.assert_array_equal(half.read(name), clips.read(name))
            np.testing.assert_array_equal(half.energies(name), clips.energies(name))
            assert half.labels(name) == clips.labels(name)
            assert half.captions(name) == clips.captions(name)
            assert half.recording(name) == clips.recording(name)
        classes = (half.directories[0] / "classes.txt").read_text().split()
        assert classes == half.classes


def test_clips_of_a_recording_stay_together(clips, halves):
    first = {halves[0].recording(name) for name in halves[0].ids}
    assert not first & {halves[1].recording(name) for name in halves[1].ids}


def test_further_clips_move_no_other(clips, halves, make_clips, make_noise, tmp_path):
    rng = np.random.default_rng(1)
    names = [*clips.ids, "another", "onemore"]
    recordings = {name: clips.recording(name) for name in clips.ids}
    more = make_clips({n: (make_noise(rng, 0.2), ("Any",)) for n in names}, recordings=recordings)
    Share(more.directories[0], tmp_path / "more", 0.5).write()
    found = set(ClipSet(tmp_path / "more").ids)
    assert found - {"another", "onemore"} == set(halves[0].ids)


def test_places_are_uniform_and_do_not_change():
    found = np.sort([place(str(number)) for number in range(2000)])
    assert np.abs(found - np.linspace(0, 1, 2000)).max() < 0.04  # Kolmogorov-Smirnov, p = 0.003
    # the first 48 bits of SHA-256 of "0", 5feceb66ffc8...
    assert place("0") == 0x5FECEB66FFC8 / 2**48


def test_what_was_lost_is_made_again_and_other_work_is_not_replaced(clips, halves, capsys):
    (where,) = halves[0].directories
    before = (where / "energies.f32").read_bytes()
    (where / "energies.f32").write_bytes(before[:-12])
    capsys.readouterr()
    Share(clips.directories[0], where, 0.5).write()
    assert "is made again" in capsys.readouterr().out
    assert (where / "energies.f32").read_bytes() == before
    Share(clips.directories[0], where, 0.5).write()
    assert "already done" in capsys.readouterr().out
    with pytest.raises(TSXError, match="share: 0.5 there, 0.25 now"):
        Share(clips.directories[0], where, 0.25).write()


@pytest.mark.parametrize("share", [0, 1, -0.5, float("nan")])
def test_no_share_is_refused(clips, tmp_path, share):
    with pytest.raises(TSXError, match="share: expected a number above 0 and below 1, found"):
        Share(clips.directories[0], tmp_path / "out", share)
    assert not (tmp_path / "out").exists()


def test_a_directory_is_not_written_over_itself(clips):
    with pytest.raises(TSXError, match="expected another directory than that of all clips"):
        Share(clips.directories[0], clips.directories[0], 0.5)


def test_a_share_without_a_clip_is_refused(clips, tmp_path):
    with pytest.raises(TSXError, match="none of 40 clips is in a share of 1e-09"):
        Share(clips.directories[0], tmp_path / "out", 1e-9)

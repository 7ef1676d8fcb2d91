"""The clips of a formatted directory, whole and broken."""

import pickle
import shutil

import numpy as np
import pytest
import soundfile

from tsx_espnet.clips.clip_set import ClipSet, Strings
from tsx_espnet.clips.datadir import read_classes
from tsx_espnet.conditions import Sources, read_conditions
from tsx_espnet.errors import TSXError


@pytest.fixture
def clip_dir(make_clips, make_noise):
    rng = np.random.default_rng(0)
    clips = {
        "b": (make_noise(rng, 1.0), ("Bark", "Dog")),
        "a": (make_noise(rng, 0.5055), ("Meow", "Cat")),
        "c": (make_noise(rng, 0.2), ("Dog",)),
    }
    captions = {"a": ["A cat  meows.\n", "Meow, \x07\ud800meow."], "b": []}
    return make_clips(clips, captions=captions).directories[0]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_known_of_a_clip(clip_dir):
    clips = ClipSet(clip_dir)
    assert list(clips.ids) == ["a", "b", "c"] and len(clips) == 3
    assert (clips.fs, clips.hop) == (8000, 80)
    assert clips.classes == ["Bark", "Cat", "Dog", "Meow"]
    assert clips.labels("b") == ("Bark", "Dog")
    assert clips.captions("a") == ("A cat meows.", "Meow, meow.")
    assert clips.captions("b") == clips.captions("c") == ()
    assert [clips.ids[n] for n in clips.clips_of("Dog")] == ["b", "c"]
    assert [clips.ids[n] for n in clips.clips_of("Dog", min_samples=2000)] == ["b"]
    assert list(clips.clips_of("Zebra")) == []
    assert clips.num_samples("a") == 4044
    assert soundfile.info(clips.path("a")).frames == 4044
    assert "3 clips, 8000 Hz" in repr(clips)


def test_the_recording_of_a_clip(clip_dir):
    assert [ClipSet(clip_dir).recording(name) for name in "abc"] == ["", "", ""]
    (clip_dir / "utt2recording").write_text("a 17\nc take 17\n")
    clips = ClipSet(clip_dir)
    assert [clips.recording(name) for name in "abc"] == ["17", "", "take 17"]


def test_segments_and_energies_are_those_of_the_file(clip_dir):
    clips = ClipSet(clip_dir)
    whole, _ = soundfile.read(clip_dir / "wav" / "a.wav", dtype="float32")
    np.testing.assert_array_equal(clips.read("a"), whole)
    np.testing.assert_array_equal(clips.read("a", 1000, 44), whole[1000:1044])
    energies = clips.energies("a")
    assert energies.shape == (51, 3)  # the last frame is a short one
    assert energies[:, 0].sum(dtype=float) == pytest.approx(np.sum(whole.astype(float) ** 2))
    with pytest.raises(TSXError, match=r"clip 'a' has 4044 samples, asked for 4000\.\.4100"):
        clips.read("a", 4000, 100)
    with pytest.raises(TSXError, match="no clip 'zz'"):
        clips.labels("zz")


def test_known_classes_only(clip_dir):
    clips = ClipSet(clip_dir, classes=["Cat", "Bark", "Zebra"])
    assert list(clips.ids) == ["a", "b"] and clips.labels("b") == ("Bark",)
    with pytest.raises(TSXError, match="no clips of the given classes"):
        ClipSet(clip_dir, classes=["Zebra"])


def test_class_list(tmp_path):
    (tmp_path / "classes.txt").write_text("Bark\nMeow\n")
    assert read_classes(tmp_path / "classes.txt") == ["Bark", "Meow"]
    with pytest.raises(TSXError, match="no such file; format writes"):
        read_classes(tmp_path / "none.txt")
    (tmp_path / "classes.txt").write_text("\n")
    with pytest.raises(TSXError, match="holds no label"):
        read_classes(tmp_path / "classes.txt")


def test_a_moved_directory_still_works(clip_dir, tmp_path):
    moved = tmp_path / "elsewhere" / "train"
    moved.parent.mkdir()
    before = ClipSet(clip_dir).energies("b")
    shutil.move(clip_dir, moved)
    clips = ClipSet(moved)
    np.testing.assert_array_equal(clips.energies("b"), before)
    assert len(clips.read("b")) == 8000


def test_memory_is_the_index_and_does_not_grow_with_the_audio(corpus):
    sizes = [len(pickle.dumps(corpus)) for _ in (corpus.read(name) for name in corpus.ids)]
    assert max(sizes) == min(sizes) < 5000 + 250 * len(corpus)
    again = pickle.loads(pickle.dumps(corpus))
    np.testing.assert_array_equal(again.read(corpus.ids[3]), corpus.read(corpus.ids[3]))


def test_strings():
    strings = Strings(["", "ä", "bc"])
    assert list(strings) == ["", "ä", "bc"] and strings.index("bc") == 2
    with pytest.raises(IndexError):
        strings[3]


class TestSeveralDirectories:
    def test_clips_of_both(self, make_clips, make_noise):
        rng = np.random.default_rng(0)
        clips = {"a": (make_noise(rng, 0.5), ("Bark",)), "z": (make_noise(rng, 1), ("X",))}
        one = make_clips(clips)
        two = make_clips({"m": (make_noise(rng, 0.7), ("Horn",))}, captions={"m": ["A horn."]})
        both = ClipSet([one.directories[0], two.directories[0]])
        assert list(both.ids) == ["a", "m", "z"] and both.classes == ["Bark", "Horn", "X"]
        assert both.directories == (one.directories[0], two.directories[0])
        assert str(both) == f"{one.directories[0]}, {two.directories[0]}"
        for name in both.ids:
            alone = two if name == "m" else one
            np.testing.assert_array_equal(both.read(name), alone.read(name))
            np.testing.assert_array_equal(both.energies(name), alone.energies(name))
            assert both.captions(name) == alone.captions(name)

    def test_a_clip_in_both(self, make_clips, make_noise):
        sound = make_noise(np.random.default_rng(0), 0.5)
        one, two = (make_clips({"a": (sound, ("Bark",))}) for _ in range(2))
        with pytest.raises(TSXError, match="clip 'a' is in more than one of them"):
            ClipSet([one.directories[0], two.directories[0]])

    def test_two_rates(self, make_clips, make_noise):
        sound = make_noise(np.random.default_rng(0), 0.5)
        one, two = (make_clips({name: (sound, ("Bark",))}) for name in "ab")
        soundfile.write(two.path("b"), np.zeros(4000), 16000)
        with pytest.raises(TSXError, match="expected one rate, found 8000 Hz in .*, 16000 Hz in"):
            ClipSet([one.directories[0], two.directories[0]])


class TestBroken:
    def test_not_formatted(self, tmp_path):
        with pytest.raises(TSXError, match=r"run format"):
            ClipSet(tmp_path / "train")

    def test_half_formatted(self, clip_dir):
        (clip_dir / ".done").unlink()
        with pytest.raises(TSXError, match=r"run format"):
            ClipSet(clip_dir)

    @pytest.mark.parametrize("file", ["wav.scp", "utt2num_samples"])
    def test_a_clip_missing_in_one_table(self, clip_dir, file):
        lines = (clip_dir / file).read_text().splitlines(True)
        (clip_dir / file).write_text("".join(x for x in lines if not x.startswith("a ")))
        with pytest.raises(TSXError, match="clip 'a' is in only one of wav.scp, utt2num"):
            ClipSet(clip_dir)

    @pytest.mark.parametrize("file", ["utt2labels", "text", "utt2recording"])
    def test_a_clip_in_one_table_only(self, clip_dir, file):
        with open(clip_dir / file, "a") as stream:
            stream.write("zz Zebra\n")
        with pytest.raises(TSXError, match=rf"/{file}: clip 'zz' is not in wav.scp; run format"):
            ClipSet(clip_dir)

    def test_a_clip_with_neither_label_nor_text(self, clip_dir):
        edit(clip_dir / "utt2labels", "c Dog\n", "")
        with pytest.raises(TSXError, match="clip 'c' is neither in utt2labels nor in text; run f"):
            ClipSet(clip_dir)

    @pytest.mark.parametrize("bad", ["0", "-3", "many"])
    def test_bad_length(self, clip_dir, bad):
        edit(clip_dir / "utt2num_samples", "a 4044", f"a {bad}")
        with pytest.raises(TSXError, match="utt2num_samples: a: expected a positive integer"):
            ClipSet(clip_dir)

    def test_bad_captions(self, clip_dir):
        edit(clip_dir / "text", "b []", "b [3]")
        with pytest.raises(TSXError, match="text: b: expected a caption or a JSON list"):
            ClipSet(clip_dir).captions("b")

    def test_clip_vanished(self, clip_dir):
        clips = ClipSet(clip_dir)
        (clip_dir / "wav" / "b.wav").unlink()
        with pytest.raises(TSXError, match=r"b\.wav: no such file; run format"):
            clips.read("b")

    def test_clip_is_no_audio(self, clip_dir):
        clips = ClipSet(clip_dir)
        (clip_dir / "wav" / "b.wav").write_bytes(b"hello")
        with pytest.raises(TSXError, match=r"b\.wav: cannot be read: .*; run format"):
            clips.read("b")

    @pytest.mark.parametrize("fs, samples", [(8000, 7999), (8000, 8001), (16000, 8000)])
    def test_clip_changed(self, clip_dir, fs, samples):
        clips = ClipSet(clip_dir)
        soundfile.write(clip_dir / "wav" / "b.wav", np.zeros(samples), fs)
        with pytest.raises(TSXError, match=rf"b\.wav: changed since .* found {samples} at {fs} Hz"):
            clips.read("b")

    def test_clip_cut_short_by_a_full_disk(self, clip_dir):
        clips = ClipSet(clip_dir)
        path = clip_dir / "wav" / "b.wav"
        path.write_bytes(path.read_bytes()[:9000])
        with pytest.raises(TSXError, match=r"b\.wav: changed since formatting"):
            clips.read("b")

    @pytest.mark.parametrize("change", [lambda data: data[:-600], lambda data: data + bytes(12)])
    def test_energies_of_other_clips(self, clip_dir, change):
        path = clip_dir / "energies.f32"
        clips, data = ClipSet(clip_dir), path.read_bytes()
        path.write_bytes(change(data))
        with pytest.raises(TSXError, match=rf"energies.f32: expected {len(data)} bytes, found"):
            ClipSet(clip_dir)
        if len(change(data)) < len(data):
            with pytest.raises(TSXError, match="cannot read the energies of 'c'"):
                clips.energies("c")

    def test_energies_that_vanished(self, clip_dir):
        clips = ClipSet(clip_dir)
        (clip_dir / "energies.f32").unlink()
        with pytest.raises(TSXError, match=r"cannot read the energies of 'c' \(no such file\)"):
            clips.energies("c")


def test_a_tone_is_harmonic_and_clicks_are_percussive():
    """The formatter's energies, read as a condition."""
    from tsx_espnet.clips.energies import hpss_energies

    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    clicks = np.zeros(8000)
    clicks[::1000] = 0.9
    tracks = []
    for samples in (tone, clicks):
        parts = hpss_energies(samples.astype(np.float32), 8000)
        tracks.append(np.stack([np.square(samples).reshape(-1, 80).sum(axis=1), *parts], axis=1))
    labels = (("Tone",), ("Click",))
    read = [read_conditions(Sources(np.stack(tracks), 8000, n, labels)) for n in (0, 1)]
    assert [conditions["harmonicity"] for conditions in read] == ["harmonic", "percussive"]

"""Formatted clips as stage 2 leaves them, written here by hand from given samples."""

import json

import numpy as np
import pytest
import soundfile

from tsx_espnet.clips.clip_set import ClipSet

FS = 8000
HOP = 80
LABELS = {
    "bark": ("Bark", "Dog", "Animal"),
    "meow": ("Meow", "Cat", "Animal"),
    "growl": ("Growling", "Dog", "Animal"),
    "rain": ("Rain", "Water"),
    "drip": ("Drip", "Water"),
    "engine": ("Engine", "Vehicle"),
    "horn": ("Horn", "Vehicle"),
}
SUPERCLASSES = {
    "Animal": ("Bark", "Meow", "Growling"),
    "Water": ("Rain", "Drip"),
    "Vehicle": ("Engine", "Horn"),
}


def frame_energy(samples):
    """(T,) in int16 steps -> (F,) sums of squares re full scale."""
    padded = np.zeros(-(-len(samples) // HOP) * HOP)
    padded[: len(samples)] = samples / 32768
    return (padded.reshape(-1, HOP) ** 2).sum(axis=1)


def write_clips(directory, clips, harmonic=None, captions=None, recordings=None):
    """Write a formatted directory.

    Args:
        clips: id -> (int16 samples, labels).
        harmonic: id -> share of the energy that counts as harmonic, 0.5 by default.
        captions: id -> captions.
        recordings: id -> the recording that it was cut from.
    """
    (directory / "wav").mkdir(parents=True)
    tables = {name: {} for name in ("wav.scp", "utt2labels", "utt2num_samples", "text")}
    tables["utt2recording"] = recordings or {}
    energies = {}
    for name, (samples, labels) in clips.items():
        path = directory / "wav" / f"{name}.wav"
        soundfile.write(path, samples.astype(np.int16), FS, subtype="PCM_16")
        tables["wav.scp"][name] = path
        if labels:
            tables["utt2labels"][name] = ",".join(labels)
        tables["utt2num_samples"][name] = len(samples)
        if captions and name in captions:
            tables["text"][name] = json.dumps(captions[name])
        total = frame_energy(samples.astype(np.int16).astype(np.float64))
        share = (harmonic or {}).get(name, 0.5)
        matrix = np.stack([total, share * total, (1 - share) * total], axis=1)
        energies[name] = matrix.astype(np.float32)
    np.concatenate([energies[name] for name in sorted(energies)]).tofile(directory / "energies.f32")
    for name, table in tables.items():
        if table:
            lines = [f"{key} {value}\n" for key, value in sorted(table.items())]
            (directory / name).write_text("".join(lines))
    (directory / ".done").write_text(json.dumps({"fs": FS, "checksum": f"{len(clips):08x}"}))
    return directory


def noise(rng, seconds, amplitude=3000.0):
    return rng.normal(size=round(seconds * FS)) * amplitude


def sparse_clip(rng):
    """Bursts of noise with digital silence or faint noise around them, 0.1 to 9 s, any length."""
    length = int(rng.integers(800, 72000))
    samples = rng.normal(size=length) * rng.choice([0.0, 1.0, 30.0])
    for _ in range(rng.integers(1, 5)):
        start = int(rng.integers(length))
        burst = samples[start : start + int(rng.integers(400, 30000))]
        burst += rng.normal(size=len(burst)) * 10 ** rng.uniform(2, 3.5)
    return np.clip(samples, -32768, 32767)


@pytest.fixture(scope="session")
def corpus_dir(tmp_path_factory):
    rng = np.random.default_rng(0)
    clips, harmonic = {}, {}
    for kind, labels in LABELS.items():
        for number in range(10):
            name = f"{kind}{number}"
            clips[name] = (sparse_clip(rng), labels)
            harmonic[name] = float(rng.uniform(0.05, 0.95))
    return write_clips(tmp_path_factory.mktemp("dump") / "train", clips, harmonic)


@pytest.fixture(scope="session")
def corpus(corpus_dir):
    """70 clips of 7 classes in 3 super-classes."""
    return ClipSet(corpus_dir)


@pytest.fixture
def make_clips(tmp_path):
    """``write_clips`` into a fresh directory, read as a ``ClipSet``."""

    def make(clips, **more):
        number = len(list(tmp_path.iterdir()))
        return ClipSet(write_clips(tmp_path / f"clips{number}", clips, **more))

    return make


@pytest.fixture(scope="session")
def labels():
    """Kinds of clips and their labels."""
    return LABELS


@pytest.fixture(scope="session")
def superclasses():
    return SUPERCLASSES


@pytest.fixture(scope="session")
def make_noise():
    return noise

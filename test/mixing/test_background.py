"""Recorded noise under a mixture: drawn, rendered, stored and rebuilt."""

import shutil

import numpy as np
import pytest
import soundfile

from tsx_espnet.bin.mix import main
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.elements import RecordedNoise
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.mixing.render import render, render_sources
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.tables import read_table

OPTIONS = {"duration": 2.0, "num_sources": 3, "placement": "uniform"}


@pytest.fixture
def noise(make_clips, make_noise):
    """A long recording of noise and two that must be repeated."""
    rng = np.random.default_rng(0)
    lengths = {"fan": 7.3, "hum": 0.6, "click": 0.01}
    return make_clips({name: (make_noise(rng, t, 800), ("Noise",)) for name, t in lengths.items()})


@pytest.fixture
def sampler(corpus, noise):
    background = {"snr": [0, 5], "noise": str(noise.directories[0])}
    return Sampler(corpus, MixingConfig(**OPTIONS, background=background))


def test_a_part_of_a_recording(sampler, corpus, noise):
    seen = set()
    for index in range(30):
        plan = sampler.draw(0, 0, index)
        placed = plan.background
        assert isinstance(placed, RecordedNoise)
        rows, mixture = render(plan, corpus, sampler.noise)
        assert len(rows) == 4
        energy = np.square(rows, dtype=float).sum(axis=1)
        over = 10 * np.log10(energy[:3].sum() / energy[3])
        assert -0.01 <= over <= 5.01
        rest = energy.sum() - energy[plan.target]
        snr = 10 * np.log10(energy[plan.target] / rest)
        assert snr == pytest.approx(plan.snr, abs=0.01)  # a loop's energy is known exactly
        if placed.clip == "fan":
            part = noise.read("fan", placed.start, 16000)
            np.testing.assert_array_equal(rows[3], part * np.float32(placed.gain))
        seen.add(placed.clip)
    assert seen == {"fan", "hum", "click"}


def test_where_a_recording_starts_is_uniform(sampler):
    plans = [sampler.draw(1, 0, index) for index in range(300)]
    starts = [plan.background.start for plan in plans if plan.background.clip == "fan"]
    assert min(starts) < 3000 and max(starts) > 39000 and max(starts) <= 7.3 * 8000 - 16000


def test_refusals(corpus, noise, make_clips, tmp_path):
    def config(directory):
        return MixingConfig(**OPTIONS, background={"noise": str(directory)})

    with pytest.raises(TSXError, match=r"background noise: .*x: no formatted clips there"):
        Sampler(corpus, config(tmp_path / "x"))
    silent = make_clips({"zero": (np.zeros(20000), ("Noise",))})
    with pytest.raises(TSXError, match=r"1000 draws refused: .*\d+ silent background"):
        Sampler(corpus, config(silent.directories[0]))
    for name in noise.ids:
        soundfile.write(noise.path(name), np.zeros(16000), 16000)
    frames = sum(-(-noise.num_samples(name) // 160) for name in noise.ids)
    (noise.directories[0] / "energies.f32").write_bytes(bytes(12 * frames))
    with pytest.raises(TSXError, match=r"background noise .*: expected 8000 Hz .*, found 16000"):
        Sampler(corpus, config(noise.directories[0]))


def test_a_set_with_recorded_noise_is_rebuilt(corpus_dir, noise, tmp_path):
    (tmp_path / "mix.yaml").write_text(
        "{duration: 1.0, num_sources: 3, placement: uniform, background: {snr: [0, 5]}}"
    )
    clips = ["--clips", str(corpus_dir)]
    options = [*clips, "--config", str(tmp_path / "mix.yaml"), "--num_mixtures", "6"]
    recorded = ["--noise", str(noise.directories[0])]
    main([*options, *recorded, "--out", str(tmp_path / "set")])
    plans = read_plans(tmp_path / "set" / "mixtures.jsonl")
    assert all(isinstance(plan.background, RecordedNoise) for plan in plans)
    for plan in plans:
        paths = [
            read_table(tmp_path / "set" / f)[plan.id] for f in ("wav.scp", "spk1.scp", "spk2.scp")
        ]
        mixture, target, other = (soundfile.read(path, dtype="float32")[0] for path in paths)
        np.testing.assert_array_equal(mixture, target + other)
    again = ["--rebuild", str(tmp_path / "set"), *clips, "--out", str(tmp_path / "again")]
    with pytest.raises(TSXError, match=r"mix0000\d: its background is the recording .* --noise is"):
        main(again)
    assert not (tmp_path / "again").exists()  # else the right command would be refused
    main([*again, *recorded])
    assert audio(tmp_path / "again") == audio(tmp_path / "set")
    # the same noise elsewhere is the same set, other noise is another set
    moved = tmp_path / "moved"
    shutil.copytree(noise.directories[0], moved)
    main([*options, "--noise", str(moved), "--out", str(tmp_path / "set")])
    (moved / ".done").write_text('{"fs": 8000, "checksum": "other"}')
    with pytest.raises(TSXError, match="holds mixtures made differently .noise.formatted.checksum"):
        main([*options, "--noise", str(moved), "--out", str(tmp_path / "set")])


def test_noise_that_changed_is_seen(sampler, corpus, noise, corpus_dir, tmp_path):
    from tsx_espnet.mixing import set_writer

    set_writer.write_mixtures(sampler, 5, 0, tmp_path / "set")
    for name in noise.ids:
        samples, fs = soundfile.read(noise.path(name))
        soundfile.write(noise.path(name), samples / 3, fs)
    with pytest.raises(TSXError, match="expected an SNR of .* changed"):
        set_writer.rebuild(tmp_path / "set", corpus, tmp_path / "again", noise=sampler.noise)


def test_noise_of_another_rate(sampler, corpus, make_clips):
    plan = sampler.draw(0, 0, 0)
    other = make_clips({"x": (np.ones(8000), ("Noise",))})
    other.fs = 16000
    with pytest.raises(TSXError, match="made for 8000 Hz, but .* has 16000 Hz"):
        render_sources(plan, corpus, other)


def audio(directory):
    paths = sorted((directory / "wav").rglob("*.wav"))
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}

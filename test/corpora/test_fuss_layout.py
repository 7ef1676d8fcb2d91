"""Mixtures of any clips in FUSS's layout: what is written is read back as it was drawn."""

import numpy as np
import pytest
from fuss_as_shipped import read_wav

from tsx_espnet.bin import mix as mix_command
from tsx_espnet.cli import Jobs
from tsx_espnet.corpora.fuss import prepare
from tsx_espnet.corpora.fuss_layout import write_as_fuss
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import read_plans
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.tables import read_table

CONFIG = {"duration": 0.5, "strategy": "clips", "num_sources": (1, 4), "snr": (0.0, 20.0)}
CONFIG = {**CONFIG, "min_overlap": 0.0, "min_sounding": 0.1}
SETS = {"train": 12, "validation": 3, "eval": 2}


@pytest.fixture(scope="module")
def sampler(corpus):
    return Sampler(corpus, MixingConfig(**CONFIG))


@pytest.fixture(scope="module")
def root(sampler, tmp_path_factory):
    root = tmp_path_factory.mktemp("like fuss")
    for seed, (name, number) in enumerate(SETS.items()):
        write_as_fuss(sampler, number, seed, root / "ssdata" / name)
    return root


def contents(directory):
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_it_is_read_as_fuss_is(root, sampler, tmp_path):
    summaries = prepare(root, tmp_path)
    assert {name: sum(one.counts.values()) for name, one in summaries.items()} == {
        "train": 12,
        "valid": 3,
        "test": 2,
    }
    assert all(one.difference == 0 and not one.clipped for one in summaries.values())
    assert len(summaries["train"].counts) > 2
    wavs = read_table(tmp_path / "train" / "wav.scp")
    for number, plan in enumerate(read_plans(tmp_path / "train" / "mixtures.jsonl")):
        assert plan.id == f"train_example{number:02d}"
        drawn = sampler.draw(0, 0, number)
        expected = sampler.render(drawn).components
        assert [one.label for one in plan.sources] == [one.labels[0] for one in drawn.sources]
        for placed, samples in zip(plan.sources, expected):
            found = read_wav(wavs[placed.clip]) / 2**15
            np.testing.assert_allclose(found, samples, atol=0.5 / 2**15 + 1e-7)


def test_what_would_clip_is_softer(corpus, tmp_path):
    sampler = Sampler(corpus, MixingConfig(**CONFIG, level=0.0))
    write_as_fuss(sampler, 8, 0, tmp_path / "ssdata" / "train")
    scales = []
    for number in range(8):
        drawn = sampler.draw(0, 0, number)
        expected = sampler.render(drawn).components
        folder = tmp_path / "ssdata" / "train" / f"example{number}_sources"
        found = np.stack(
            [
                read_wav(next(folder.glob(f"{role}_*.wav"))).astype(float)
                for role in ("background0", "foreground0", "foreground1", "foreground2")
                if list(folder.glob(f"{role}_*.wav"))
            ]
        )
        mixture = read_wav(tmp_path / "ssdata" / "train" / f"example{number}.wav")
        np.testing.assert_array_equal(mixture, found.sum(axis=0))
        assert max(np.abs(mixture).max(), np.abs(found).max()) < 2**15
        scale = (found * expected).sum() / np.square(expected).sum()  # one for all sources
        np.testing.assert_allclose(found, scale * expected, atol=0.6)  # the scale is a fit
        scales.append(scale / 2**15)
    assert min(scales) < 0.9 and max(scales) < 1 + 1e-6


def test_jobs_and_damage_change_nothing(root, sampler, tmp_path, capsys):
    out = tmp_path / "ssdata" / "train"
    for jobs in (Jobs(2, 2), Jobs(2, 1), Jobs(2, merge=True)):
        write_as_fuss(sampler, 12, 0, out, jobs)
    expected = {
        path.relative_to(root / "ssdata"): data
        for path, data in contents(root / "ssdata").items()
        if path.relative_to(root / "ssdata").parts[0].startswith("train")
    }

    def found():
        files = contents(tmp_path / "ssdata").items()
        return {path.relative_to(tmp_path / "ssdata"): data for path, data in files}

    assert found() == expected
    next(out.glob("example03_sources/*")).unlink()
    (tmp_path / "ssdata" / "train_example_list.txt").unlink()
    write_as_fuss(sampler, 12, 0, out)
    assert "is made again" in capsys.readouterr().out
    assert found() == expected
    with pytest.raises(TSXError, match=r"holds mixtures made differently \(seed: 0 there, 5 now\)"):
        write_as_fuss(sampler, 12, 5, out)


def test_labels_become_names_of_files(make_clips, make_noise, tmp_path):
    """A slash would be a folder; clips without labels have FUSS's."""
    rng = np.random.default_rng(0)
    clips = {f"c{n}": (make_noise(rng, 1.0), ("Rock/Pop",) if n % 2 else ()) for n in range(4)}
    clips = make_clips(clips, captions={f"c{n}": ["a sound"] for n in range(4)})
    write_as_fuss(Sampler(clips, MixingConfig(**CONFIG)), 4, 0, tmp_path / "train")
    names = {path.stem.partition("_")[2] for path in tmp_path.glob("train/*_sources/*.wav")}
    assert names == {"Rock_Pop", "sound"}


def test_a_background_of_noise_is_no_source(corpus, tmp_path):
    sampler = Sampler(corpus, MixingConfig(**CONFIG, background={}))
    with pytest.raises(TSXError, match="background: expected none in FUSS's layout"):
        write_as_fuss(sampler, 2, 0, tmp_path / "train")
    assert not (tmp_path / "train").exists()


def test_the_command(corpus_dir, root, tmp_path):
    lines = (f"{name}: {list(x) if isinstance(x, tuple) else x}\n" for name, x in CONFIG.items())
    (tmp_path / "mix.yaml").write_text("".join(lines))
    out = tmp_path / "ssdata" / "train"
    args = ["--clips", str(corpus_dir), "--out", str(out), "--layout", "fuss"]
    with pytest.raises(TSXError, match="--rebuild and --layout exclude each other"):
        mix_command.main([*args, "--rebuild", str(tmp_path)])
    mix_command.main([*args, "--config", str(tmp_path / "mix.yaml"), "--num_mixtures", "12"])
    for path, data in contents(root / "ssdata" / "train").items():
        assert (out / path.relative_to(root / "ssdata" / "train")).read_bytes() == data

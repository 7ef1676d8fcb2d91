"""A directory of recordings of noise, up to a mixture that has one of them under it."""

import numpy as np
import pytest
import soundfile

from tsx_espnet.bin.prepare import main
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.clips.format import format_set
from tsx_espnet.corpora.tables import prepare_noise
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import read_table


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("room 1/Noise (a).wav", "room 1/b.FLAC", "c.wav"):
        path = tmp_path / "noise" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.01 * rng.normal(size=(8000, 2)), 16000)
    (tmp_path / "noise" / "readme.txt").write_text("not audio")
    return tmp_path / "noise"


def test_recordings_in_folders(root, tmp_path, capsys):
    main(["noise", "--noise", str(root), "--data", str(tmp_path / "data")])
    assert capsys.readouterr().out == f"{tmp_path}/data: 3 recordings of noise\n"
    wavs = read_table(tmp_path / "data" / "wav.scp")
    assert list(wavs) == ["c", "room_1_Noise_a_", "room_1_b"]
    assert wavs["room_1_b"] == f"{root}/room 1/b.FLAC"
    format_set(tmp_path / "data", tmp_path / "dump", 8000)
    clips = ClipSet(tmp_path / "dump")
    assert clips.fs == 8000 and clips.num_samples("c") == 4000


def test_mixtures_without_a_background_are_refused_before_anything_is_made(root, tmp_path):
    config = tmp_path / "mix.yaml"
    words = [
        "noise",
        "--noise",
        str(root),
        "--data",
        str(tmp_path / "data"),
        "--mixing_config",
        str(config),
    ]
    config.write_text("duration: 3.0\n")
    with pytest.raises(TSXError, match="--noise: .*mix.yaml has no background"):
        main(words)
    assert not (tmp_path / "data").exists()
    config.write_text("background: {snr: [15.0, 25.0]}\n")
    main(words)
    assert (tmp_path / "data" / "wav.scp").is_file()


def test_refusals(root, tmp_path):
    soundfile.write(root / "room 1" / "Noise a .wav", np.zeros(100), 16000)
    with pytest.raises(TSXError, match=r"has the id 'room_1_Noise_a_', as .* has; rename one"):
        prepare_noise(root, tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TSXError, match="empty: no recording in it"):
        prepare_noise(tmp_path / "empty", tmp_path / "data")
    with pytest.raises(TSXError, match="nowhere: no such directory"):
        prepare_noise(tmp_path / "nowhere", tmp_path / "data")
    assert not (tmp_path / "data").exists()

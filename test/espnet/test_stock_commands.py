"""ESPnet's own commands on our parts, and our task on ESPnet's extractor: train, resume, infer."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from tsx_espnet import TargetSoundExtractor
from tsx_espnet.tables import read_table

TRAIN = "tsx_espnet.bin.train"
ESPNET = "tsx_espnet.bin.espnet"
EGS = Path(__file__).parents[2] / "egs"
SPECTRA = {"n_fft": 64, "hop_length": 32}
TDCN = {"bottleneck_channels": 6, "hidden_channels": 8, "num_repeats": 2, "num_blocks": 2}


@pytest.fixture
def common(tiny):
    """Two steps an epoch on the six mixtures."""
    return {
        **tiny.quiet,
        **{"batch_type": "unsorted", "batch_size": 3, "max_epoch": 1},
        **{"encoder": "conv", "encoder_conf": tiny.conv},
        **{"decoder": "conv", "decoder_conf": tiny.conv},
    }


def data_args(files, mode):
    """ESPnet's data options for ``(path, name, type)`` rows; the ids are those of the first."""
    rows = option_args(f"--{mode}_data_path_and_name_and_type", files)
    return [*rows, f"--{mode}_shape_file", files[0][0]]


def option_args(option, files):
    return [arg for row in files for arg in (option, ",".join(map(str, row)))]


def train_and_resume(run, module, config, files, exp):
    """One epoch, then, resumed, a second; the command's log."""
    config_file = exp.parent / "train.yaml"
    config_file.write_text(yaml.safe_dump(config))
    args = [*data_args(files, "train"), *data_args(files, "valid"), "--output_dir", exp]
    run(*module, "--config", config_file, *args)
    assert (exp / "1epoch.pth").is_file() and not (exp / "2epoch.pth").exists()
    more = ["--max_epoch", 2, "--resume", "true"]
    command = run(*module, "--config", config_file, *args, *more)
    assert "The training was resumed" in command.err
    assert "2epoch results" in command.err and "1epoch results" not in command.err
    assert (exp / "valid.loss.ave.pth").is_file()


def infer(run, command, exp, files, out):
    """ESPnet's inference on the first two mixtures."""
    keys = list(read_table(files[0][0]))[:2]
    (exp.parent / "keys").write_text("".join(f"{key} x\n" for key in keys))
    rows = option_args("--data_path_and_name_and_type", files)
    run(
        *(ESPNET, command, *rows, "--key_file", exp.parent / "keys"),
        *("--train_config", exp / "config.yaml", "--model_file", exp / "valid.loss.ave.pth"),
        *("--output_dir", out, "--fs", 8000, "--ngpu", 0),
    )
    return keys


def check_outputs(out, num_sources, keys, mixtures):
    lengths = {key: soundfile.info(read_table(mixtures / "wav.scp")[key]).frames for key in keys}
    for number in range(1, num_sources + 1):
        written = read_table(out / f"spk{number}.scp")
        assert list(written) == keys
        for key, path in written.items():
            samples, fs = soundfile.read(path)
            assert samples.shape == (lengths[key],) and fs == 8000
            assert np.abs(samples).max() > 0


@pytest.fixture
def embeddings(data, tmp_path):
    """An embedding of size 6 for each mixture, as ESPnet reads them: ``id file.npy``."""
    lines = []
    for number, key in enumerate(read_table(data.mixtures / "wav.scp")):
        np.save(tmp_path / f"{key}.npy", np.eye(6, dtype=np.float32)[number])
        lines.append(f"{key} {tmp_path / key}.npy\n")
    (tmp_path / "enroll.scp").write_text("".join(lines))
    return tmp_path / "enroll.scp"


@pytest.mark.parametrize("enrollment", ["embedding", "recording"])
def test_enh_tse_on_our_extractor(
    enrollment, run, data, tiny, common, embeddings, tmp_path
):
    embedded = enrollment == "embedding"
    size = 6 if embedded else tiny.conv["channel"]  # a recording comes through the encoder
    config = {
        **common,
        "extractor": "sudormrf",
        "extractor_conf": {**tiny.sudormrf, "condition_dim": size},
        "model_conf": {"num_spk": 1, "share_encoder": not embedded},
        "load_spk_embedding": embedded,
        "criterions": [
            {"name": "si_sdr", "conf": {}, "wrapper": "fixed_order", "wrapper_conf": {}}
        ],
    }
    files = [
        (data.mixtures / "wav.scp", "speech_mix", "sound"),
        (embeddings if embedded else data.mixtures / "spk1.scp", "enroll_ref1", "text"),
        (data.mixtures / "spk1.scp", "speech_ref1", "sound"),
    ]
    exp = tmp_path / "exp"
    train_and_resume(run, (ESPNET, "enh_tse_train"), config, files, exp)
    keys = infer(run, "enh_tse_inference", exp, files[:2], tmp_path / "out")
    check_outputs(tmp_path / "out", 1, keys, data.mixtures)


@pytest.mark.parametrize("separator", ["sudormrf", "tdcn"])
def test_enh_on_our_separators(separator, run, data, tiny, common, tmp_path):
    config = {
        **yaml.safe_load((EGS / "fsd50k" / "conf" / "enh_pit.yaml").read_text()),
        **common,
        "separator_conf": {**tiny.sudormrf, "num_spk": 2},
    }
    if separator == "tdcn":
        config.update(dict.fromkeys(("encoder", "decoder"), "stft"), separator="tdcn")
        config.update(dict.fromkeys(("encoder_conf", "decoder_conf"), SPECTRA))
        config["separator_conf"] = {**TDCN, "num_spk": 2, "consistent_masks": True}
    files = [
        (data.mixtures / "wav.scp", "speech_mix", "sound"),
        (data.mixtures / "spk1.scp", "speech_ref1", "sound"),
        (data.mixtures / "spk2.scp", "speech_ref2", "sound"),
    ]
    exp = tmp_path / "exp"
    train_and_resume(run, (ESPNET, "enh_train"), config, files, exp)
    keys = infer(run, "enh_inference", exp, files[:1], tmp_path / "out")
    check_outputs(tmp_path / "out", 2, keys, data.mixtures)


def test_our_task_on_espnets_extractor(run, data, tiny, common, tmp_path):
    size = tiny.model["embedding_dim"]
    config = {
        **common,
        **tiny.model,
        "extractor": "td_speakerbeam",
        "extractor_conf": {
            **{"layer": 2, "stack": 1, "bottleneck_dim": 8, "hidden_dim": 8, "skip_dim": 8},
            **{"i_adapt_layer": 1, "adapt_enroll_dim": 8, "adapt_layer_type": "mul"},
            **{"use_spk_emb": True, "spk_emb_dim": size},
        },
        "conditions": {"energy": {}, "class": {}},
        "class_list": str(data.clips / "classes.txt"),
        "objective_conf": {"condition": "class"},
    }
    files = [
        (data.mixtures / "wav.scp", "speech_mix", "sound"),
        (data.mixtures / "spk1.scp", "speech_ref1", "sound"),
        (data.mixtures / "utt2energy", "energy", "text"),
        (data.mixtures / "utt2class", "class", "text"),
    ]
    exp = tmp_path / "exp"
    train_and_resume(run, (TRAIN,), config, files, exp)
    extractor = TargetSoundExtractor.load(exp)
    mixture, fs = soundfile.read(next(iter(read_table(data.mixtures / "wav.scp").values())))
    loud, rest = extractor(mixture, fs, energy="high")
    soft, _ = extractor(mixture, fs, energy="low")
    np.testing.assert_allclose(loud + rest, mixture, atol=1e-6)
    assert np.abs(loud - soft).max() > 0
    assert extractor(mixture, fs, class_label="Rain")[0].shape == mixture.shape


def test_an_extractor_that_cannot_take_our_embedding(start, tiny, tmp_path):
    config = {**tiny.quiet, **tiny.model, "extractor": "td_speakerbeam", "extractor_conf": {}}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(config))
    args = ("--config", tmp_path / "train.yaml", "--output_dir", tmp_path, "--dry_run", "true")
    command = start(TRAIN, *args)
    assert command.wait() == 1
    assert "use_spk_emb: true and spk_emb_dim: 8" in command.err.splitlines()[-1]

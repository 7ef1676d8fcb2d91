"""Classifiers of ESPnet's task ``cls``, against ESPnet's own model of the same weights."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.espnet_cls import log_odds
from tsx_espnet.pretrained.store import digest_of, load

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
TOKENS = ["Bark", "Rain", "Meow", "<unk>"]
# what an experiment writes and no network is made from
TRAINING = {"specaug": "specaug", "specaug_conf": {}, "init": None, "max_epoch": 3}
TRANSFORMER = {
    **TRAINING,
    "token_list": TOKENS,
    "input_size": None,
    "frontend": "default",
    "frontend_conf": {"n_mels": 16, "fs": "8k", "n_fft": 256},
    "normalize": "utterance_mvn",
    "normalize_conf": {},
    "preencoder": None,
    "preencoder_conf": {},
    "encoder": "transformer",
    "encoder_conf": {
        "output_size": 8, "attention_heads": 2, "linear_units": 12, "num_blocks": 2
    },
    "decoder": "linear",
    "decoder_conf": {"pooling": "max"},
    "model_conf": {"classification_type": "multi-label"},
}
BEATS = {
    **TRANSFORMER,
    "input_size": 1,
    "frontend": None,
    "frontend_conf": {},
    "normalize": None,
    "encoder": "beats",
    "encoder_conf": {
        "beats_ckpt_path": "/where/it/was/trained/BEATs_iter3.pt",
        "beats_config": {
            "encoder_layers": 2,
            "encoder_embed_dim": 16,
            "encoder_ffn_embed_dim": 24,
            "encoder_attention_heads": 2,
            "embed_dim": 12,
            "conv_pos": 16,
            "conv_pos_groups": 2,
            "relative_position_embedding": True,
            "gru_rel_pos": True,
            "deep_norm": True,
        },
    },
}


def parts_of(config, stats=None):
    """The parts of ESPnet's model, made as its task makes them."""
    from espnet2.asr.encoder.transformer_encoder import TransformerEncoder
    from espnet2.asr.frontend.default import DefaultFrontend
    from espnet2.cls.decoder.linear_decoder import LinearDecoder
    from espnet2.layers.global_mvn import GlobalMVN
    from espnet2.layers.utterance_mvn import UtteranceMVN
    from espnet2.tasks.cls import BeatsEncoder  # elsewhere in each ESPnet

    parts = {}
    if config["frontend"]:
        parts["frontend"] = DefaultFrontend(**config["frontend_conf"])
    if config["normalize"]:
        parts["normalize"] = GlobalMVN(stats) if stats else UtteranceMVN()
    if config["encoder"] == "beats":
        conf = {**config["encoder_conf"], "beats_ckpt_path": None}
        parts["encoder"] = BeatsEncoder(input_size=1, **conf)
    else:
        parts["encoder"] = TransformerEncoder(input_size=16, **config["encoder_conf"])
    parts["decoder"] = LinearDecoder(
        3, encoder_output_size=parts["encoder"].output_size(), **config["decoder_conf"]
    )
    return torch.nn.ModuleDict(parts)


def write(directory, config, stats=None, **about):
    """A directory as one puts it together from an experiment, and ESPnet's parts."""
    directory.mkdir()
    torch.manual_seed(0)
    parts = parts_of(config, stats).requires_grad_(False).eval()
    for weight in parts.parameters():
        weight.add_(0.05 * torch.randn_like(weight))
    torch.save(parts.state_dict(), directory / "valid.acc.ave_3best.pth")
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    (directory / "pretrained.json").write_text(json.dumps({"kind": "espnet_cls", **about}))
    return parts


def by_espnet(parts, samples):
    """As ``ESPnetClassificationModel`` computes its logits."""
    lengths = torch.full((len(samples),), samples.shape[1])
    x = samples
    for name in ("frontend", "normalize"):
        if name in parts:
            x, lengths = parts[name](x, lengths)
    x, lengths, _ = parts["encoder"](x, lengths)
    return parts["decoder"](x, lengths)


def sounds(num_samples, rows=2):
    return 0.1 * torch.randn(rows, num_samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("config, fs", [(TRANSFORMER, 8000), (BEATS, 16000)])
def test_the_logits_are_espnets(tmp_path, config, fs):
    parts = write(tmp_path / "cls", config)
    network = load(tmp_path / "cls").requires_grad_(False).eval()
    samples = sounds(fs)
    found = network(samples)
    assert (network.fs, network.labels) == (fs, ("Bark", "Rain", "Meow"))
    assert found.shape == (2, 1, 3)
    torch.testing.assert_close(found[:, 0], by_espnet(parts, samples))
    assert (found[0] - found[1]).abs().max() > 1e-4
    assert len(network.layers()) == 3 and network.layers()[-1] is network.model["decoder"]
    assert network.digest == digest_of(tmp_path / "cls")


def test_windows_slide_over_the_sound(tmp_path):
    parts = write(tmp_path / "cls", TRANSFORMER, window=0.5, hop=0.1)
    network = load(tmp_path / "cls").requires_grad_(False).eval()
    samples = sounds(8000)
    found = network(samples)
    assert found.shape == (2, 10, 3)
    expected = by_espnet(parts, samples[:, 4 * 800 + 400 - 2000 :][:, :4000])
    torch.testing.assert_close(found[:, 4], expected)


def test_global_statistics_come_with_the_directory(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 16)) + 3
    np.savez(
        tmp_path / "feats_stats.npz", count=50, sum=rows.sum(0), sum_square=(rows**2).sum(0)
    )
    stats = "exp/cls_stats_raw/train/feats_stats.npz"  # where the experiment had them
    config = {**TRANSFORMER, "normalize": "global_mvn", "normalize_conf": {"stats_file": stats}}
    parts = write(tmp_path / "cls", config, stats=tmp_path / "feats_stats.npz")
    with pytest.raises(TSXError, match="not a model of ESPnet's task cls: .*feats_stats.npz"):
        load(tmp_path / "cls")
    shutil.copy(tmp_path / "feats_stats.npz", tmp_path / "cls")
    network = load(tmp_path / "cls").requires_grad_(False).eval()
    torch.testing.assert_close(network(sounds(6000))[:, 0], by_espnet(parts, sounds(6000)))


def test_of_one_class_the_sigmoid_is_the_softmax(tmp_path):
    config = {**TRANSFORMER, "model_conf": {}}  # ESPnet's default
    parts = write(tmp_path / "cls", config)
    network = load(tmp_path / "cls").requires_grad_(False).eval()
    expected = by_espnet(parts, sounds(8000)).softmax(dim=1)
    torch.testing.assert_close(network(sounds(8000))[:, 0].sigmoid(), expected)


def test_log_odds_of_sure_and_of_hopeless_classes_are_finite():
    logits = torch.tensor([[80.0, 0.0, -80.0], [0.0, 0.0, 0.0]], requires_grad=True)
    found = log_odds(logits)
    found.sum().backward()
    assert found.isfinite().all() and logits.grad.isfinite().all()
    torch.testing.assert_close(found.sigmoid(), logits.softmax(dim=1), atol=2e-6, rtol=0)


@pytest.mark.parametrize("config, fs", [(TRANSFORMER, 8000), (BEATS, 16000)])
def test_gradients_reach_the_waveform_by_finite_differences(tmp_path, config, fs):
    """In float32, in which BEATs computes its spectrogram."""
    write(tmp_path / "cls", config)
    network = load(tmp_path / "cls").requires_grad_(False).eval()
    weights = torch.tensor([1.0, -2.0, 0.5])

    def loss(x):
        return (network(x)[:, 0] @ weights).sum()

    waveform = sounds(fs // 2, rows=1).requires_grad_()
    loss(waveform).backward()
    step = waveform.grad / waveform.grad.norm()
    with torch.no_grad():
        slope = (loss(waveform + 1e-3 * step) - loss(waveform - 1e-3 * step)) / 2e-3
    torch.testing.assert_close(waveform.grad.norm(), slope, rtol=0.01, atol=0)


def spoil(**changes):
    def write_config(directory):
        config = yaml.safe_load((directory / "config.yaml").read_text())
        (directory / "config.yaml").write_text(yaml.safe_dump({**config, **changes}))

    return write_config


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda d: (d / "config.yaml").unlink(), "config.yaml: no such file; expected that of"),
        (spoil(token_list="tokens.txt"), "config.yaml: expected a token_list of classes and <unk>"),
        (spoil(token_list=["a", "b"]), "config.yaml: expected a token_list of classes and <unk>"),
        (spoil(token_list=["a", "<unk>"]), ".pth: does not fit config.yaml: .*size mismatch"),
        (spoil(encoder="lstm"), "config.yaml: not a model of ESPnet's task cls"),
        (spoil(encoder_conf={"width": 3}), "config.yaml: not a model of ESPnet's task cls"),
        (spoil(frontend_conf={"fs": "fast"}), "config.yaml: frontend_conf: fs: expected Hz"),
        (lambda d: (d / "checkpoint.pth").write_text(""), "expected one .pth of the experiment, f"),
        (lambda d: (d / "valid.acc.ave_3best.pth").write_text(""), "damaged, or more than weights"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, damage, message):
    write(tmp_path / "cls", TRANSFORMER)
    damage(tmp_path / "cls")
    with pytest.raises(TSXError, match=message) as error:
        load(tmp_path / "cls")
    assert str(tmp_path / "cls") in str(error.value) and "\n" not in str(error.value)

"""CNN14 against a transcription of the published network, and its files."""

import os
import shutil

import librosa
import numpy as np
import pytest
import torch
from pretrained_networks import AUDIOSET, panns_state, write_panns
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, linear, relu

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.store import load


def transcribed(state, samples, fs, highest):
    """``Cnn14.forward`` of qiuqiangkong/audioset_tagging_cnn up to the sigmoid, in evaluation mode.

    Its torchlibrosa front end is librosa here. Nothing is shared with the package.
    """

    def norm(x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        return batch_norm(x, *(state[f"{name}.{own}"] for own in names), eps=1e-5)

    mels = []
    for own in samples:
        power = librosa.feature.melspectrogram(
            y=own,
            sr=fs,
            n_fft=fs * 1024 // 32000,
            hop_length=fs // 100,
            pad_mode="reflect",
            n_mels=64,
            fmin=50,
            fmax=highest,
        )
        mels.append(librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T)
    x = torch.from_numpy(np.stack(mels)).float()[:, None]  # (batch, 1, frames, bins)
    x = norm(x.transpose(1, 3), "bn0").transpose(1, 3)
    for block in range(1, 7):
        for number in (1, 2):
            x = conv2d(x, state[f"conv_block{block}.conv{number}.weight"], padding=1)
            x = relu(norm(x, f"conv_block{block}.bn{number}"))
        if block < 6:
            x = avg_pool2d(x, (2, 2))
    x = torch.mean(x, dim=3)
    (x1, _) = torch.max(x, dim=2)
    x = x1 + torch.mean(x, dim=2)
    x = relu(linear(x, state["fc1.weight"], state["fc1.bias"]))
    return linear(x, state["fc_audioset.weight"], state["fc_audioset.bias"])


def sounds(seconds, fs):
    """Noise, and a tone of 440 Hz: (2, T)."""
    time = np.arange(round(seconds * fs)) / fs
    noise = np.random.default_rng(0).standard_normal(len(time))
    return np.stack([0.1 * noise, np.sin(2 * np.pi * 440 * time)]).astype(np.float32)


@pytest.mark.parametrize("fs, highest", [(32000, 14000), (16000, 8000), (8000, 4000)])
def test_logits_of_a_window_are_those_of_the_published_network(tmp_path, fs, highest):
    state = panns_state(fs)
    network = load(write_panns(tmp_path / "panns", state)).eval()
    assert network.fs == fs and network.window == round(0.96 * fs)
    samples = sounds(0.96, fs)
    expected = transcribed(state, samples, fs, highest)
    with torch.no_grad():
        found = network(torch.from_numpy(samples))
    assert found.shape == (2, 2, AUDIOSET)
    for frame in found.unbind(dim=1):  # both windows are the whole
        torch.testing.assert_close(frame, expected, rtol=1e-3, atol=1e-3)
    assert (found[0] - found[1]).abs().max() > 0.03
    assert network.labels[1] == "Male speech, man speaking"


def test_frames_and_short_waveforms(panns):
    network = load(panns).eval()
    samples = torch.from_numpy(sounds(2.0, 16000))
    with torch.no_grad():
        found = network(samples)
        assert found.shape == (2, 5, AUDIOSET)  # a frame every 0.48 s
        third = network.classify(samples[:, 19200 - 7680 :][:, :15360])
        torch.testing.assert_close(found[:, 2], third, rtol=1e-4, atol=1e-4)
        assert network(samples[:, :10]).isfinite().all()
        slower = network(samples[:, ::2], fs=8000)
    assert slower.shape == found.shape


def test_safetensors_and_layers(panns, tmp_path):
    from safetensors.torch import save_file

    directory = write_panns(tmp_path / "panns", {})
    (directory / "Cnn14_16k_mAP=0.438.pth").unlink()
    save_file(panns_state(), directory / "cnn14.safetensors")
    network, same = load(directory).eval(), load(panns).eval()
    samples = torch.from_numpy(sounds(0.5, 16000))
    with torch.no_grad():
        assert torch.equal(network(samples), same(samples))
    owned = {id(p) for layer in network.layers() for p in layer.parameters()}
    assert owned == {id(parameter) for parameter in network.parameters()}
    assert network.layers()[-1] is network.fc_audioset


class Bomb:
    def __reduce__(self):
        return print, ("unpickled!",)


def checkpoint(made_of):
    def spoil(directory):
        path = next(directory.glob("*.pth"))
        path.unlink()
        torch.save(made_of(panns_state()), path)

    return spoil


def lacking(state, name):
    return {own: tensor for own, tensor in state.items() if own != name}


def with_fewer_labels(directory):
    path = directory / "class_labels_indices.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))


def another_table(directory):
    (directory / "class_labels_indices.csv").write_text("id,name\n0,Speech\n")


def a_second_file(directory):
    (directory / "other.pth").write_bytes(b"")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (checkpoint(lambda state: {"model": state, "sampler": Bomb()}), "or more than weights"),
        (checkpoint(lambda state: {"model": lacking(state, "fc1.bias")}), "PANNs: .*fc1.bias"),
        (checkpoint(lambda state: lacking(state, "logmel_extractor.melW")), "weights of CNN14 of"),
        (checkpoint(lambda state: {"model": [1]}), "expected tensors by name"),
        (with_fewer_labels, "expected 7 labels in class_labels_indices.csv, found 3"),
        (another_table, "expected columns index, mid, display_name"),
        (lambda directory: (directory / "class_labels_indices.csv").unlink(), "No such file"),
        (a_second_file, "expected one file of weights, found Cnn14_16k_mAP=0.438.pth, other.pth"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(panns, tmp_path, spoil, message, capsys):
    directory = tmp_path / "panns"
    directory.mkdir()
    for path in panns.iterdir():  # the checkpoint has 300 MB
        (os.link if path.suffix == ".pth" else shutil.copyfile)(path, directory / path.name)
    spoil(directory)
    with pytest.raises(TSXError, match=message) as error:
        load(directory)
    assert str(directory) in str(error.value) and "\n" not in str(error.value)
    assert "unpickled!" not in capsys.readouterr().out

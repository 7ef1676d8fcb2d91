"""The classifier that one trains oneself: frames, context, spectrogram, and its directory."""

import json
import shutil

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.frozen import Frozen
from tsx_espnet.pretrained.mobilenet import MobileNet, SavedMobileNet, save
from tsx_espnet.pretrained.store import digest_of, keep, load

LABELS = ("Bark", "Male_speech_and_man_speaking", "Rain")
CHANNELS = (8, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16)


def network(fs=8000, seed=0):
    torch.manual_seed(seed)
    made = MobileNet(LABELS, fs, CHANNELS)
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.1, 0.5)
            elif isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d)):
                torch.nn.init.kaiming_normal_(module.weight)  # the sound gets through
    return made.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture
def saved(net, tmp_path):
    save(net, tmp_path / "classifier")
    return tmp_path / "classifier"


def sounds(num_samples, rows=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, num_samples, generator=generator)


@given(num_samples=st.integers(1, 3000))
@settings(max_examples=20)
def test_a_frame_every_40_ms(net, num_samples):
    found = net(sounds(num_samples, rows=2))
    assert net.hop == 320
    assert found.shape == (2, -(-num_samples // 320), 3) and found.isfinite().all()


@pytest.mark.parametrize("fs", [8000, 16000, 22050])
def test_the_spectrogram_is_that_of_numpy(fs):
    """25 ms Hann windows around the middle of every 10 ms; librosa's filters."""
    net = network(fs)
    step, window = round(fs / 100), round(0.025 * fs)
    samples = sounds(5 * step + 3, seed=1)
    padded = np.zeros(10 * window + 20 * step)
    padded[5 * window : 5 * window + samples.shape[1]] = samples[0].numpy()
    n = np.arange(window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / window)
    hann /= np.sqrt((hann**2).sum())
    start = 5 * window - (window - step) // 2
    frames = [padded[start + f * step :][:window] * hann for f in range(8)]
    power = np.abs(np.fft.rfft(frames, n=net.n_fft)) ** 2
    filters = librosa.filters.mel(
        sr=fs, n_fft=net.n_fft, n_mels=64, fmin=60, fmax=fs / 2, htk=True, norm=None
    )
    expected = np.log10(power @ filters.T + 1e-6)
    found = net.log_mel(samples)[0].T.numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert (filters.sum(axis=1) > 0).all()


def test_a_frame_hears_its_context_and_nothing_else(net):
    """Of about one second; the middle of frame f is at f * hop, up to half a hop."""
    samples = sounds(5 * 8000)
    before = net(samples)[0]
    frame = before.shape[0] // 2
    assert 0.9 * 8000 < net.context < 1.2 * 8000
    reach = net.context // 2
    for place, heard in (
        (frame * net.hop - reach - net.hop, False),
        (frame * net.hop - reach + net.hop, True),
        (frame * net.hop + reach - net.hop, True),
        (frame * net.hop + reach + net.hop, False),
    ):
        changed = samples.clone()
        changed[0, place - 20 : place + 20] += 30.0
        after = net(changed)[0, frame]
        assert (after - before[frame]).abs().max() > 0 if heard else torch.equal(
            after, before[frame]
        ), place


def test_an_example_is_the_same_alone_and_in_a_batch(net):
    samples = sounds(4000, rows=3)
    together = net(samples)
    for row in range(3):
        torch.testing.assert_close(net(samples[row : row + 1])[0], together[row])
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_gradients_reach_the_waveform_by_finite_differences():
    net = network(seed=3).double()
    waveform = sounds(2400, seed=2).double().requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.double)

    def loss(x):
        return (net(x) @ weights).sum()

    loss(waveform).backward()
    assert net.differentiable and waveform.grad.abs().max() > 1e-6
    for seed in range(3):
        step = sounds(2400, seed=10 + seed).double()
        with torch.no_grad():
            slope = (loss(waveform + 1e-6 * step) - loss(waveform - 1e-6 * step)) / 2e-6
        torch.testing.assert_close((waveform.grad * step).sum(), slope, rtol=1e-3, atol=1e-6)


def test_silence_has_finite_logits_and_gradients(net):
    silence = torch.zeros(1, 2000, requires_grad=True)
    logits = net(silence)
    logits.sum().backward()
    assert logits.isfinite().all() and silence.grad.isfinite().all()


def test_layers_are_all_parameters_in_order(net):
    owned = [id(p) for layer in net.layers() for p in layer.parameters()]
    assert owned == [id(parameter) for parameter in net.parameters()]
    assert net.layers()[-1] is net.output and len(net.layers()) == 14


def test_the_last_three_layers_can_be_trained_further(net):
    tuned = Frozen(network()).with_trainable(3)
    names = set(dict(tuned.named_parameters()))
    assert {name.split("/")[0] for name in names} == {"separable", "over_time", "output"}
    assert {name.split("/")[1] for name in names if name.startswith("separable")} == {"9"}


def test_what_is_saved_is_the_same_network(net, saved, tmp_path):
    loaded = load(saved).requires_grad_(False).eval()
    assert isinstance(loaded, SavedMobileNet) and loaded.labels == LABELS
    assert (loaded.fs, loaded.hop, loaded.digest) == (8000, 320, digest_of(saved))
    samples = sounds(5000, rows=2)
    assert torch.equal(loaded(samples), net(samples))
    (saved / "config.yaml").write_text("max_epoch: 2")  # of a run of training
    (saved / "checkpoint.pth").write_bytes(b"x")
    keep(saved, tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        *("labels.txt", "pretrained.json", "weights.safetensors")
    ]
    assert digest_of(tmp_path / "kept") == loaded.digest
    save(network(seed=1), saved)
    assert digest_of(saved) != loaded.digest


def test_saved_twice_is_the_same_to_the_bit(net, saved, tmp_path):
    save(net, tmp_path / "again")
    assert digest_of(tmp_path / "again") == digest_of(saved)


def lose(name):
    return lambda directory: (directory / name).unlink()


def write(name, text):
    return lambda directory: (directory / name).write_text(text)


def describe(**changes):
    about = {"kind": "mobilenet", "fs": 8000, "channels": CHANNELS, **changes}
    return write("pretrained.json", json.dumps(about))


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lose("labels.txt"), "labels.txt: expected a label a line: No such file"),
        (lose("weights.safetensors"), "weights.safetensors: damaged, or more than weights"),
        (write("labels.txt", "Bark\nBark\nRain\n"), "labels.txt: expected different labels"),
        (write("labels.txt", ""), "labels.txt: expected different labels"),
        (write("labels.txt", "Bark\nRain\n"), "weights.safetensors: expected a MobileNet: .*size"),
        (write("weights.safetensors", "x"), "weights.safetensors: damaged, or more than weights"),
        (describe(channels=[8] * 11), "weights.safetensors: expected a MobileNet"),
        (describe(channels=[8, 8]), "pretrained.json: channels: expected 11, found .8, 8."),
        (describe(width=2), "pretrained.json: no option 'width'"),
        (write("pretrained.json", '{"kind": "mobilenet"}'), "pretrained.json: .*fs"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(saved, spoil, message):
    spoil(saved)
    with pytest.raises(TSXError, match=message) as error:
        load(saved)
    assert str(saved) in str(error.value) and "\n" not in str(error.value)


def test_a_copy_is_a_network_too(saved, tmp_path):
    copied = shutil.copytree(saved, tmp_path / "copied")
    assert digest_of(copied) == digest_of(saved)

"""Spectrograms of pretrained networks, against librosa, torchaudio and transformers."""

import librosa
import numpy as np
import pytest
import torch

from tsx_espnet.pretrained.features import kaldi_fbank, kaldi_filters, log_mel
from tsx_espnet.pretrained.store import load


def noise(seconds, fs, seed=0, rows=1):
    samples = np.random.default_rng(seed).standard_normal((rows, round(seconds * fs)))
    return (0.1 * samples).astype(np.float32)


@pytest.mark.parametrize("fs, n_fft, highest", [(32000, 1024, 14000), (16000, 512, 8000)])
def test_log_mel_is_librosas(fs, n_fft, highest):
    """The front end of PANNs is torchlibrosa, a transcription of librosa."""
    samples, hop = noise(0.5, fs, rows=2), fs // 100
    options = {"n_mels": 64, "fmin": 50, "fmax": highest}
    filters = torch.from_numpy(librosa.filters.mel(sr=fs, n_fft=n_fft, **options).T.copy())
    found = log_mel(torch.from_numpy(samples), filters, hop)
    assert found.shape == (2, 51, 64)
    for row, own in zip(found, samples):
        power = librosa.feature.melspectrogram(
            y=own, sr=fs, n_fft=n_fft, hop_length=hop, pad_mode="reflect", **options
        )
        expected = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
        np.testing.assert_allclose(row.numpy().T, expected, atol=1e-3)


@pytest.mark.parametrize("seconds", [0.3, 6.0, 8.2, 10.0])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
def test_clap_hears_what_its_feature_extractor_makes(tmp_path, seconds, fused, padding):
    from pretrained_networks import write_clap
    from transformers import ClapFeatureExtractor

    write_clap(tmp_path, fused, padding=padding)
    samples = noise(seconds, 48000)
    extractor = ClapFeatureExtractor.from_pretrained(tmp_path)
    theirs = extractor(samples[0], sampling_rate=48000, return_tensors="np").input_features[0]
    encoder = load(tmp_path).double()
    ours = encoder.log_mel(torch.from_numpy(samples).double())[0].numpy()
    for channel in theirs:  # one, or four of the same
        sounding = channel > -99  # in padded silence, rounding decides on what is below 1e-10
        np.testing.assert_allclose(ours[sounding], channel[sounding], atol=5e-5)
        assert ours[~sounding].max(initial=-100) < -98


@pytest.mark.parametrize("bins", [32, 128])
def test_kaldi_fbank_is_torchaudios_and_asts(bins):
    from torchaudio.compliance import kaldi
    from transformers import ASTFeatureExtractor

    samples = torch.from_numpy(noise(0.5, 16000, rows=2))
    found = kaldi_fbank(samples, kaldi_filters(400, bins, 16000), 400, 160)
    assert found.shape == (2, 48, bins)
    options = {"window_type": "hanning", "num_mel_bins": bins, "sample_frequency": 16000}
    for row, own in zip(found, samples):
        torch.testing.assert_close(row, kaldi.fbank(own[None], **options), atol=2e-3, rtol=1e-4)
    theirs = ASTFeatureExtractor(num_mel_bins=bins, max_length=48, do_normalize=False)
    expected = theirs(samples[0].numpy(), sampling_rate=16000).input_values[0]
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-3, rtol=1e-4)


def test_gradients_by_finite_differences():
    torch.manual_seed(0)
    filters = torch.rand(9, 4, dtype=torch.double)
    waveform = torch.randn(2, 40, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: log_mel(x, filters, 8), waveform)
    assert torch.autograd.gradcheck(lambda x: kaldi_fbank(x, filters, 16, 8), waveform)


def test_the_gradient_of_silence_is_finite():
    silence = torch.zeros(1, 40, requires_grad=True)
    log_mel(silence, torch.rand(9, 4), 8).sum().backward()
    kaldi_fbank(silence, torch.rand(9, 4), 16, 8).sum().backward()
    assert silence.grad.isfinite().all()

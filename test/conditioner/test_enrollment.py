"""The embedding of a recording depends on neither its padding nor its level."""

import math

import pytest
import torch
from espnet2.enh.layers.tcn import TemporalConvNet
from hypothesis import given, settings
from hypothesis import strategies as st

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditioner.enrollment import EnrollmentConditioner

BASES = {"channel": 7, "kernel_size": 20, "stride": 10}
SMALL = {"encoder_conf": BASES, "bottleneck_dim": 6, "hidden_dim": 8, "layer": 4}
SPECTRA = {"encoder": "stft", "encoder_conf": {"n_fft": 32, "hop_length": 8}}


def build(**options):
    torch.manual_seed(0)
    conditioner = EnrollmentConditioner(5, **{**SMALL, **options})
    for parameter in conditioner.parameters():
        if parameter.dim() != 3:  # gains and biases of norms, slopes: not as they start
            torch.nn.init.normal_(parameter, mean=0.5, std=0.3)
    return conditioner


def recording(length, seed=0, level=0.1):
    return level * torch.randn(length, generator=torch.Generator().manual_seed(seed))


def alone(conditioner, samples):
    return conditioner(samples[None], torch.tensor([len(samples)])).vector()[0]


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("encoder", [{}, SPECTRA], ids=["bases", "spectra"])
@pytest.mark.parametrize("fill", [0.0, 5.0, float("nan")])
@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 700), min_size=1, max_size=4), extra=st.integers(0, 300)
)
def test_alone_padded_and_among_longer_ones_it_is_the_same(lengths, extra, fill, encoder):
    conditioner = build(**encoder)
    recordings = [recording(length, seed) for seed, length in enumerate(lengths)]
    value = torch.full((len(lengths), max(lengths) + extra), fill)
    for row, samples in enumerate(recordings):
        value[row, : len(samples)] = samples
    together = conditioner(value, torch.tensor(lengths)).vector()
    for row, samples in enumerate(recordings):
        torch.testing.assert_close(together[row], alone(conditioner, samples), atol=1e-5, rtol=0)


def test_a_padded_recording_is_not_that_recording_with_silence():
    """The lengths tell silence that was recorded from silence that was padded."""
    conditioner, samples = build(), recording(300)
    longer = torch.cat([samples, torch.zeros(300)])
    padded = conditioner(longer[None], torch.tensor([300])).vector()[0]
    torch.testing.assert_close(padded, alone(conditioner, samples), atol=1e-5, rtol=0)
    assert (alone(conditioner, longer) - padded).abs().max() > 1e-2


@pytest.mark.parametrize("length", [1, 9, 10, 11, 20, 21, 300])
def test_it_is_espnets_conv_tasnet_averaged_over_the_frames(length):
    conditioner, samples = build(), recording(length)
    theirs = TemporalConvNet(
        *(7, 6, 8, 3, 4, 1, 1),
        out_channel=5,
        norm_type="GN",
        pre_mask_nonlinear="prelu",
        mask_nonlinear="linear",
    )
    for parameter in theirs.parameters():
        if parameter.dim() != 3:
            torch.nn.init.normal_(parameter, mean=0.5, std=0.3)
    conditioner.tcn.load_state_dict(theirs.state_dict())
    scaled = samples / samples.square().mean().sqrt()
    frames = math.ceil(length / 10)
    padded = torch.nn.functional.pad(scaled, (0, 10 * frames + 10 - length))
    windows = padded.unfold(0, 20, 10)
    assert len(windows) == frames
    feature = torch.relu(windows @ conditioner.encoder.conv1d.weight[:, 0].T)
    expected = theirs(feature.T.unsqueeze(0))[0, 0].mean(dim=-1)
    torch.testing.assert_close(alone(conditioner, samples), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("gain", [1e-3, 10.0, 1e4])
def test_the_level_does_not_matter(gain):
    conditioner, samples = build(), recording(300)
    found = alone(conditioner, gain * samples)
    torch.testing.assert_close(found, alone(conditioner, samples), atol=1e-4, rtol=1e-4)


def test_the_sound_does_matter():
    conditioner = build()
    vectors = [alone(conditioner, recording(300, seed)) for seed in range(2)]
    assert (vectors[0] - vectors[1]).abs().max() > 1e-3


def test_silence_and_nothing():
    conditioner = build()
    value = torch.zeros(2, 50, requires_grad=True)
    condition = conditioner(value, torch.tensor([50, 0]))
    assert condition.applicable.tolist() == [True, False]
    condition.vector().sum().backward()
    assert condition.embedding.isfinite().all() and value.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in conditioner.parameters())
    nothing = conditioner(torch.zeros(3, 0), torch.zeros(3).long())
    assert nothing.embedding.shape == (3, 1, 5) and not nothing.applicable.any()


def test_eq_8_several_recordings_are_averaged():
    conditioner = build()
    lengths = (300, 50, 120)
    recordings = [recording(length, seed) for seed, length in enumerate(lengths)]
    parts = [conditioner(samples[None], torch.tensor([len(samples)])) for samples in recordings]
    expected = sum(alone(conditioner, samples) for samples in recordings) / 3
    found = ConditionEmbedding.cat(parts, dim=1).vector()[0]
    torch.testing.assert_close(found, expected)


def test_the_papers_sizes():
    """Section 5.2: as the extraction network, but one stack; number of parameters by hand."""
    bases = width = dim = 256
    hidden, norm, prelu = 512, 2, 1
    inner = prelu + norm * hidden
    block = width * hidden + inner + 3 * hidden + inner + hidden * width
    stack = norm * bases + bases * width + 8 * block + prelu + width * dim
    conditioner = EnrollmentConditioner(256)
    assert size(conditioner) == bases * 20 + stack
    assert conditioner.encoder.stride == 10


def test_a_hop_that_leaves_samples_out_is_refused():
    bases = {"channel": 4, "kernel_size": 8, "stride": 9}
    with pytest.raises(ValueError, match="expected a hop of 1 to 8 samples, found 9"):
        EnrollmentConditioner(5, encoder_conf=bases)


def test_an_option_that_the_encoder_has_not_is_named():
    with pytest.raises(ValueError, match="encoder_conf of conv: .*n_fft"):
        EnrollmentConditioner(5, encoder_conf={"n_fft": 8})


@pytest.mark.parametrize("length", [1, 7, 8, 9, 300])
def test_spectra_are_those_of_torch(length):
    conditioner, samples = build(**SPECTRA), recording(length)
    scaled = samples / samples.square().mean().sqrt()
    padded = torch.nn.functional.pad(scaled, (0, 64))
    spectrum = torch.stft(padded, 32, 8, window=torch.hann_window(32), return_complex=True)
    feature = spectrum.abs()[:, : math.ceil(length / 8)].log1p()
    expected = conditioner.tcn(feature.unsqueeze(0))[0].mean(dim=-1)
    torch.testing.assert_close(alone(conditioner, samples), expected, atol=1e-5, rtol=1e-4)

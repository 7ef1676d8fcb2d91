"""Two outputs with uniform consistency are decoded at once, where the decoder allows it."""

import pytest
import torch
from espnet2.enh.decoder.conv_decoder import ConvDecoder
from espnet2.enh.decoder.null_decoder import NullDecoder
from espnet2.enh.decoder.stft_decoder import STFTDecoder

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.extractor.separation import is_linear

SPECTRUM = {"n_fft": 64, "hop_length": 32}
STFT = {"encoder": "stft", "decoder": "stft", "encoder_conf": SPECTRUM, "decoder_conf": SPECTRUM}
BENT = {**STFT, "decoder_conf": {**SPECTRUM, "spec_transform_type": "exponent"}}
SIZES = {"num_blocks": 1, "out_channels": 8, "hidden_channels": 16, "depth": 2}
TASNET = {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2, "stack": 2}
PIT = {"objective": "pit", "conditions": {UNCONDITIONAL: {}}}


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(dtype=torch.float32):
    target, rest = noise(2, 3, 403).to(dtype)
    found = {"speech_mix": target + rest, "speech_ref1": target, "speech_ref2": rest}
    found.update(energy=torch.tensor([[0], [1], [1]]), text=noise(3, 1, 8, seed=1).to(dtype))
    return {**found, UNCONDITIONAL: torch.zeros(3, 1).long()}


METHODS = {
    "text": {"objective": "single", "objective_conf": {"condition": "text"}},
    "oct": {"objective": "oct"},
    "octpp": {"objective": "octpp", "refiner": "mixture", "refiner_conf": {"channels": 8}},
    "pit": PIT,
    "two passes": {**PIT, "later": [{}]},
}


@pytest.mark.parametrize("bases", [{}, STFT], ids=["conv", "stft"])
@pytest.mark.parametrize("method", METHODS)
def test_estimates_and_gradients_are_those_of_two_decodings(make_model, method, bases):
    """Both outputs decoded, then half of what is missing added to each, as the definition says."""
    options = {"conditions": {"energy": {}, "text": {}}, **METHODS[method], **bases}
    dtype = torch.float64  # in which next to nothing is left of rounding
    model = make_model(**options).to(dtype).train()
    data = {name: value for name, value in batch(dtype).items() if name in model.conditioners}
    sounds = {name: value for name, value in batch(dtype).items() if name.startswith("speech")}
    parameters = [one for one in model.parameters() if one.requires_grad]

    def results():
        loss = model(**sounds, **data)[0]
        gradients = torch.autograd.grad(loss.sum(), parameters, allow_unused=True)
        with torch.no_grad():
            encoded = model.encode(sounds["speech_mix"], torch.full((3,), 403))
            conditions = model.embed(data).values()
            estimates = [model.separate(encoded, model.refine(encoded, one)) for one in conditions]
        return torch.stack(estimates), [one for one in gradients if one is not None]

    def direct(one):
        def run(encoded, condition):
            features = one.extractor.extract(encoded.feature, encoded.frames, condition)
            first, second = (one._decode(features[:, k], 403) for k in range(2))
            missing = encoded.mixture - (first + second)
            outputs = torch.stack([first + missing / 2, second + missing / 2], dim=1)
            return outputs * encoded.level.unsqueeze(1)

        return run

    found, gradients = results()
    for one in (model, *model.later):
        assert one.decodes_difference
        one.run = direct(one)
    expected, expected_gradients = results()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert len(gradients) == len(expected_gradients) > 10
    for ours, theirs in zip(gradients, expected_gradients):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9 * theirs.abs().max().item())


@pytest.mark.parametrize("bases", [{}, STFT], ids=["conv", "stft"])
def test_in_single_precision_nothing_but_rounding_differs(monkeypatch, make_model, bases):
    model, data = make_model(conditions={"text": {}}, **bases), batch()
    encoded = model.encode(data["speech_mix"], torch.full((3,), 403))
    condition = model.embed({"text": data["text"]})["text"]
    found = model.separate(encoded, condition)
    monkeypatch.setattr("tsx_espnet.extractor.separation.is_linear", lambda decoder: False)
    expected = model.separate(encoded, condition)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


@pytest.mark.parametrize(
    "changes, decodings",
    [
        ({}, 1),
        (STFT, 1),
        ({**STFT, "decoder_conf": {**SPECTRUM, "spec_transform_type": "none"}}, 1),
        (BENT, 2),
        ({"consistency": "none"}, 2),
        ({"consistency": "energy"}, 2),
        ({"consistency": "predicted"}, 2),
        ({"extractor_conf": {**SIZES, "num_outputs": 3}}, 3),
        ({"extractor": "conv_tasnet", "extractor_conf": TASNET}, 1),  # the rest is what is left
    ],
)
def test_how_often_the_decoder_runs(make_model, changes, decodings):
    model = make_model(**PIT, **changes)
    runs = []
    model.decoder.register_forward_hook(lambda *_: runs.append(1))
    value = model.embed({UNCONDITIONAL: torch.zeros(2, 1).long()})[UNCONDITIONAL]
    model.extract(noise(2, 400), value)
    assert len(runs) == decodings


class Louder(ConvDecoder):
    """Linear or not: a subclass is not known."""

    def forward(self, input, ilens, fs=None):
        waveform, lengths = super().forward(input, ilens, fs)
        return waveform.square(), lengths


@pytest.mark.parametrize(
    "decoder",
    [
        ConvDecoder(9, 10, 3),
        STFTDecoder(16, hop_length=4),
        STFTDecoder(16, hop_length=4, spec_transform_type="none"),
        STFTDecoder(16, hop_length=4, spec_transform_type="exponent"),
        STFTDecoder(16, hop_length=4, spec_transform_type="log"),
        Louder(9, 10, 3),
    ],
)
def test_what_is_called_linear_is_linear(decoder):
    one, two = torch.randn(2, 3, 11, 9, generator=torch.Generator().manual_seed(0))
    if isinstance(decoder, STFTDecoder):
        one, two = one + 1j * two, two - 1j * one.roll(1)
    lengths = torch.full((3,), 40)
    first, second, both = (decoder(value, lengths)[0] for value in (one, two, one - two))
    assert is_linear(decoder) == torch.allclose(first - second, both, rtol=1e-4, atol=1e-5)


def test_a_decoder_that_is_not_known_is_not_called_linear():
    assert not is_linear(NullDecoder()) and not is_linear(torch.nn.Linear(2, 2))

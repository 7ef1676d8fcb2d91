import pytest
import torch
from espnet2.enh.layers.tcn import TemporalConvNet

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.extractor.conv_tasnet import ConvTasNetExtractor

SMALL = {"bottleneck_dim": 6, "hidden_dim": 8, "layer": 3, "stack": 3}
LENGTHS = torch.tensor([40, 40])


def build(condition_dim=6, **options):
    torch.manual_seed(0)
    return ConvTasNetExtractor(5, condition_dim, **{**SMALL, **options}).eval()


def condition(vector):
    return ConditionEmbedding(vector.unsqueeze(1), torch.ones(len(vector), 1).bool())


def feature(**options):
    return torch.rand(2, 40, 5, generator=torch.Generator().manual_seed(1), **options)


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_papers_sizes():
    """Section 5.2: N = B = D = 256, H = 512, P = 3, X = 8, R = 4; number of parameters by hand."""
    bases = width = 256
    hidden, kernel, blocks = 512, 3, 8 * 4
    norm, prelu = 2, 1  # a gain and a bias a channel; one slope
    inner = prelu + norm * hidden
    block = width * hidden + inner + kernel * hidden + inner + hidden * width
    expected = norm * bases + bases * width + blocks * block + prelu + width * bases
    extractor = ConvTasNetExtractor(bases)
    assert size(extractor) == expected
    assert [len(stack) for stack in extractor.tcn.stacks] == [8] * 4
    dilations = [
        part.dilation[0]
        for part in extractor.tcn.stacks[1].modules()
        if isinstance(part, torch.nn.Conv1d) and part.groups > 1
    ]
    assert dilations == [1, 2, 4, 8, 16, 32, 64, 128]


@pytest.mark.parametrize("norm_type", ["GN", "gLN", "cLN"])
@pytest.mark.parametrize("nonlinear", ["relu", "sigmoid", "tanh", "linear"])
def test_multiplied_by_ones_it_is_espnets_conv_tasnet(nonlinear, norm_type):
    ours = build(nonlinear=nonlinear, norm_type=norm_type)
    theirs = TemporalConvNet(
        *(5, 6, 8, 3, 3, 3, 1),
        norm_type=norm_type,
        pre_mask_nonlinear="prelu",
        mask_nonlinear=nonlinear,
    )
    ours.tcn.load_state_dict(theirs.state_dict())
    mask = theirs(feature().transpose(1, 2))[:, 0].transpose(1, 2)
    (target,) = ours.extract(feature(), LENGTHS, condition(torch.ones(2, 6))).unbind(dim=1)
    torch.testing.assert_close(target, feature() * mask)


def test_the_vector_is_multiplied_into_the_output_of_the_first_stack():
    """As if the first stack, residual path and all, had given ``e ⊙ z``."""
    extractor, vector = build(), torch.randn(2, 6)
    (shared,) = extractor.prepare(feature(), LENGTHS)
    expected = extractor.extract(feature(), LENGTHS, condition(vector))
    ones = condition(torch.ones(2, 6))
    found = extractor.extract(feature(), LENGTHS, ones, (vector.unsqueeze(-1) * shared,))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("fusion", ["multiply", "film", "concat", "attention"])
@pytest.mark.parametrize("condition_dim, stack", [(8, 1), (4, 2), (8, 3)])
def test_every_fusion_at_every_size(fusion, condition_dim, stack):
    extractor = build(condition_dim, fusion=fusion, stack=stack, bottleneck_dim=8)
    one, two = torch.randn(2, 2, condition_dim)
    targets = [extractor.extract(feature(), LENGTHS, condition(vector)) for vector in (one, two)]
    assert targets[0].shape == (2, 1, 40, 5) and (targets[0] - targets[1]).abs().max() > 1e-4


def test_a_linear_map_of_the_condition_only_where_it_is_needed():
    assert size(build(6).fusion) == 0
    assert size(build(4).fusion) == 4 * 6 + 6
    assert size(build(6, fusion="film").fusion) == 6 * 12 + 12
    assert size(build(6, fusion="concat").fusion) == 12 * 6 + 6


def test_a_spectrum_is_masked_by_what_the_network_sees_of_its_magnitude():
    extractor = build(nonlinear="sigmoid")
    spectrum = torch.randn(2, 40, 5, dtype=torch.complex64)
    target = extractor.extract(spectrum, LENGTHS, condition(torch.ones(2, 6)))[:, 0]
    loudness = torch.log(1 + spectrum.abs())
    expected = extractor.extract(loudness, LENGTHS, condition(torch.ones(2, 6)))[:, 0]
    torch.testing.assert_close(target / spectrum, (expected / loudness).to(spectrum.dtype))


def test_leaky_relu_is_what_prelu_starts_from():
    prelu, leaky = build(), build(activation="leaky_relu")
    assert size(prelu) - size(leaky) == 2 * 9 + 1
    leaky.load_state_dict(prelu.state_dict(), strict=False)
    expected = prelu.extract(feature(), LENGTHS, condition(torch.ones(2, 6)))
    found = leaky.extract(feature(), LENGTHS, condition(torch.ones(2, 6)))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fusion": "add"}, "fusion: expected one of multiply, .* attention, found 'add'"),
        ({"nonlinear": "softmax"}, "nonlinear: expected one of .* found 'softmax'"),
        ({"norm_type": "BN"}, "norm_type: expected one of .* found 'BN'"),
        ({"activation": "gelu"}, "activation: expected one of .* found 'gelu'"),
        ({"kernel": 4}, "kernel: expected an odd number of frames, found 4"),
        ({"stack": 0}, "at least 1 layer and 1 stack, found 3 and 0"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)

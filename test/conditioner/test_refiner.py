"""Eq. 5 of OCT++ against its parts by hand."""

import pytest
import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditioner.refiner import AttentionPooling, MixtureEncoder, MixtureRefiner


def make_refiner():
    torch.manual_seed(0)
    return MixtureRefiner(input_dim=6, embedding_dim=5, hidden_dim=7, channels=8)


def test_attention_pooling_is_a_weighted_mean_of_each_half():
    torch.manual_seed(0)
    pool = AttentionPooling(channels=4, heads=2)
    x = torch.randn(1, 4, 9)
    scores = torch.einsum("hc,cf->hf", pool.score.weight[:, :, 0], x[0]) + pool.score.bias[:, None]
    weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
    expected = torch.cat([(x[0, :2] * weights[0]).sum(1), (x[0, 2:] * weights[1]).sum(1)])
    torch.testing.assert_close(pool(x)[0], expected)


def test_pooling_of_a_constant_is_the_constant():
    pool = AttentionPooling(channels=6, heads=2)
    torch.testing.assert_close(pool(torch.full((2, 6, 11), 3.0)), torch.full((2, 6), 3.0))


def test_heads_must_divide_the_channels():
    with pytest.raises(ValueError, match="multiple of 2 heads, found 5"):
        AttentionPooling(channels=5, heads=2)


@pytest.mark.parametrize("frames", [1, 2, 5, 256, 1000])
def test_a_mixture_of_any_length_is_one_vector(frames):
    assert MixtureEncoder(input_dim=6, channels=8)(torch.rand(3, frames, 6)).shape == (3, 8)


def test_the_encoder_has_the_sizes_of_the_paper():
    convolutions = [
        part for part in MixtureEncoder(512).modules() if isinstance(part, torch.nn.Conv1d)
    ]
    strided = [conv for conv in convolutions if conv.groups == 512]
    assert [conv.stride for conv in strided] == [(4,)] * 4
    assert {conv.out_channels for conv in convolutions} == {512, 2}


def test_refinement_is_equation_5():
    refiner = make_refiner()
    feature, embedding = torch.rand(2, 300, 6), torch.randn(2, 3, 5)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    context = refiner.encoder(feature)
    refined = refiner(context, ConditionEmbedding(embedding, mask))
    first, _, second = refiner.map
    for row in range(2):
        for position in range(3):
            joined = torch.cat([context[row], embedding[row, position]])
            hidden = (first.weight @ joined + first.bias).clamp(min=0)
            expected = second.weight @ hidden + second.bias
            torch.testing.assert_close(refined.embedding[row, position], expected)
    assert torch.equal(refined.mask, mask)

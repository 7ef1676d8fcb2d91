"""Eq. 5 of OCT++ against its parts by hand."""

import pytest
import torch
from espnet2.torch_utils.initialize import initialize

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


def test_a_residual_refiner_begins_as_the_condition_itself():
    torch.manual_seed(0)
    refiner = MixtureRefiner(6, 5, hidden_dim=7, channels=8, residual=True)
    condition = ConditionEmbedding(torch.randn(2, 3, 5), torch.ones(2, 3).bool())
    context = refiner.encoder(torch.rand(2, 300, 6))
    assert torch.equal(refiner(context, condition).embedding, condition.embedding)
    refined = refiner(context, condition).embedding
    refined.square().sum().backward()  # its last layer can leave zero
    assert refiner.map[2].weight.grad.abs().sum() > 0


def test_a_residual_refiner_adds_what_a_plain_one_gives():
    plain, residual = make_refiner(), MixtureRefiner(6, 5, 7, channels=8, residual=True)
    residual.load_state_dict(plain.state_dict())
    condition = ConditionEmbedding(torch.randn(2, 3, 5), torch.ones(2, 3).bool())
    context = plain.encoder(torch.rand(2, 300, 6))
    expected = condition.embedding + plain(context, condition).embedding
    torch.testing.assert_close(residual(context, condition).embedding, expected)


def test_weights_drawn_again_by_espnet_leave_a_residual_refiner_at_its_start():
    refiner = MixtureRefiner(6, 5, hidden_dim=7, channels=8, residual=True)
    initialize(refiner, "xavier_uniform")
    assert not any(parameter.any() for parameter in refiner.map[2].parameters())


def test_every_mixture_with_every_condition():
    refiner = make_refiner()
    context, embedding = torch.randn(2, 8), torch.randn(3, 1, 5)
    crossed = refiner.cross(context, ConditionEmbedding(embedding, torch.ones(3, 1).bool()))
    assert crossed.shape == (2, 3, 5)
    for row in range(2):
        for column in range(3):
            expected = refiner.map(torch.cat([context[row], embedding[column, 0]]))
            torch.testing.assert_close(crossed[row, column], expected)


@torch.no_grad()
def test_statistics_of_a_refiner_made_by_hand():
    """Hidden units a sees φ, b sees c, c is off for the inputs below, d always; r = (2a, b)."""
    refiner = MixtureRefiner(input_dim=6, embedding_dim=2, hidden_dim=4, channels=2)
    first, _, second = refiner.map
    first.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [-1, 0, 0, 0], [0, 0, 0, 0]]))
    first.bias.copy_(torch.tensor([0.0, 0, 0, -1]))
    second.weight.copy_(torch.tensor([[2.0, 0, 0, 0], [0, 1, 0, 0]]))
    second.bias.zero_()
    context = torch.tensor([[1.0, 0.0], [4.0, 0.0]])
    embedding = torch.tensor([[[1.0, 9.0]], [[5.0, 9.0]], [[77.0, 9.0]]])
    condition = ConditionEmbedding(embedding, torch.tensor([[True], [True], [False]]))
    state = torch.get_rng_state()
    found = refiner.statistics(context, condition)
    assert torch.equal(torch.get_rng_state(), state)
    assert found["refiner_dead"] == 0.5  # c and d
    # over the mixtures 2, 8; over the texts 1, 5; the text that is not applicable counts for none
    torch.testing.assert_close(found["refiner_mixture_to_text"], torch.tensor(6 / 4))


def test_statistics_that_a_batch_does_not_give_are_nan():
    refiner, context = make_refiner(), torch.randn(2, 8)
    for rows, number, dead in ((2, 0, True), (2, 1, False), (1, 2, False)):
        mask = (torch.arange(2) < number).unsqueeze(1)
        found = refiner.statistics(context[:rows], ConditionEmbedding(torch.randn(2, 1, 5), mask))
        assert found["refiner_mixture_to_text"].isnan()
        assert found["refiner_dead"].isnan() == dead

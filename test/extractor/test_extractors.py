"""What every extractor must do; they are found in the table of parts."""

import io

import pytest
import torch
from espnet2.enh.extractor.abs_extractor import AbsExtractor

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.parts import OURS, find

SMALL = {
    "sudormrf": {"num_blocks": 2, "out_channels": 6, "hidden_channels": 8, "depth": 3},
    "conv_tasnet": {"bottleneck_dim": 6, "hidden_dim": 8, "layer": 2, "stack": 2},
    "tdcn": {
        "bottleneck_channels": 6,
        "hidden_channels": 8,
        "num_repeats": 2,
        "num_blocks": 2,
    },
}
NUM_BASES, DIM = 5, 4


@pytest.fixture(params=sorted(OURS["extractor"]))
def make(request):
    def make(seed=0):
        torch.manual_seed(seed)
        sizes = SMALL.get(request.param, {})
        extractor = find("extractor", request.param)
        return extractor(NUM_BASES, condition_dim=DIM, **sizes).eval()

    return make


def batch(num_frames=23, length=1, size=3):
    generator = torch.Generator().manual_seed(1)
    feature = torch.rand(size, num_frames, NUM_BASES, generator=generator)
    embedding = torch.randn(size, length, DIM, generator=generator)
    mask = torch.ones(size, length).bool()
    return feature, torch.full((size,), num_frames), ConditionEmbedding(embedding, mask)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 23, 64])
def test_contract(make, num_frames):
    feature, lengths, condition = batch(num_frames)
    extractor = make()
    assert isinstance(extractor, AbsTSXExtractor) and isinstance(extractor, AbsExtractor)
    outputs = extractor.extract(feature, lengths, condition)
    assert outputs.shape == (3, extractor.num_outputs, *feature.shape[1:])
    assert outputs.isfinite().all()


def test_batch_item_is_single_item_and_twice_is_twice(make):
    feature, lengths, condition = batch()
    extractor = make()
    together = extractor.extract(feature, lengths, condition)
    again = extractor.extract(feature, lengths, condition)
    for row in range(3):
        rows = torch.tensor([row])
        alone = extractor.extract(feature[rows], lengths[rows], condition.select(rows))
        assert torch.equal(together, again)
        torch.testing.assert_close(alone, together[rows], atol=1e-5, rtol=1e-5)


def test_what_is_prepared_is_used(make):
    feature, lengths, condition = batch()
    extractor = make()
    prepared = extractor.prepare(feature, lengths)
    if prepared is None:
        return
    assert all(len(part) == len(feature) for part in prepared)
    expected = extractor.extract(feature, lengths, condition)
    assert torch.equal(extractor.extract(feature, lengths, condition, prepared), expected)
    rows = torch.tensor([2, 0, 2])
    chosen = tuple(part[rows] for part in prepared)
    some = extractor.extract(feature[rows], lengths[rows], condition.select(rows), chosen)
    torch.testing.assert_close(some, expected[rows], atol=1e-5, rtol=1e-5)
    changed = tuple(2 * part + 1 for part in prepared)
    other = extractor.extract(feature, lengths, condition, changed)
    assert not torch.equal(other, expected)


def test_save_load_equal_output(make):
    extractor, loaded = make(seed=0), make(seed=1)
    before = loaded.extract(*batch())
    file = io.BytesIO()
    torch.save(extractor.state_dict(), file)
    loaded.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    expected = extractor.extract(*batch())
    assert not torch.equal(before, expected)
    assert torch.equal(loaded.extract(*batch()), expected)


def test_the_condition_matters_and_learns(make):
    feature, lengths, condition = batch()
    extractor = make()
    condition.embedding.requires_grad_()
    target = extractor.extract(feature, lengths, condition)[:, 0]
    target.square().sum().backward()
    assert (condition.embedding.grad.abs().sum(dim=(1, 2)) > 0).all()
    null = ConditionEmbedding.null(feature, DIM)
    assert (extractor.extract(feature, lengths, null)[:, 0] - target).abs().max() > 1e-4


def test_padding_of_the_condition_does_not_matter(make):
    feature, lengths, condition = batch(length=2)
    longer = ConditionEmbedding(
        torch.cat([condition.embedding, torch.full((3, 1, DIM), 9.0)], dim=1),
        torch.cat([condition.mask, torch.zeros(3, 1).bool()], dim=1),
    )
    extractor = make()
    expected = extractor.extract(feature, lengths, condition)
    torch.testing.assert_close(extractor.extract(feature, lengths, longer), expected)


def test_silence_gives_no_nan(make):
    feature, lengths, condition = batch()
    feature = torch.zeros_like(feature).requires_grad_()
    extractor = make()
    outputs = extractor.extract(feature, lengths, condition)
    outputs.sum().backward()
    assert outputs.isfinite().all() and feature.grad.isfinite().all()


def test_further_channels_are_seen_and_not_given_back():
    """Beside the features of the mixture there may be those of earlier estimates."""
    feature, lengths, condition = batch()
    for name in sorted(OURS["extractor"]):
        torch.manual_seed(0)
        sizes = SMALL.get(name, {})
        extractor = find("extractor", name)(
            NUM_BASES, condition_dim=DIM, further_dim=2 * NUM_BASES, **sizes
        ).eval()
        further = [torch.cat([feature, scale * feature.flip(1), feature], 2) for scale in (1, 2)]
        one, two = (extractor.extract(each, lengths, condition) for each in further)
        assert one.shape == (3, extractor.num_outputs, *feature.shape[1:]), name
        assert (one - two).abs().max() > 1e-4, name
        silent = torch.cat([0 * feature, feature, feature], dim=2)
        assert not extractor.extract(silent, lengths, condition).any(), name


def test_espnets_interface_gives_the_same_target(make):
    """In stock ``enh_tse`` the embedding comes as (B, D), or padded as (B, L, D) with lengths."""
    feature, lengths, condition = batch(length=2)
    condition.mask[1:, 1] = False
    extractor = make()
    expected = extractor.extract(feature, lengths, condition)[:, 0]
    found, found_lengths, others = extractor(
        feature, lengths, condition.embedding, torch.tensor([2, 1, 1])
    )
    assert torch.equal(found, expected) and torch.equal(found_lengths, lengths)
    assert dict(others) == {}
    vector = condition.vector()
    found, _, _ = extractor(feature, lengths, vector, torch.full((3,), DIM), suffix_tag="_spk1")
    torch.testing.assert_close(found, expected)

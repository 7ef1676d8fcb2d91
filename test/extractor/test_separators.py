"""What every separator must do; they are found in the table of parts."""

import pytest
import torch
from espnet2.enh.separator.abs_separator import AbsSeparator

from tsx_espnet.extractor.sudormrf import SudoRMRFSeparator
from tsx_espnet.parts import OURS, find, options_of

SMALL = {
    "sudormrf": {"num_blocks": 2, "out_channels": 6, "hidden_channels": 8, "depth": 3},
    "tdcn": {"bottleneck_channels": 6, "hidden_channels": 8, "num_repeats": 2, "num_blocks": 2},
}


@pytest.fixture(params=[(name, number) for name in OURS["separator"] for number in (1, 2, 3)])
def make(request):
    name, number = request.param

    def make(seed=0):
        torch.manual_seed(seed)
        return find("separator", name)(5, num_spk=number, **SMALL[name]).eval()

    return make


@pytest.mark.parametrize("num_frames", [1, 2, 19])
def test_espnets_contract(make, num_frames):
    """A list of features, one a source, the lengths, and the masks that made them."""
    separator = make()
    feature, lengths = torch.rand(2, num_frames, 5), torch.full((2,), num_frames)
    sources, found_lengths, others = separator(feature, lengths)
    assert isinstance(separator, AbsSeparator)
    assert len(sources) == separator.num_spk and torch.equal(found_lengths, lengths)
    assert list(others) == [f"mask_spk{n + 1}" for n in range(separator.num_spk)]
    for source, mask in zip(sources, others.values()):
        assert source.shape == feature.shape and mask.min() >= 0
        torch.testing.assert_close(source, feature * mask)


def test_sources_differ(make):
    separator = make()
    sources, _, _ = separator(torch.rand(2, 19, 5), torch.tensor([19, 19]))
    for one in range(len(sources)):
        for two in range(one):
            assert (sources[one] - sources[two]).abs().max() > 1e-3


def test_batch_item_is_single_item_and_loads_again(make):
    separator, loaded = make(), make(seed=1)
    feature = torch.rand(3, 19, 5)
    together, _, _ = separator(feature, torch.full((3,), 19))
    alone, _, _ = separator(feature[1:2], torch.tensor([19]))
    for one, rows in zip(alone, together):
        torch.testing.assert_close(one, rows[1:2], atol=1e-5, rtol=1e-5)
    assert not torch.equal(together[0], loaded(feature, torch.full((3,), 19))[0][0])
    loaded.load_state_dict(separator.state_dict())
    for one, again in zip(together, loaded(feature, torch.full((3,), 19))[0]):
        assert torch.equal(one, again)


@pytest.mark.parametrize("name", OURS["separator"])
def test_there_is_no_condition(name):
    separator = find("separator", name)(5, **SMALL[name])
    conditioned = find("extractor", name)(5, **SMALL[name])
    sizes = [sum(p.numel() for p in part.parameters()) for part in (separator, conditioned)]
    assert sizes[0] < sizes[1]
    hidden = {"num_masks", "condition_dim", "fusion", "everywhere", "further_dim"}
    options = options_of(type(separator))
    assert set(SMALL[name]) < set(options) and not hidden & set(options)


def test_softmax_masks_share_out_the_feature():
    sizes = {"num_blocks": 1, "out_channels": 6, "hidden_channels": 8, "depth": 2}
    separator = SudoRMRFSeparator(5, num_spk=3, nonlinear="softmax", **sizes)
    feature = torch.rand(2, 9, 5)
    sources, _, _ = separator(feature, torch.tensor([9, 9]))
    torch.testing.assert_close(sum(sources), feature)

import pytest
import torch
from espnet2.utils.get_default_kwargs import get_default_kwargs

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.extractor.sudormrf import SudoRMRFExtractor, SudoRMRFSeparator
from tsx_espnet.layers.sudormrf import SudoRMRF


@pytest.mark.parametrize("num_outputs", [1, 2, 4])
def test_outputs_are_the_feature_under_the_networks_masks(num_outputs):
    torch.manual_seed(0)
    extractor = SudoRMRFExtractor(
        *(5, 4, num_outputs), num_blocks=1, out_channels=6, hidden_channels=8, depth=2
    )
    feature = torch.rand(2, 9, 5)
    condition = ConditionEmbedding(torch.randn(2, 1, 4), torch.ones(2, 1).bool())
    outputs = extractor.extract(feature, torch.tensor([9, 9]), condition)
    assert outputs.shape == (2, num_outputs, 9, 5)
    masks = extractor.network(feature, condition)
    for output in range(num_outputs):
        torch.testing.assert_close(outputs[:, output] / feature, masks[:, output])
        for before in range(output):
            assert (outputs[:, output] - outputs[:, before]).abs().max() > 1e-3


def test_the_defaults_are_the_papers_sizes():
    network = SudoRMRFExtractor(512).network
    assert len(network.blocks) == len(network.films) == 8
    block = network.blocks[0]
    assert block.expand[0].weight.shape == (512, 256, 1)
    assert block.contract[2].weight.shape == (256, 512, 1)
    assert len(block.down) == 4 and network.num_masks == 2


def test_softmax_masks_share_out_the_feature():
    extractor = SudoRMRFExtractor(
        5, 4, num_blocks=1, out_channels=6, hidden_channels=8, depth=2, nonlinear="softmax"
    )
    feature = torch.rand(2, 9, 5)
    condition = ConditionEmbedding.null(feature, 4)
    outputs = extractor.extract(feature, torch.tensor([9, 9]), condition)
    torch.testing.assert_close(outputs.sum(dim=1), feature)


def test_defaults_of_the_sizes_stand_in_one_place_and_are_seen_by_espnet():
    network = get_default_kwargs(SudoRMRF)
    own = ("input_dim", "num_masks", "condition_dim", "num_outputs", "num_spk", "further_dim")
    for part in (SudoRMRFExtractor, SudoRMRFSeparator):
        shown = get_default_kwargs(part)
        sizes = {name: value for name, value in shown.items() if name not in own}
        assert sizes == {name: value for name, value in network.items() if name not in own}
        assert sizes["num_blocks"] == 8 and "sizes" not in shown

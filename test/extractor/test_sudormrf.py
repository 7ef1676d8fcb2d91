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


def test_what_stands_before_the_first_condition_is_prepared_once(make_model):
    """Computed by ``encode``; from then on, the network sees neither norm nor bottleneck."""
    model = make_model()
    mixture = 0.1 * torch.randn(3, 400, generator=torch.Generator().manual_seed(0))
    encoded = model.encode(mixture, torch.full((3,), 400))
    runs = []
    model.extractor.network.bottleneck.register_forward_hook(lambda *_: runs.append(1))
    for number in range(2):
        value = torch.full((2, 1, 6), float(number))
        condition = ConditionEmbedding(value, torch.ones(2, 1).bool())
        rows = torch.tensor([2, 0])
        found = model.separate(encoded, condition, rows)
        assert not runs
        torch.testing.assert_close(found, model.extract(mixture[rows], condition))
        assert len(runs) == 1 and not runs.clear()


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

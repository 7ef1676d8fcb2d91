"""ESPnet's ``td_speakerbeam`` behind our contract."""

import pytest
import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.extractor.abs_extractor import ESPnetExtractor
from tsx_espnet.parts import find


@pytest.fixture(scope="module")
def speakerbeam():
    torch.manual_seed(0)
    return find("extractor", "td_speakerbeam")(
        input_dim=5,
        layer=2,
        stack=1,
        bottleneck_dim=6,
        hidden_dim=8,
        skip_dim=6,
        i_adapt_layer=1,
        adapt_enroll_dim=6,
        use_spk_emb=True,
        spk_emb_dim=4,
    ).eval()


def test_the_condition_vector_takes_the_place_of_the_speaker_embedding(speakerbeam):
    feature, lengths = torch.rand(3, 20, 5), torch.full((3,), 20)
    condition = ConditionEmbedding(
        torch.randn(3, 2, 4), torch.tensor([[True, True], [True, False], [False, False]])
    )
    ours = ESPnetExtractor(speakerbeam)
    (target,) = ours.extract(feature, lengths, condition).unbind(dim=1)
    assert ours.num_outputs == 1 and target.shape == feature.shape
    embedding = condition.vector()  # (B, D), ESPnet's own form
    expected, _, _ = speakerbeam(feature, lengths, embedding, torch.ones(3).long())
    torch.testing.assert_close(target, expected)
    unasked = ours.extract(feature, lengths, ConditionEmbedding.null(feature, 4))
    assert (unasked[:, 0] - target).abs().max() > 0

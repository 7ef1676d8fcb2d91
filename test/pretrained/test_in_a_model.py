"""Pretrained networks as parts of a model: handed to whoever names them."""

import pytest

from tsx_espnet.build import build_model
from tsx_espnet.errors import TSXError
from tsx_espnet.objective.abs_objective import AbsObjective
from tsx_espnet.parts import OURS
from tsx_espnet.pretrained.frozen import Frozen

# an extractor that takes tokens
ATTENTION = {
    "extractor": "conv_tasnet",
    "extractor_conf": {"fusion": "attention", "bottleneck_dim": 8, "layer": 1, "stack": 1},
}
TOKENS = {"conditioner": "tokens", "pretrained": "clap"}


def test_one_network_is_handed_to_all_parts_that_name_it(tiny_config, vocabulary, tiny_clap):
    config = {
        **tiny_config,
        **ATTENTION,
        "pretrained": {"clap": str(tiny_clap), "unused": "no/such/directory"},
        "conditions": {"energy": {}, "text": TOKENS, "class": TOKENS},
    }
    model = build_model(config, vocabulary)
    encoders = [model.conditioners[name].encoder for name in ("text", "class")]
    assert encoders[0] is encoders[1] and isinstance(encoders[0], Frozen)
    assert encoders[0].network.state_dim == 16
    assert not any("encoder" in name for name in model.conditioners.state_dict())


@pytest.mark.parametrize(
    "conf, pretrained, message",
    [
        (TOKENS, {}, "--pretrained: expected the directory of 'clap', found those of none"),
        (TOKENS, {"bert": "x"}, "expected the directory of 'clap', found those of bert"),
        ({"conditioner": "tokens"}, {}, "conditioner_conf of tokens: missing: pretrained"),
        ({"pretrained": "clap"}, {}, "conditioner_conf of text: no option 'pretrained'"),
    ],
)
def test_a_network_that_is_not_there_is_named(tiny_config, vocabulary, conf, pretrained, message):
    config = {**tiny_config, "conditions": {"text": conf}, "pretrained": pretrained}
    with pytest.raises(TSXError, match=message):
        build_model(config, vocabulary)


def test_a_network_that_reads_no_text_is_refused(tiny_config, vocabulary, tiny_ast):
    config = {
        **tiny_config,
        "conditions": {"text": TOKENS},
        "pretrained": {"clap": str(tiny_ast)},
    }
    with pytest.raises(TSXError, match="conditioner_conf of tokens: pretrained: expected a text"):
        build_model(config, vocabulary)


class Listening(AbsObjective):
    """An objective that is given a network."""

    def __init__(self, conditions, pretrained=None):
        super().__init__(conditions)
        self.pretrained = pretrained

    def forward(self, separate, conditions, references, criterion):
        raise NotImplementedError


def test_an_objective_is_given_a_network(tiny_config, vocabulary, tiny_ast, monkeypatch):
    monkeypatch.setitem(OURS["objective"], "listening", f"{__name__}:Listening")
    config = {**tiny_config, "objective": "listening", "pretrained": {"ast": str(tiny_ast)}}
    model = build_model({**config, "objective_conf": {"pretrained": "ast"}}, vocabulary)
    assert model.objective.pretrained.network.labels == ("Bark", "Rain", "Meow")
    assert not list(model.objective.parameters())
    assert build_model({**config, "objective_conf": {}}, vocabulary).objective.pretrained is None

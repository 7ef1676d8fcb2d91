from pathlib import Path

import pytest
import small_parts
import torch

from tsx_espnet.build import build_conditioner, build_extractor, build_model
from tsx_espnet.conditioner.enrollment import EnrollmentConditioner
from tsx_espnet.criterion.distance import build_criterions
from tsx_espnet.errors import TSXError
from tsx_espnet.extractor.abs_extractor import ESPnetExtractor
from tsx_espnet.layers.consistency import MixtureConsistency
from tsx_espnet.tables import read_yaml
from tsx_espnet.vocabulary import Vocabulary

CONF = Path(__file__).parents[1] / "egs" / "fsd50k" / "conf"


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_papers_sizes():
    """Number of parameters by hand."""
    config = {**read_yaml(CONF / "train.yaml"), **read_yaml(CONF / "method_oct.yaml")}
    bases, width, hidden, depth, blocks, dim = 512, 256, 512, 4, 8, config["embedding_dim"]
    model = build_model(config, Vocabulary())
    assert size(model.encoder) == size(model.decoder) == bases * 21
    norm, prelu = 2, 1  # a gain and a bias a channel; one slope
    block = (
        (width * hidden + hidden + norm * hidden + prelu)
        + depth * (5 * hidden + hidden + norm * hidden)
        + (norm * hidden + prelu + hidden * width + width)
    )
    film = dim * 2 * width + 2 * width
    masks = prelu + width * 2 * bases + 2 * bases
    network = norm * bases + bases * width + width + blocks * (block + film) + masks
    assert size(model.extractor) == network
    assert 2e6 < network < 4e6
    onehots = sum(size(model.conditioners[name]) for name in ("energy", "harmonicity", "order"))
    assert onehots == 3 * 2 * dim
    assert size(model.conditioners["text"]) == 384 * dim + dim
    assert tuple(model.conditioners) == ("energy", "harmonicity", "order", "text")
    assert (model.objective.condition, model.objective.condition_weight) == ("text", 1.0)
    assert (model.objective.warmup_updates, model.objective.explore) == (0, 0.0)


def test_without_training_there_is_neither_objective_nor_criterion(tiny_config, vocabulary):
    model = build_model(tiny_config, vocabulary, training=False)
    assert model.objective is None and model.criterions is None
    trained = build_model(tiny_config, vocabulary)
    names = set(trained.state_dict()) - set(model.state_dict())
    assert all(name.startswith("objective.") for name in names)


@pytest.mark.parametrize("kind", ["uniform", "energy", "predicted"])
def test_consistency(tiny_config, vocabulary, kind):
    model = build_model({**tiny_config, "consistency": kind}, vocabulary)
    assert isinstance(model.consistency, MixtureConsistency) and model.consistency.kind == kind


@pytest.mark.parametrize("none", [None, "none"])
def test_no_consistency(tiny_config, vocabulary, none):
    assert build_model({**tiny_config, "consistency": none}, vocabulary).consistency is None


def test_sizes_of_the_conditioners_follow_the_vocabulary(vocabulary):
    assert build_conditioner("class", None, 4, vocabulary).table.weight.shape == (3, 4)
    assert build_conditioner("energy", {}, 4, vocabulary).table.weight.shape == (2, 4)
    assert build_conditioner("text", {}, 4, vocabulary).linear.weight.shape == (4, 8)
    assert build_conditioner("text", {}, 4, Vocabulary()).linear.weight.shape == (4, 384)
    larger = build_conditioner("class", {"num_values": 9}, 4, vocabulary)
    assert larger.table.weight.shape == (9, 4)


def test_classes_that_were_added_are_the_last_of_the_vocabulary(vocabulary):
    grown = build_conditioner("class", {"num_new": 1}, 4, vocabulary)
    assert grown.table.weight.shape == (2, 4) and grown.new.weight.shape == (1, 4)


def test_enrollments_have_a_conditioner_of_their_own(vocabulary):
    bases = {"channel": 5, "kernel_size": 8, "stride": 4}
    conditioner = build_conditioner("enrollment", {"encoder_conf": bases}, 4, vocabulary)
    assert isinstance(conditioner, EnrollmentConditioner)
    assert conditioner.encoder.output_dim == 5


def test_what_a_condition_does_not_say_the_options_of_its_kind_do(vocabulary):
    usual = {"onehot": {"num_values": 9}, "enrollment": {"layer": 2}}
    assert build_conditioner("class", {}, 4, vocabulary, usual).table.weight.shape == (9, 4)
    own = {"num_values": 5}
    assert build_conditioner("class", own, 4, vocabulary, usual).table.weight.shape == (5, 4)
    assert own == {"num_values": 5} and usual["onehot"] == {"num_values": 9}


def test_an_unknown_conditioner_is_named(vocabulary):
    with pytest.raises(TSXError, match=r"--conditioner: expected one of .*onehot.* found 'clap'"):
        build_conditioner("text", {"conditioner": "clap"}, 4, vocabulary)


def test_the_callers_configuration_is_not_changed(vocabulary):
    conf = {"conditioner": "onehot"}
    build_conditioner("energy", conf, 4, vocabulary)
    assert conf == {"conditioner": "onehot"}


@pytest.mark.parametrize(
    "conf, found",
    [
        ({}, "found False and None"),
        ({"use_spk_emb": True, "spk_emb_dim": 9}, "found True and 9"),
        ({"use_spk_emb": False, "spk_emb_dim": 4}, "found False and 4"),
    ],
)
def test_an_espnet_extractor_must_take_our_embedding(conf, found):
    with pytest.raises(TSXError, match=f"use_spk_emb: true and spk_emb_dim: 4 .*{found}"):
        build_extractor("td_speakerbeam", 5, 4, conf)


def test_an_espnet_extractor_is_put_behind_our_contract():
    small = {"layer": 1, "stack": 1, "bottleneck_dim": 4, "hidden_dim": 4, "i_adapt_layer": 0}
    conf = {**small, "skip_dim": 4, "adapt_enroll_dim": 4, "use_spk_emb": True, "spk_emb_dim": 4}
    assert isinstance(build_extractor("td_speakerbeam", 5, 4, conf), ESPnetExtractor)


def test_criterions():
    distance = build_criterions(
        [
            {"name": "si_sdr", "conf": {"eps": 1e-3}, "wrapper_conf": {"weight": 2.0}},
            {"name": "si_sdr", "wrapper": "fixed_order", "wrapper_conf": None},
        ]
    )
    assert distance.weights == [2.0, 1.0] and distance[0].eps == 1e-3
    assert distance(torch.randn(2, 9), torch.randn(2, 9)).shape == (2,)


def test_a_wrapper_that_permutes_is_refused():
    with pytest.raises(TSXError, match="--criterions si_sdr: expected wrapper fixed_order.* pit"):
        build_criterions([{"name": "si_sdr", "wrapper": "pit"}])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"encoder_conf": {"chanel": 4}}, "encoder_conf of conv: no option 'chanel'; did you mean"),
        ({"encoder_conf": {"channel": 4}}, "encoder_conf of conv: missing: kernel"),
        ({"decoder_conf": {"chanel": 4}}, "decoder_conf of conv: no option 'chanel'"),
        ({"extractor_conf": {"blocks": 4}}, "extractor_conf of .*'blocks'; did you mean"),
        ({"extractor_conf": {"input_dim": 4}}, "extractor_conf of .*'input_dim'; expected one of"),
        ({"objective_conf": {"warmup": 4}}, "objective_conf of oct: no option 'warmup'"),
        ({"conditions": {"text": {}, "energy": {"dim": 4}}}, "conditioner_conf of onehot: .*'dim'"),
        ({"objective_conf": {"explore": 2}}, "objective_conf of oct: explore: expected 0"),
        ({"criterions": [{"name": "si_sdr", "conf": {"e": 1}}]}, "criterion_conf of si_sdr: .*'e'"),
    ],
)
def test_an_option_amiss_is_named(tiny_config, vocabulary, change, message):
    with pytest.raises(TSXError, match=message):
        build_model({**tiny_config, **change}, vocabulary)


@pytest.fixture
def more_parts(monkeypatch):
    small_parts.register(monkeypatch)


TIMED = {"energy": {"conditioner": "envelopes"}}
TOKENS = {"text": {"conditioner": "words"}}
SPEAKERBEAM = {
    "extractor": "td_speakerbeam",
    "extractor_conf": {"use_spk_emb": True, "spk_emb_dim": 6},
}
ATTENTION = {
    "extractor": "conv_tasnet",
    "extractor_conf": {"fusion": "attention", "bottleneck_dim": 8, "layer": 1, "stack": 1},
}
ONE = {"unconditional": {"conditioner": "loudness"}}


def hears(*signals, kind="loudness"):
    options = {"hears": signals, "number": len(signals)} if signals else {}
    return {"unconditional": {"conditioner": kind, **options}}


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"conditions": TOKENS},
            r"--extractor sudormrf takes vector or timed, .* text \(Words\) gives tokens",
        ),
        (
            {"conditions": TIMED, **ATTENTION},
            r"--extractor conv_tasnet takes vector or tokens, .* energy \(Envelopes\) gives timed",
        ),
        (
            {"conditions": TIMED, **SPEAKERBEAM},
            r"--extractor td_speakerbeam takes vector, .* energy \(Envelopes\) gives timed",
        ),
        (
            {"conditions": {**TIMED, "order": {}}},
            "--conditions: expected all timed or none: energy is, order is not",
        ),
        (
            {"conditions": hears("estimates")},
            r"unconditional \(Loudness\): expected one that hears mixture or sources .* estimates",
        ),
        (
            {"conditions": ONE, "later": [{"conditions": hears("noise")}]},
            "hears mixture or estimates or sources in this pass, found noise",
        ),
        ({"later": [SPEAKERBEAM]}, "td_speakerbeam of --later: it cannot see estimates"),
        (
            {"later": [{"extractor_conf": {"num_outputs": 3}}]},
            "sudormrf of --later: expected 2 outputs as in the first pass, found 3",
        ),
        ({"later": [{"objective": "pit"}]}, "--later: no option 'objective'"),
        (
            {"later": [{"conditions": ONE}]},
            "--later conditions: expected the only condition of the model, found unconditional",
        ),
        (
            {"conditions": ONE, "later": [{"conditions": {"unconditional": {}}}]},
            "--later conditions: unconditional is queried by, expected one heard",
        ),
        (
            {"conditions": ONE, "later": [{**ATTENTION, "conditions": hears(kind="envelopes")}]},
            r"--extractor conv_tasnet takes .* unconditional \(Envelopes\) gives timed",
        ),
        (
            {"mixture_criterions": [{"name": "snr", "wrapper": "pit"}]},
            "--mixture_criterions snr: expected wrapper fixed_order .* found pit",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_their_names(
    tiny_config, vocabulary, more_parts, change, message
):
    conditions = change.get("conditions", tiny_config["conditions"])
    objective = "pit" if "unconditional" in conditions else "single"
    conf = {} if objective == "pit" else {"condition": next(iter(conditions))}
    config = {**tiny_config, "objective": objective, "objective_conf": conf, **change}
    with pytest.raises(TSXError, match=message):
        build_model(config, vocabulary)


@pytest.mark.parametrize(
    "change",
    [
        {"conditions": TIMED},
        {"conditions": TOKENS, **ATTENTION},
        {"conditions": {**TOKENS, "order": {}}, **ATTENTION},
        {"conditions": hears("mixture", "sources")},
        {"conditions": ONE, "later": [{"conditions": hears("mixture", "estimates")}, {}]},
        {"conditions": {"order": {}}, "later": [{"consistency": None, "stop_gradient": True}]},
    ],
)
def test_parts_that_fit(tiny_config, vocabulary, more_parts, change):
    model = build_model({**tiny_config, **change}, vocabulary, training=False)
    assert len(model.later) == len(change.get("later", []))
    assert model.is_oracle == ("sources" in str(change))
    assert all(pass_.extractor.further_dim == 2 * 16 for pass_ in model.later)


def test_a_later_pass_has_the_options_of_the_first_or_its_own(tiny_config, vocabulary):
    conf = {**tiny_config["encoder_conf"], "kernel_size": 12}
    own = {"encoder_conf": conf, "decoder_conf": conf, "consistency": None, "stop_gradient": True}
    first, second = build_model({**tiny_config, "later": [{}, own]}, vocabulary).later
    assert (first.encoder.kernel_size, second.encoder.kernel_size) == (9, 12)
    assert first.consistency.kind == "uniform" and second.consistency is None
    assert (first.stop_gradient, second.stop_gradient) == (False, True)
    assert not first.conditioners and len(first.extractor.network.blocks) == 2


def test_a_distance_from_the_mixture(tiny_config, vocabulary):
    assert build_model(tiny_config, vocabulary).mixture_criterions is None
    specs = [{"name": "snr", "wrapper_conf": {"weight": 0.5}}]
    model = build_model({**tiny_config, "mixture_criterions": specs}, vocabulary)
    assert model.mixture_criterions.weights == [0.5]


@pytest.mark.parametrize(
    "name, kind, message",
    [
        ("text", "onehot", "takes vector or tokens, found onehot, which takes index"),
        ("energy", "text", "takes index, found text, which takes vector"),
        ("enrollment", "onehot", "takes samples, found onehot, which takes index"),
        ("class", "enrollment", "takes .*, found enrollment, which takes samples"),
    ],
)
def test_a_condition_and_a_conditioner_that_do_not_fit_are_both_named(
    vocabulary, name, kind, message
):
    with pytest.raises(TSXError, match=f"condition {name}: expected .* that {message}"):
        build_conditioner(name, {"conditioner": kind}, 4, vocabulary)


def test_a_class_as_a_vector_has_the_size_of_the_table(vocabulary):
    conditioner = build_conditioner("class", {"conditioner": "text"}, 4, vocabulary)
    assert conditioner.linear.weight.shape == (4, 8)

"""Models that hear by a classifier: what reaches them, what is trained, what is refused."""

import hashlib

import pytest
import small_parts
import torch
from pretrained_networks import randomise

from tsx_espnet.build import build_model
from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.mobilenet import MobileNet, save
from tsx_espnet.pretrained.store import Networks

ALL = ["mixture", "estimates"]
TDCN = {
    "extractor": "tdcn",
    "extractor_conf": {
        **{"bottleneck_channels": 6, "hidden_channels": 8, "num_repeats": 2, "num_blocks": 2}
    },
}
PIT = {"objective": "pit", "criterions": [{"name": "thresholded_snr"}]}
GUIDED = {**PIT, "objective": "guided", "objective_conf": {"pretrained": "ears"}}


def hearing(**options):
    return {UNCONDITIONAL: {"conditioner": "classifier", "pretrained": "ears", **options}}


def iterative(**options):
    later = [{"conditions": hearing(hears=ALL, **options)}]
    return {"conditions": hearing(**options), "later": later}


METHODS = {
    "mixture": {"conditions": hearing()},
    "fine-tuned": {"conditions": hearing(num_trainable=1)},
    "guided": {**iterative(num_trainable=3), **GUIDED},
    "all": iterative(),
    "mean": {"conditions": hearing(average=True)},
    "first alone": {"conditions": hearing(), "later": [{}]},
    "later alone": {"conditions": {UNCONDITIONAL: {}}, "later": iterative()["later"]},
}
ORACLES = {
    "oracle all": {"conditions": hearing(hears=["mixture", "sources"])},
    "oracle soft-OR": {"conditions": hearing(hears=["sources"], combine="soft_or")},
}


@pytest.fixture(autouse=True)
def more_parts(monkeypatch):
    small_parts.register(monkeypatch)


@pytest.fixture
def make(make_model, tmp_path):
    """``(**changes of the configuration) -> model`` with such a classifier."""
    pretrained = {"ears": str(small_parts.write_ears(tmp_path / "ears"))}

    def make_one(**changes):
        options = {"objective_conf": {}, **TDCN, **PIT, **changes}
        return make_model(**options, pretrained=pretrained)

    return make_one


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loss_of(model, sources, mixture=None):
    mixture = sources.sum(dim=1) if mixture is None else mixture
    value = torch.zeros(len(mixture), 1).long()
    return model(mixture, sources[:, 0], sources[:, 1], **{UNCONDITIONAL: value})[0]


def outputs_of(model, mixture, sources):
    """Of every pass, in a step of the objective."""
    found = []

    def keep(*arguments, run=model.passes):
        passes = run(*arguments)
        found.extend(outputs for outputs, _ in passes)
        return passes

    model.passes = keep
    loss_of(model, sources, mixture)
    del model.passes
    return found


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method", [*METHODS, *ORACLES])
def test_the_references_leak_to_no_method_but_oracles(make, method, training):
    model = make(**{**METHODS, **ORACLES}[method]).train(training)
    mixture = noise(2, 800)
    one, two = (outputs_of(model, mixture, noise(2, 2, 800, seed=seed)) for seed in (1, 2))
    assert len(one) == len(model.later) + 1
    for first, second in zip(one, two):
        assert torch.equal(first, second) != (method in ORACLES)
    assert model.is_oracle == (method in ORACLES)


@pytest.mark.parametrize("method", [*METHODS, *ORACLES])
def test_training_changes_the_last_layers_of_each_copy_alone(make, method):
    """Weights and statistics of batch norms, by their SHA-256; the original stays as it is."""
    model = make(**{**METHODS, **ORACLES}[method])
    number = {"fine-tuned": 1, "guided": 3}.get(method, 0)
    heard = [c for one in (model, *model.later) for c in one.conditioners.values() if c.hears]
    networks = [conditioner.classifier.network for conditioner in heard]
    assert len({id(network) for network in networks}) == (len(networks) if number else 1)
    original = small_parts.Ears("any")
    before = fingerprint(original)
    assert all(fingerprint(network) == before for network in networks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.5)
    for seed in range(2):
        optimizer.zero_grad()
        loss_of(model.train(), noise(2, 2, 800, seed=seed)).backward()
        optimizer.step()
    trained = {
        name
        for name, _ in original.named_parameters()
        if name.split(".")[0] in ("norm", "second", "last")[3 - number :]
    }
    for network in networks:
        after = fingerprint(network)
        assert {name for name in after if after[name] != before[name]} == trained
    if len(networks) == 2 and number:  # each learns what its pass is in want of
        assert fingerprint(networks[0]) != fingerprint(networks[1])
    held = {name for name in model.state_dict() if "classifier" in name}
    assert len(held) == len(trained) * len(networks)
    assert not any("classifier" in name for name, _ in model.named_buffers())
    if method == "guided":
        assert fingerprint(model.objective.classifier.network) == before


def fingerprint(network):
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return {n: hashlib.sha256(t.detach().numpy().tobytes()).hexdigest() for n, t in tensors}


def test_gradients_reach_all_that_is_trained(make):
    model = make(**{**iterative(num_trainable=4, activation="trainable"), **GUIDED}).train()
    loss_of(model, noise(3, 2, 800)).backward()
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_guidance_alone_trains_the_classifiers_and_the_first_pass(make):
    """The second classifier hears estimates, so its gradient reaches those who made them."""
    model = make(**{**iterative(num_trainable=1), **GUIDED}).train()
    sources = noise(3, 2, 800)
    guided, unguided = [], []
    for found, weight in ((guided, 1.0), (unguided, 1e-9)):
        model.objective.weight = weight
        model.zero_grad()
        loss_of(model, sources).backward()
        found.extend((n, p.grad.clone()) for n, p in model.named_parameters())
    moved = {
        n.split(".conv")[0] for (n, one), (_, two) in zip(guided, unguided) if (one - two).any()
    }
    assert any(name.startswith("extractor") for name in moved)
    assert any(name.startswith("conditioners") and "classifier" in name for name in moved)
    assert any(name.startswith("later.0.conditioners") for name in moved)
    assert not any(name.startswith("later.0.extractor") for name in moved)


def test_under_automatic_mixed_precision_it_learns_the_same(make):
    model = make(**{**iterative(num_trainable=1, combine="soft_or"), **GUIDED}).train()
    found = {}
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = loss_of(model, noise(3, 2, 800))
        loss.backward()
        gradients = [p.grad.flatten() for n, p in model.named_parameters() if "classifier" in n]
        found[enabled] = loss.item(), torch.cat(gradients)
    assert found[True][0] == pytest.approx(found[False][0], rel=0.02)
    assert torch.cosine_similarity(found[True][1], found[False][1], dim=0) > 0.9


def test_the_last_three_layers_of_a_classifier_of_ones_own(make_model, tmp_path):
    save(randomise(MobileNet(("Bark", "Rain"), 8000, channels=(4,) * 11)), tmp_path)
    heard = {"conditions": hearing(num_trainable=3), "later": iterative(num_trainable=3)["later"]}
    options = {**TDCN, **PIT, "objective_conf": {}, "pretrained": {"ears": str(tmp_path)}}
    model = make_model(**heard, **options).train()
    networks = [
        conditioner.classifier.network
        for one in (model, *model.later)
        for conditioner in one.conditioners.values()
    ]
    before = fingerprint(networks[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss_of(model, noise(2, 2, 2000)).backward()
    optimizer.step()
    for network in networks:
        after = fingerprint(network)
        changed = {name for name in after if after[name] != before[name]}
        weights = {name for name, _ in network.named_parameters()}
        assert changed == {
            name for name in weights if name.startswith(("separable.9", "over_time", "output"))
        }


def test_of_a_single_source_the_oracle_hears_the_mixture(make):
    """Its soft-OR is the identity, and silence is no source: the embeddings are the same."""
    oracle, plain = (
        make(conditions=hearing(hears=[signal], combine="soft_or"))
        for signal in ("sources", "mixture")
    )
    source = noise(2, 800)
    sources = torch.stack([source, 0 * source], dim=1)
    found = oracle.extract(source, UNCONDITIONAL, sources=sources)
    assert torch.equal(found, plain.extract(source, UNCONDITIONAL))


def test_the_classifier_hears_the_mixture_at_unit_rms_and_the_estimates_beside_it(make):
    model = make(**iterative())
    (heard,) = model.later[0].conditioners.values()
    values = []
    heard.register_forward_pre_hook(lambda _, inputs: values.append(inputs[0]))
    mixture = 7.0 * noise(2, 800)
    encoded = model.encode(mixture, torch.full((2,), 800))
    (first, _), _ = model.passes(encoded, model.hear(encoded, UNCONDITIONAL))
    level = mixture.square().mean(dim=1).sqrt()[:, None, None]
    expected = torch.cat([mixture.unsqueeze(1), first], dim=1) / level
    torch.testing.assert_close(values[0], expected)


def test_three_outputs_are_heard_side_by_side(make):
    sizes = {**TDCN["extractor_conf"], "num_outputs": 3}
    model = make(**iterative(), extractor_conf=sizes)
    assert model.later[0].conditioners[UNCONDITIONAL].linear.in_channels == 4 * 3
    outputs = model.extract(noise(2, 800), UNCONDITIONAL)
    torch.testing.assert_close(outputs.sum(dim=1), noise(2, 800), atol=1e-6, rtol=1e-4)
    oracle = make(**ORACLES["oracle all"], extractor_conf=sizes)
    two = oracle.extract(noise(2, 800), UNCONDITIONAL, sources=noise(2, 2, 800, seed=1))
    assert two.shape == (2, 3, 800)
    with pytest.raises(TSXError, match="at most 3 sources, .* found 4"):
        oracle.extract(noise(2, 800), UNCONDITIONAL, sources=noise(2, 4, 800, seed=1))


def test_the_rate_of_the_model_is_known_to_conditioner_and_objective(make):
    model = make(**{**iterative(), **GUIDED})
    rates = {c.fs for one in (model, *model.later) for c in one.conditioners.values()}
    assert rates == {model.objective.fs} == {8000}


def test_a_mixture_is_separated_as_if_it_were_alone_in_the_batch(make):
    model = make(**iterative())
    mixture = noise(3, 800)
    together = model.extract(mixture, UNCONDITIONAL)
    for row in range(3):
        alone = model.extract(mixture[row : row + 1], UNCONDITIONAL)
        torch.testing.assert_close(together[row], alone[0], atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"conditions": hearing(hears=ALL)},
            "conditioner of unconditional .* hears mixture or sources in this pass, found estim",
        ),
        (
            {
                "conditions": hearing(),
                "extractor": "conv_tasnet",
                "extractor_conf": {"fusion": "attention", "bottleneck_dim": 8},
            },
            "takes vector or tokens, the conditioner of unconditional .* gives timed",
        ),
        ({"conditions": hearing(num_trainable=9)}, "num_trainable: expected 0 to 4, found 9"),
        ({"conditions": hearing(hears=["noise"])}, "conditioner_conf of classifier: hears: exp"),
        ({"conditions": hearing(fs=8000)}, "conditioner_conf of classifier: no option 'fs'"),
        ({"conditions": hearing(pretrained="eyes")}, "expected the directory of 'eyes', found"),
        ({**GUIDED, "conditions": {UNCONDITIONAL: {}}}, "expected a condition that is heard"),
        (
            {**GUIDED, **ORACLES["oracle all"]},
            "guided: expected .* found ClassifierConditioner, which hears mixture and sources$",
        ),
        (
            {**GUIDED, "conditions": {UNCONDITIONAL: {"conditioner": "envelopes"}}},
            "guided: .* found Envelopes, which hears mixture by another$",
        ),
        (
            {**GUIDED, "conditions": hearing(), "objective_conf": {}},
            "objective_conf of guided: missing: pretrained",
        ),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_built(make, changes, message):
    with pytest.raises(TSXError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)


def test_guidance_by_another_classifier_is_refused(tiny_config, vocabulary, tmp_path):
    pretrained = {
        name: str(small_parts.write_ears(tmp_path / name, seed))
        for seed, name in enumerate(("ears", "others"))
    }
    assert len({Networks(pretrained, {})[name].network.digest for name in pretrained}) == 2
    config = {**tiny_config, **TDCN, **GUIDED, "conditions": hearing(), "pretrained": pretrained}
    build_model(config, vocabulary)
    with pytest.raises(TSXError, match="guided: .* which hears mixture by another"):
        build_model({**config, "objective_conf": {"pretrained": "others"}}, vocabulary)

"""Passes of separation: what later ones see, what conditions hear, and how gradients flow."""

import pytest
import small_parts
import torch

from tsx_espnet.conditions import UNCONDITIONAL

CONV_TASNET = {
    "extractor": "conv_tasnet",
    "extractor_conf": {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2, "stack": 2},
}
STFT = {"encoder": "stft", "decoder": "stft"}
STFT.update(dict.fromkeys(("encoder_conf", "decoder_conf"), {"n_fft": 64, "hop_length": 32}))
SMALL = {"num_blocks": 1, "out_channels": 8, "hidden_channels": 16, "depth": 2}
THREE = {"extractor_conf": {**SMALL, "num_outputs": 3}}
PIT = {"objective": "pit", "conditions": {UNCONDITIONAL: {}}}
ALL = ["mixture", "estimates"]


@pytest.fixture(autouse=True)
def more_parts(monkeypatch):
    small_parts.register(monkeypatch)


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def hearing(kind="envelopes", **options):
    return {UNCONDITIONAL: {"conditioner": kind, **options}}


def null(model, size):
    value = torch.zeros(size, 1).long()
    return model.embed({UNCONDITIONAL: value})[UNCONDITIONAL]


def iterate(model, mixture, condition=None, sources=None):
    encoded = model.encode(mixture, torch.full((len(mixture),), mixture.shape[1]), sources)
    condition = model.hear(encoded, UNCONDITIONAL) if condition is None else condition
    return [outputs for outputs, _ in model.passes(encoded, condition)]


@pytest.mark.parametrize("length", [1, 7, 400])
@pytest.mark.parametrize(
    "changes, later",
    [
        ({}, [{}]),
        (THREE, [{}, {}]),
        (THREE, [{**STFT, "stop_gradient": True}]),
        (CONV_TASNET, [{}, {"extractor": "sudormrf", "extractor_conf": SMALL}]),
        ({**STFT, **CONV_TASNET}, [{}]),
        ({**STFT, **THREE}, [STFT]),
    ],
)
def test_outputs_of_every_pass_add_up_to_the_mixture(make_model, length, changes, later):
    model = make_model(**PIT, **changes, later=later)
    mixture = noise(2, length)
    outputs = iterate(model, mixture, null(model, 2))
    assert len(outputs) == 1 + len(later)
    for each, one in zip(outputs, (model, *model.later)):
        assert each.shape == (2, max(2, one.extractor.num_outputs), length)
        torch.testing.assert_close(each.sum(dim=1), mixture, atol=1e-6, rtol=1e-5)
    assert torch.equal(model.extract(mixture, null(model, 2)), outputs[-1])


def test_a_later_pass_sees_the_features_of_mixture_and_estimates_and_masks_those_of_the_mixture(
    make_model,
):
    model = make_model(**PIT, **THREE, later=[{}])
    (later,) = model.later
    seen = []
    later.extractor.network.register_forward_hook(
        lambda _, inputs, masks: seen.append((inputs[0], masks))
    )
    mixture = noise(2, 400)
    first, second = iterate(model, mixture, null(model, 2))
    ((feature, masks),) = seen
    level = mixture.square().mean(dim=1, keepdim=True).sqrt()
    signals = [mixture, *first.unbind(dim=1)]
    lengths = torch.full((2,), 400)
    expected = [later._features(one / level, lengths)[0] for one in signals]
    torch.testing.assert_close(feature, torch.cat(expected, dim=2), atol=1e-5, rtol=1e-3)
    own = feature[..., :16]
    waveforms = [later._decode(own * mask, 400) for mask in masks.unbind(dim=1)]
    raw = torch.stack(waveforms, dim=1) * level.unsqueeze(1)
    raw = raw + (mixture - raw.sum(dim=1)).unsqueeze(1) / 3
    torch.testing.assert_close(second, raw, atol=1e-6, rtol=1e-4)


def test_some_rows_of_a_batch_pass_after_pass(make_model):
    later = {"conditions": hearing(hears=ALL, number=3)}
    model = make_model(conditions=hearing(), later=[later], objective="pit")
    mixture, rows = noise(3, 400), torch.tensor([2, 0])
    encoded = model.encode(mixture, torch.full((3,), 400))
    condition = model.hear(encoded, UNCONDITIONAL).select(rows)
    found = model.separate(encoded, condition, rows)
    expected = model.extract(mixture[rows], UNCONDITIONAL)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("stop", [False, True])
def test_gradients_reach_the_first_pass_unless_they_are_stopped(make_model, stop):
    model = make_model(**PIT, later=[{"stop_gradient": stop}])
    outputs = iterate(model, noise(2, 400), null(model, 2))
    outputs[-1][:, 0].square().sum().backward()
    first, second = model.extractor.parameters(), model.later[0].extractor.parameters()
    assert any(p.grad is not None and p.grad.any() for p in first) != stop
    assert all(p.grad is not None for p in second)


@pytest.mark.parametrize("stop", [False, True])
def test_gradients_of_an_iterative_model_are_those_of_finite_differences(make_model, stop):
    heard = {"conditions": hearing(hears=ALL, number=3), "stop_gradient": stop}
    options = {"objective": "pit", "criterions": [{"name": "snr"}]}
    model = make_model(conditions=hearing(), later=[heard], **options).double().train()
    sources = noise(3, 2, 200, seed=1).double()
    parameters = [p for p in model.parameters() if p.requires_grad]
    value = torch.zeros(3, 1).long()

    def loss():
        mixture = sources.sum(dim=1)
        return model(mixture, sources[:, 0], sources[:, 1], **{UNCONDITIONAL: value})[0].sum()

    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True)
    second = list(model.later[0].parameters())
    for chosen in (second, parameters):
        ids = {id(p) for p in chosen}
        directions = [torch.randn_like(p) * (id(p) in ids) for p in parameters]
        with torch.no_grad():
            sides = []
            for step in (1e-7, -2e-7):  # there and back; larger ones cross kinks of the masks
                for parameter, direction in zip(parameters, directions):
                    parameter += step * direction
                sides.append(loss())
            for parameter, direction in zip(parameters, directions):
                parameter += 1e-7 * direction
        slope = ((sides[0] - sides[1]) / 2e-7).item()
        pairs = zip(gradients, directions)
        found = sum((g * d).sum().item() for g, d in pairs if g is not None)
        same = found == pytest.approx(slope, rel=1e-4, abs=1e-6)
        assert same != (stop and chosen is parameters)


def test_the_loss_of_two_passes_is_the_sum_of_both(make_model):
    model = make_model(**PIT, later=[{}])
    sources = noise(3, 2, 400, seed=1)
    mixture, value = sources.sum(dim=1), torch.zeros(3, 1).long()
    with torch.no_grad():
        loss, stats, _ = model(mixture, sources[:, 0], **{UNCONDITIONAL: value})
        model.later, later = torch.nn.ModuleList(), model.later
        first, first_stats, _ = model(mixture, sources[:, 0], **{UNCONDITIONAL: value})
        model.later = later
        model.passes, passes = lambda *arguments: passes(*arguments)[-1:], model.passes
        second, second_stats, _ = model(mixture, sources[:, 0], **{UNCONDITIONAL: value})
    torch.testing.assert_close(loss, first + second)
    name = f"si_sdr_{UNCONDITIONAL}"
    assert stats[name] == second_stats[name] != first_stats[name]


def test_weights_of_a_first_pass_keep_their_names(make_model):
    alone, both = make_model(), make_model(later=[{}])
    names = set(both.state_dict())
    assert set(alone.state_dict()) == {one for one in names if not one.startswith("later.")}
    parts = {one.split(".")[2] for one in names if one.startswith("later.")}
    assert parts == {"encoder", "extractor", "decoder"}
    assert all(torch.equal(both.state_dict()[n], value) for n, value in alone.state_dict().items())


def test_what_is_heard_is_at_the_level_at_which_the_mixture_has_unit_rms(make_model):
    signals = ["sources", "mixture"]
    later = {"conditions": hearing(hears=["estimates", "mixture", "sources"], number=5)}
    own = hearing(hears=signals, number=3)
    model = make_model(conditions=own, later=[later], objective="pit")
    sources = noise(2, 2, 400, seed=1)
    mixture = sources.sum(dim=1)
    level = mixture.square().mean(dim=1)[:, None, None].sqrt()
    first, _ = iterate(model, mixture, sources=sources)
    (heard,) = model.conditioners[UNCONDITIONAL].values
    torch.testing.assert_close(heard, torch.cat([sources, mixture.unsqueeze(1)], dim=1) / level)
    (heard,) = model.later[0].conditioners[UNCONDITIONAL].values
    expected = torch.cat([first, mixture.unsqueeze(1), sources], dim=1) / level
    torch.testing.assert_close(heard, expected, atol=1e-5, rtol=1e-4)
    assert model.is_oracle and model.heard == (UNCONDITIONAL,)


@pytest.mark.parametrize("kind", ["envelopes", "loudness"])
def test_a_heard_condition_decides_and_learns(make_model, kind):
    model = make_model(conditions=hearing(kind), objective="pit").train()
    assert not model.is_oracle and model.heard == (UNCONDITIONAL,)
    sources = noise(3, 2, 400, seed=1)
    value = torch.zeros(3, 1).long()
    loss, _, _ = model(sources.sum(dim=1), sources[:, 0], **{UNCONDITIONAL: value})
    loss.backward()
    assert model.conditioners[UNCONDITIONAL].linear.weight.grad.any()
    mixture = sources.sum(dim=1)
    before = model.extract(mixture, UNCONDITIONAL)
    with torch.no_grad():
        model.conditioners[UNCONDITIONAL].linear.weight.neg_()
    assert (model.extract(mixture, UNCONDITIONAL) - before).abs().max() > 1e-6


@pytest.mark.parametrize("later", [[], [{"conditions": hearing(hears=ALL, number=3)}]])
@pytest.mark.parametrize("oracle", [False, True])
def test_the_sources_are_seen_by_oracles_alone(make_model, later, oracle):
    signals = ["mixture", "sources"] if oracle else ["mixture"]
    conditions = hearing(hears=signals, number=3 if oracle else 1)
    model = make_model(conditions=conditions, objective="pit", later=later).train()
    mixture, value = noise(2, 400), torch.zeros(2, 1).long()
    found = []

    def keep(*arguments, run=model.passes):
        passes = run(*arguments)
        found.append(passes[-1][0])
        return passes

    model.passes = keep
    for seed in (1, 2):
        model(mixture, noise(2, 400, seed=seed), **{UNCONDITIONAL: value})
    assert model.is_oracle == oracle
    assert torch.equal(*found) != oracle

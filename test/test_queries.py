"""A batch of mixtures with several queries each is a batch of mixtures with one."""

import pytest
import small_parts
import torch

from tsx_espnet.conditions import CONDITIONS, UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.parts import OURS, find

CONV_TASNET = {
    "extractor": "conv_tasnet",
    "extractor_conf": {"bottleneck_dim": 8, "hidden_dim": 12, "layer": 2, "stack": 2},
}
# row of the mixture, component, part; the order of the mixtures is free
QUERIES = torch.tensor([[0, 0, 0], [0, 2, 0], [2, 1, 0], [1, 0, 0], [2, 0, 0]])
WEIGHT = torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0])


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditions(number):
    """Values of all conditions for each query; the text of the last is not applicable."""
    values = {name: torch.arange(number).unsqueeze(1) % 2 for name in CONDITIONS}
    values["text"] = noise(number, 1, 8, seed=3)
    values["text_lengths"] = torch.tensor([1] * (number - 1) + [0])
    values["enrollment"] = noise(number, 90, seed=4)
    values["enrollment_lengths"] = torch.full((number,), 90)
    return {**values, UNCONDITIONAL: torch.zeros(number, 1).long()}


def batches(queries=QUERIES, weight=WEIGHT, seed=0):
    """With queries; and the same targets, a mixture each."""
    sources = noise(3, 400, 3, seed=seed)
    mixture = sources.sum(dim=2)
    rows, component, _ = queries.unbind(dim=1)
    target = sources[rows, :, component]
    target = torch.where(weight.unsqueeze(1) < 0, mixture[rows] - target, target)
    values = conditions(len(queries))
    queried = {"speech_mix": mixture, "sources": sources, "queries": queries}
    apart = {"speech_mix": mixture[rows], "speech_ref1": target}
    return {**queried, "query_weight": weight, **values}, {**apart, **values}


def loss_and_gradients(model, batch):
    torch.manual_seed(0)  # for what an objective draws
    model.zero_grad()
    loss, stats, size = model(**batch)
    gradients = {}
    if model.training:
        loss.backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return loss, stats, size, gradients


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("changes", [{}, CONV_TASNET], ids=["sudormrf", "conv_tasnet"])
@pytest.mark.parametrize("objective", sorted(set(OURS["objective"]) - {"guided"}))  # no queries
def test_loss_and_gradients_are_those_of_separate_mixtures(
    make_model, objective, changes, training
):
    options = {"objective": objective, **changes}
    if find("objective", objective).needs_refiner:
        options.update(refiner="mixture", refiner_conf={"channels": 8})
    if objective == "pit":
        options["conditions"] = {UNCONDITIONAL: {}}
    model = make_model(**options).train(training)
    queried, apart = batches()
    loss, stats, size, gradients = loss_and_gradients(model, queried)
    expected_loss, expected_stats, expected_size, expected = loss_and_gradients(model, apart)
    torch.testing.assert_close(loss, expected_loss, atol=1e-6, rtol=1e-6)
    assert size == expected_size == 5
    over_mixtures = {"refiner_mixture_to_text"}  # in which each mixture counts once
    for name in expected_stats.keys() - over_mixtures:
        found, value = stats[name], expected_stats[name]
        torch.testing.assert_close(found, value, equal_nan=True, atol=1e-5, rtol=1e-5)
    assert gradients.keys() == expected.keys() and bool(gradients) == training
    for name, value in expected.items():
        torch.testing.assert_close(gradients[name], value, atol=1e-5, rtol=1e-4)


def test_in_double_precision_they_are_equal_to_1e_6(make_model):
    model = make_model(objective="single").double().train()
    queried, apart = (
        {n: v.double() if v.is_floating_point() else v for n, v in batch.items()}
        for batch in batches()
    )
    loss, _, _, gradients = loss_and_gradients(model, queried)
    expected_loss, _, _, expected = loss_and_gradients(model, apart)
    torch.testing.assert_close(loss, expected_loss, atol=1e-12, rtol=1e-12)
    for name, value in expected.items():
        torch.testing.assert_close(gradients[name], value, atol=1e-8, rtol=1e-6)


def test_one_query_a_mixture_is_the_same_to_the_bit(make_model):
    model = make_model(objective="oct").train()
    queries = torch.tensor([[0, 1, 0], [1, 0, 0], [2, 2, 0]])
    queried, apart = batches(queries, torch.ones(3))
    loss, _, _, gradients = loss_and_gradients(model, queried)
    expected_loss, _, _, expected = loss_and_gradients(model, apart)
    assert torch.equal(loss, expected_loss)
    assert all(torch.equal(gradients[name], value) for name, value in expected.items())


def test_every_mixture_is_encoded_once(make_model):
    model = make_model(objective="single", **CONV_TASNET).train()
    sizes = []
    for part in (model.encoder, *(stack[0] for stack in model.extractor.tcn.stacks)):
        sizes.append([])
        part.register_forward_hook(
            lambda _, inputs, __, found=sizes[-1]: found.append(len(inputs[0]))
        )
    model(**batches()[0])
    assert sizes == [[3], [3], [4]]  # the text of the fifth query is not applicable


def test_a_part_is_not_trained_on_but_does_no_harm(make_model):
    model = make_model(objective="oct").train()
    batch, _ = batches()
    whole = loss_and_gradients(model, batch)
    changed = torch.cat([QUERIES, torch.tensor([[0, 2, 1]])])
    rows = torch.tensor([0, 1, 2, 3, 4, 0])
    asked = {name: batch[name][rows] for name in conditions(1)}
    weight = torch.cat([WEIGHT, torch.ones(1)])
    found = loss_and_gradients(
        model, {**batch, **asked, "queries": changed, "query_weight": weight}
    )
    torch.testing.assert_close(found[0], whole[0])
    for name, value in whole[3].items():
        torch.testing.assert_close(found[3][name], value, atol=1e-5, rtol=1e-4)


def test_a_heard_condition_is_computed_once_a_mixture(make_model, monkeypatch):
    small_parts.register(monkeypatch)
    heard = {UNCONDITIONAL: {"conditioner": "loudness"}}
    model = make_model(objective="hct", conditions={"energy": {}, **heard}).train()
    queried, apart = batches()
    loss, _, _, _ = loss_and_gradients(model, queried)
    expected, _, _, _ = loss_and_gradients(model, apart)
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
    assert [len(value) for value in model.conditioners[UNCONDITIONAL].values] == [3, 5]


def three_outputs(make_model, **options):
    extractor = {"num_blocks": 1, "out_channels": 8, "hidden_channels": 16, "num_outputs": 4}
    return make_model(
        objective="pit",
        conditions={UNCONDITIONAL: {}},
        criterions=[{"name": "thresholded_snr"}],
        extractor_conf=extractor,
        **options,
    )


def test_a_model_of_many_outputs_that_is_not_queried_learns_every_source(make_model):
    """Whichever components the queries are for; with silence for the outputs that are left."""
    model = three_outputs(make_model).train()
    batch, _ = batches()
    loss, _, _, _ = loss_and_gradients(model, batch)
    with torch.no_grad():
        null = model.embed({UNCONDITIONAL: torch.zeros(3, 1).long()})[UNCONDITIONAL]
        outputs = model.extract(batch["speech_mix"], null)
    sources = torch.cat([batch["sources"].transpose(1, 2), torch.zeros(3, 1, 400)], dim=1)
    (criterion,) = model.criterions
    error = (sources.unsqueeze(2) - outputs.unsqueeze(1)).square().sum(dim=-1).log10()
    from scipy.optimize import linear_sum_assignment

    total = 0.0
    for row in range(3):
        for source, output in zip(*linear_sum_assignment(error[row].numpy())):
            one = (sources[row, source], outputs[row, output], batch["speech_mix"][row])
            total += criterion(*(signal[None] for signal in one)).item()
    assert loss.item() == pytest.approx(total / 3, rel=1e-5)


def test_pairs_of_which_both_are_queried_are_separated_once(make_model, monkeypatch):
    """Without a condition it would be the same twice, the references exchanged."""
    model = make_model(objective="pit", conditions={UNCONDITIONAL: {}}).train()
    sources = noise(3, 400, 2)
    pair = [[row, component, 0] for row in range(3) for component in range(2)]
    queried = {
        "speech_mix": sources.sum(dim=2),
        "sources": sources,
        "queries": torch.tensor(pair),
        "query_weight": torch.ones(6),
        UNCONDITIONAL: torch.zeros(6, 1).long(),
    }
    once = {
        "speech_mix": sources.sum(dim=2),
        **{f"speech_ref{number + 1}": sources[..., number] for number in range(2)},
        UNCONDITIONAL: torch.zeros(3, 1).long(),
    }
    expected = model(**once)[0]
    rows = []
    extract = model.extractor.extract
    monkeypatch.setattr(
        model.extractor,
        "extract",
        lambda feature, *given: (rows.append(len(feature)), extract(feature, *given))[1],
    )
    torch.testing.assert_close(model(**queried)[0], expected)
    assert rows == [3]


def test_it_refuses_more_sources_than_outputs(make_model):
    model = three_outputs(make_model)
    batch, _ = batches()
    batch["sources"] = noise(3, 400, 5)
    with pytest.raises(
        TSXError, match="at most 4 sources, one for each output of the model, found 5"
    ):
        model(**batch)

"""The refiner belongs to the model: trained with it, saved with it, used at inference."""

import pytest
import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.objective.oct import OCTPlusPlusObjective

REFINER = {
    "refiner": "mixture",
    "refiner_conf": {"channels": 8, "hidden_dim": 8, "depth": 2, "stride": 2},
    "objective": "octpp",
    "objective_conf": {},
}


@pytest.fixture
def model(make_model):
    return make_model(**REFINER)


@pytest.fixture
def batch(model):
    torch.manual_seed(0)
    conditions = {}
    for name, conditioner in model.conditioners.items():
        if name == "text":
            conditions[name] = torch.randn(2, 1, conditioner.linear.in_features)
        else:
            conditions[name] = torch.tensor([[0], [1]])
    target, other = torch.randn(2, 2, 800)
    return {
        "speech_mix": target + other,
        "speech_ref1": target,
        "speech_ref2": other,
        **conditions,
    }


def test_octpp_needs_a_refiner(make_model):
    with pytest.raises(TSXError, match="--objective octpp needs a --refiner, found none"):
        make_model(**{**REFINER, "refiner": None})


def test_options_of_oct_are_options_of_octpp(make_model):
    model = make_model(**{**REFINER, "objective_conf": {"warmup_updates": 3}})
    assert isinstance(model.objective, OCTPlusPlusObjective)
    assert model.objective.warmup_updates == 3
    with pytest.raises(TSXError, match="objective_conf of octpp: no option 'warmup'"):
        make_model(**{**REFINER, "objective_conf": {"warmup": 3}})


def test_training_reaches_every_part_of_the_refiner(model, batch):
    model.train()
    loss, _, _ = model(**batch)
    loss.backward()
    for name, parameter in model.refiner.named_parameters():
        if name.endswith("pool.score.bias"):
            continue  # a softmax over time does not see it
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_mixture_changes_what_a_condition_means(model, batch):
    text = model.embed(batch)["text"].select(torch.tensor([0, 0]))
    encoded = model.encode(batch["speech_mix"], torch.tensor([800, 800]))
    refined = model.refine(encoded, text)
    assert not torch.allclose(refined.embedding[0], refined.embedding[1])
    rows = torch.tensor([1])
    again = model.refine(encoded, text.select(rows), rows)
    torch.testing.assert_close(again.embedding[0], refined.embedding[1])


def test_extraction_refines(model, batch):
    text = model.embed(batch)["text"]
    mixture = batch["speech_mix"]
    encoded = model.encode(mixture, torch.tensor([800, 800]))
    expected = model.separate(encoded, model.refine(encoded, text))
    unrefined = model.separate(encoded, text)
    found = model.extract(mixture, text)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found[0], unrefined[0], atol=1e-3)


def test_save_load_equal_output(make_model, model, batch):
    other = make_model(seed=1, **REFINER)
    text = other.embed(batch)["text"]
    assert not torch.allclose(
        other.extract(batch["speech_mix"], text)[0],
        model.extract(batch["speech_mix"], model.embed(batch)["text"])[0],
    )
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(
        other.extract(batch["speech_mix"], other.embed(batch)["text"]),
        model.extract(batch["speech_mix"], model.embed(batch)["text"]),
    )


@pytest.mark.parametrize("phase", ["train", "eval"])
def test_the_log_shows_the_refiner(model, batch, phase):
    getattr(model, phase)()
    _, stats, _ = model(**batch)
    assert 0 <= stats["refiner_dead"] < 1 and stats["refiner_mixture_to_text"] > 0
    with torch.no_grad():  # off for any input
        model.refiner.map[0].bias.fill_(-1e4)
    _, stats, _ = model(**batch)
    assert stats["refiner_dead"] == 1


def test_a_refiner_without_its_objective_is_not_in_the_log(make_model, batch):
    model = make_model(**{**REFINER, "objective": "hct"})
    _, stats, _ = model(**batch)
    assert not any(name.startswith("refiner") for name in stats)


def test_a_residual_refiner_leaves_the_model_as_it_was(make_model, batch):
    """At its start, the losses by each condition are those of OCT."""
    torch.manual_seed(0)
    model = make_model(**{**REFINER, "refiner_conf": {"channels": 8, "residual": True}})
    model.eval()
    refined = model(**batch)[1]
    model.refiner = None
    model.objective.needs_refiner = False
    plain = model(**batch)[1]
    assert torch.equal(refined["loss_text"], plain["loss_text"])
    assert torch.equal(refined["loss_energy"], plain["loss_energy"])

"""The learning rate of the refiner."""

import argparse

import pytest
import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.training.options import check_optimizer_options
from tsx_espnet.training.task import TSXTask

RESIDUAL = {"refiner": "mixture", "refiner_conf": {"channels": 8, "residual": True}}


def options(**others):
    given = {
        **{"optim": "adam", "optim_conf": {"lr": 0.5, "eps": 1e-3}, "sharded_ddp": False},
        **{"exclude_weight_decay": False, "exclude_weight_decay_conf": {}, "scheduler": None},
        **{"refiner": "mixture", "refiner_lr_scale": 1.0},
    }
    return argparse.Namespace(**{**given, **others})


def names_of(model, group):
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    return [known[id(parameter)] for parameter in group["params"]]


def test_by_default_the_optimizer_is_espnets(make_model):
    model = make_model(**RESIDUAL)
    (optimizer,) = TSXTask.build_optimizers(options(), model)
    (group,) = optimizer.param_groups
    assert names_of(model, group) == [name for name, _ in model.named_parameters()]


@pytest.mark.parametrize("decay", [False, True], ids=["plain", "exclude_weight_decay"])
def test_the_refiner_has_a_learning_rate_of_its_own(make_model, decay):
    model = make_model(**RESIDUAL)
    args = options(refiner_lr_scale=0.1)
    if decay:
        conf = {"bias_weight_decay": False, "normalization_weight_decay": False}
        args.exclude_weight_decay, args.exclude_weight_decay_conf = True, conf
        args.optim_conf["weight_decay"] = 0.01
    (optimizer,) = TSXTask.build_optimizers(args, model)
    rates = {}
    for group in optimizer.param_groups:
        assert group["eps"] == 1e-3
        rates.update(dict.fromkeys(names_of(model, group), group["lr"]))
    assert set(rates) == {name for name, _ in model.named_parameters()}
    for name, rate in rates.items():
        assert rate == pytest.approx(0.05 if name.startswith("refiner.") else 0.5), name


def test_a_schedule_scales_both(make_model):
    model = make_model(**RESIDUAL)
    (optimizer,) = TSXTask.build_optimizers(options(refiner_lr_scale=0.1), model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.25, 0.025])


@pytest.mark.parametrize(
    "others, message",
    [
        ({"refiner_lr_scale": 0.0}, "expected a number above 0, found 0"),
        ({"refiner_lr_scale": float("nan")}, "expected a number above 0, found nan"),
        ({"refiner_lr_scale": 0.1, "refiner": None}, "expected a --refiner, found none"),
        ({"refiner_lr_scale": 0.1, "scheduler": "onecyclelr"}, "found --scheduler onecyclelr"),
    ],
)
def test_what_cannot_be(others, message):
    with pytest.raises(TSXError, match=f"--refiner_lr_scale.*{message}"):
        check_optimizer_options(options(**others))

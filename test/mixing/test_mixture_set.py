"""Mixture sets, against what mix writes."""

import json

import numpy as np
import pytest

from tsx_espnet.conditions import CONDITIONS
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import SOUNDS, TARGET
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.render import render
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.tables import write_table


def test_a_set_is_what_stage_3_wrote(corpus, tmp_path):
    config = MixingConfig(duration=0.5, enrollments=2)
    write_mixtures(Sampler(corpus, config), 6, 0, tmp_path / "set")
    mixtures = MixtureSet(tmp_path / "set")
    assert mixtures.ids == [f"mix{number:05d}" for number in range(1, 7)] == list(mixtures.plans)
    assert mixtures.conditions == ("unconditional", *CONDITIONS)
    assert mixtures.lengths(8000) == dict.fromkeys(mixtures.ids, 4000)
    for name, plan in mixtures.plans.items():
        sources, mixture = render(plan, corpus)
        read = [mixtures.read(sound, name, fs=8000, length=4000) for sound in SOUNDS]
        np.testing.assert_array_equal(read[0], mixture)
        np.testing.assert_array_equal(read[1], sources[plan.target])
        np.testing.assert_array_equal(read[2], sources[1 - plan.target])
        assert mixtures.label(name) == plan.sources[plan.target].labels[0]
    for condition in CONDITIONS:
        if condition != "enrollment":
            expected = {p.id: p.conditions.get(condition) for p in mixtures.plans.values()}
            expected = {name: value for name, value in expected.items() if value is not None}
            assert mixtures.applicable(condition) == expected
    assert mixtures.applicable("unconditional") == dict.fromkeys(mixtures.ids, "any")
    both, first = (mixtures.queries(("enrollment",), k)["enrollment"] for k in (2, 1))
    for name in mixtures.ids:
        assert json.loads(both[name])[:1] == json.loads(first[name])


def test_tables_of_other_mixtures_are_refused(mixture_set):
    mixtures = MixtureSet(mixture_set.directory)
    table = {**mixture_set.values["order"], "mix99999": "first"}
    write_table(mixture_set.directory / "utt2order", table)
    with pytest.raises(TSXError, match=r"utt2order: .* 1 unknown .*'mix99999'.; run mix"):
        mixtures.applicable("order")
    with pytest.raises(TSXError, match="spk1.scp: no such file; run mix"):
        mixtures.paths(TARGET)
    with pytest.raises(TSXError, match="mixtures.jsonl: no such file; run mix"):
        mixtures.label("mix00001")


@pytest.mark.parametrize(
    "conditions, number, message",
    [
        (("energy", "enrollment"), 2, "mix00001: expected 2 enrollments or more, found 1"),
        (("energy", "enrollment"), 0, "num_enrollments: expected at least 1, found 0"),
        (("energy",), 1, "expected the condition enrollment in energy"),
    ],
)
def test_enrollments_that_are_not_there(mixture_set, conditions, number, message):
    with pytest.raises(TSXError, match=message):
        MixtureSet(mixture_set.directory).queries(conditions, number)

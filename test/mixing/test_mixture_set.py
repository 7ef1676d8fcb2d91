"""The data table and mixture sets, against what mix writes and what ESPnet loads."""

import json

import numpy as np
import pytest
from espnet2.train.dataset import DATA_TYPES

from tsx_espnet.conditions import CONDITIONS
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing import mixture_set as sets
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.render import render
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures
from tsx_espnet.tables import write_table


def test_names_are_unique_and_loaders_are_espnets():
    names = [row.name for row in sets.data_table()]
    assert len(set(names)) == len(names)
    assert {row.type for row in sets.data_table()} <= set(DATA_TYPES)


def test_what_a_batch_needs():
    """``ESPnetTSXModel.forward`` needs mixture and target; extraction needs the mixture alone."""
    assert sets.data_names(required=True) == ("speech_mix", "speech_ref1")
    assert sets.data_names(required=False) == ("speech_ref2", *CONDITIONS, "sources", "queries")
    assert sets.data_names(required=True, inference=True) == ("speech_mix",)
    assert sets.data_names(required=False, inference=True) == tuple(CONDITIONS)


def test_data_options_ask_for_the_models_conditions_alone():
    assert sets.path_name_type("dump/mix", ("energy", "text")) == [
        ("dump/mix/wav.scp", "speech_mix", "sound"),
        ("dump/mix/spk1.scp", "speech_ref1", "sound"),
        ("dump/mix/spk2.scp", "speech_ref2", "sound"),
        ("dump/mix/utt2energy", "energy", "text"),
        ("dump/mix/utt2text", "text", "text"),
    ]
    # paths, not sound: a mixture may have several recordings, of any rate
    assert sets.path_name_type("x", ("enrollment",))[3:] == [
        ("x/utt2enrollment", "enrollment", "text")
    ]
    assert sets.path_name_type("x", ("text",), queries=True) == [
        ("x/wav.scp", "speech_mix", "sound"),
        ("x/sources.scp", "sources", "sound"),
        ("x/utt2queries", "queries", "text"),
    ]


def test_a_set_is_what_stage_3_wrote(corpus, tmp_path):
    config = MixingConfig(duration=0.5, enrollments=2)
    write_mixtures(Sampler(corpus, config), 6, 0, tmp_path / "set")
    mixtures = sets.MixtureSet(tmp_path / "set")
    assert mixtures.ids == [f"mix{number:05d}" for number in range(1, 7)] == list(mixtures.plans)
    assert mixtures.conditions == ("unconditional", *CONDITIONS)
    assert mixtures.lengths(8000) == dict.fromkeys(mixtures.ids, 4000)
    for name, plan in mixtures.plans.items():
        sources, mixture = render(plan, corpus)
        read = [mixtures.read(sound, name, fs=8000, length=4000) for sound in sets.SOUNDS]
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
    mixtures = sets.MixtureSet(mixture_set.directory)
    table = {**mixture_set.values["order"], "mix99999": "first"}
    write_table(mixture_set.directory / "utt2order", table)
    with pytest.raises(TSXError, match=r"utt2order: .* 1 unknown .*'mix99999'.; run mix"):
        mixtures.applicable("order")
    with pytest.raises(TSXError, match="spk1.scp: no such file; run mix"):
        mixtures.paths(sets.TARGET)
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
        sets.MixtureSet(mixture_set.directory).queries(conditions, number)

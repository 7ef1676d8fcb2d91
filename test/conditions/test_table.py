"""The table of conditions: what is in it, what may be added, and that additions change no other."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet import conditions, parts
from tsx_espnet.bin import extract
from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding
from tsx_espnet.conditions import (
    ASKED,
    CONDITIONS,
    NOT_APPLICABLE,
    Condition,
    SignalCondition,
    find,
    register,
)
from tsx_espnet.errors import TSXError
from tsx_espnet.inference import TargetSoundExtractor
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import data_names, path_name_type
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import write_mixtures

NAMES = ("energy", "harmonicity", "order", "enrollment", "class", "text")


class Length(SignalCondition):
    """Frames in which a source can be heard."""

    name = "length"
    values = ("short", "long")
    margin = 10.0

    def measure(self, sources):
        return sources.sounding.sum(axis=1)


class Coin(Condition):
    """Draws, as much as it likes."""

    values = ("head", "tail")

    def __init__(self, name="coin"):
        self.name = name
        super().__init__()

    def read(self, sources, rng):
        return self.values[int(rng.random(1 + sources.target)[-1] < 0.5)]


@pytest.fixture
def table(monkeypatch):
    """The table may be added to; after the test it is what it was."""
    monkeypatch.setattr(conditions, "_TABLE", dict(conditions._TABLE))


def test_names_and_values():
    assert tuple(CONDITIONS) == NAMES and len(CONDITIONS) == 6
    assert tuple(ASKED) == (*NAMES, "unconditional")
    assert "unconditional" not in CONDITIONS and "unconditional" in ASKED
    assert find("harmonicity").values == ("percussive", "harmonic")
    assert find("class").values is None and find("unconditional") is ASKED["unconditional"]
    with pytest.raises(TSXError, match="no condition 'loudness': expected one of energy, harmon"):
        find("loudness")


@pytest.mark.parametrize("name", ASKED)
def test_a_condition_says_all_that_commands_need(name):
    condition = ASKED[name]
    assert condition.help and condition.keyword.isidentifier() and type(condition).__doc__
    assert conditions.by_keyword(condition.keyword) is condition
    assert condition.file == (f"utt2{name}" if condition.queried else None)


def test_a_registered_condition_is_everywhere(table):
    register(Length())
    assert tuple(CONDITIONS) == (*NAMES, "length")
    assert tuple(ASKED) == (*NAMES, "length", "unconditional")
    assert "length" in data_names(required=False)
    assert path_name_type("mix", ("length",))[-1] == ("mix/utt2length", "length", "text")
    assert conditions.by_keyword("length") is CONDITIONS["length"]


def changed(condition, **changes):
    for name, value in changes.items():
        setattr(condition, name, value)
    return condition


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"name": "energy"}, "condition 'energy' is registered already, as .*signal.Energy"),
        ({"keyword": "class_label"}, "condition 'length' is registered already, as .*ClassLabel"),
        ({"name": "Length"}, "condition 'Length': expected small letters.* found 'Length'"),
        ({"name": "../x"}, "condition '../x': expected small letters"),
        ({"keyword": "progress"}, "condition 'length': .* none of .*progress.*; found 'progress'"),
        ({"name": "oracle"}, "condition 'oracle': .* none of .*oracle"),
        ({"name": "sound", "keyword": "also"}, "condition 'sound': .* none of .*; found 'also'"),
        ({"name": "but"}, "condition 'but': .* none of .*; found 'but'"),
        ({"values": ("short",)}, "condition 'length': expected at least two different values"),
        ({"values": ("short", "short")}, "expected at least two different values"),
        ({"values": ("n/a", "long")}, "expected at least two different values"),
        ({"values": ("very short", "long")}, "expected at least two different values, single word"),
    ],
)
def test_what_is_refused(table, changes, message):
    with pytest.raises(TSXError, match=message):
        register(changed(Length(), **changes))
    assert tuple(CONDITIONS) == NAMES


def test_a_name_is_registered_once(table):
    register(Length())
    with pytest.raises(TSXError, match="condition 'length' is registered already"):
        register(Length())


@given(seed=st.integers(0, 2**32 - 1), index=st.integers(0, 2**32 - 1))
def test_more_conditions_change_no_draw_of_others(sampler, seed, index):
    before = sampler.draw(seed, 0, index)
    with pytest.MonkeyPatch.context() as patch:
        found = []
        for coins in (["coin"], ["coin", "dime"], ["dime", "coin"]):
            patch.setattr(conditions, "_TABLE", dict(conditions._TABLE))
            for name in coins:
                conditions._TABLE[name] = Coin(name)
            drawn = sampler.draw(seed, 0, index)
            values = dict(drawn.conditions)
            found.append({name: values.pop(name) for name in coins})
            assert dataclasses.replace(drawn, conditions=values) == before
            assert sampler.draw(seed, 0, index) == drawn
            assert Plan.from_json(drawn.to_json()) == drawn
            patch.undo()
    assert found[0]["coin"] == found[1]["coin"] == found[2]["coin"]
    assert found[1] == found[2]


@pytest.fixture(scope="module")
def sampler(corpus):
    options = {"class_level": "any", "text_variants": True, "enrollments": 1, "min_overlap": 0.1}
    return Sampler(corpus, MixingConfig(duration=1.0, **options))


def test_streams_of_conditions_differ(sampler, table):
    for name in ("coin", "dime"):
        register(Coin(name))
    plans = [sampler.draw(0, 0, index) for index in range(40)]
    columns = [tuple(plan.conditions[name] for plan in plans) for name in ("coin", "dime")]
    assert columns[0] != columns[1] and all(set(column) == {"head", "tail"} for column in columns)


def test_margins_of_registered_conditions(table, tmp_path):
    with pytest.raises(TSXError, match="margins: no condition 'length': .*TSX_PLUGINS"):
        MixingConfig(margins={"length": 0.3})
    register(Length())
    assert MixingConfig().to_dict() == MixingConfig(margins=None).to_dict()
    assert "margins" not in MixingConfig().to_dict()
    config = MixingConfig(margins={"length": 3}, level_margin=1.0)
    assert MixingConfig.from_dict(config.to_dict()) == config
    margins = {"energy": 1.0, "harmonicity": 0.5, "order": 0.1, "length": 3}
    assert config.condition_margins == margins
    for margins, message in (
        ({"energy": 1}, "margins: energy has an option of its own, level_margin"),
        ({"text": 1}, "margins: text has none"),
        ({"length": -1}, "margins: length: expected a number from 0 on, found -1"),
        ({"length": "long"}, "margins: length: expected a number from 0 on, found 'long'"),
        ({"length": float("inf")}, "margins: length: expected a number from 0 on, found inf"),
        ([0.3], r"margins: expected 'condition: number' lines, found \[0.3\]"),
    ):
        with pytest.raises(TSXError, match=f"a.yaml: {message}"):
            MixingConfig.from_dict({"margins": margins}, "a.yaml")


def test_sets_that_do_not_know_a_condition_say_what_to_do(corpus, table, tmp_path, capsys):
    sampler = Sampler(corpus, MixingConfig(duration=1.0))
    write_mixtures(sampler, 3, seed=0, out=tmp_path / "mix")
    register(Length())
    with pytest.raises(TSXError, match=r"utt2length: no such file; run mix again"):
        MixtureSet(tmp_path / "mix").queries(("length",))
    write_mixtures(sampler, 3, seed=0, out=tmp_path / "mix")
    assert "utt2length: no such file; " in capsys.readouterr().out
    assert len(MixtureSet(tmp_path / "mix").table("utt2length")) == 3


def test_plans_with_a_condition_that_nobody_registered(corpus, table):
    register(Coin())
    line = Sampler(corpus, MixingConfig(duration=1.0)).draw(0, 0, 0).to_json()
    del conditions._TABLE["coin"]
    with pytest.raises(TSXError, match="here: conditions: no condition 'coin': .*TSX_PLUGINS"):
        Plan.from_json(line, "here")


def test_keywords_of_a_call(make_experiment, table, tmp_path):
    register(changed(Length(), keyword="sound_length"))
    experiment = make_experiment(tmp_path / "exp", conditions={"length": {}, "energy": {}})
    tsx = TargetSoundExtractor.load(experiment)
    mixture = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    short, long = (tsx(mixture, 8000, sound_length=value)[0] for value in ("short", "long"))
    assert np.abs(short - long).max() > 0
    assert np.array_equal(tsx(mixture, 8000, sound_length="long", energy=None)[0], long)
    for asked, message in (
        ({"sound_length": "lang"}, "unknown length 'lang'; expected short or long"),
        ({"sound_lenth": "long"}, "unknown condition 'sound_lenth'; nearest known: 'sound_length'"),
        ({"sound_length": 3}, "length: expected a string, found int"),
        ({"unconditional": False}, "expected exactly one of length, energy, found none"),
    ):
        with pytest.raises(TSXError) as error:
            tsx(mixture, 8000, **asked)
        assert str(error.value) == message


class Pitch(Condition):
    """An open condition: a frequency in Hz, as a number."""

    name = "pitch"
    help = "its fundamental frequency in Hz"
    option = {"type": float, "metavar": "HZ"}
    conditioner = "pitch"

    def query(self, asked):
        return f"{float(asked):g}"

    def encode(self, value, vocabulary, takes):
        shape = (0, 1) if value == NOT_APPLICABLE else (1, 1)
        return np.full(shape, 0.0 if value == NOT_APPLICABLE else float(value), np.float32)


class PitchConditioner(AbsConditioner):
    """The octave it lies in, as a vector."""

    def __init__(self, output_dim):
        super().__init__()
        self.linear = torch.nn.Linear(1, output_dim)

    def forward(self, value, lengths):
        mask = torch.arange(value.shape[1]) < lengths.unsqueeze(1)
        return ConditionEmbedding(self.linear(value.clamp(min=1.0).log2()), mask)


def test_an_open_condition_with_a_conditioner_of_its_own(
    make_experiment, table, tmp_path, monkeypatch
):
    register(Pitch())
    monkeypatch.setitem(parts.OURS["conditioner"], "pitch", f"{__name__}:PitchConditioner")
    experiment = make_experiment(tmp_path / "exp", conditions={"pitch": {}})
    tsx = TargetSoundExtractor.load(experiment)
    mixture = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    low, high = (tsx(mixture, 8000, pitch=hertz)[0] for hertz in (110, 880.0))
    assert np.abs(low - high).max() > 0
    assert not tsx.experiment.embed("pitch", NOT_APPLICABLE).applicable.any()
    soundfile.write(tmp_path / "mixture.wav", mixture, 8000, subtype="FLOAT")
    files = [str(tmp_path / name) for name in ("mixture.wav", "low.wav")]
    extract.main([files[0], "--model", str(experiment), "--pitch", "110", "-o", files[1]])
    np.testing.assert_array_equal(soundfile.read(files[1], dtype="float32")[0], low)


PLUGIN = """
from tsx_espnet.conditions import CONDITIONS, Condition, register

class Pitch(Condition):
    name = "pitch"

assert "energy" in CONDITIONS  # the table may be looked at
register(Pitch())
"""


@pytest.mark.parametrize("first", ["from tsx_espnet.conditions import CONDITIONS", "import pitch"])
def test_plugins_are_imported_once_when_the_table_is_first_looked_at(tmp_path, first):
    (tmp_path / "pitch.py").write_text(PLUGIN)
    program = f"""
import sys
import tsx_espnet.conditions
assert "pitch" not in sys.modules
{first}
from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding
from tsx_espnet.conditions import ASKED, CONDITIONS
print(list(CONDITIONS)[-1], "pitch" in ASKED, len(CONDITIONS))
"""
    path = os.pathsep.join([str(tmp_path), str(Path(conditions.__file__).parents[2])])
    env = {**os.environ, "TSX_PLUGINS": "pitch,json", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("pitch True 7\n", "")


def test_a_plugin_that_is_not_there(monkeypatch):
    monkeypatch.setenv("TSX_PLUGINS", "no_such_plugin")
    for _ in range(2):  # it is not forgotten after the first time
        with pytest.raises(TSXError, match="TSX_PLUGINS=no_such_plugin: No module named 'no_"):
            list(CONDITIONS)

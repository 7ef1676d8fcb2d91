"""Where training mixtures come from, by the options of a run."""

import argparse
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from formatted_clips import LABELS, noise, write_clips

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.plan import write_plans
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.training.draws import expand_draw_options, open_draws, wants_all_sources

MIXING = {"duration": 0.4, "snr": [0.0, 5.0], "min_overlap": 0.3, "min_sounding": 0.1}
OPTIONS = {
    **dict.fromkeys(("train_clips", "train_streams", "train_mixtures", "mixing_config")),
    **dict.fromkeys(("background_noise", "interference", "class_list")),
    "conditions": {"class": {}},
    "remix": False,
    **{"class_level": "any", "text_variants": False, "batch_size": 4, "mixtures_per_epoch": 10},
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two sets of clips of other classes, a yaml of how to mix them, and six plans."""
    root = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    for name, kinds in (("animals", ("bark", "meow")), ("things", ("rain", "horn"))):
        clips = {f"{kind}{n}": (noise(rng, 0.5), LABELS[kind]) for kind in kinds for n in range(3)}
        directory = write_clips(root / name, clips)
        classes = sorted({label for kind in kinds for label in LABELS[kind]})
        (directory / "classes.txt").write_text("\n".join(classes))
    (root / "mix.yaml").write_text(yaml.safe_dump(MIXING))
    sampler = Sampler(ClipSet(root / "animals"), MixingConfig.from_dict(MIXING))
    plans = [sampler.draw(5, 0, number, f"mix{number}") for number in range(6)]
    (root / "mixtures").mkdir()
    write_plans(root / "mixtures" / "mixtures.jsonl", plans)
    paths = ("animals", "things", "mix.yaml", "mixtures")
    found = {path.partition(".")[0]: str(root / path) for path in paths}
    return SimpleNamespace(**found, root=root, plans=plans)


@pytest.fixture
def streams(sets, tmp_path):
    """``streams(changes of the second one)``: a file of two."""

    def write(**changes):
        first = {"clips": sets.animals, "mixing_config": sets.mix, "share": 0.75}
        second = {"clips": sets.things, "mixing_config": sets.mix, "share": 0.25, **changes}
        second = {name: value for name, value in second.items() if value is not None}
        (tmp_path / "streams.yaml").write_text(yaml.safe_dump([first, second]))
        return str(tmp_path / "streams.yaml")

    return write


def expanded(**options):
    args = argparse.Namespace(**{**OPTIONS, **options})
    expand_draw_options(args)
    return args


def test_clips_are_mixed_as_the_config_says(sets):
    args = expanded(train_clips=sets.animals, mixing_config=sets.mix)
    assert args.class_list == f"{sets.animals}/classes.txt"
    args.class_list = ["Bark", "Meow"]  # what the model reads there; others are left out
    config = MixingConfig.from_dict({**MIXING, "class_level": "any"})
    expected = Sampler(ClipSet(sets.animals, args.class_list), config).draw(1, 2, 3)
    assert open_draws(args).draw(1, 2, 3) == expected
    assert args.stream_confs is None and args.train_plans is None


def test_streams_share_each_batch(sets, streams):
    """The first three of four mixtures are of one set of clips, the fourth is of the other."""
    args = expanded(train_streams=streams())
    assert args.class_list == ["Animal", "Bark", "Cat", "Dog", "Horn", "Meow", "Rain"] + [
        *("Vehicle", "Water")
    ]
    assert yaml.safe_load(yaml.safe_dump(args.stream_confs)) == args.stream_confs
    draws = open_draws(args)
    for index in range(12):
        labels = {label for one in draws.draw(1, 1, index).sources for label in one.labels}
        assert ("Animal" in labels) == (index % 4 < 3)
        assert bool({"Rain", "Horn"} & labels) == (index % 4 == 3)


def test_plans_of_a_set_are_played_once_in_each_epoch(sets, tmp_path):
    args = expanded(train_clips=sets.animals, train_mixtures=sets.mixtures)
    assert args.mixtures_per_epoch == 6 and args.mixing_conf is None
    draws = open_draws(args)
    played = [[draws.draw(0, epoch, index).id for index in range(6)] for epoch in (1, 2, 3)]
    assert all(sorted(ids) == [plan.id for plan in sets.plans] for ids in played)
    assert len({tuple(ids) for ids in played}) == 3
    few = expanded(train_clips=sets.animals, train_mixtures=sets.mixtures, mixtures_per_epoch=2)
    assert few.mixtures_per_epoch == 2
    write_plans(tmp_path / "mixtures.jsonl", sets.plans[1:])
    other = expanded(train_clips=sets.animals, train_mixtures=str(tmp_path))
    assert few.train_plans == args.train_plans != other.train_plans


def test_all_sources_are_wanted_where_a_set_would_have_them(sets, streams, tmp_path):
    (tmp_path / "all.yaml").write_text(yaml.safe_dump({**MIXING, "write_sources": True}))
    written = str(tmp_path / "all.yaml")
    for config, wanted in ((sets.mix, False), (written, True)):
        drawn = expanded(train_clips=sets.animals, mixing_config=config)
        both = expanded(train_streams=streams(mixing_config=config))
        assert wants_all_sources(drawn) == wants_all_sources(both) == wanted
    shutil.copytree(sets.mixtures, tmp_path / "mixtures")
    for file, wanted in (("sources.scp", False), ("utt2queries", True)):
        (tmp_path / "mixtures" / file).touch()
        options = {"train_clips": sets.animals, "train_mixtures": str(tmp_path / "mixtures")}
        assert wants_all_sources(expanded(**options)) == wanted


def test_the_plans_of_a_corpus_have_all_sources(sets, tmp_path):
    """A formatted directory says so; its plans alone do not."""
    shutil.copytree(sets.mixtures, tmp_path / "mixtures")
    args = expanded(train_clips=sets.animals, train_mixtures=str(tmp_path / "mixtures"))
    for facts, wanted in (("{}", False), ('{"as_shipped": 1}', True)):
        (tmp_path / "mixtures" / ".done").write_text(facts)
        assert wants_all_sources(args) == wanted


def test_backgrounds_are_exchanged_where_that_is_wanted(sets):
    args = expanded(train_clips=sets.animals, train_mixtures=sets.mixtures, remix=True)
    with pytest.raises(TSXError, match="remix: mix0: expected sources alone, found conditions, s"):
        open_draws(args)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"share": "half"}, "stream 2: share: expected a number in \\[0, 1\\], found 'half'"),
        ({"share": None}, "stream 2: missing: share"),
        ({"clips": "no/clips"}, "stream 2: clips: expected a directory of formatted clips"),
        ({"shares": 1}, "stream 2: no field 'shares'; did you mean share?"),
        ({"mixing_config": "no.yaml"}, "no.yaml: no such mixing config"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_stream_is_named(streams, changes, message):
    with pytest.raises(TSXError, match=message):
        expanded(train_streams=streams(**changes))


@pytest.mark.parametrize("text", ["", "clips: dump", "[]"])
def test_a_file_of_no_streams(text, tmp_path):
    (tmp_path / "streams.yaml").write_text(text)
    with pytest.raises(TSXError, match="streams.yaml: expected a list of {clips, mixing_config, s"):
        expanded(train_streams=str(tmp_path / "streams.yaml"))
    with pytest.raises(TSXError, match="--train_streams no.yaml: no such file"):
        expanded(train_streams="no.yaml")


def test_a_set_without_plans(sets, tmp_path):
    (tmp_path / "mixtures.jsonl").write_text("")
    with pytest.raises(TSXError, match="--train_mixtures: .*mixtures.jsonl: holds no mixture"):
        expanded(train_clips=sets.animals, train_mixtures=str(tmp_path))

"""Training mixtures on the fly: the same for any number of workers, processes and restarts."""

import dataclasses
import shutil

import numpy as np
import pytest
import soundfile
import torch

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.planned import PlannedMixtures
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.streams import Streams
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.tables import write_table
from tsx_espnet.training.examples import Collate, TSXPreprocessor
from tsx_espnet.training.iterator import MixtureIterFactory
from tsx_espnet.vocabulary import Vocabulary

CONDITIONS = ("energy", "harmonicity", "order", "class", "text")


@pytest.fixture
def factory(data):
    """Make a ``MixtureIterFactory`` on the clips; options as it takes them."""
    config = dataclasses.replace(
        MixingConfig.from_yaml(data.mixing_config), class_level="any", text_variants=True
    )
    vocabulary = Vocabulary(data.classes, TextTable.read(data.text))

    def make(mixing=None, examples=None, draws=None, **options):
        options = {"num_mixtures": 10, "batch_size": 4, "seed": 3, **options}
        config_here = dataclasses.replace(config, **(mixing or {}))
        return MixtureIterFactory(
            draws or Sampler(ClipSet(data.clips), config_here, examples=examples),
            TSXPreprocessor(True, CONDITIONS, vocabulary),
            Collate(),
            **options,
        )

    return make


ALL = {"num_sources": 3, "num_targets": "all", "placement": "uniform", "background": {}}


@pytest.fixture(params=["drawn", "all targets", "planned", "remixed", "streams"])
def any_factory(request, factory, data):
    """Of each kind of draws: one target and several, drawn and given, and two in each batch."""
    clips, config = ClipSet(data.clips), MixingConfig.from_yaml(data.mixing_config)
    one = Sampler(clips, config)
    every = Sampler(clips, dataclasses.replace(config, **ALL, enrollments=1))
    plans = [draws.draw(0, 0, number) for number in range(5) for draws in (one, every)]
    bare = {"conditions": {}, "snr": None, "overlap": None}
    alone = [dataclasses.replace(one.draw(0, 0, n, f"p{n}"), **bare) for n in range(10)]
    draws = {
        "drawn": one,
        "all targets": every,
        "planned": PlannedMixtures([plan.renamed(f"p{n}") for n, plan in enumerate(plans)], clips),
        "remixed": PlannedMixtures(alone, clips, remix=True),
        "streams": Streams([(one, 0.5), (every, 0.5)], batch_size=4),
    }
    return lambda **options: factory(draws=draws[request.param], **options)


def mixtures(batches):
    """Id -> the sounds and the queries of a mixture, without what only pads the batch."""
    found = {}
    for names, batch in batches:
        owners, sources = list(range(len(names))), batch.get("sources")
        wanted = [(0, 0, 1.0)] * len(names)
        if sources is None:
            sources = torch.stack([batch["speech_ref1"], batch["speech_ref2"]], dim=2)
        else:
            owners, components, parts = batch["queries"].T.tolist()
            wanted = list(zip(components, parts, batch["query_weight"].tolist()))
        for name, mixture, own in zip(names, batch["speech_mix"], sources):
            there = own[:, own.any(dim=0)]
            found[name] = [mixture.tolist(), there.tolist()]
        for row, owner in enumerate(owners):
            values = {
                name: batch[name][row, : batch[f"{name}_lengths"][row]].tolist()
                for name in (*CONDITIONS, "enrollment")
                if name in batch
            }
            found[names[owner]].append((wanted[row], values))
    return found


def assert_same(found, expected):
    assert len(found) == len(expected)
    for (ids, batch), (expected_ids, expected_batch) in zip(found, expected):
        assert ids == expected_ids
        assert batch.keys() == expected_batch.keys()
        for name, value in expected_batch.items():
            torch.testing.assert_close(batch[name], value, rtol=0, atol=0, msg=name)


def ids(batches):
    return [name for names, _ in batches for name in names]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize("num_workers", [1, 3])
def test_any_number_of_workers(any_factory, num_workers):
    expected = list(any_factory().build_iter(2))
    assert_same(list(any_factory(num_workers=num_workers).build_iter(2)), expected)


def test_an_epoch_does_not_depend_on_those_before(any_factory):
    straight = any_factory()
    for epoch in (1, 2):
        list(straight.build_iter(epoch))
    np.random.seed(7)  # nothing comes from the global generators
    torch.manual_seed(7)
    assert_same(list(any_factory().build_iter(3)), list(straight.build_iter(3)))


def test_epochs_and_seeds_differ(factory):
    first, second = (list(factory().build_iter(epoch)) for epoch in (1, 2))
    other = list(factory(seed=4).build_iter(1))
    assert len(set(ids(first) + ids(second) + ids(other))) == 30
    for (_, batch), (_, later), (_, reseeded) in zip(first, second, other):
        assert not torch.equal(batch["speech_mix"], later["speech_mix"])
        assert not torch.equal(batch["speech_mix"], reseeded["speech_mix"])


def test_mixture_is_the_sum_of_its_sources(factory):
    for _, batch in factory().build_iter(1):
        torch.testing.assert_close(
            batch["speech_ref1"] + batch["speech_ref2"], batch["speech_mix"], rtol=0, atol=0
        )
        assert batch["speech_mix"].dtype == torch.float32
        assert set(CONDITIONS) <= batch.keys()


def test_the_first_enrollment_padded_to_the_longest_of_a_batch(factory, data):
    clips = ClipSet(data.clips)
    mixing = {"enrollments": 2, "num_sources": 3, "placement": "uniform", "background": {}}
    made = factory(mixing=mixing)
    seen = 0
    for names, batch in made.build_iter(1):
        lengths = batch["enrollment_lengths"].tolist()
        assert batch["enrollment"].shape == (len(names), max(lengths))
        for name, row, length in zip(names, batch["enrollment"].numpy(), lengths):
            plan = made.draws.draw(3, 1, int(name.rpartition("i")[2]))
            assert plan.id == name and len(plan.enrollments) == 2
            one = plan.enrollments[0]
            np.testing.assert_array_equal(row[:length], clips.read(one.clip, one.start, one.length))
            assert not row[length:].any()
            seen += 1
        mixture = batch["speech_ref1"] + batch["speech_ref2"]
        torch.testing.assert_close(mixture, batch["speech_mix"], rtol=0, atol=0)
        assert not [name for name in batch if name.startswith("enrollment2")]
    assert seen == 10
    assert "enrollment" not in next(iter(factory().build_iter(1)))[1]


def test_enrollments_are_the_examples_of_the_class(factory, data, tmp_path):
    """From another set than the mixtures: the first of those of the class, whole."""
    clips = ClipSet(data.clips)
    directory = shutil.copytree(data.clips, tmp_path / "examples")
    for name in clips.ids:  # of the same names, other sounds: the clips backwards
        soundfile.write(tmp_path / f"{name}.wav", clips.read(name)[::-1], clips.fs)
    write_table(directory / "wav.scp", {name: tmp_path / f"{name}.wav" for name in clips.ids})
    examples = ClipSet(directory)
    made = factory(mixing={"class_level": "specific"}, examples=examples)
    for names, batch in made.build_iter(2):
        lengths = batch["enrollment_lengths"].tolist()
        for name, row, length in zip(names, batch["enrollment"].numpy(), lengths):
            label = made.draws.draw(3, 2, int(name.rpartition("i")[2])).conditions["class"]
            first = min(name for name in clips.ids if label in clips.labels(name))
            np.testing.assert_array_equal(row[:length], clips.read(first)[::-1])


@pytest.mark.parametrize("num_mixtures, world_size", [(10, 2), (13, 3), (9, 2)])
def test_ranks_share_each_batch(factory, num_mixtures, world_size):
    """Together they hold every mixture of the epoch once, and no rank is ever without one."""
    options = {"num_mixtures": num_mixtures, "batch_size": 4}
    whole = ids(factory(**options).build_iter(1))
    shares = [
        list(factory(**options, rank=rank, world_size=world_size).build_iter(1))
        for rank in range(world_size)
    ]
    assert len({len(share) for share in shares}) == 1
    assert all(len(names) > 0 for share in shares for names, _ in share)
    assert sorted(name for share in shares for name in ids(share)) == sorted(whole)
    assert len(set(whole)) == num_mixtures


@pytest.mark.parametrize("world_size", [2, 4])
def test_shares_have_the_mixtures_of_the_batch_and_their_queries(any_factory, world_size):
    whole = mixtures(any_factory().build_iter(1))
    shares = {}
    for rank in range(world_size):
        shares.update(mixtures(any_factory(rank=rank, world_size=world_size).build_iter(1)))
    assert shares == whole and len(whole) == 10


def test_every_target_of_a_mixture_is_queried(factory):
    """Each of the three sources by some condition; what the batch holds is what was mixed."""
    made = factory(mixing=ALL)
    for names, batch in made.build_iter(1):
        rows, components, parts = batch["queries"].T
        assert set(zip(rows.tolist(), components.tolist())) == {
            (row, component) for row in range(len(names)) for component in range(3)
        }
        assert not parts.any() and batch["query_weight"].eq(1).all()
        for row, name in enumerate(names):
            plan = made.draws.draw(3, 1, int(name.rpartition("i")[2]))
            rendered = made.draws.render(plan)
            assert batch["sources"][row].T.numpy().tolist() == rendered.components.tolist()
            own = {query.component for query in plan.all_queries() if query.condition == "class"}
            there = components[(rows == row) & (batch["class"][:, 0] >= 0)]
            assert set(there.tolist()) == own


def test_num_iters_per_epoch_takes_the_first_batches(factory):
    whole, short = factory(), factory(num_iters_per_epoch=2)
    assert len(short.build_iter(1)) == 2
    assert_same(list(short.build_iter(1)), list(whole.build_iter(1))[:2])


@pytest.mark.parametrize("options", [{"batch_size": 2}, {"num_mixtures": 2}])
def test_too_few_mixtures_for_the_processes(factory, options):
    with pytest.raises(TSXError, match="3 processes.*--batch_size.*--mixtures_per_epoch"):
        factory(**options, world_size=3)

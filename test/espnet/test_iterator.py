"""Training mixtures on the fly: the same for any number of workers, processes and restarts."""

import dataclasses

import numpy as np
import pytest
import torch

from tsx_espnet.error import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.iterator import MixtureIterFactory
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.sources import ClipSet
from tsx_espnet.preprocessor import TSXPreprocessor
from tsx_espnet.text.table import TextTable
from tsx_espnet.vocabulary import Vocabulary

CONDITIONS = ("energy", "harmonicity", "order", "class", "text")


@pytest.fixture
def factory(data):
    """Make a ``MixtureIterFactory`` on the clips; options as it takes them."""
    from espnet2.train.collate_fn import CommonCollateFn

    config = dataclasses.replace(
        MixingConfig.from_yaml(data.mixing_config), class_level="any", text_variants=True
    )
    vocabulary = Vocabulary(data.classes, TextTable.read(data.text))

    def make(mixing=None, **options):
        options = {"num_mixtures": 10, "batch_size": 4, "seed": 3, **options}
        return MixtureIterFactory(
            Sampler(ClipSet(data.clips), dataclasses.replace(config, **(mixing or {}))),
            TSXPreprocessor(True, CONDITIONS, vocabulary),
            CommonCollateFn(float_pad_value=0.0, int_pad_value=0),
            **options,
        )

    return make


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
def test_any_number_of_workers(factory, num_workers):
    assert_same(
        list(factory(num_workers=num_workers).build_iter(2)), list(factory().build_iter(2))
    )


def test_an_epoch_does_not_depend_on_those_before(factory):
    straight = factory()
    for epoch in (1, 2):
        list(straight.build_iter(epoch))
    np.random.seed(7)  # nothing comes from the global generators
    torch.manual_seed(7)
    assert_same(list(factory().build_iter(3)), list(straight.build_iter(3)))


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


def test_enrollments_are_padded_to_the_longest_of_a_batch(factory, data):
    clips = ClipSet(data.clips)
    lengths = {clips.num_samples(name) for name in clips.ids}
    mixing = {"enrollments": 2, "num_sources": 3, "placement": "uniform", "background": {}}
    for _, batch in factory(mixing=mixing).build_iter(1):
        for name in ("enrollment", "enrollment2"):
            own = batch[f"{name}_lengths"].tolist()
            assert batch[name].shape == (len(own), max(own)) and set(own) <= lengths
            for row, length in zip(batch[name], own):
                assert row[length - 1] != 0 and not row[length:].any()
        mixture = batch["speech_ref1"] + batch["speech_ref2"]
        torch.testing.assert_close(mixture, batch["speech_mix"], rtol=0, atol=0)
    assert "enrollment" not in next(iter(factory().build_iter(1)))[1]


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


def test_num_iters_per_epoch_takes_the_first_batches(factory):
    whole, short = factory(), factory(num_iters_per_epoch=2)
    assert len(short.build_iter(1)) == 2
    assert_same(list(short.build_iter(1)), list(whole.build_iter(1))[:2])


@pytest.mark.parametrize("options", [{"batch_size": 2}, {"num_mixtures": 2}])
def test_too_few_mixtures_for_the_processes(factory, options):
    with pytest.raises(TSXError, match="3 processes.*--batch_size.*--mixtures_per_epoch"):
        factory(**options, world_size=3)

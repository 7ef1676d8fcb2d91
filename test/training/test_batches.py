"""Which batches a run gets, and where it can stop."""

import logging

import pytest
import torch
from torch.utils.data import DataLoader

from tsx_espnet.errors import TSXError
from tsx_espnet.training import batches as module
from tsx_espnet.training.batches import MAX_BAD, Batches, not_finite


class Stopped(Exception):
    pass


def stop():
    raise Stopped


@pytest.fixture(autouse=True)
def preemption(monkeypatch):
    """A request of this test's own."""
    own = module.PREEMPTION.__class__()
    monkeypatch.setattr(module, "PREEMPTION", own)
    return own


def batch(number, value=0.0):
    array = torch.zeros(2, 3)
    array[1, 2] = value
    return [f"a{number}", f"b{number}"], {"speech_mix": array, "class": torch.tensor([[0], [1]])}


def numbers(batches):
    return [int(ids[0][1:]) for ids, _ in batches]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_bad_batch_is_named_counted_and_left_out(value, caplog):
    found = Batches([batch(0), batch(1, value), batch(2), batch(3, value)], stop)
    assert numbers(found) == [0, 2] and found.position == 4
    assert [record.message for record in caplog.records] == [
        "batch 2 is left out (1 in this epoch so far): not finite: speech_mix of b1",
        "batch 4 is left out (2 in this epoch so far): not finite: speech_mix of b3",
    ]
    assert all(record.levelno == logging.ERROR for record in caplog.records)


def test_every_array_and_every_mixture_is_named():
    ids, arrays = batch(0, float("nan"))
    arrays["enrollment"] = torch.full((2, 1), float("inf"))
    assert not_finite(ids, arrays) == ["speech_mix of b0", "enrollment of a0, b0"]


def test_the_mixture_of_a_query_is_named():
    """The first axis of such an array is not that of the ids; of another one, nothing is known."""
    bad = torch.tensor([[0.0], [float("nan")], [float("inf")], [0.0]])
    arrays = {
        "speech_mix": bad[:2],
        "queries": torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 2, 0]]),
        "query_weight": torch.tensor([1.0, 1.0, 1.0, float("nan")]),
        "enrollment": bad,
        "phrases": torch.cat([bad, bad]),
    }
    assert not_finite(["a", "b"], arrays) == [
        *("speech_mix of b", "query_weight of b", "enrollment of b", "phrases")
    ]


def test_what_is_finite_is_kept():
    """Though large: 3e38 and its sum are no infinity; neither is an array without elements."""
    ids, arrays = batch(0, torch.finfo(torch.float32).max)
    arrays["speech_mix"][1] = torch.finfo(torch.float32).max
    assert not_finite(ids, {**arrays, "text": torch.zeros(2, 0, 8)}) == []


def test_ten_bad_ones_in_a_row_end_the_training():
    bad = [batch(number, float("nan")) for number in range(MAX_BAD)]
    good = batch(99)
    assert numbers(Batches(bad[1:] + [good] + bad[1:] + [good], stop)) == [99, 99]
    with pytest.raises(TSXError, match="10 batches in a row .* not finite: speech_mix of b9"):
        numbers(Batches([good] + bad, stop))


def test_an_epoch_of_nothing_but_bad_ones():
    with pytest.raises(TSXError, match="all 3 batches"):
        numbers(Batches([batch(number, float("nan")) for number in range(3)], stop))


@pytest.mark.parametrize("every, stopped_after", [(1, 3), (2, 4), (4, 4), (5, 5), (100, 7)])
def test_stops_before_the_next_batch(preemption, every, stopped_after):
    """Where no gradients are accumulated; at the end those are dropped anyway."""
    found = Batches([batch(number) for number in range(7)], stop, every=every)
    seen = []
    with pytest.raises(Stopped):
        for ids, _ in found:
            seen.append(ids)
            if len(seen) == 3:
                preemption.requested = 15
    assert len(seen) == found.position == stopped_after


def test_a_bad_batch_does_not_count_for_accumulation(preemption):
    """ESPnet counts those that it gets, and the position those that were drawn."""
    found = Batches([batch(0), batch(1, float("nan")), *map(batch, range(2, 9))], stop, every=2)
    for ids, _ in found:
        if ids[0] == "a2":
            break
    assert found.position == 3


@pytest.mark.parametrize("length", [7, 2])
def test_goes_on_after_the_position(length):
    class Loaded(torch.utils.data.Dataset):
        def __getitem__(self, index):
            loaded.append(index)
            return index

    loaded = []
    sampler = [[2 * number, 2 * number + 1] for number in range(length)]
    loader = DataLoader(
        Loaded(), batch_sampler=sampler, collate_fn=lambda items: batch(items[0] // 2)
    )
    assert numbers(Batches(loader, stop, position=2)) == list(range(2, length))
    assert loaded == list(range(4, 2 * length))  # those before were not even loaded
    assert numbers(Batches(map(batch, range(length)), stop, position=2)) == list(range(2, length))


def test_begins_when_the_iterator_is_there():
    """Its making draws from torch's generator."""
    events = []

    def batches():
        events.append("drawn")
        yield batch(0)

    assert numbers(Batches(batches(), stop, begin=lambda: events.append("begin"))) == [0]
    assert events == ["begin", "drawn"]


def test_length():
    assert len(Batches([batch(0)] * 3, stop, position=1)) == 3
    assert len(Batches(iter([]), stop)) == 0

"""The K examples of a new class: the same ones each time, the fewer among the more."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.corpora.examples import (
    choose_examples,
    example_numbers,
    hold_out,
    rank_clips,
)
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import check_id

corpora = st.dictionaries(
    st.from_regex(r"[a-z0-9_]{0,3}[0-9]", fullmatch=True),
    st.tuples(st.sampled_from(("Bark", "Meow")), st.sampled_from("123456")),
    min_size=1,
    max_size=30,
)


def split(corpus):
    labels = {clip: label for clip, (label, _) in corpus.items() if check(clip)}
    return labels, {clip: corpus[clip][1] for clip in labels}


def check(name):
    try:
        return bool(check_id(name, "test"))
    except TSXError:
        return False


@given(corpora, st.integers(1, 3), st.randoms())
def test_sets_of_examples(corpus, num_draws, random):
    labels, recordings = split(corpus)
    sizes = [list(labels.values()).count(label) for label in set(labels.values())]
    numbers = range(1, min(sizes, default=0) + 1)
    sets = choose_examples(labels, recordings, numbers, num_draws)
    draws = list(enumerate(("", "_draw1", "_draw2")[:num_draws]))
    assert list(sets) == [f"new_enroll_{n}{suffix}" for _, suffix in draws for n in numbers]
    for seed, suffix in draws:
        of_draw = [sets[f"new_enroll_{number}{suffix}"] for number in numbers]
        for number, members in zip(numbers, of_draw):
            assert list(members) == sorted(members)
            for label in set(labels.values()):
                own = {name: clip for name, clip in members.items() if labels[clip] == label}
                of_class = {clip: recordings[clip] for clip in labels if labels[clip] == label}
                if seed == 0:  # the first K of an order that no other class has a part in
                    assert list(own.values()) == rank_clips(of_class)[:number]
                assert [name[:2] for name in own] == [f"{n:02d}" for n in range(1, number + 1)]
                taken = {recordings[clip] for clip in own.values()}
                assert len(taken) == min(number, len(set(of_class.values())))
            for name, clip in members.items():
                assert check_id(name, "examples")[3:] == clip
        for smaller, larger in itertools.combinations(of_draw, 2):
            assert smaller.items() <= larger.items()
    shuffled = {clip: labels[clip] for clip in sorted(labels, key=lambda _: random.random())}
    assert sets == choose_examples(shuffled, recordings, numbers, num_draws)


@given(st.lists(st.integers(1, 4), min_size=3, max_size=40), st.integers(2, 4))
def test_draws_take_other_recordings_as_long_as_there_are_any(sizes, num_draws):
    """For every K: no recording occurs a second time before all have occurred."""
    clips = {f"{one}_{n}": str(one) for one, size in enumerate(sizes) for n in range(size)}
    for numbers in ([1], [3], [1, 3]):
        sets = choose_examples(dict.fromkeys(clips, "Meow"), clips, numbers, num_draws)
        for number in numbers:
            taken = [
                {clips[clip] for clip in members.values()}
                for name, members in sets.items()
                if name.split("_")[2] == str(number)
            ]
            assert len(taken) == num_draws and {len(one) for one in taken} == {number}
            for draw in range(1, num_draws):
                before = set().union(*taken[:draw])
                unused = len(sizes) - len(before)
                if number == max(numbers):
                    assert len(taken[draw] - before) == min(number, unused)
                elif unused >= number:
                    assert not taken[draw] & before


def test_draws_of_few_recordings():
    """Of twelve, two draws of ten cannot be disjoint, but those of five and of one are."""
    clips = {f"{one}{part}": f"{one}" for one in range(100, 112) for part in "ab"}
    sets = choose_examples(dict.fromkeys(clips, "Meow"), clips, [1, 5, 10], 2)
    for number, shared in ((1, 0), (5, 0), (10, 8)):
        first, second = (set(sets[f"new_enroll_{number}{x}"].values()) for x in ("", "_draw1"))
        assert not first & second  # other clips even of the same recordings
        assert len({clips[x] for x in first} & {clips[x] for x in second}) == shared


@given(st.dictionaries(st.text(max_size=2), st.sampled_from("123456"), max_size=40))
def test_two_recordings_are_held_out_if_they_fit(recordings):
    held = hold_out(recordings, 0.1)
    sizes = sorted(list(recordings.values()).count(one) for one in set(recordings.values()))
    assert 2 * len(held) <= len(recordings) and hold_out(recordings, 0) == []
    assert {recordings[clip] for clip in recordings if clip not in held}.isdisjoint(
        recordings[clip] for clip in held
    )
    if len(sizes) > 3 and 2 * (sizes[-1] + sizes[-2]) <= len(recordings):  # any two fit
        assert len({recordings[clip] for clip in held}) >= 2


def test_every_clip_can_be_the_first():
    """Over many seeds the order is uniform: none of six is far from 100 of 600."""
    clips = {f"{number:08x}": str(number) for number in range(6)}
    firsts = [rank_clips(clips, seed)[0] for seed in range(600)]
    counts = [firsts.count(clip) for clip in clips]
    assert min(counts) > 60 and max(counts) < 140  # 4.4 standard deviations


def test_classes_with_too_few_clips_are_named_with_how_many_they_have():
    labels = {"a": "Meow", "b": "Frog", "c": "Frog", "d": "Oboe", "e": "Oboe", "f": "Oboe"}
    with pytest.raises(
        TSXError, match=r"examples: 3 of .* in new_train of Frog \(2\), Meow \(1\)$"
    ):
        choose_examples(labels, {clip: clip for clip in labels}, [1, 3])


def test_draws_are_counted_from_one():
    with pytest.raises(TSXError, match="num_draws: expected at least 1, found 0"):
        choose_examples({"a": "Meow"}, {"a": "a"}, [1], num_draws=0)


@pytest.mark.parametrize("text", ["0", "1,100", "-1", "1;5", "five", "1.0", "²"])
def test_numbers_that_are_none(text):
    with pytest.raises(TSXError, match="examples: expected numbers from 1 to 99, found '"):
        example_numbers(text)

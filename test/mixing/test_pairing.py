"""Which clips meet: all as likely, with or without labels, or from a second set."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from formatted_clips import write_clips
from hypothesis import given
from hypothesis import strategies as st

from tsx_espnet.bin.mix import main
from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions.words import phrases_of
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.pairing import UniformClips
from tsx_espnet.mixing.plan import Plan, read_plans
from tsx_espnet.mixing.render import render
from tsx_espnet.mixing.sampler import Sampler

CLIPS = MixingConfig(duration=0.6, strategy="clips")


@pytest.fixture(scope="module")
def make(tmp_path_factory, make_noise):
    """``{id: labels}``, captions -> the directory of formatted noises."""

    def make(labels, captions=None):
        rng = np.random.default_rng(0)
        clips = {name: (make_noise(rng, 0.6), own) for name, own in labels.items()}
        return write_clips(tmp_path_factory.mktemp("dump") / "set", clips, captions=captions)

    return make


@pytest.fixture(scope="module")
def speech(make):
    """Seven clips with captions; three have labels too."""
    labels = {f"s{n}": ("Bark",) if n < 2 else ("Rain",) if n == 2 else () for n in range(7)}
    return make(labels, {name: [f"It is {name}.", "A sound."] for name in labels})


@pytest.fixture(scope="module")
def music(make):
    return make({f"m{number}": ("Music", "Bark")[: 1 + number % 2] for number in range(5)})


def chi_square(counts, cells):
    return len(counts) == cells and scipy.stats.chisquare(list(counts.values())).pvalue > 0.01


@given(st.integers(2, 9), st.integers(0, 2**32 - 1), st.data())
def test_no_clip_meets_itself(size, seed, data):
    clips = np.sort(np.random.default_rng(seed).permutation(100)[:size])
    number = data.draw(st.integers(1, size))
    pairing, rng = UniformClips(clips, number), np.random.default_rng(seed)
    wanted = [pairing.first(rng)]
    while len(wanted) < number:
        wanted.append(pairing.next(rng, wanted))
    drawn = [int(one.clips[0]) for one in wanted]
    assert len(set(drawn)) == number and set(drawn) <= set(clips)
    with pytest.raises(TSXError, match=f"{size + 1} clips are needed to mix, found {size}"):
        UniformClips(clips, size + 1)


def test_all_pairs_of_clips_are_as_likely_whatever_their_labels(speech):
    sampler = Sampler(ClipSet(speech), CLIPS)
    plans = [sampler.draw(0, 0, index) for index in range(2100)]
    assert chi_square(Counter(tuple(s.clip for s in plan.sources) for plan in plans), 42)
    assert chi_square(Counter(plan.sources[plan.target].clip for plan in plans), 7)


def test_what_a_clip_without_labels_is_queried_by(speech):
    clips = ClipSet(speech)
    sampler = Sampler(clips, CLIPS)
    for index in range(200):
        plan = sampler.draw(1, 0, index)
        target, other = plan.sources[plan.target], plan.sources[1 - plan.target]
        own = set(target.labels) - set(other.labels)
        assert plan.conditions.get("class") == next(iter(own), None)
        assert plan.conditions["text"] == f"It is {target.clip}."  # both have the other caption
        assert target.labels == clips.labels(target.clip)
        assert target.label == "".join(target.labels[:1])
        assert Plan.from_json(plan.to_json()) == plan


def test_no_text_fits_two_sources(make):
    """A label in words, a synonym or a caption: whichever way the other source has it."""
    labels = {"rain": ("Rain",), "shower": (), "drops": (), "both": (), "dog": ("Bark",)}
    captions = {"shower": ["rain"], "drops": ["drops"], "both": ["rain", "drops"], "dog": ["rain"]}
    clips = ClipSet(make(labels, captions))
    for variants in (True, False):
        sampler = Sampler(clips, dataclasses.replace(CLIPS, text_variants=variants))
        seen = Counter()
        for index in range(600):
            plan = sampler.draw(0, 0, index)
            target, other = (plan.sources[n] for n in (plan.target, 1 - plan.target))
            if target.labels and other.labels:  # there the labels decide, as they always did
                continue
            text = plan.conditions.get("text")
            assert text not in phrases_of(other.labels, clips.captions(other.clip))
            seen[target.clip, other.clip] += text is not None
        assert bool(seen["rain", "shower"]) == variants  # by a synonym alone
        assert not seen["shower", "rain"] and seen["drops", "rain"] and not seen["drops", "both"]


class TestInterference:
    def test_the_first_source_is_the_target_and_the_others_are_of_the_second_set(
        self, speech, music
    ):
        config = dataclasses.replace(CLIPS, num_sources=3, interference=str(music))
        sampler = Sampler(ClipSet(speech), config)
        plans = [sampler.draw(0, 0, index) for index in range(1500)]
        assert {plan.target for plan in plans} == {0}
        names = [[source.clip for source in plan.sources] for plan in plans]
        assert all(len({*own}) == 3 and "".join(own)[::2] == "smm" for own in names)
        assert chi_square(Counter(own[0] for own in names), 7)
        assert chi_square(Counter(tuple(own[1:]) for own in names), 20)
        sources, mixture = render(plans[0], sampler.clips)
        alone = ClipSet(music)
        for source, row in zip(plans[0].sources[1:], sources[1:]):
            samples = alone.read(source.clip, source.start, source.length)
            np.testing.assert_array_equal(
                row[source.offset :][: source.length], samples * np.float32(source.gain)
            )
        np.testing.assert_array_equal(mixture, sources[0] + (sources[1] + sources[2]))

    def test_the_class_of_the_target_is_not_among_it(self, speech, music):
        config = MixingConfig(duration=0.6, interference=str(music))
        sampler = Sampler(ClipSet(speech), config)
        plans = [sampler.draw(0, 0, index) for index in range(400)]
        assert chi_square(Counter(plan.conditions["class"] for plan in plans), 2)
        for plan in plans:
            assert plan.conditions["class"] not in plan.sources[1].labels
        of_rain = Counter(p.sources[1].clip for p in plans if p.conditions["class"] == "Rain")
        assert chi_square(of_rain, 5)

    def test_it_is_never_a_target(self, speech, music):
        config = dataclasses.replace(CLIPS, num_targets="all", interference=str(music))
        plan = Sampler(ClipSet(speech), config).draw(0, 0, 0)
        assert plan.target == 0 and not plan.queries

    def test_known_classes_are_those_of_targets(self, speech, music):
        """The second set is mixed whole, whatever the model knows."""
        clips = ClipSet(speech, ["Rain"]).with_interference(music)
        assert [clips.ids[n] for n in clips.long_enough(1, True)] == [f"m{n}" for n in range(5)]
        assert [clips.ids[n] for n in clips.clips_of("Rain")] == ["s2"]
        assert not len(clips.clips_of("Music")) and "s0" not in list(clips.ids)
        assert clips.labels("m1") == ("Music", "Bark") and clips.labels("s5") == ()

    def test_a_new_class_comes_first(self, speech, music):
        config = MixingConfig(duration=0.6, interference=str(music))
        sampler = Sampler(ClipSet(speech), config, new_classes=["Rain"], target="new")
        assert {sampler.draw(0, 0, n).sources[0].clip for n in range(20)} == {"s2"}
        with pytest.raises(TSXError, match="target seen: expected two sources or more, none of"):
            Sampler(ClipSet(speech), config, new_classes=["Rain"], target="seen")

    def test_refusals(self, speech, music, make, tmp_path):
        def sample(directory, **options):
            config = dataclasses.replace(CLIPS, **options).with_interference(directory)
            return Sampler(ClipSet(speech), config)

        with pytest.raises(TSXError, match="^interference: .*none: no formatted clips there"):
            sample(tmp_path / "none")
        with pytest.raises(TSXError, match="^interference: .*: clip 's0' is in more than one"):
            sample(speech)
        with pytest.raises(TSXError, match="two clips of the interference are needed .* found 1"):
            sample(make({"x": ("X",)}), num_sources=3)
        with pytest.raises(TSXError, match="interference: expected strategy random or clips"):
            MixingConfig(strategy="different", interference="x")
        with pytest.raises(TSXError, match="interference: expected component_sources 1, found 2"):
            MixingConfig(component_sources=2, interference="x")


class TestCommand:
    @pytest.fixture
    def command(self, speech, music, tmp_path):
        (tmp_path / "mix.yaml").write_text("{duration: 0.6, strategy: clips, num_sources: [1, 3]}")

        def run(name, *more, config=("--config", tmp_path / "mix.yaml", "--num_mixtures", 9)):
            words = ["--clips", speech, "--out", tmp_path / name, *config, *more]
            main([str(word) for word in words])
            return tmp_path / name

        return run

    def test_a_set_can_be_made_again(self, command, music):
        whole = command("whole", "--interference", music)
        command("parts", "--interference", music, "--num_jobs", 2, "--job", 1)
        command("parts", "--interference", music, "--num_jobs", 2, "--job", 2)
        parts = command("parts", "--interference", music, "--num_jobs", 2, "--merge")
        again = command("again", "--interference", music, config=("--rebuild", whole))
        for other in (parts, again):
            assert (other / "mixtures.jsonl").read_text() == (whole / "mixtures.jsonl").read_text()
            for path in (whole / "wav").rglob("*.wav"):
                assert (other / path.relative_to(whole)).read_bytes() == path.read_bytes()
        plans = read_plans(whole / "mixtures.jsonl")
        assert {plan.target for plan in plans} == {0} and len({len(p.sources) for p in plans}) == 3

    def test_its_facts_name_the_second_set_not_its_place(self, command, music, make):
        whole = command("whole", "--interference", music)
        facts = json.loads((whole / ".done").read_text())
        assert facts["clips"]["interference"] == json.loads((music / ".done").read_text())
        assert str(music) not in (whole / ".done").read_text()
        command("whole", "--interference", music)
        with pytest.raises(TSXError, match="interference"):
            command("whole")
        with pytest.raises(TSXError, match="interference"):
            command("whole", "--interference", make({"x": ("X",), "y": ("Y",)}))


class TestRefusals:
    def test_one_clip(self, make):
        with pytest.raises(TSXError, match="two clips are needed to mix, found 1"):
            Sampler(ClipSet(make({"a": ()}, {"a": ["A sound."]})), CLIPS)

    def test_classes_of_clips_without(self, make):
        clips = ClipSet(make({"a": (), "b": ()}, {"a": ["A."], "b": ["B."]}))
        with pytest.raises(TSXError, match="strategy random needs labels, .* expected strategy cl"):
            Sampler(clips, MixingConfig())
        with pytest.raises(TSXError, match="strategy same needs labels"):
            Sampler(clips, MixingConfig(strategy="same"))

    def test_new_classes(self, speech):
        with pytest.raises(TSXError, match="new classes: only with strategy random, not clips"):
            Sampler(ClipSet(speech), CLIPS, new_classes=["Rain"])


def test_clips_of_the_only_class_meet(make):
    """As in FUSS, whose clips are all of the class "sound"."""
    clips = ClipSet(make({f"c{n}": ("sound",) for n in range(5)}))
    pairs = Path(__file__).parents[2] / "egs" / "fuss" / "conf" / "mix_clips_pairs.yaml"
    config = MixingConfig.from_yaml(pairs)
    assert (config.duration, config.num_sources, config.num_targets) == (3.0, 2, "all")
    sampler = Sampler(clips, config)
    met = Counter()
    for index in range(200):
        plan = sampler.draw(0, 0, index)
        assert [one.labels for one in plan.sources] == [("sound",)] * 2
        assert "class" not in plan.conditions  # it tells neither from the other
        met[frozenset(one.clip for one in plan.sources)] += 1
    assert chi_square(met, 10)  # no clip meets itself, each pair is as likely
    with pytest.raises(TSXError, match=r"two classes are needed to mix, found 1 \(sound\)"):
        Sampler(clips, dataclasses.replace(config, strategy="random"))

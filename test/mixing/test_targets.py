"""Every target of a mixture, and components of several sources: drawn, on disk, and read again."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from espnet2.train.dataset import ESPnetDataset

from tsx_espnet.bin.mix import main
from tsx_espnet.conditions import CONDITIONS
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.config import MixingConfig
from tsx_espnet.mixing.data_table import SOUNDS, SOURCES, path_name_type
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.mixing.plan import read_plans, write_plans
from tsx_espnet.mixing.query import from_json, target_name
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.tables import read_table, write_table

NUMBER = 6
UNKNOWN = {"component": 3, "part": 0, "condition": "text", "value": "a dog"}  # of three
COMMON = "duration: 0.6, min_overlap: 0.1"
OPTIONS = {
    "all": f"{{{COMMON}, num_sources: 3, num_targets: all, enrollments: 2}}",
    "two": f"{{{COMMON}, num_sources: 4, component_sources: 2}}",
    "both": f"{{{COMMON}, num_sources: 4, component_sources: 2, num_targets: all, snr: [0, 1]}}",
    "sources": f"{{{COMMON}, write_sources: true}}",
    "noisy": f"{{{COMMON}, num_targets: all, background: {{snr: [0, 5]}}}}",
}


@pytest.fixture(scope="module")
def command(corpus_dir, tmp_path_factory):
    """Writes a set of these options; returns its directory."""
    folder = tmp_path_factory.mktemp("targets")

    def run(name, options, *more):
        (folder / f"{name}.yaml").write_text(options)
        arguments = ["--clips", corpus_dir, "--out", folder / name, "--num_mixtures", NUMBER]
        arguments += ["--config", folder / f"{name}.yaml", *more]
        main([str(argument) for argument in arguments])
        return folder / name

    return run


@pytest.fixture(scope="module")
def written(command):
    return {name: command(name, options) for name, options in OPTIONS.items()}


def options(**more):
    return MixingConfig(duration=0.6, min_overlap=0.1, **more)


def contents(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes().replace(str(directory).encode(), b"SET")
        for path in directory.rglob("*")
        if path.is_file() and path.name != ".done"
    }


def test_more_targets_change_no_mixture(corpus):
    one = Sampler(corpus, options(num_sources=3))
    every = Sampler(corpus, options(num_sources=3, num_targets="all"))
    for index in range(40):
        alone, plan = one.draw(3, 1, index), every.draw(3, 1, index)
        assert dataclasses.replace(plan, queries=()) == alone and not alone.queries
        assert plan.queries


def test_every_component_is_queried_as_if_it_were_the_target(corpus):
    """What holds of a target by ``test_many_sources`` holds of each: checked by drawing it so."""
    every = Sampler(corpus, options(num_sources=3, num_targets="all", enrollments=1))
    for index in range(40):
        plan = every.draw(0, 0, index)
        values = {component: {} for component in range(3)}
        for query in plan.all_queries():
            values[query.component][query.condition] = query.value
        classes = [own["class"] for own in values.values()]
        for component, own in values.items():
            others = [own["class"] for other, own in values.items() if other != component]
            labels = {x for n in range(3) if n != component for x in plan.members(n)[0].labels}
            assert own["class"] in plan.members(component)[0].labels and own["class"] not in labels
            assert own["class"] not in others and len(set(classes)) == 3
        for condition in ("energy", "order", "harmonicity"):  # one is least at most, one greatest
            known = [own[condition] for own in values.values() if condition in own]
            assert len(known) == len(set(known)) <= 2
        first, *more = plan.enrollments
        assert first.component is None
        recorded = {plan.target: first, **{one.component: one for one in more}}
        assert sorted(recorded) == [0, 1, 2]
        for component, one in recorded.items():
            assert values[component]["class"] in corpus.labels(one.clip)
            assert one.clip != plan.members(component)[0].clip


@pytest.mark.parametrize("name", ["two", "both"])
def test_components_of_two_sources(written, corpus, name):
    for plan in read_plans(written[name] / "mixtures.jsonl"):
        assert plan.components == ((0, 1), (2, 3))
        queries = plan.all_queries()
        asked = {query.component for query in queries}
        assert asked == ({plan.target} if name == "two" else {0, 1})
        assert "class" not in {query.condition for query in queries}
        for component in asked:
            own = {q.part: q.value for q in queries if q.component == component and q.part}
            texts = [q.value for q in queries if q.component == component and q.condition == "text"]
            assert set(own) == {1, 2} and f"{own[1]} and {own[2]}" in texts


@pytest.mark.parametrize("name", OPTIONS)
def test_a_set_is_read_as_it_was_written(written, corpus, name):
    mixtures = MixtureSet(written[name])
    sampler = Sampler(corpus, MixingConfig.from_yaml(written[name].parent / f"{name}.yaml"))
    expected = {}
    for mixture, plan in mixtures.plans.items():
        assert plan == sampler.draw(0, 0, plan.index, mixture)
        rendered = sampler.render(plan)
        read = mixtures.read(SOURCES, mixture, fs=8000, length=plan.num_samples)
        np.testing.assert_array_equal(read.T, rendered.components)
        for component in {query.component for query in plan.all_queries() if query.whole}:
            target = target_name(mixture, component, plan.target)
            expected[target] = (mixture, component)
            sounds = [mixtures.read(row, target, "float64") for row in SOUNDS]
            np.testing.assert_array_equal(sounds[0], rendered.mixture)
            np.testing.assert_array_equal(sounds[1], rendered.components[component])
            other = rendered.mixture.astype(float) - rendered.components[component]
            np.testing.assert_allclose(sounds[2], other, rtol=0, atol=1e-7)
            members = plan.members(component)
            assert mixtures.label(target) == "+".join(one.labels[0] for one in members)
            assert mixtures.clip(target) == "+".join(one.clip for one in members)
            assert mixtures.count(target) == len(plan.sources)
            assert mixtures.mixture_of(target) == mixture
    assert mixtures.targets == dict(sorted(expected.items()))
    assert mixtures.applicable("unconditional") == dict.fromkeys(mixtures.ids, "any")


@pytest.mark.parametrize("name", OPTIONS)
def test_queries_of_a_set(written, corpus, name):
    mixtures = MixtureSet(written[name])
    table = read_table(written[name] / "utt2queries")
    for mixture, plan in mixtures.plans.items():
        queries = from_json(table[mixture], mixture)
        planned = [query for query in queries if query.condition != "enrollment"]
        assert sorted(planned, key=str) == sorted(plan.all_queries(), key=str)
        recorded = {q.component: q.value for q in queries if q.condition == "enrollment"}
        wanted = {plan.target if e.component is None else e.component for e in plan.enrollments}
        assert recorded.keys() == wanted
        for component, value in recorded.items():
            own = [e for e in plan.enrollments if e.component in (component, None)]
            own = [e for e in own if e.component is not None or component == plan.target]
            for path, one in zip(json.loads(value), own):
                found = soundfile.read(path, dtype="float32")[0]
                np.testing.assert_array_equal(found, corpus.read(one.clip, one.start, one.length))
    for condition in CONDITIONS:
        applicable = mixtures.applicable(condition)
        assert list(applicable) == sorted(applicable)
        expected = {}
        for mixture in mixtures.ids:
            for query in from_json(table[mixture], mixture):
                if query.condition == condition and query.part == 0:
                    target = mixtures.plans[mixture].target
                    expected[target_name(mixture, query.component, target)] = query.value
        assert applicable == expected
        own = read_table(written[name] / f"utt2{condition}")
        assert own == {mixture: applicable.get(mixture, "n/a") for mixture in mixtures.ids}
    queries = mixtures.queries(("class", "text"))
    assert set(queries["text"]) <= set(mixtures.targets)


def test_number_of_enrollments_of_every_target(written):
    mixtures = MixtureSet(written["all"])
    one = mixtures.queries(("enrollment",), 1)["enrollment"]
    two = mixtures.queries(("enrollment",), 2)["enrollment"]
    assert len(one) == 3 * NUMBER == len({tuple(json.loads(value)) for value in two.values()})
    assert all(json.loads(one[name]) == json.loads(two[name])[:1] for name in one)
    with pytest.raises(TSXError, match="expected 3 enrollments or more, found 2"):
        mixtures.queries(("enrollment",), 3)


@pytest.mark.parametrize("name", OPTIONS)
def test_parts_and_rebuilding_give_the_same_set(command, written, corpus_dir, tmp_path, name):
    assert contents(command(f"{name}_jobs", OPTIONS[name], "--num_jobs", 4)) == contents(
        written[name]
    )
    rebuild = ["--rebuild", str(written[name]), "--clips", str(corpus_dir)]
    main([*rebuild, "--out", str(tmp_path / "again")])
    assert contents(tmp_path / "again") == contents(written[name])


@pytest.mark.parametrize("name", ["all", "two"])
def test_espnet_loads_them(written, name):
    rows = path_name_type(str(written[name]), ("text",), queries=True)
    texts = {}

    def preprocess(uid, data):
        texts[uid] = data.pop("queries")
        return data

    dataset = ESPnetDataset(rows, preprocess=preprocess)
    for mixture, plan in MixtureSet(written[name]).plans.items():
        _, arrays = dataset[mixture]
        assert arrays["sources"].shape == (plan.num_samples, len(plan.partition))
        sums = arrays["sources"].astype(float).sum(axis=1)
        np.testing.assert_allclose(arrays["speech_mix"], sums, rtol=0, atol=1e-6)
        assert len(from_json(texts[mixture], mixture)) >= len(plan.all_queries())


def test_damaged_sources_are_written_again(command, capsys):
    out = command("damaged", OPTIONS["all"])
    whole = contents(out)
    path = next((out / "wav" / "sources").iterdir())
    path.write_bytes(path.read_bytes()[:-2])
    command("damaged", OPTIONS["all"])
    assert "is made again" in capsys.readouterr().out and contents(out) == whole
    (out / "utt2queries").unlink()
    command("damaged", OPTIONS["all"])
    assert contents(out) == whole


def test_other_sets_have_neither_file(command):
    out = command("plain", f"{{{COMMON}}}")
    assert not {"sources.scp", "utt2queries"} & {path.name for path in out.iterdir()}
    assert "write_sources" not in (out / ".done").read_text()
    mixtures = MixtureSet(out)
    assert list(mixtures.targets) == mixtures.ids == [mixtures.mixture_of(n) for n in mixtures.ids]
    with pytest.raises(TSXError, match="sources.scp: no such file; run mix"):
        mixtures.read(SOURCES, "mix00001")


def test_faults_of_a_set_are_named(command):
    out = command("faulty", OPTIONS["all"])
    table = read_table(out / "utt2queries")
    write_table(out / "utt2queries", {**table, "mix00002": '[{"part": 0}]'})
    with pytest.raises(TSXError, match=r"utt2queries: mix00002: queries\[0\]: missing: component"):
        MixtureSet(out).applicable("text")
    write_table(out / "utt2queries", {**table, "mix00002": f"[{json.dumps(UNKNOWN)}]"})
    with pytest.raises(TSXError, match=r"component: expected an integer in \[0, 2\], found 3"):
        MixtureSet(out).applicable("text")
    del table["mix00003"]
    write_table(out / "utt2queries", table)
    with pytest.raises(TSXError, match=r"utt2queries: .*1 of 6 ids missing \(first 'mix00003'\)"):
        MixtureSet(out).label("mix00001")


def test_only_what_can_be_the_target_is_queried(corpus):
    config = options(num_sources=3, num_targets="all")
    seen = Sampler(corpus, config, new_classes=["Rain", "Drip"], target="seen")
    new = Sampler(corpus, config, new_classes=["Rain", "Drip"], target="new")
    for index in range(10):
        assert {query.component for query in seen.draw(0, 0, index).all_queries()} == {1, 2}
        assert {query.component for query in new.draw(0, 0, index).all_queries()} == {0}


def test_a_mixture_named_as_the_target_of_another(written, corpus_dir, tmp_path):
    one, two, *_ = read_plans(written["noisy"] / "mixtures.jsonl")
    name = target_name(one.id, 1 - one.target, one.target)
    write_plans(tmp_path / "mixtures.jsonl", [one, two.renamed(name)])
    main(["--rebuild", str(tmp_path), "--clips", str(corpus_dir), "--out", str(tmp_path / "out")])
    with pytest.raises(TSXError, match=f"{name} is a mixture and a target of another"):
        MixtureSet(tmp_path / "out").label(one.id)

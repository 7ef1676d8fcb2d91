"""The study engine against the two programs it replaced, and against sums by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import small_study

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.answers import METRICS
from tsx_espnet.evaluation.paper import Claim
from tsx_espnet.evaluation.paper_yaml import read_paper
from tsx_espnet.evaluation.scores import Score, add_oracle, write_scores
from tsx_espnet.evaluation.study import Run, Study

ROOT = Path(__file__).parents[2]
STORED = json.loads((Path(__file__).parent / "stored/means.json").read_text())
SI_SDR, SDRI = METRICS["SI-SDR"], METRICS["SDRi"]


@pytest.fixture(scope="module")
def few_shot(tmp_path_factory):
    exp = tmp_path_factory.mktemp("few_shot")
    small_study.write_few_shot(exp)
    return exp


@pytest.fixture(scope="module")
def few_shot_study(few_shot):
    return Study(paper("fsdkaggle2018"), few_shot, "small")


def paper(name, kind=None):
    return read_paper(ROOT / f"egs/{name}/paper.yaml", kind)


def rows(table):
    """(row, column, cell, common runs of the row), cell by cell."""
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells):
            yield row, column, cell


def stored(found):
    """An answer as ``means.json`` has it."""
    mean = found.mean
    return [mean.count, mean.value, list(mean.interval), list(found.run_means)]


def near(expected):
    return [part if isinstance(part, int) else pytest.approx(part, abs=1e-8) for part in expected]


@pytest.mark.parametrize("size", ["small", "big"])
def test_the_means_of_oct_are_those_of_the_program_before(tmp_path, size):
    small_study.write_grid(tmp_path)
    study = Study(paper("fsd50k"), tmp_path, size)
    met = set()
    for table in study.paper.tables:
        for row, _, cell in rows(table):
            if cell.seeds > 1 or any(one.output == "rest" for one in cell.best_of):  # it had none
                continue
            common = study.common_runs(row.cells, SI_SDR)
            found = study.answers(cell, SI_SDR, common)
            words = (cell.method or "ensemble", cell.condition or "oracle", cell.set)
            key = "|".join(("oct", size, *words))
            if found is None:
                assert key not in STORED
                continue
            assert stored(found) == near(STORED[key]), key
            met.add(key)
    assert met == {key for key in STORED if key.startswith(f"oct|{size}|")} and met


@pytest.mark.parametrize("metric", ["SDRi", "SI-SDRi"])
def test_the_means_of_soundbeam_are_those_of_the_program_before(few_shot_study, metric):
    study = few_shot_study
    seen, new = study.paper.tables
    labels = {}
    for row, column, cell in rows(seen):
        by = "class" if "class" in row.name else "enrollment"
        labels[f"{column}, seen, by {by}"] = (row, cell)
    for row, column, cell in rows(new):
        if column == "Seen":
            by = "enrollment" if row.name == "Enrl" else "class"
            labels[f"{row.name}, new_seen, by {by}"] = (row, cell)
        else:
            name = row.name if row.name[0] != "+" else f"Mixed+EL {row.name}"
            labels[f"{name}, {column.split(' ')[1]}"] = (row, cell)
    keys = {key for key in STORED if key.startswith(f"new-classes|{metric}|")}
    assert len(keys) == 6 + 4 + 9 + 3 * 3 and {key.split("|")[2] for key in keys} <= set(labels)
    for key in keys:
        row, cell = labels[key.split("|")[2]]
        found = study.answers(cell, METRICS[metric], study.common_runs(row.cells, METRICS[metric]))
        assert stored(found) == near(STORED[key]), key
    for name, (count, level) in (
        (key.split("|")[2], STORED[key]) for key in STORED if key.startswith(f"mixture|{metric}|")
    ):
        levels = [METRICS[metric].level(score) for score in study.targets(name).values()]
        assert (len(levels), np.mean(levels)) == (count, pytest.approx(level, abs=1e-8))


@pytest.mark.parametrize("metric", ["SDRi", "SI-SDRi"])
def test_the_differences_of_soundbeam_are_those_of_the_program_before(few_shot_study, metric):
    study = few_shot_study
    claims = {c.name: c for group in study.paper.all_claims().values() for c in group}
    names = {
        "1-hot - Enrl, seen": "1-hot, by class - Enrl, by recording; seen classes",
        "Mixed - Enrl, new, K=10": "Mixed - Enrl, New, K=10",
    }
    for above, below in (("Mixed", "1-hot"), ("Mixed+EL", "1-hot"), ("Mixed+EL", "Mixed")):
        names[f"{above} - {below}, seen, by class"] = f"by class (1-hot): {above} - {below}"
    for shots in (1, 5, 10):
        for method in ("Enrl", "Mixed", "Mixed+EL"):
            words = f"{method}: New, K={shots} - New, K=1"
            names[f"{method}: K={shots} - K=1, new"] = words
        average = "Mixed+EL: adapt (avg init)"
        words = f"+adapt (avg init) - +adapt (rnd init), New, K={shots}"
        names[f"{average} - adapt (rnd init), new, K={shots}"] = words
        words = f"+adapt (avg init) - Mixed+EL, New, K={shots}"
        names[f"{average} - no adaptation, new, K={shots}"] = words
    keys = [key for key in STORED if key.startswith(f"difference|{metric}|")]
    assert len(keys) == 17
    for key in keys:
        found = study.difference(claims[names[key.split("|")[2]]], METRICS[metric])
        means = [found.mean.count, found.mean.value, list(found.run_means)]
        assert means == near(STORED[key]), key


NAMES = [f"m{number}" for number in range(1, 31)]


def values(offset, names=NAMES, seed=0):
    random = np.random.default_rng([seed, round(10 * offset) + 1000])
    return dict(zip(names, np.round(offset + 2 * random.standard_normal(len(names)), 4)))


def cell(study, name, column="random_hard"):
    found = (c for t in study.paper.tables for row, _, c in rows(t) if row.name == name)
    return next(one for one in found if one.set == column)


def test_seeds_of_an_ensemble_that_do_not_coincide(write_scored, tmp_path):
    exp = tmp_path / "exp"
    for method, condition in (
        ("text_sbert", "text"), ("single_energy", "energy"),
        ("single_harmonicity", "harmonicity"), ("single_order", "order"),
    ):  # fmt: skip
        write_scored(f"small_{method}_random_hard", {condition: values(3)}, "test_random_hard")

    def mean():
        study = Study(paper("fsd50k"), exp, "small")
        return study.answers(cell(study, "Oracle ensemble"), SI_SDR)

    before = mean()
    answers = {"text": values(60)}  # a second seed of one member alone changes nothing
    write_scored("small_text_sbert_random_hard_seed1", answers, "test_random_hard")
    assert mean() == before
    (exp / "small_text_sbert_random_hard").rename(exp / "elsewhere")
    assert mean().mean.value > 50  # one of each
    (exp / "small_single_order_random_hard").rename(exp / "order")
    assert mean() is None


def test_the_best_of_two_seeds_of_one_system(write_scored, tmp_path):
    """Three seeds make three pairs; the best of each, mixture by mixture, by hand."""
    name = "(Oracle) PIT, two seeds"
    gains = [{"m1": 1.0, "m2": 9.0}, {"m1": 4.0, "m2": 2.0}, {"m1": 5.0, "m2": 3.0}]
    for seed, found in enumerate(gains):
        tag = "small_pit_random_hard" + (f"_seed{seed}" if seed else "")
        write_scored(tag, {"unconditional": found}, "test_random_hard")
        study = Study(paper("fsd50k"), tmp_path / "exp", "small")
        answers = study.answers(cell(study, name), SI_SDR)
        assert (answers is None) == (seed == 0)
    assert answers.run_means == pytest.approx([(4 + 9) / 2, (5 + 3) / 2, (5 + 9) / 2])
    assert answers.values == pytest.approx({"m1": (4 + 5 + 5) / 3, "m2": (9 + 3 + 9) / 3})


def test_the_better_output_of_a_queried_model(tmp_path):
    """By hand, mixture by mixture; the rest of the third is silent, its target of the fourth."""
    outputs = {"m1": (3.0, -1.0), "m2": (-2.0, 4.5), "m3": (1.0, None), "m4": (None, 2.0)}
    about = {"condition": "text", "value": "bark", "label": "Bark", "si_sdr_mixture": 0.0}
    for seed in range(3):
        scores = [
            Score(name, si_sdr=target, si_sdri=target, rest_si_sdr=rest, **about)
            for name, (target, rest) in outputs.items()
        ]
        suffix = f"_seed{seed}" if seed else ""
        out = tmp_path / f"small_text_sbert_random_hard{suffix}" / "infer/test_random_hard"
        write_scores(out / "scores.csv", add_oracle(scores))
        outputs = {**outputs, "m1": (3.0 + seed, 5.0)}
    study = Study(paper("fsd50k"), tmp_path, "small")
    answers = study.answers(cell(study, "(Oracle) Text only, better output"), SI_SDR)
    expected = {"m1": (3 + 5 + 5) / 3, "m2": 4.5, "m3": 1.0, "m4": 2.0}
    assert answers.values == pytest.approx(expected)
    four = study.answers(cell(study, "(Oracle) Text only, better output, two seeds"), SI_SDR)
    assert four.values == pytest.approx({**expected, "m1": 5.0})
    text = study.answers(cell(study, "Text only (ours)"), SI_SDR)
    assert set(text.values) == {"m1", "m2", "m3"}


def test_cells_of_a_row_come_from_the_same_runs(write_scored, tmp_path):
    for seed, suffix in enumerate(("", "_seed1", "_seed2")):
        answers = {"text": values(5 + seed)}
        write_scored(f"oct_random_hard{suffix}", answers, "test_random_hard")
        if seed:
            write_scored(f"oct_different_hard{suffix}", answers, "test_different_hard")
    study = Study(paper("fsd50k"), tmp_path / "exp")
    row = next(row for row in study.paper.tables[0].rows if row.name.startswith("OCT (no"))
    common = study.common_runs(row.cells, SI_SDR)
    assert common == {Run("1"), Run("2")}
    found = [study.answers(one, SI_SDR, common) for one in row.cells]
    assert [one and len(one.run_means) for one in found] == [2, 2, None]
    for one in found[:2]:
        expected = np.mean([list(values(6).values()), list(values(7).values())])
        assert one.mean.value == pytest.approx(expected)


def test_a_set_without_draws_has_a_run_of_its_seed(few_shot, tmp_path):
    exp = shutil.copytree(few_shot, tmp_path / "exp")
    where = ("small_mixed_random_soundbeam_seed2", "new_seen_random_soundbeam")
    small_study.write(exp, *where, {"class": 9})
    study = Study(paper("fsdkaggle2018"), exp, "small")
    row = next(row for row in study.paper.tables[1].rows if row.name == "Mixed")
    assert len(study.runs(row.cells[0], SDRI)) == 3
    found = [study.answers(c, SDRI, study.common_runs(row.cells, SDRI)) for c in row.cells]
    assert [len(one.run_means) for one in found] == [2, 4, 4, 4]


def test_models_without_a_run_in_common_are_compared_by_their_means(write_scored, tmp_path):
    """Which judges nothing: the seeds may be what differs."""
    for method, seeds, offset in (("oct", (0, 1), 9), ("text_sbert", (2, 3, 4), 5)):
        for seed in seeds:
            suffix = f"_seed{seed}" if seed else ""
            answers = {"text": values(offset + seed / 10)}
            write_scored(f"{method}_random_hard{suffix}", answers, "test_random_hard")
    study = Study(paper("fsd50k"), tmp_path / "exp")
    claim = Claim("", cell(study, "OCT (no φ and g)"), cell(study, "Text only (ours)"))
    found = study.difference(claim, SI_SDR)
    tables = [[list(values(o).values()) for o in of] for of in ((9.0, 9.1), (5.2, 5.3, 5.4))]
    assert found.mean.value == pytest.approx(np.mean(tables[0]) - np.mean(tables[1]))
    assert study.shared_runs(claim, SI_SDR) == [] and len(found.run_means) == 1
    assert found.evidence.verdict == "open"


def test_a_set_of_two_mixtures_is_refused(write_scored, tmp_path):
    write_scored("oct_random_hard", {"text": values(6)}, "test_random_hard")
    hard = {"test_set": "test_random_hard", "mixture_set": "two"}
    write_scored("octpp_random_hard", {"text": values(6)}, **hard)
    with pytest.raises(TSXError, match="octpp_random_hard/.*not of the same mixtures as .*oct_"):
        Study(paper("fsd50k"), tmp_path / "exp")


def test_draws_of_other_targets_are_refused(few_shot, tmp_path):
    exp = shutil.copytree(few_shot, tmp_path / "exp")
    options = {"labels": ("Owl", "Frog")}
    where = ("small_mixed_random_soundbeam", "new_random_soundbeam_K5_draw7")
    small_study.write(exp, *where, {"enrollment": 9}, **options)
    with pytest.raises(TSXError, match="_K5_draw7/scores.csv: not of the same .*target is 'Owl'"):
        Study(paper("fsdkaggle2018"), exp, "small")


def test_a_model_that_was_not_queried_as_printed_is_named(write_scored, tmp_path):
    write_scored("octpp_random_hard", {"order": values(6)}, "test_random_hard")
    with pytest.raises(TSXError, match="octpp_random_hard/.*no scores under 'text'"):
        Study(paper("fsd50k"), tmp_path / "exp")


def test_nothing_to_study(few_shot, tmp_path):
    with pytest.raises(TSXError, match="nowhere: no such directory"):
        Study(paper("fsd50k"), tmp_path / "nowhere")
    with pytest.raises(TSXError, match=f"{tmp_path}: no scored experiment .*score writes it"):
        Study(paper("fsd50k"), tmp_path)
    small_study.write_grid(tmp_path)
    with pytest.raises(TSXError) as error:
        Study(paper("fsd50k"), tmp_path)
    for words in ("no scored experiment of Table 1", "<method>_<mixing>_", "octpp", "same_easy",
                  "infer/test_random_hard", "--size big, --size small"):  # fmt: skip
        assert words in str(error.value)
    with pytest.raises(TSXError) as error:
        Study(paper("fsdkaggle2018", "random_other"), few_shot, "small")
    for words in ("random_other", "infer/new_random_other_K5", "new_classes/average_K1/infer/new_"):
        assert words in str(error.value)

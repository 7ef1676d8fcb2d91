"""The tables of universal sound separation: a system without training, bases, controls, blocks."""

import pytest
import yaml

from tsx_espnet.bin.study import main
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.answers import METRICS
from tsx_espnet.evaluation.page import write_page
from tsx_espnet.evaluation.paper_yaml import read_paper
from tsx_espnet.evaluation.scores import Score, write_scores
from tsx_espnet.evaluation.study import Study

SI_SDRI = METRICS["SI-SDRi"]
PAPER = """
paper: Author et al., "Separation", 2030
metric: SI-SDRi
systems:
  plain: {name: TDCN++, method: "tdcn{basis}", condition: unconditional}
  heard: {name: "TDCN++, all", method: "tdcn_all{basis}", condition: unconditional}
  rolled:
    name: "TDCN++, all, of another mixture"
    method: "tdcn_all{basis}"
    condition: unconditional
    scores: "infer/{set}_{kind}_shuffled"
  mask: {name: STFT binary mask, method: ideal_mask, condition: unconditional, untrained: yes}
sets:
  valid: {name: Validation, mixing: random, difficulty: pairs, scores: "infer/valid_{kind}"}
  test: {name: Test, mixing: random, difficulty: pairs, scores: "infer/test_{kind}"}
tables:
  - name: Table 1
    columns:
      - {name: "STFT, val", set: valid, basis: ""}
      - {name: "STFT, test", set: test, basis: ""}
      - {name: "learned, val", set: valid, basis: _learned}
      - {name: "learned, test", set: test, basis: _learned}
    rows:
      - {system: plain, printed: [9.9, 9.1, 9.1, 8.5]}
      - {system: heard, printed: [10.3, 9.4, 9.4, 8.6]}
      - {system: mask, printed: [16.8, 16.2, "-", "-"]}
  - name: Controls
    columns: [{set: test, basis: ""}]
    rows: [{system: heard}, {system: rolled}]
primary:
  - {name: embeddings are used, above: {system: heard}, below: {system: rolled}, columns: [{set: test, basis: ""}]}
"""  # noqa: E501


@pytest.fixture
def paper(tmp_path):
    path = tmp_path / "paper.yaml"
    path.write_text(PAPER)
    return path


def values(offset):
    return {f"m{number}": offset + number / 7 for number in range(1, 13)}


@pytest.fixture
def runs(write_scored, tmp_path):
    """Three seeds of two methods on two sets, a control, and the mask, once."""
    for seed, suffix in enumerate(("", "_seed1", "_seed2")):
        for method, gain in (("tdcn", 5), ("tdcn_all", 6), ("tdcn_learned", 3)):
            for name, better in (("valid", 0.5), ("test", 0.0)):
                found = {"unconditional": values(gain + better + seed / 10)}
                test_set = f"{name}_random_pairs"
                write_scored(f"{method}_random_pairs{suffix}", found, test_set, name)
        rolled = {"unconditional": values(1 + seed / 10)}
        tag = f"tdcn_all_random_pairs{suffix}"
        write_scored(tag, rolled, "test_random_pairs_shuffled", "test")
    for name in ("valid", "test"):
        found = {"unconditional": values(15)}
        write_scored("ideal_mask_random_pairs", found, f"{name}_random_pairs", name)
    return tmp_path / "exp"


def rows_of(text, table):
    """Row name -> cells, of a table of a page."""
    lines = text[text.index(f"## {table}") :].split("\n\n")[1].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: rest for name, *rest in cells}


def test_the_runs_are_those_of_each_basis_and_the_mask_is_one(paper, capsys):
    main(["--paper", str(paper), "--list_runs", "--seeds", "1 2"])
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    methods = ("tdcn", "tdcn_learned", "tdcn_all", "tdcn_all_learned")
    tags = {f"{method}_random_pairs_seed{seed}" for method in methods for seed in (1, 2)}
    assert sorted(line[0] for line in lines) == sorted([*tags, "ideal_mask_random_pairs"])
    mask = next(line for line in lines if line[0].startswith("ideal"))
    assert mask[1:] == ["ideal_mask", "random", "pairs", "0", "no"]


def test_every_seed_is_compared_with_the_one_mask(paper, runs):
    study = Study(read_paper(paper), runs)
    claims = {c.name: c for group in study.paper.all_claims().values() for c in group}
    claim = claims["STFT binary mask - TDCN++, STFT, test"]
    found = study.difference(claim, SI_SDRI)
    assert found.run_means == pytest.approx([10.0, 9.9, 9.8])
    assert len(study.shared_runs(claim, SI_SDRI)) == 3
    assert claim.printed == pytest.approx(16.2 - 9.1)
    # the paper has no mask of a learned basis, and nothing is made of it
    assert not any("mask" in name and "learned" in name for name in claims)
    basis = study.difference(claims["TDCN++: STFT, test - learned, test"], SI_SDRI)
    assert basis.run_means == pytest.approx([2.0] * 3)


def test_the_page_has_all_columns_and_the_control(paper, runs, tmp_path):
    for path in runs.iterdir():
        config = {"extractor": "tdcn", "batch_size": 3}
        if path.name.startswith("ideal"):
            config = {"extractor": "ideal binary mask"}
        (path / "config.yaml").write_text(yaml.safe_dump(config))
    write_page(read_paper(paper), runs, tmp_path / "PAPER.md")
    text = (tmp_path / "PAPER.md").read_text()
    table = rows_of(text, "Table 1")
    assert [table[name][3] for name in ("TDCN++", "STFT binary mask")] == ["9.1", "16.2"]
    # a mean of 6.5 / 7 of what values adds, 0.1 of the seeds, and mixtures at 6.5 / 10 dB
    assert [cell.split()[0] for cell in table["TDCN++"][1::3]] == ["5.88", "5.38", "3.88", "3.38"]
    assert table["STFT binary mask"][1::3][2:] == ["–", "–"]
    assert table["STFT binary mask"][4].startswith("15.") and "[1]" in table["STFT binary mask"][4]
    assert table["TDCN++, all"][7] == "not run"
    assert rows_of(text, "Controls")["TDCN++, all, of another mixture"][0].startswith("1.38")
    assert "| batch size | 3 |" in text  # the mask, which has none, is no experiment


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("untrained: yes", "untrained: 3", "untrained: expected true or false, found 3"),
        ("tdcn{basis}", "tdcn{base}", "TDCN\\+\\+, STFT, val: no base"),
        ("tdcn{basis}", "tdcn{basis", "method: 'tdcn{basis': "),
        ('16.2, "-"', '16.2, "?"', "printed: expected a number"),
        ("name: Test,", "name: Test, sources: 17,", "sets: test: sources: expected two integers"),
    ],
)
def test_mistakes_are_named(paper, old, new, message):
    paper.write_text(PAPER.replace(old, new))
    with pytest.raises(TSXError, match=message):
        read_paper(paper)


def test_sets_of_mixtures_of_some_numbers_of_sources(tmp_path):
    """One file of scores; SI-SNRi of 2 to 4 sources, which a single one does not have."""
    rows = []
    for count in (1, 2, 3):
        for number in range(count):
            name = f"m{count}"
            level = None if count == 1 else -float(count)
            found = {"si_snr": 10.0 * count, "si_snr_mixture": level, "count": count}
            found.update(active_outputs=count, active="yes", silent="" if level else "other")
            if level:
                found.update(si_sdr=9.0, si_sdr_mixture=level, si_sdri=9.0 - level)
            own = {"in_mixture": name} if number else {}
            target = f"{name}-{number + 1}" if number else name
            own["clip"] = target
            rows.append(Score(target, "unconditional", "spk1", "sound", **own, **found))
    write_scores(tmp_path / "exp/tdcn_random_pairs/infer/test_random_pairs/scores.csv", rows)
    found = yaml.safe_load(PAPER)
    found.update(metric="SI-SNRi", also=["SI-SNR"], primary=None)
    one = {**found["sets"]["test"], "name": "1", "sources": 1}
    found["sets"] = {"one": one, "more": {**one, "name": "2 to 4", "sources": [2, 4]}}
    columns = [{"set": name, "basis": ""} for name in found["sets"]]
    found["tables"] = [{"name": "FUSS", "columns": columns, "rows": [{"system": "plain"}]}]
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(found))
    study = Study(read_paper(tmp_path / "paper.yaml"), tmp_path / "exp")
    (row,) = study.paper.tables[0].rows
    gains, levels = METRICS["SI-SNRi"], METRICS["SI-SNR"]
    assert study.answers(row.cells[0], gains) is None
    assert study.answers(row.cells[0], levels).mean.value == 10
    assert study.answers(row.cells[1], gains).mean.value == pytest.approx((2 * 22 + 3 * 33) / 5)
    assert [len(study.targets(name)) for name in ("one", "more")] == [1, 5]
    page = write_page(study.paper, tmp_path / "exp", tmp_path / "PAPER.md")
    assert "28.60" in page
    found["sets"]["more"]["sources"] = 5
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(found))
    with pytest.raises(TSXError, match="no mixtures of 5 to 5 sources"):
        Study(read_paper(tmp_path / "paper.yaml"), tmp_path / "exp")

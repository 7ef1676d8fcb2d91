"""Tables with a system that is not trained, and with sets by the number of sources."""

import dataclasses
from pathlib import Path

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
  plain: {name: TDCN++, method: tdcn, condition: unconditional}
  heard: {name: "TDCN++, all", method: tdcn_all, condition: unconditional}
  rolled:
    name: "TDCN++, all, of another mixture"
    method: tdcn_all
    condition: unconditional
    scores: "infer/{set}_{kind}_shuffled"
  mask: {name: STFT binary mask, method: ideal_mask, condition: unconditional, untrained: yes}
sets:
  valid: {name: Validation, mixing: random, difficulty: pairs, scores: "infer/valid_{kind}"}
  test: {name: Test, mixing: random, difficulty: pairs, scores: "infer/test_{kind}"}
tables:
  - name: Table 1
    columns:
      - {name: val, set: valid}
      - {name: test, set: test}
    rows:
      - {system: plain, printed: [9.9, 9.1]}
      - {system: heard, printed: [10.3, 9.4]}
      - {system: mask, printed: [16.8, 16.2]}
  - name: Controls
    columns: [{set: test}]
    rows: [{system: heard}, {system: rolled}]
primary:
  - {above: {system: heard}, below: {system: rolled}, columns: [{set: test}]}
"""


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
        for method, gain in (("tdcn", 5), ("tdcn_all", 6)):
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


def test_every_method_has_a_run_of_each_seed_and_the_mask_has_one(paper, capsys):
    main(["--paper", str(paper), "--list_runs", "--seeds", "1 2"])
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    methods = ("tdcn", "tdcn_all")
    tags = {f"{method}_random_pairs_seed{seed}" for method in methods for seed in (1, 2)}
    assert sorted(line[0] for line in lines) == sorted([*tags, "ideal_mask_random_pairs"])
    mask = next(line for line in lines if line[0].startswith("ideal"))
    assert mask[1:] == ["ideal_mask", "random", "pairs", "0", "no"]


def test_every_seed_is_compared_with_the_one_mask(paper, runs):
    study = Study(read_paper(paper), runs)
    claims = {c.name: c for group in study.paper.all_claims().values() for c in group}
    claim = claims["STFT binary mask - TDCN++, test"]
    found = study.difference(claim, SI_SDRI)
    assert found.run_means == pytest.approx([10.0, 9.9, 9.8])
    assert len(study.shared_runs(claim, SI_SDRI)) == 3
    assert claim.printed == pytest.approx(16.2 - 9.1)


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
    assert [cell.split()[0] for cell in table["TDCN++"][1::3]] == ["5.88", "5.38"]
    assert table["STFT binary mask"][4].startswith("15.") and "[1]" in table["STFT binary mask"][4]
    assert rows_of(text, "Controls")["TDCN++, all, of another mixture"][0].startswith("1.38")
    assert "| batch size | 3 |" in text  # the mask, which has none, is no experiment


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("untrained: yes", "untrained: 3", "untrained: expected true or false, found 3"),
        ("name: Test,", "name: Test, sources: 17,", "sets: test: sources: expected two integers"),
    ],
)
def test_mistakes_are_named(paper, old, new, message):
    paper.write_text(PAPER.replace(old, new))
    with pytest.raises(TSXError, match=message):
        read_paper(paper)


def test_the_protocol_of_fuss_by_numbers_of_sources(tmp_path, capsys):
    """Of m3 the third source, at 40 dB, is dropped: it is in no pair; and m1 has no gain."""
    rows = []
    for count in (1, 2, 3):
        for number in range(count):
            name = f"m{count}"
            level = None if count == 1 else -float(count)
            found = {"si_snr": 10.0 * (count + number), "si_snr_mixture": level, "count": count}
            found["active"] = "no" if number == 2 else "yes"
            found.update(active_outputs=min(count, 2), silent="" if level else "other")
            if level:
                found.update(si_sdr=9.0, si_sdr_mixture=level, si_sdri=9.0 - level)
            own = {"in_mixture": name} if number else {}
            own["clip"] = target = f"{name}-{number + 1}" if number else name
            rows.append(Score(target, "unconditional", "spk1", "sound", **own, **found))
    for method in ("tdcn", "itdcn"):
        write_scores(tmp_path / f"exp/{method}_shipped/infer/test_shipped/scores.csv", rows)
    fuss = Path(__file__).parents[2] / "egs/fuss/paper.yaml"
    main(["--paper", str(fuss), "--list_runs", "--methods", "tdcn", "--size", "small"])
    assert capsys.readouterr().out == "small_tdcn_shipped\ttdcn\tshipped\t-\t0\tno\n"
    study = Study(read_paper(fuss), tmp_path / "exp")
    row = study.paper.tables[0].rows[0]
    assert row.printed == (35.5, None, None, None, 9.8)
    expected = {  # there are no mixtures of four sources
        "FUSS": [10, (22 + 32) / 2, (33 + 43) / 2, None, (22 + 32 + 33 + 43) / 4],
        "SI-SNRi": [None, (22 + 32) / 2, (33 + 43 + 53) / 3, None, (22 + 32 + 33 + 43 + 53) / 5],
    }
    for metric, means in expected.items():
        cells = [study.answers(cell, METRICS[metric]) for cell in row.cells]
        assert [one and one.mean.value for one in cells] == [m and pytest.approx(m) for m in means]
    assert [len(study.targets(name)) for name in study.paper.sets] == [1, 2, 3, 0, 5]
    page = write_page(study.paper, tmp_path / "exp", tmp_path / "PAPER.md")
    assert "27.00" in page and "32.50" in page
    bare = [dataclasses.replace(row, count=None) for row in rows]
    write_scores(tmp_path / "exp/tdcn_shipped/infer/test_shipped/scores.csv", bare)
    with pytest.raises(TSXError, match="scores.csv: no column count, by which one is chosen"):
        Study(read_paper(fuss), tmp_path / "exp")

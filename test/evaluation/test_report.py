"""Stage 8 on a made-up experiment."""

import dataclasses
import re

import numpy as np
import pytest
import soundfile

from tsx_espnet.bin import report, score
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.markdown import markdown
from tsx_espnet.evaluation.report import choose_examples, clear_examples
from tsx_espnet.evaluation.scores import Score, add_oracle, read_scores, write_scores
from tsx_espnet.tables import read_table


def run(experiment, *options):
    report.main(["--exp", str(experiment.exp), "--mixtures", str(experiment.mixtures), *options])
    return (experiment.exp / "RESULTS.md").read_text()


@pytest.fixture
def scored(experiment):
    arguments = ["--mixtures", str(experiment.mixtures), "--estimates", str(experiment.estimates)]
    score.main([*arguments, "--skip_bss"])
    return experiment


def row(text, first):
    """The cells of the first table row that starts with ``first``."""
    line = re.search(rf"^\| {re.escape(first)} \|(.*)\|$", text, re.MULTILINE)
    return [cell.strip() for cell in line.group(1).split("|")]


def test_the_whole_report(scored, capsys):
    score.main(["--mixtures", str(scored.mixtures), "--estimates", str(scored.estimates)])
    capsys.readouterr()
    text = run(scored, "--data_kind", "synthetic")
    printed = capsys.readouterr().out
    scores = read_scores(scored.estimates / "scores.csv")
    assert text.startswith("# oct on test\n")
    assert "**synthetic**" in text

    for condition in ("energy", "text", "oracle"):
        of_condition = [s for s in scores if s.condition == condition]
        cells = row(text, condition)
        assert cells[0] == str(len(of_condition))
        assert float(cells[3]) == pytest.approx(
            np.mean([s.si_sdri for s in of_condition]), abs=0.006
        )
        assert float(cells[8]) == pytest.approx(np.mean([s.sar for s in of_condition]), abs=0.006)
        assert cells[3] in printed
    assert row(text, "mixture")[0] == "6"
    # every number has its unit in the header, and every class its row
    for header in re.findall(r"^\| (?:condition|class|mixture) \|.*SI-SDR.*$", text, re.MULTILINE):
        cells = [cell.strip() for cell in header.strip("|").split("|")]
        names = {"condition", "class", "mixture", "mixtures", "silent", "sounds", "target"}
        assert all("(dB)" in cell or "(%)" in cell for cell in cells if cell not in names)
    assert [name for name in ("Bark", "Bell", "Flute", "Rain") if row(text, name)]
    for name, value in (
        ("objective", "oct (condition text)"),
        ("extractor", "sudormrf (num_blocks 8, out_channels 256)"),
        ("parameters", "1.07 M"),
        ("epochs", "20 of 20"),
        ("mixtures per epoch", "600"),
        ("test", "6 mixtures of 12 clips, 4 classes"),
        ("numpy", np.__version__),
    ):
        assert row(text, name) == [value]
    assert "strategy random, snr 0 to 2.5, min_overlap 0.8" in row(text, "test mixing")[0]

    # all that is linked is there; the printed paths too
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert "figures/conditions.png" in links and "figures/learning_curves.png" in links
    assert all((scored.exp / link).exists() for link in links)
    examples = re.findall(r"^  (.*examples/mix\d+)$", printed, re.MULTILINE)
    assert len(examples) == 3


def test_clips_without_labels_have_no_table_of_classes(scored):
    path = scored.estimates / "scores.csv"
    assert "## Classes, by text" in run(scored)
    write_scores(path, [dataclasses.replace(one, label="") for one in read_scores(path)])
    assert "Classes" not in run(scored)


def test_examples_are_the_sounds_of_the_test_set(scored):
    run(scored, "--examples", "1")
    (example,) = (scored.exp / "examples").iterdir()
    scores = [s for s in read_scores(scored.estimates / "scores.csv") if s.condition == "text"]
    below = sum(s.si_sdri < {s.mixture: s for s in scores}[example.name].si_sdri for s in scores)
    assert below in (2, 3)  # the median of six
    sources = {
        "mixture": scored.mixtures / "wav.scp",
        "target": scored.mixtures / "spk1.scp",
        "estimate_text": scored.estimates / "text/spk1.scp",
        "estimate_order": scored.estimates / "order/spk1.scp",
        "rest": scored.estimates / "text/spk2.scp",
    }
    for kind, table in sources.items():
        expected, _ = soundfile.read(read_table(table)[example.name])
        found, rate = soundfile.read(example / f"{kind}.wav")
        assert rate == 8000
        np.testing.assert_allclose(found, expected, atol=1 / 32768)
    assert (example / "spectrogram.png").stat().st_size > 10_000


def test_loud_examples_are_turned_down_together(scored):
    name = "mix00001"
    for table in (scored.mixtures / "wav.scp", scored.mixtures / "spk1.scp"):
        path = read_table(table)[name]
        signal, rate = soundfile.read(path)
        soundfile.write(path, 40 * signal, rate, subtype="FLOAT")
    run(scored, "--examples", "6")
    target, _ = soundfile.read(scored.exp / "examples" / name / "target.wav")
    mixture, _ = soundfile.read(scored.exp / "examples" / name / "mixture.wav")
    assert 0.99 < max(abs(target).max(), abs(mixture).max()) < 1
    expected, _ = soundfile.read(read_table(scored.mixtures / "spk1.scp")[name])
    assert np.corrcoef(target, expected)[0, 1] > 0.9999


def test_a_second_report_replaces_the_first_and_nothing_of_the_user(scored):
    run(scored, "--examples", "3")
    mine = scored.exp / "examples" / "favourite"
    mine.mkdir()
    (mine / "note.txt").write_text("keep")
    text = run(scored, "--examples", "0")
    assert [path.name for path in (scored.exp / "examples").iterdir()] == ["favourite"]
    assert "spectrogram.png" not in text


def test_the_report_of_another_test_set_leaves_that_of_the_first(scored, capsys):
    first = run(scored)
    out = scored.estimates
    assert run(scored, "--examples", "1", "--out", str(out)) == first
    assert f"All of it: {out / 'RESULTS.md'}" in capsys.readouterr().out
    assert len(list((scored.exp / "examples").iterdir())) == 3
    pictures = re.findall(r"!\[.*\]\((.*)\)", (out / "RESULTS.md").read_text())
    assert len(pictures) == 3 and all((out / picture).is_file() for picture in pictures)


def test_choice_by_rank():
    scores = [Score(f"m{i:02d}", "text", "x", "Bark", si_sdri=float(-i)) for i in range(21)]
    scores.append(Score("silent", "text", "x", "Bark", silent="target"))
    assert choose_examples(scores, "text", 1) == ["m10"]
    assert choose_examples(scores, "text", 3) == ["m15", "m10", "m05"]
    assert choose_examples(scores[:2], "text", 3) == ["m01", "m00"]
    assert len(set(choose_examples(scores[:4], "text", 4))) == 4
    assert choose_examples(scores, "text", 0) == choose_examples(scores, "order", 3) == []


def test_clearing_what_is_not_there(tmp_path):
    clear_examples(tmp_path / "examples")


def test_without_bss_eval_there_are_no_columns_of_it(scored):
    text = run(scored, "--data_kind", "recordings")
    assert "BSS-eval" not in text and "SAR" not in text
    assert "**real recordings**" in text


def test_silent_mixtures_are_in_their_own_column(scored):
    path = scored.estimates / "scores.csv"
    scores = read_scores(path)
    spoilt = [
        Score(s.mixture, s.condition, s.value, s.label, silent="target")
        if s.mixture == "mix00002"
        else s
        for s in scores
    ]
    write_scores(path, spoilt)
    text = run(scored)
    assert row(text, "text")[:2] == ["5", "1"]
    assert row(text, "mixture")[:2] == ["5", "1"]
    assert "not stated" in text and "nan" not in text


def test_nothing_but_silence_still_reports(scored):
    path = scored.estimates / "scores.csv"
    scores = read_scores(path)
    write_scores(
        path, [Score(s.mixture, s.condition, s.value, s.label, silent="target") for s in scores]
    )
    text = run(scored)
    assert "No mixture of test could be scored by text" in text
    assert row(text, "text")[:3] == ["0", "6", "\N{EN DASH}"]


def test_without_text_another_condition_is_shown(make_experiment):
    experiment = make_experiment(conditions=("energy", "order"))
    for log in experiment.exp.glob("*.log"):
        log.unlink()
    score.main(
        ["--mixtures", str(experiment.mixtures), "--estimates", str(experiment.estimates)]
        + ["--skip_bss"]
    )
    text = run(experiment)
    assert "## Classes, by order" in text
    assert "No finished epoch was found" in text
    assert row(text, "epochs") == ["? of 20"]


def no_config(experiment):
    (experiment.exp / "config.yaml").unlink()
    return "config.yaml: no such file; run train"


def bad_config(experiment):
    (experiment.exp / "config.yaml").write_text("a: [1\n")
    return "config.yaml: not a yaml file"


def no_scores(experiment):
    (experiment.estimates / "scores.csv").unlink()
    return "scores.csv: no such file; run score"


def empty_scores(experiment):
    write_scores(experiment.estimates / "scores.csv", [])
    return "scores.csv: no scores; run stages 6 (infer) and 7 (score)"


def other_scores(experiment):
    scores = add_oracle([Score("x1", "text", "bark", "Bark")])
    write_scores(experiment.estimates / "scores.csv", scores)
    return "1 ids unknown (first 'x1')"


def no_rest(experiment):
    (experiment.estimates / "text/spk2.scp").write_text("x1 /x1.wav\n")
    return "text/spk2.scp: no 'mix0"


@pytest.mark.parametrize(
    "spoil", [no_config, bad_config, no_scores, empty_scores, other_scores, no_rest]
)
def test_what_is_missing_says_which_stage(scored, spoil):
    message = spoil(scored)
    with pytest.raises(TSXError) as error:
        run(scored)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (scored.exp / "RESULTS.md").exists()


def test_a_negative_number_of_examples_is_refused(scored):
    with pytest.raises(TSXError, match="examples: expected at least 0, found -1"):
        run(scored, "--examples", "-1")


def test_a_bar_in_a_name_does_not_break_a_table():
    assert markdown([["class", "n"], ["A|B", "1"]]).endswith("| A\\|B | 1 |")

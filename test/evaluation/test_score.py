"""Stage 7 on a made-up experiment: the numbers, the jobs, and what is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tsx_espnet.bin.score import main
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.scores import read_scores
from tsx_espnet.tables import read_table, write_table

RATE = 8000


def run(experiment, *options):
    main(
        ["--mixtures", str(experiment.mixtures), "--estimates", str(experiment.estimates), *options]
    )


def scores_of(experiment):
    return read_scores(experiment.estimates / "scores.csv")


def estimate(experiment, condition="text", name="mix00000"):
    return read_table(experiment.estimates / condition / "spk1.scp")[name]


def test_every_row_is_what_a_second_library_measures(experiment):
    import torch
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as theirs

    run(experiment)
    rows = scores_of(experiment)
    # energy does not apply to two of the six mixtures
    assert len(rows) == 6 * 7 - 2
    assert rows == sorted(rows, key=lambda row: row.mixture)
    for row in rows:
        condition = row.value if row.condition == "oracle" else row.condition
        read = [
            torch.from_numpy(soundfile.read(path)[0])
            for path in (
                estimate(experiment, condition, row.mixture),
                read_table(experiment.mixtures / "wav.scp")[row.mixture],
                read_table(experiment.mixtures / "spk1.scp")[row.mixture],
                read_table(experiment.estimates / condition / "spk2.scp")[row.mixture],
            )
        ]
        assert row.si_sdr == pytest.approx(theirs(read[0], read[2], True).item(), abs=2e-4)
        assert row.si_sdr_mixture == pytest.approx(theirs(read[1], read[2], True).item(), abs=2e-4)
        assert row.rest_si_sdr == pytest.approx(theirs(read[3], read[2], True).item(), abs=2e-4)
        assert row.si_sdri == pytest.approx(row.si_sdr - row.si_sdr_mixture, abs=2e-4)
        assert None not in (row.snr, row.snr_mixture, row.sdr, row.sdr_mixture, row.sir, row.sar)
        if row.condition != "oracle":
            table = read_table(experiment.mixtures / f"utt2{row.condition}")
            assert row.value == table[row.mixture] != "n/a"
    best = {}
    for row in rows:
        best.setdefault(row.mixture, []).append((row.si_sdr, row.condition))
    for values in best.values():
        assert max(values[:-1])[0] == values[-1][0] and values[-1][1] == "oracle"


def test_jobs_give_what_one_process_gives(experiment, capsys):
    run(experiment)
    whole = (experiment.estimates / "scores.csv").read_bytes()
    (experiment.estimates / "scores.json").unlink()
    with pytest.raises(TSXError, match="parts.3/1: this part is not finished; run --num_jobs 3"):
        run(experiment, "--num_jobs", "3", "--merge")
    (experiment.estimates / "scores.csv").unlink()
    for job in "312":
        run(experiment, "--num_jobs", "3", "--job", job)
        assert not (experiment.estimates / "scores.csv").exists()
    run(experiment, "--num_jobs", "3", "--merge")
    assert (experiment.estimates / "scores.csv").read_bytes() == whole
    names = sorted(path.name for path in experiment.estimates.iterdir() if path.is_file())
    assert names == ["scores.csv", "scores.json"]


def test_parts_of_earlier_estimates_are_not_merged(experiment):
    run(experiment, "--num_jobs", "2", "--job", "1")
    write_table(
        experiment.estimates / "text/spk1.scp", read_table(experiment.estimates / "text/spk1.scp")
    )
    run(experiment, "--num_jobs", "2", "--job", "2")
    with pytest.raises(TSXError, match="--job 1 before"):
        run(experiment, "--num_jobs", "2", "--merge")


def test_finished_scores_are_left_alone_until_the_estimates_change(experiment, capsys):
    run(experiment, "--skip_bss")
    stamp = (experiment.estimates / "scores.csv").stat().st_mtime_ns
    run(experiment, "--skip_bss")
    assert "already done" in capsys.readouterr().out
    assert (experiment.estimates / "scores.csv").stat().st_mtime_ns == stamp
    write_table(
        experiment.estimates / "text/spk1.scp", read_table(experiment.estimates / "text/spk1.scp")
    )
    run(experiment, "--skip_bss")
    assert len(scores_of(experiment)) == 40


def test_without_bss_eval_its_cells_are_empty(experiment):
    run(experiment, "--skip_bss")
    for row in scores_of(experiment):
        assert (row.sdr, row.sdr_mixture, row.sir, row.sar) == (None,) * 4
        assert row.si_sdr is not None and row.snr is not None


def test_the_rest_is_measured_where_there_is_an_estimate_of_it(experiment):
    (experiment.estimates / "text" / "spk2.scp").unlink()
    path = read_table(experiment.estimates / "class" / "spk2.scp")["mix00000"]
    soundfile.write(path, np.zeros(soundfile.info(path).frames), RATE, "FLOAT")
    run(experiment, "--skip_bss")
    for row in scores_of(experiment):
        condition = row.value if row.condition == "oracle" else row.condition
        silent = condition == "class" and row.mixture == "mix00000"
        assert (row.rest_si_sdr is None) == (silent or condition == "text")
        assert row.silent == ""
    for condition in experiment.estimates.glob("*/spk2.scp"):
        condition.unlink()
    shutil.rmtree(experiment.estimates / "text")
    (experiment.estimates / "scores.json").unlink()
    run(experiment, "--skip_bss")
    assert "rest_si_sdr" not in (experiment.estimates / "scores.csv").read_text()


def test_conditions_that_were_not_extracted_are_left_out(make_experiment):
    experiment = make_experiment(conditions=("order", "text"))
    run(experiment, "--skip_bss")
    assert {row.condition for row in scores_of(experiment)} == {"order", "text", "oracle"}


@pytest.mark.parametrize("kind, table", [("target", "spk1"), ("other", "spk2"), ("mixture", "wav")])
def test_a_silent_reference_has_no_metric(experiment, kind, table):
    path = read_table(experiment.mixtures / f"{table}.scp")["mix00001"]
    soundfile.write(path, np.zeros(RATE // 2), RATE, subtype="FLOAT")
    run(experiment)
    for row in scores_of(experiment):
        silent = row.mixture == "mix00001"
        assert row.silent == (kind if silent else "")
        assert (row.si_sdr is None) == (row.sar is None) == silent


def test_a_silent_estimate_has_no_metric_and_is_no_oracle(experiment):
    path = estimate(experiment, "class", "mix00001")
    soundfile.write(path, np.full(RATE // 2, 0.1), RATE, subtype="FLOAT")
    run(experiment)
    rows = {row.condition: row for row in scores_of(experiment) if row.mixture == "mix00001"}
    assert rows["class"].silent == "estimate"
    assert rows["class"].si_sdr is rows["class"].sdr is rows["class"].si_sdri is None
    assert rows["class"].si_sdr_mixture == rows["text"].si_sdr_mixture
    assert rows["oracle"].value != "class" and rows["oracle"].si_sdr is not None


def test_missing_and_unknown_estimates_are_counted_and_named(experiment):
    table = read_table(experiment.estimates / "text/spk1.scp")
    table["mix99999"] = table.pop("mix00003")
    write_table(experiment.estimates / "text/spk1.scp", table)
    with pytest.raises(TSXError) as error:
        run(experiment)
    assert "text/spk1.scp" in str(error.value)
    assert "1 of 6 ids missing (first 'mix00003'), 1 unknown (first 'mix99999')" in str(error.value)
    assert "run infer" in str(error.value)


def write(path, signal, rate=RATE):
    soundfile.write(path, signal.astype(np.float32), rate, subtype="FLOAT")


def bad_length(experiment, path):
    write(path, np.ones(RATE))
    return f"{path}: expected 4000 samples, found 8000"


def bad_rate(experiment, path):
    write(path, np.ones(RATE // 2), 16000)
    return f"{path}: expected 8000 Hz, found 16000 Hz"


def bad_sample(experiment, path):
    signal = np.ones(RATE // 2)
    signal[[7, 9]] = np.nan
    write(path, signal)
    return f"{path}: 2 samples are NaN or infinite (first at 7)"


def stereo(experiment, path):
    write(path, np.ones((RATE // 2, 2)))
    return f"{path}: expected 1 channel, found 2"


def no_audio(experiment, path):
    path.write_text("none")
    return f"{path}: cannot be read: "


def no_file(experiment, path):
    path.unlink()
    return f"{path}: no such file"


@pytest.mark.parametrize("spoil", [bad_length, bad_rate, bad_sample, stereo, no_audio, no_file])
def test_a_bad_estimate_is_named(experiment, spoil):
    message = spoil(experiment, Path(estimate(experiment)))
    with pytest.raises(TSXError) as error:
        run(experiment)
    assert str(error.value).startswith(message)
    assert not (experiment.estimates / "scores.csv").exists()


def no_estimates(experiment):
    experiment.estimates.rename(experiment.root / "elsewhere")
    return "no estimates; run infer"


def unfinished_estimates(experiment):
    (experiment.estimates / "text/spk1.scp").unlink()
    return "text/spk1.scp: no such file, extraction is not finished; run infer"


def no_plans(experiment):
    (experiment.mixtures / "mixtures.jsonl").unlink()
    return "mixtures.jsonl: no such file; run mix"


def empty_plans(experiment):
    (experiment.mixtures / "mixtures.jsonl").write_text("")
    return "mixtures.jsonl: not the mixtures of wav.scp: 6 of 6 ids missing"


def other_references(experiment):
    table = read_table(experiment.mixtures / "spk2.scp")
    del table["mix00002"]
    write_table(experiment.mixtures / "spk2.scp", table)
    return "spk2.scp: not the mixtures of wav.scp: 1 of 6 ids missing (first 'mix00002')"


@pytest.mark.parametrize(
    "spoil", [no_estimates, unfinished_estimates, no_plans, empty_plans, other_references]
)
def test_what_is_missing_says_which_stage(experiment, spoil):
    message = spoil(experiment)
    with pytest.raises(TSXError) as error:
        run(experiment)
    assert message in str(error.value)


def test_the_commands_start_without_heavy_imports():
    code = (
        "import sys, tsx_espnet.bin.score as s, tsx_espnet.bin.report as r; "
        "s.get_parser(), r.get_parser(); "
        "sys.exit(bool({'numpy', 'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_mistake_ends_as_one_line(tmp_path):
    command = [sys.executable, "-m", "tsx_espnet.bin.score", "--mixtures", str(tmp_path)]
    result = subprocess.run(
        command + ["--estimates", str(tmp_path)], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_the_clip_of_the_target_is_noted(experiment):
    """Mixtures that share it are not independent: the verdicts of a study draw clips."""
    run(experiment, "--skip_bss")
    assert {(row.mixture, row.clip) for row in scores_of(experiment)} == {
        (f"mix{number:05d}", f"clip{number}_0") for number in range(6)
    }

"""Learning curves out of ESPnet's log."""

import re

import pytest

from tsx_espnet.evaluation.provenance import History, log_files, training


def test_curves_across_a_resumed_training(experiment):
    history = History(experiment.exp)
    assert history.epochs == 20
    assert history.parameters == "1.07 M"
    assert list(history.curve("train", "loss")) == list(range(1, 21))
    assert history.curve("valid", "loss")[20] == pytest.approx(
        history.curve("train", "loss")[20] + 0.8, abs=2e-3
    )
    assert history.curve("valid", "si_sdr_text")[20] > 5
    assert history.curve("train", "best_text") == {}  # NaN in the log
    assert history.curve("train", "time") == {}  # words, not a number


def test_the_later_run_of_an_epoch_counts(tmp_path):
    (tmp_path / "train.2.log").write_text("1epoch results: [train] loss=1.0\n")
    (tmp_path / "train.10.log").write_text("1epoch results: [train] loss=9.0\n")
    (tmp_path / "train.log").write_text("2epoch results: [train] loss=-1.5e+00, time=1 second\n")
    assert [path.name for path in log_files(tmp_path)] == [
        "train.10.log", "train.2.log", "train.log",
    ]  # fmt: skip
    assert History(tmp_path).curve("train", "loss") == {1: 1.0, 2: -1.5}


def test_no_log(tmp_path):
    history = History(tmp_path)
    assert (history.epochs, history.parameters, history.curve("train", "loss")) == (0, None, {})


def test_the_words_are_those_of_espnet(tmp_path):
    """Lines written by ESPnet's own reporter and model summary are understood."""
    import numpy
    import torch
    from espnet2.torch_utils.model_summary import model_summary
    from espnet2.train.reporter import Reporter

    reporter = Reporter()
    reporter.set_epoch(1)
    for part, loss in (("train", -3.25), ("valid", 1234.5)):
        with reporter.observe(part) as sub:
            sub.register({"loss": numpy.float64(loss), "si_sdr_text": 0.0001})
            sub.next()
    text = f"{model_summary(torch.nn.Linear(10, 10))}\n[host] INFO: {reporter.log_message()}\n"
    (tmp_path / "train.log").write_text(text)
    history = History(tmp_path)
    assert history.curve("train", "loss") == {1: -3.25}
    assert history.curve("valid", "loss")[1] == pytest.approx(1234.5, rel=1e-3)
    assert history.curve("valid", "si_sdr_text") == {1: 1e-4}
    assert re.match(r"110", history.parameters)


def test_what_was_trained_on(tmp_path):
    """Clips are counted by their table, mixtures as shipped by their plans."""
    (tmp_path / "wav.scp").write_text("a a.wav\nb b.wav\nc c.wav\n")
    (tmp_path / "mixtures.jsonl").write_text("{}\n{}\n")
    clips = {"train_clips": str(tmp_path)}
    given = {**clips, "train_mixtures": str(tmp_path)}
    assert training(clips) == "3 clips, mixed on the fly"
    assert training(given) == "2 mixtures"
    assert training({**given, "remix": True}) == "2 mixtures, backgrounds exchanged in each epoch"
    assert training({**given, "train_mixtures": str(tmp_path / "gone")}) == training(clips)
    assert training({}) == ""

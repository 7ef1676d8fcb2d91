"""Files that vanish or change between stages: named with the command to run again, which helps.

It helps in that it sees the damage, although its output is marked as complete, and what it makes is
what had been there before.
"""

import re
import shutil
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def pipeline(stages, children, tmp_path_factory):
    """All stages in a folder of their own: name -> command."""
    all_stages, there = stages
    folder = tmp_path_factory.mktemp("pipeline")
    shutil.copytree(there.root / "exp", folder / "exp")
    shutil.rmtree(folder / "exp/infer")
    moved = {
        str(there.root / "mixtures"): str(folder / "mix"),
        str(there.root / "c/clips"): str(folder / "clips"),
        str(there.root / "exp"): str(folder / "exp"),
    }
    places = {"format": "clips", "mix": "mix", "infer": "exp/infer/mix", "score": "exp/infer/mix"}
    commands = {}
    for name in (*places, "report"):
        ((main, argv),) = all_stages[name].whole
        argv = [moved.get(word, word) for word in argv]
        if name in places:
            argv[argv.index("--estimates" if name == "score" else "--out") + 1] = str(
                folder / places[name]
            )
        else:
            del argv[argv.index("--out") :]
        commands[name] = (main, argv)
    assert children.run([commands[name] for name in places]) == (0, "")
    return SimpleNamespace(folder=folder, commands=commands, whole=children.contents(folder))


def gone(path):
    path.unlink()


def shorter(path):
    path.write_bytes(path.read_bytes()[:-200])


def longer(path):
    """Audio with a header that fits: twice the samples."""
    import soundfile

    audio, fs = soundfile.read(path, dtype="float32")
    subtype = soundfile.info(path).subtype
    soundfile.write(path, [*audio, *audio], fs, subtype=subtype)


# file, what happens to it, the command that needs it, the command that makes it
CASES = [
    ("clips/wav/c.Bark0.wav", gone, "mix", "format"),
    ("clips/wav/c.Bark0.wav", longer, "mix", "format"),
    ("clips/energies.f32", gone, "mix", "format"),
    ("clips/energies.f32", shorter, "mix", "format"),
    ("clips/utt2num_samples", gone, "mix", "format"),
    ("clips/.done", gone, "mix", "format"),
    ("mix/wav/mixture/mix00001.wav", gone, "infer", "mix"),
    ("mix/wav/mixture/mix00001.wav", longer, "score", "mix"),
    ("mix/utt2class", gone, "infer", "mix"),
    ("mix/wav/target/mix00001.wav", gone, "score", "mix"),
    ("mix/wav/other/mix00001.wav", longer, "score", "mix"),
    ("mix/mixtures.jsonl", gone, "score", "mix"),
    ("mix/mixtures.jsonl", shorter, "score", "mix"),
    ("exp/infer/mix/class/wav/mix00001_target.wav", gone, "score", "infer"),
    ("exp/infer/mix/class/wav/mix00001_target.wav", longer, "score", "infer"),
    ("exp/infer/mix/class/spk1.scp", gone, "score", "infer"),
    ("exp/infer/mix/scores.csv", gone, "report", "score"),
    ("exp/infer/mix/scores.csv", shorter, "report", "score"),
]


@pytest.mark.parametrize("name, change, needed_by, made_by", CASES)
def test_it_is_named_and_made_again(pipeline, children, name, change, needed_by, made_by):
    folder, commands = pipeline.folder, pipeline.commands
    main, argv = commands[needed_by]
    for option in ("--out", "--estimates"):  # the command that needs it shall have to work
        if option in argv and needed_by != "score":
            argv = [*argv, option, str(folder / "fresh")]
    change(folder / name)
    for table in folder.glob("exp/infer/mix/scores.json"):
        table.unlink()
    if needed_by == "mix":  # each clip is needed by one mixture or another
        argv = [*argv, "--num_mixtures", "60"]
    status, message = children.run([(main, argv)])
    shutil.rmtree(folder / "fresh", ignore_errors=True)
    assert status == 1 and "\n" not in message
    assert str((folder / name).parent) in message, message
    assert re.search(rf"\brun .*\b{made_by}\b", message), message
    assert children.run([commands[made_by], commands["score"]]) == (0, "")
    found = children.contents(folder)
    # times of files are in there
    for both in (found, pipeline.whole):
        both.pop("exp/infer/mix/scores.json", None)
    assert found == pipeline.whole


def test_a_recording_that_vanished_is_listed(stages, children):
    """Before the first stage that keeps its own copy, the recordings are the user's."""
    stage = stages[0]["format"]
    stage.reset()
    victim = stages[1].root / "c/raw/c.Bark1.wav"
    hidden = victim.rename(victim.with_suffix(".hidden"))
    try:
        assert children.run(stage.commands) == (0, "")
    finally:
        hidden.rename(victim)
    assert (stage.out / "skipped").read_text() == f"c.Bark1 missing: {victim}: no such file\n"
    stage.reset()

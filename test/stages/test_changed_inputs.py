"""Files that vanish or change between stages: named with the stage to run again, which then helps.

It helps in that it sees the damage, although its output is marked as complete, and what it makes is
what had been there before.
"""

import shutil
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def pipeline(stages, children, tmp_path_factory):
    """All stages in a folder of their own: number -> command."""
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
    for number, name in ((2, "format"), (3, "mix"), (6, "infer"), (7, "score"), (8, "report")):
        ((main, argv),) = all_stages[name].whole
        argv = [moved.get(word, word) for word in argv]
        if name in places:
            argv[argv.index("--estimates" if name == "score" else "--out") + 1] = str(
                folder / places[name]
            )
        else:
            del argv[argv.index("--out") :]
        commands[number] = (main, argv)
    assert children.run([commands[number] for number in (2, 3, 6, 7)]) == (0, "")
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


# file, what happens to it, the stage that needs it, the stage that makes it
CASES = [
    ("clips/wav/c.Bark0.wav", gone, 3, 2),
    ("clips/wav/c.Bark0.wav", longer, 3, 2),
    ("clips/energies.f32", gone, 3, 2),
    ("clips/energies.f32", shorter, 3, 2),
    ("clips/utt2num_samples", gone, 3, 2),
    ("clips/.done", gone, 3, 2),
    ("mix/wav/mixture/mix00001.wav", gone, 6, 3),
    ("mix/wav/mixture/mix00001.wav", longer, 7, 3),
    ("mix/utt2class", gone, 6, 3),
    ("mix/wav/target/mix00001.wav", gone, 7, 3),
    ("mix/wav/other/mix00001.wav", longer, 7, 3),
    ("mix/mixtures.jsonl", gone, 7, 3),
    ("mix/mixtures.jsonl", shorter, 7, 3),
    ("exp/infer/mix/class/wav/mix00001_target.wav", gone, 7, 6),
    ("exp/infer/mix/class/wav/mix00001_target.wav", longer, 7, 6),
    ("exp/infer/mix/class/spk1.scp", gone, 7, 6),
    ("exp/infer/mix/scores.csv", gone, 8, 7),
    ("exp/infer/mix/scores.csv", shorter, 8, 7),
]


@pytest.mark.parametrize("name, change, needed_by, made_by", CASES)
def test_it_is_named_and_made_again(pipeline, children, name, change, needed_by, made_by):
    folder, commands = pipeline.folder, pipeline.commands
    main, argv = commands[needed_by]
    for option in ("--out", "--estimates"):  # the stage that needs it shall have to work
        if option in argv and needed_by != 7:
            argv = [*argv, option, str(folder / "fresh")]
    change(folder / name)
    for table in folder.glob("exp/infer/mix/scores.json"):
        table.unlink()
    if needed_by == 3:  # each clip is needed by one mixture or another
        argv = [*argv, "--num_mixtures", "60"]
    status, message = children.run([(main, argv)])
    shutil.rmtree(folder / "fresh", ignore_errors=True)
    assert status == 1 and "\n" not in message
    assert str((folder / name).parent) in message, message
    assert f"stage {made_by}" in message, message
    assert children.run([commands[number] for number in (made_by, 7)]) == (0, "")
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

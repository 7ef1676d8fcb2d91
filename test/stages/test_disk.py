"""A disk that is full, or read-only: one line that names a file, and nothing half-written.

The disk is a tmpfs in a mount namespace of its own; where none is allowed the tests are skipped.
"""

import re

import pytest

PAGE = 4096
ROOM = 64 * 2**20


def pages(files):
    return sum(-(-len(data) // PAGE) for data in files.values())


def assert_one_line(end, stage, reason):
    status, message = end
    assert status == 1 and "\n" not in message, message
    named = re.fullmatch(rf"error: (\S+?): (.*: )?{reason}", message)
    assert named and named[1].startswith(str(stage.out)), message


def assert_whole(stage, children, reference):
    """What has its final name is what it shall be; nothing temporary is left."""
    for name, data in children.contents(stage.out).items():
        assert ".tmp" not in name
        assert name not in reference or data == reference[name] or name == "scores.csv", name


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_full(stage, children, references, disk, share):
    if stage.name == "report" and share == 0.1:
        pytest.skip("figures take long, once is enough")
    reference, _ = references(stage)
    before = pages(children.contents(stage.out))
    size = PAGE * (before + int(share * (pages(reference) - before)))

    def work():
        small = disk(stage.out.parent, ROOM)
        stage.reset()
        small.resize(max(PAGE, size))
        assert_one_line(children.run_all(stage.commands), stage, "No space left on device")
        assert_whole(stage, children, reference)
        small.resize(ROOM)
        assert children.run_all(stage.commands) == (0, "")
        assert children.contents(stage.out) == reference

    children.do(work)


def test_read_only(stage, children, references, disk):
    reference, _ = references(stage)

    def work():
        other = disk(stage.out.parent, ROOM)
        stage.reset()
        other.read_only()
        before = children.contents(stage.out.parent)
        assert_one_line(children.run_all(stage.commands), stage, "Read-only file system")
        assert children.contents(stage.out.parent) == before

    children.do(work)


def test_what_is_complete_may_be_read_only(stage, children, references, disk):
    if stage.name == "report":
        pytest.skip("a report is always written again")
    references(stage)

    def work():
        other = disk(stage.out.parent, ROOM)
        stage.reset()
        assert children.run_all(stage.commands) == (0, "")
        other.read_only()
        assert children.run_all([*stage.commands, *stage.whole]) == (0, "")

    children.do(work)


@pytest.fixture
def preparations(tmp_path_factory, tiny_experiment):
    """Name -> (command, where it writes): the stages around those that work in parts."""
    import numpy as np
    import soundfile

    from tsx_espnet.bin import pack, prepare

    root = tmp_path_factory.mktemp("corpora")
    audio = np.random.default_rng(0).uniform(-0.1, 0.1, 800)
    fsd, kaggle = root / "fsd50k", root / "kaggle"
    for folder in ("dev_audio", "eval_audio", "ground_truth"):
        (fsd / f"FSD50K.{folder}").mkdir(parents=True)
    rows = [f"{number},Bark,/m/1,{'train' if number % 2 else 'val'}" for number in range(900)]
    truth = fsd / "FSD50K.ground_truth"
    (truth / "vocabulary.csv").write_text("0,Bark,/m/1\n")
    (truth / "dev.csv").write_text("\n".join(["fname,labels,mids,split", *rows]) + "\n")
    (truth / "eval.csv").write_text("fname,labels,mids\n900,Bark,/m/1\n")
    for number in range(901):
        (fsd / f"FSD50K.{'eval' if number == 900 else 'dev'}_audio" / f"{number}.wav").touch()
    for folder in ("audio_train", "audio_test", "meta"):
        (kaggle / f"FSDKaggle2018.{folder}").mkdir(parents=True)
    meta = kaggle / "FSDKaggle2018.meta"
    for name, column, value, file in (
        ("train", "manually_verified", "1", "train_post_competition"),
        ("test", "usage", "Public", "test_post_competition_scoring_clips"),
    ):
        lines = [f"{name}{n}.wav,Bark,{value},{n},CC" for n in range(300)]
        header = f"fname,label,{column},freesound_id,license"
        (meta / f"{file}.csv").write_text("\n".join([header, *lines]) + "\n")
        for n in range(300):
            (kaggle / f"FSDKaggle2018.audio_{name}" / f"{name}{n}.wav").touch()
    (root / "noise").mkdir()
    for number in range(200):
        (root / "noise" / f"a_recording_{number}.wav").touch()
    soundfile.write(root / "noise" / "one.wav", audio, 8000)
    out = root / "out"
    out.mkdir()
    return {
        "pack": ([pack.main, ["--exp", str(tiny_experiment), "--out", str(out / "x.zip")]], out),
        "prepare_mini": (
            [
                prepare.main,
                [
                    "mini",
                    "--out",
                    str(out / "m"),
                    "--data",
                    str(out / "data"),
                    "--clips_per_class",
                    "10",
                ],
            ],
            out,
        ),
        "prepare_noise": (
            [prepare.main, ["noise", "--noise", str(root / "noise"), "--data", str(out / "noise")]],
            out,
        ),
        "prepare_fsd50k": (
            [prepare.main, ["fsd50k", "--fsd50k", str(fsd), "--data", str(out / "data")]],
            out,
        ),
        "prepare_fsdkaggle2018": (
            [
                prepare.main,
                [
                    "fsdkaggle2018",
                    "--fsdkaggle2018",
                    str(kaggle),
                    "--data",
                    str(out / "data"),
                    "--min_clips",
                    "0",
                ],
            ],
            out,
        ),
    }


@pytest.mark.parametrize(
    "name", ["pack", "prepare_mini", "prepare_noise", "prepare_fsd50k", "prepare_fsdkaggle2018"]
)
def test_corpora_and_archives(preparations, children, disk, name):
    """No room for two thirds of it, then a read-only disk, then room."""
    command, out = preparations[name]
    place = type("Place", (), {"out": out})

    def work():
        small = disk(out, 16 * PAGE if name == "prepare_mini" else PAGE)
        assert_one_line(children.run_all([command]), place, "No space left on device")
        left = children.contents(out)
        assert not [path for path in left if ".tmp" in path]
        assert "x.zip" not in left
        small.resize(ROOM)
        assert children.run_all([command] if name != "prepare_mini" else []) == (0, "")
        small.read_only()
        if name != "prepare_mini":
            assert_one_line(children.run_all([command]), place, "Read-only file system")

    children.do(work)

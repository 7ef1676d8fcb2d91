"""FSDKaggle2018 as it ships, whole and broken, and new classes from it or from FSD50K."""

import pytest

from tsx_espnet.bin import prepare as command
from tsx_espnet.corpora.fsdkaggle2018 import NEW_CLASSES, prepare
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import read_table

LABELS = {"Bark": 20, "Meow": 10, "Gong": 4, "Oboe": 1}  # clips of the training set
TEST = {"Bark": 3, "Meow": 2, "Gong": 2}
KAGGLE = """Acoustic_guitar Applause Bark Bass_drum Burping_or_eructation Bus Cello Chime Clarinet
    Computer_keyboard Cough Cowbell Double_bass Drawer_open_or_close Electric_piano Fart
    Finger_snapping Fireworks Flute Glockenspiel Gong Gunshot_or_gunfire Harmonica Hi-hat
    Keys_jangling Knock Laughter Meow Microwave_oven Oboe Saxophone Scissors Shatter Snare_drum
    Squeak Tambourine Tearing Telephone Trumpet Violin_or_fiddle Writing"""  # its 41 classes
TRAIN_CSV = "train_post_competition.csv"
TEST_CSV = "test_post_competition_scoring_clips.csv"


@pytest.fixture
def root(tmp_path):
    """The corpus as it ships, with empty audio files (preparing reads none)."""
    root = tmp_path / "FSDKaggle2018"
    train = ["fname,label,manually_verified,freesound_id,license"]
    test = ["fname,label,usage,freesound_id,license"]
    number = 0
    for lines, labels, flags in ((train, LABELS, "01"), (test, TEST, ("Public", "Private"))):
        for label, count in labels.items():
            for _ in range(count):
                number += 1
                flag = flags[number % 2]
                lines.append(f"{number:08x}.wav,{label},{flag},{1000 + number},CC0")
    (root / "FSDKaggle2018.meta").mkdir(parents=True)
    for name, lines, folder in ((TRAIN_CSV, train, "train"), (TEST_CSV, test, "test")):
        (root / "FSDKaggle2018.meta" / name).write_text("\n".join(lines) + "\n")
        (root / f"FSDKaggle2018.audio_{folder}").mkdir()
        for line in lines[1:]:
            (root / f"FSDKaggle2018.audio_{folder}" / line.split(",")[0]).touch()
    return root


def edit(root, name, old, new):
    path = root / "FSDKaggle2018.meta" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def read(directory):
    """id -> (label, path) of a data directory."""
    tables = [
        dict(line.split(maxsplit=1) for line in (directory / name).read_text().splitlines())
        for name in ("utt2labels", "wav.scp")
    ]
    assert tables[0].keys() == tables[1].keys() and list(tables[0]) == sorted(tables[0])
    return {name: (label, tables[1][name]) for name, label in tables[0].items()}


def count(clips):
    labels = [label for label, _ in clips.values()]
    return {label: labels.count(label) for label in sorted(set(labels))}


def refusal(root, tmp_path, **options):
    with pytest.raises(TSXError) as caught:
        prepare(root, tmp_path / "data", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()
    return str(caught.value)


def test_the_corpus_as_it_ships(root, tmp_path, capsys):
    data = tmp_path / "data"
    command.main(["fsdkaggle2018", "--fsdkaggle2018", str(root), "--data", str(data)])
    out = capsys.readouterr().out.splitlines()
    assert out == [
        f"{data}/train: 29 clips of 4 classes",
        f"{data}/valid: 6 clips of 3 classes",
        f"{data}/test: 7 clips of 3 classes",
    ]
    train, valid, test = (read(data / name) for name in ("train", "valid", "test"))
    # two clips at least, half of them at most; a single clip is for training
    assert count(valid) == {"Bark": 2, "Meow": 2, "Gong": 2}
    assert count(train) == {"Bark": 18, "Meow": 8, "Gong": 2, "Oboe": 1}
    assert count(test) == TEST and not train.keys() & valid.keys()
    for name in ("train", "valid", "test"):
        recordings = read_table(data / name / "utt2recording")
        assert recordings == {clip: str(1000 + int(clip, 16)) for clip in read(data / name)}
    assert test["00000024"] == ("Bark", f"{root}/FSDKaggle2018.audio_test/00000024.wav")
    assert not (data / "new_train").exists()


def test_the_split_is_the_same_each_time_and_a_share_can_be_chosen(root, tmp_path):
    first = prepare(root, tmp_path / "one").sets
    assert prepare(root, tmp_path / "two").sets == first
    more = prepare(root, tmp_path / "three", valid_share=0.5).sets["valid"]
    assert set(first["valid"]) <= set(more)
    assert count(read(tmp_path / "three" / "valid")) == {"Bark": 10, "Meow": 5, "Gong": 2}
    # a class does not care which other clips there are
    edit(root, TRAIN_CSV, "00000001.wav,Bark", "00000001.wav,Meow")
    later = prepare(root, tmp_path / "four").sets["valid"]
    gongs = [{n for n, c in sets.items() if c.label == "Gong"} for sets in (first["valid"], later)]
    assert gongs[0] == gongs[1]


def test_no_valid_set(root, tmp_path):
    prepare(root, tmp_path / "data")
    assert set(prepare(root, tmp_path / "data", valid_share=0).sets) == {"train", "test"}
    assert count(read(tmp_path / "data" / "train")) == LABELS
    assert not (tmp_path / "data" / "valid" / "wav.scp").exists()  # of the first time


def test_clips_of_one_recording_stay_together(root, tmp_path):
    text = (root / "FSDKaggle2018.meta" / TRAIN_CSV).read_text().splitlines()
    rows = [line.split(",") for line in text]
    for number, row in enumerate(rows[1:]):
        row[3] = str(number // 2)
    (root / "FSDKaggle2018.meta" / TRAIN_CSV).write_text("\n".join(map(",".join, rows)) + "\n")
    sets = prepare(root, tmp_path / "data", valid_share=0.3).sets
    recordings = [{clip.recording for clip in sets[name].values()} for name in ("train", "valid")]
    assert recordings[1] and not recordings[0] & recordings[1]


def test_flags(root, tmp_path):
    verified = prepare(root, tmp_path / "verified", verified_only=True).sets
    assert len(verified["train"]) + len(verified["valid"]) == 18
    numbers = [int(name, 16) for name in {**verified["train"], **verified["valid"]}]
    assert all(number % 2 for number in numbers)
    public = prepare(root, tmp_path / "a", test_usage="Public").sets["test"]
    private = prepare(root, tmp_path / "b", test_usage="Private").sets["test"]
    assert len(public) + len(private) == 7 and not public.keys() & private.keys()
    edit(root, TEST_CSV, "00000024.wav,Bark,Public", "00000024.wav,None,Ignored")
    assert len(prepare(root, tmp_path / "c").sets["test"]) == 6


def test_small_classes_are_left_out_and_named(root, tmp_path, capsys):
    words = [
        "fsdkaggle2018",
        "--fsdkaggle2018",
        str(root),
        "--data",
        str(tmp_path / "data"),
        "--min_clips",
        "2",
    ]
    command.main(words)
    assert "classes left out (--min_clips 2): Oboe" in capsys.readouterr().out
    assert set(count(read(tmp_path / "data" / "train"))) == {"Bark", "Meow", "Gong"}
    with pytest.raises(TSXError, match="no clip is left of 4 classes .* 4 of them under 99 clips"):
        prepare(root, tmp_path / "x", min_clips=99)


class TestNewClasses:
    def test_held_out_of_all_three_sets(self, root, tmp_path):
        data = tmp_path / "data"
        prepare(root, data, new_classes=["Meow", "Gong"], examples=[1, 4])
        assert count(read(data / "new_train")) == {"Meow": 10, "Gong": 4}
        assert count(read(data / "new_test")) == {"Meow": 2, "Gong": 2}
        for name in ("train", "valid", "test"):
            assert not {"Meow", "Gong"} & set(count(read(data / name)))
        # chosen anew: no table of the earlier choice is left
        prepare(root, data)
        for name in ("new_train", "new_test", "new_enroll_1", "new_enroll_4"):
            assert not list((data / name).iterdir())

    def test_examples(self, root, tmp_path):
        data = tmp_path / "data"
        words = [
            "fsdkaggle2018",
            "--fsdkaggle2018",
            str(root),
            "--data",
            str(data),
            "--new_classes",
            "Meow",
        ]
        command.main(words)  # 1, 5 and 10, as in the paper
        sets = {number: read(data / f"new_enroll_{number}") for number in (1, 5, 10)}
        train = read(data / "new_train")
        ranked = list(sets[10].items())
        assert [name[:3] for name, _ in ranked] == [f"{rank:02d}_" for rank in range(1, 11)]
        assert {name[3:]: row for name, row in ranked} == train  # all ten there are, once
        for number, clips in sets.items():
            assert list(clips.items()) == ranked[:number]
        # again: the first draw is the same, the next another, and no table of before is left
        command.main([*words, "--examples", "3", "--num_draws", "2"])
        first, second = (read(data / f"new_enroll_3{draw}") for draw in ("", "_draw1"))
        assert list(first.items()) == ranked[:3] and len(second) == 3
        assert {name[3:] for name in second} != {name[3:] for name in first}
        assert not any((data / f"new_enroll_{number}" / "wav.scp").exists() for number in sets)
        command.main([*words, "--examples", ""])
        assert not list(data.glob("new_enroll_*/*"))
        assert read(data / "new_train") == train

    def test_examples_of_different_recordings_come_first(self, root, tmp_path):
        meows = range(21, 31)  # clips in hexadecimal
        for number in meows:
            edit(root, TRAIN_CSV, f",{1000 + number},", f",{2000 + number // 4},")
        sets = prepare(root, tmp_path / "data", new_classes=["Meow"], examples=[3]).sets
        assert len({clip.recording for clip in sets["new_enroll_3"].values()}) == 3

    def test_examples_are_no_recordings_of_the_test_set(self, root, tmp_path):
        """Clips 39 and 40 are the Meows of the test set."""
        for number in range(21, 29):
            edit(root, TRAIN_CSV, f",{1000 + number},", f",{1039 + number % 2},")
        sets = prepare(root, tmp_path / "data", new_classes=["Meow"], examples=[2]).sets
        assert len(sets["new_train"]) == 10
        found = {clip.recording for clip in sets["new_enroll_2"].values()}
        assert found == {"1029", "1030"}
        for number in (29, 30):
            edit(root, TRAIN_CSV, f",{1000 + number},", ",1039,")
        with pytest.raises(TSXError, match="'Meow': all recordings in new_train are in new_test"):
            prepare(root, tmp_path / "data", new_classes=["Meow"], examples=[2])

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"new_classes": ["Mew"]}, "new class 'Mew': not in FSDKaggle2018; did you mean Meow?"),
            ({"new_classes": ["Oboe"]}, "new class 'Oboe': expected 1 clips or more in new_test"),
            ({"new_classes": ["Gong"], "min_clips": 3}, "'Gong': expected 3 clips or more in new"),
            ({"new_classes": list(LABELS)[:3]}, "valid: no clip is left of 1 classes that are not"),
            ({"new_classes": ["Gong", "Meow"]}, "10 of each new class are wanted; found too few"),
            ({"new_classes": ["Gong", "Meow"]}, "clips in new_train of Gong (4)"),
            ({"new_classes": ["Gong"], "examples": [0]}, "numbers from 1 to 99, found 0"),
        ],
    )
    def test_refusals(self, root, tmp_path, options, message):
        assert message in refusal(root, tmp_path, **options)

    @pytest.fixture
    def fsd50k(self, tmp_path):
        """Sirens, some of them with a dog or a car, one of them in FSDKaggle2018 too."""
        root = tmp_path / "FSD50K"
        dev = {
            "1": "Siren,Alarm,Vehicle",
            "2": "Siren,Alarm,Vehicle",
            "3": "Siren,Alarm,Vehicle,Bark,Dog",
            "4": "Alarm,Vehicle",
            "5": "Car,Vehicle",
            "1001": "Siren,Alarm,Vehicle",
        }
        test = {"6": "Alarm,Siren,Vehicle", "7": "Siren,Alarm,Vehicle,Car", "8": "Car,Vehicle"}
        truth = root / "FSD50K.ground_truth"
        truth.mkdir(parents=True)
        words = sorted({x for own in (*dev.values(), *test.values()) for x in own.split(",")})
        (truth / "vocabulary.csv").write_text(
            "".join(f"{n},{word},/m/{n}\n" for n, word in enumerate(words))
        )
        lines = [f'{n},"{own}",m,{"val" if n == "2" else "train"}\n' for n, own in dev.items()]
        (truth / "dev.csv").write_text("fname,labels,mids,split\n" + "".join(lines))
        lines = [f'{n},"{own}",m\n' for n, own in test.items()]
        (truth / "eval.csv").write_text("fname,labels,mids\n" + "".join(lines))
        for folder, names in (("dev", dev), ("eval", test)):
            (root / f"FSD50K.{folder}_audio").mkdir()
            for name in names:
                (root / f"FSD50K.{folder}_audio" / f"{name}.wav").touch()
        return root

    def test_of_fsd50k(self, root, fsd50k, tmp_path):
        data = tmp_path / "data"
        words = [
            "fsdkaggle2018",
            "--fsdkaggle2018",
            str(root),
            "--data",
            str(data),
            "--fsd50k",
            str(fsd50k),
        ]
        command.main([*words, "--new_classes", "Siren,Car", "--examples", "1"])
        assert read(data / "new_train") == {
            "fsd50k_1": ("Siren", f"{fsd50k}/FSD50K.dev_audio/1.wav"),
            "fsd50k_2": ("Siren", f"{fsd50k}/FSD50K.dev_audio/2.wav"),
            "fsd50k_5": ("Car", f"{fsd50k}/FSD50K.dev_audio/5.wav"),
        }  # 1001 is a recording of FSDKaggle2018, 3 has a dog
        assert read(data / "new_test") == {
            "fsd50k_6": ("Siren", f"{fsd50k}/FSD50K.eval_audio/6.wav"),
            "fsd50k_8": ("Car", f"{fsd50k}/FSD50K.eval_audio/8.wav"),
        }
        assert count(read(data / "train"))["Bark"] == 18  # nothing is taken from ours
        assert {"01_fsd50k_5"} < set(read(data / "new_enroll_1"))
        assert count(read(data / "new_enroll_1")) == {"Car": 1, "Siren": 1}

    def test_new_classes_of_fsd50k_by_default(self, root, fsd50k, tmp_path):
        assert len(set(NEW_CLASSES)) == 10 and not set(NEW_CLASSES) & set(KAGGLE.split())
        truth = fsd50k / "FSD50K.ground_truth"
        of_sirens = {"Siren": "Siren,Alarm,Vehicle"}  # as in the rest of this FSD50K
        for name, split, first in (("dev", ",train", 5000), ("eval", "", 6000)):
            for number, label in enumerate(NEW_CLASSES, start=first):
                with open(truth / f"{name}.csv", "a") as stream:
                    stream.write(f'{number},"{of_sirens.get(label, label)}",m{split}\n')
                (fsd50k / f"FSD50K.{name}_audio" / f"{number}.wav").touch()
        with open(truth / "vocabulary.csv", "a") as stream:
            new = [label for label in NEW_CLASSES if label not in of_sirens]
            stream.writelines(f"{n},{label},/m/{n}\n" for n, label in enumerate(new, start=100))
        sets = prepare(root, tmp_path / "data", fsd50k=fsd50k, examples=[1]).sets
        for name in ("new_train", "new_test", "new_enroll_1"):
            assert {clip.label for clip in sets[name].values()} == set(NEW_CLASSES)
        assert not {clip.label for clip in sets["train"].values()} & set(NEW_CLASSES)

    def test_refusals_of_fsd50k(self, root, fsd50k, tmp_path):
        message = refusal(root, tmp_path, new_classes=["Sirene"], fsd50k=fsd50k)
        assert message == "new class 'Sirene': not in FSD50K; did you mean Siren?"
        message = refusal(root, tmp_path, new_classes=["Bark"], fsd50k=fsd50k)
        assert "new class 'Bark': a class of FSDKaggle2018; choose another one" in message
        message = refusal(root, tmp_path, new_classes=["Alarm"], fsd50k=fsd50k)
        assert "new class 'Alarm': expected 1 clips or more in new_test, found 0" in message
        (fsd50k / "FSD50K.dev_audio" / "5.wav").unlink()
        message = refusal(root, tmp_path, new_classes=["Car"], fsd50k=fsd50k)
        assert "1 of the 1 files of the train set of FSD50K are missing" in message


@pytest.mark.parametrize(
    "name, old, new, expected",
    [
        (TRAIN_CSV, "manually_verified", "verified", ": no column 'manually_verified', found"),
        (TRAIN_CSV, "fname,label", "file,label", ": no column 'fname', found file"),
        (TEST_CSV, "usage", "split", ": no column 'usage', found fname"),
        (TRAIN_CSV, "00000001.wav", "00000001", ":2: expected a file name that ends in .wav"),
        (TRAIN_CSV, "00000001.wav", "../x.wav", ":2: id '../x'"),
        (TRAIN_CSV, "00000002.wav", "00000001.wav", ":3: clip 00000001 occurs twice, first at"),
        (TRAIN_CSV, "00000001.wav,Bark,1", "00000001.wav,Bark,yes", ":2: manually_verified: expec"),
        (TRAIN_CSV, "00000001.wav,Bark", "00000001.wav,", ":2: expected a label without space"),
        (TRAIN_CSV, "00000001.wav,Bark", "00000001.wav,Big dog", ":2: expected a label without"),
        (TRAIN_CSV, "00000001.wav,Bark,", "00000001.wav,", ":2: expected 5 fields, found 4"),
        (TEST_CSV, "00000024.wav,Bark", "00000024.wav,Brak",
         ":2: label 'Brak' does not occur in train_post_competition.csv; did you mean Bark?"),
        (TEST_CSV, "Public", "public", ":2: usage: expected Public or Private or Ignored, found"),
    ],
)  # fmt: skip
def test_a_malformed_csv_is_named_with_its_line(root, tmp_path, name, old, new, expected):
    edit(root, name, old, new)
    assert f"{root}/FSDKaggle2018.meta/{name}{expected}" in refusal(root, tmp_path)


def test_a_clip_in_both_sets(root, tmp_path):
    edit(root, TEST_CSV, "00000024.wav", "00000001.wav")
    message = refusal(root, tmp_path)
    assert "clip 00000001 is in the training set and in the test set" in message


def test_a_wrong_directory_says_what_was_expected_and_where_it_is(root, tmp_path):
    message = refusal(tmp_path / "nowhere", tmp_path)
    for words in ("nowhere: no such directory", "FSDKaggle2018.audio_train", TRAIN_CSV, "zenodo"):
        assert words in message
    assert "no FSDKaggle2018.audio_train" in refusal(root.parent, tmp_path)
    (root / "FSDKaggle2018.meta" / TEST_CSV).unlink()
    assert f"{TEST_CSV}: no such file" in refusal(root, tmp_path)


def test_a_clip_or_two_missing_are_counted_and_more_are_an_incomplete_download(
    root, tmp_path, capsys
):
    (root / "FSDKaggle2018.audio_train" / "00000003.wav").unlink()
    command.main(["fsdkaggle2018", "--fsdkaggle2018", str(root), "--data", str(tmp_path / "one")])
    out = capsys.readouterr().out
    assert "1 clips of the train set left out as their audio file is missing" in out
    (root / "FSDKaggle2018.audio_train" / "00000004.wav").unlink()
    message = refusal(root, tmp_path)
    assert "2 of the 35 files of the train set are missing (00000003.wav ...)" in message


@pytest.mark.parametrize(
    "options, message",
    [
        ({"valid_share": 0.6}, r"valid_share: expected a number in [0, 0.5], found 0.6"),
        ({"valid_share": float("nan")}, "valid_share: expected a number"),
        ({"min_clips": -1}, "min_clips: expected at least 0, found -1"),
        ({"test_usage": "public"}, "test_usage: expected all, Public or Private, found 'public'"),
    ],
)
def test_options(root, tmp_path, options, message):
    assert message in refusal(root, tmp_path, **options)

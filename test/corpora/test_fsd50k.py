import pytest

from tsx_espnet.bin import prepare as command
from tsx_espnet.corpora.fsd50k import prepare
from tsx_espnet.errors import TSXError

VOCABULARY = (
    "0,Bark,/m/05tny_\n1,Dog,/m/0bt9lr\n2,Animal,/m/0jbk\n3,Rain,/m/06mb1\n4,Water,/m/0838f\n"
)
DEV = """fname,labels,mids,split
64760,"Bark,Dog,Animal","/m/05tny_,/m/0bt9lr,/m/0jbk",train
16399,"Rain,Water","/m/06mb1,/m/0838f",train
16401,Rain,/m/06mb1,val
"""
EVAL = """fname,labels,mids
37199,"Bark,Dog,Animal","/m/05tny_,/m/0bt9lr,/m/0jbk"
"""


@pytest.fixture
def root(tmp_path):
    """The corpus as it ships, with empty audio files (preparing reads none)."""
    root = tmp_path / "FSD50K"
    for folder, names in (("dev", ("64760", "16399", "16401")), ("eval", ("37199",))):
        (root / f"FSD50K.{folder}_audio").mkdir(parents=True)
        for name in names:
            (root / f"FSD50K.{folder}_audio" / f"{name}.wav").touch()
    (root / "FSD50K.ground_truth").mkdir()
    for name, text in (("vocabulary", VOCABULARY), ("dev", DEV), ("eval", EVAL)):
        (root / "FSD50K.ground_truth" / f"{name}.csv").write_text(text)
    return root


def edit(root, name, old, new):
    path = root / "FSD50K.ground_truth" / f"{name}.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refusal(root, tmp_path):
    with pytest.raises(TSXError) as caught:
        prepare(root, tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()
    return str(caught.value)


def test_the_corpus_as_it_ships(root, tmp_path, capsys):
    command.main(["fsd50k", "--fsd50k", str(root), "--data", str(tmp_path / "data")])
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{tmp_path}/data/train: 2 clips"
    expected = {
        "train": ["16399 Rain,Water", "64760 Bark,Dog,Animal"],
        "valid": ["16401 Rain"],
        "test": ["37199 Bark,Dog,Animal"],
    }
    for name, labels in expected.items():
        directory = tmp_path / "data" / name
        assert (directory / "utt2labels").read_text().splitlines() == labels
        folder = root / f"FSD50K.{'eval' if name == 'test' else 'dev'}_audio"
        ids = [line.split()[0] for line in labels]
        scp = [f"{i} {folder}/{i}.wav" for i in ids]
        assert (directory / "wav.scp").read_text().splitlines() == scp


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(root, tmp_path):
    path = root / "FSD50K.ground_truth" / "dev.csv"
    path.write_bytes(b"\xef\xbb\xbf" + DEV.replace("\n", "\r\n").encode())
    assert prepare(root, tmp_path / "data")["train"] == (2, 0)


def test_a_missing_directory_says_what_was_expected_and_where_it_is(tmp_path):
    message = refusal(tmp_path / "nowhere", tmp_path)
    for words in ("nowhere: no such directory", "FSD50K.dev_audio", "FSD50K.eval_audio", "dev.csv"):
        assert words in message
    assert "https://zenodo.org/record/4060432" in message


def test_a_foreign_directory_says_what_is_there_instead(tmp_path):
    foreign = tmp_path / "ESC-50"
    for name in ("audio", "meta"):
        (foreign / name).mkdir(parents=True)
    message = refusal(foreign, tmp_path)
    assert "no FSD50K.dev_audio, FSD50K.eval_audio, FSD50K.ground_truth in it" in message
    assert "found audio, meta;" in message and "zenodo.org/record/4060432" in message


@pytest.mark.parametrize("name", ["dev.csv", "eval.csv", "vocabulary.csv"])
def test_a_missing_csv(root, tmp_path, name):
    (root / "FSD50K.ground_truth" / name).unlink()
    assert f"{name}: no such file" in refusal(root, tmp_path)


@pytest.mark.parametrize(
    "name, old, new, expected",
    [
        ("dev", "labels,mids", "tags,mids", "dev.csv: no column 'labels', found fname, tags, mids"),
        ("dev", ",split", "", "dev.csv: no column 'split', found fname, labels, mids"),
        ("eval", "fname,", "file,", "eval.csv: no column 'fname', found file"),
        ("dev", "Rain,Water", "Rian,Water",
         "dev.csv:3: clip 16399 has label 'Rian', which is not in vocabulary.csv; did you"),
        ("dev", "16401,Rain", '16401,""', "dev.csv:4: clip 16401 has label ''"),
        ("dev", "16401", "64760", "dev.csv:4: clip 64760 occurs twice, first at"),
        ("eval", "37199", "64760", "eval.csv:2: clip 64760 occurs twice, first at"),
        ("dev", "16401", "../../etc/passwd", "dev.csv:4: id '../../etc/passwd'"),
        ("dev", "16401", "/etc/passwd", "dev.csv:4: id '/etc/passwd'"),
        ("dev", ",val", ",test", "dev.csv:4: clip 16401 has split 'test', expected train or val"),
        ("dev", ",val", ",val,x", "dev.csv:4: expected 4 fields, found 5"),
        ("dev", ",val", "", "dev.csv:4: expected 4 fields, found 3"),
        ("dev", ",val", ",train", "valid set: no clip in"),
        ("dev", '"Rain,Water"', '"Rain,Water', "dev.csv:3: not CSV"),
        ("dev", DEV, "", "dev.csv: the file is empty"),
        ("eval", EVAL, "fname,labels,mids\n", "eval.csv: a header, but not one clip"),
        ("vocabulary", VOCABULARY, "", "vocabulary.csv: the file is empty"),
        ("vocabulary", "1,Dog,/m/0bt9lr", "1,Dog", "vocabulary.csv:2: expected 'index,label,mid'"),
        ("vocabulary", "0,Bark", "index,label,mid\n0,Bark", "vocabulary.csv:1: expected 'index,la"),
        ("vocabulary", "1,Dog", "1,Bark", "vocabulary.csv:2: label 'Bark' occurs twice"),
    ],
)  # fmt: skip
def test_a_malformed_csv_is_named_with_its_line(root, tmp_path, name, old, new, expected):
    edit(root, name, old, new)
    message = refusal(root, tmp_path)
    assert expected in message and str(root) in message


def test_a_csv_that_is_not_utf8(root, tmp_path):
    path = root / "FSD50K.ground_truth" / "eval.csv"
    path.write_bytes(EVAL.encode().replace(b"Dog", b"D\xf6g"))
    assert "eval.csv: not UTF-8 text" in refusal(root, tmp_path)


def test_a_few_missing_files_are_counted_and_many_are_an_incomplete_download(
    root, tmp_path, capsys
):
    audio = root / "FSD50K.dev_audio"
    rows = "".join(f"{n},Rain,/m/06mb1,train\n" for n in range(100, 198))
    edit(root, "dev", "fname,labels,mids,split\n", "fname,labels,mids,split\n" + rows)
    for number in range(100, 198):
        (audio / f"{number}.wav").touch()
    for number in (100, 101, 102):
        (audio / f"{number}.wav").unlink()
    assert prepare(root, tmp_path / "data") == {"train": (97, 3), "valid": (1, 0), "test": (1, 0)}
    assert "100 " not in (tmp_path / "data" / "train" / "wav.scp").read_text()
    command.main(["fsd50k", "--fsd50k", str(root), "--data", str(tmp_path / "data")])
    assert "97 clips, 3 left out as their audio file is missing" in capsys.readouterr().out
    (audio / "103.wav").unlink()
    message = refusal(root, tmp_path / "other")
    assert "4 of the 100 files of the train set are missing (100.wav ...)" in message
    assert "incomplete download?" in message and "zenodo.org" in message

import hashlib

import pytest

from tsx_espnet.clips.datadir import DataDir
from tsx_espnet.errors import TSXError


def write(path, scp="b /x/b.wav\na /x/a.wav\n", labels="a Bark,Dog\nb Rain\n", **tables):
    (path / "wav.scp").write_text(scp)
    for name, text in {"utt2labels": labels, **tables}.items():
        if text is not None:
            (path / name).write_text(text, encoding="utf-8")
    return path


def test_read(tmp_path):
    clips = DataDir.read(write(tmp_path, text='b ["light rain"]\nz ["unknown clip"]\n'))
    assert list(clips.wavs) == ["a", "b"]
    assert clips.labels == {"a": ("Bark", "Dog"), "b": ("Rain",)}
    assert clips.captions == {"b": ("light rain",)} and clips.phrases == {}


def test_the_recordings_of_clips(tmp_path):
    """Some may be unknown; without the table the checksum is what it was before there was one."""
    clips = DataDir.read(write(tmp_path))
    tables = (tmp_path / "wav.scp").read_bytes() + (tmp_path / "utt2labels").read_bytes()
    before = hashlib.sha256(tables).hexdigest()
    assert clips.recordings == {} and clips.checksum() == before
    clips = DataDir.read(write(tmp_path, utt2recording="b take 7\nz 12\n"))
    assert clips.recordings == {"b": "take 7"} and clips.checksum() != before


def test_clips_without_labels(tmp_path):
    """Captions as people write them: a bracket in front, commas, other scripts, several."""
    texts = {
        "a": "[Music] A man, a dog, and rain.",
        "b": '["一只狗在叫", "Ein Hund bellt, \\u00fcberall.", "Woof"]',
        "c": "n/a",
    }
    text = "".join(f"{name} {value}\n" for name, value in texts.items())
    scp = "".join(f"{name} /x/{name}.wav\n" for name in "abc")
    phrases = 'a ["a man", "a dog", "rain"]\n'
    clips = DataDir.read(write(tmp_path, scp, "c Rain\n", text=text, utt2phrases=phrases))
    assert clips.labels == {"c": ("Rain",)} and clips.captions["c"] == ()
    assert clips.captions["a"] == (texts["a"],)
    assert clips.captions["b"] == ("一只狗在叫", "Ein Hund bellt, überall.", "Woof")
    assert clips.phrases == {"a": ("a man", "a dog", "rain")}
    (tmp_path / "utt2labels").unlink()
    (tmp_path / "wav.scp").write_text("a /x/a.wav\nb /x/b.wav\n")
    assert DataDir.read(tmp_path).labels == {}


def test_the_older_name_of_text(tmp_path):
    clips = DataDir.read(write(tmp_path, utt2captions='b ["light rain"]\n'))
    assert clips.captions == {"b": ("light rain",)}
    (tmp_path / "text").write_text("b heavy rain\n")
    with pytest.raises(TSXError, match="expected text or utt2captions .*, found both"):
        DataDir.read(tmp_path)


@pytest.mark.parametrize(
    "tables, message",
    [
        (dict(scp=""), "wav.scp: not one clip"),
        (dict(scp="a\n"), "wav.scp:1: expected 'id value'"),
        (dict(scp="a /x\na /y\n"), "wav.scp:2: id 'a' occurs twice"),
        (dict(scp="../a /x\n"), "wav.scp:1: id '../a'"),
        (dict(scp="a /x\n\nb sph2pipe b |\n"), "wav.scp:3: expected a file, found the command"),
        (dict(labels="a Bark\n"), "wav.scp:1: clip 'b' is not in .*utt2labels"),
        (dict(labels="a Bark\nb Rain\na Dog\n"), "utt2labels:3: id 'a' occurs twice"),
        (dict(labels="a Bark\nb Rain, Water\n"), "utt2labels:2: expected .* found 'Rain, Water'"),
        (dict(labels="a Bark,,Dog\nb Rain\n"), "utt2labels:1: .* found 'Bark,,Dog'"),
        (dict(labels="a Bark,Dog,\nb Rain\n"), "utt2labels:1: .* found 'Bark,Dog,'"),
        (dict(labels="a Bark,Dog,Bark\nb Rain\n"), "utt2labels:1: a label occurs twice"),
        (dict(labels="a Bark\n", text="a Woof\n"), "clip 'b' is not in .*labels nor in .*text$"),
        (dict(labels=None, text="b Rain\n"), "wav.scp:2: clip 'a' is not in .*/text$"),
        (dict(labels="b Rain\n", text="a n/a\n"), "wav.scp:2: clip 'a' is not in"),
        (dict(text='a "ok"\nb []\n'), "text:2: expected a text or a JSON list of texts"),
        (dict(text='a ["ok", 3]\n'), "text:1: expected a text or a JSON list of texts"),
        (dict(text='a [" "]\n'), "text:1: expected a text or a JSON list of texts"),
        (dict(text='a ["ok"\n'), r'text:1: .* found \["ok"$'),
        (dict(text="a\n"), "text:1: expected 'id value', found only 'a'"),
        (dict(text="a x\na y\n"), "text:2: id 'a' occurs twice"),
        (dict(utt2recording="a 1\nb\n"), "utt2recording:2: expected 'id value', found only 'b'"),
        (dict(utt2phrases='b Rain\na ["rain"]]\n'), "utt2phrases:2: expected a text or a JSON"),
    ],
)
def test_refusals_name_file_and_line(tmp_path, tables, message):
    with pytest.raises(TSXError, match=message):
        DataDir.read(write(tmp_path, **tables))


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(TSXError, match="no such data directory"):
        DataDir.read(tmp_path / "train")
    write(tmp_path)
    (tmp_path / "utt2labels").unlink()
    with pytest.raises(TSXError, match="expected utt2labels or text, found neither"):
        DataDir.read(tmp_path)


def test_the_checksum_follows_the_tables(tmp_path):
    first = DataDir.read(write(tmp_path)).checksum()
    assert DataDir.read(write(tmp_path)).checksum() == first
    assert DataDir.read(write(tmp_path, labels="a Bark\nb Rain\n")).checksum() != first
    found = {first}
    for name in ("text", "utt2phrases"):
        found.add(DataDir.read(write(tmp_path, **{name: "a x\n"})).checksum())
        (tmp_path / name).unlink()
    assert len(found) == 3

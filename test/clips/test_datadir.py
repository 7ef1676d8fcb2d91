import pytest

from tsx_espnet.clips.datadir import DataDir
from tsx_espnet.errors import TSXError


def write(path, scp="b /x/b.wav\na /x/a.wav\n", labels="a Bark,Dog\nb Rain\n", captions=None):
    (path / "wav.scp").write_text(scp)
    (path / "utt2labels").write_text(labels)
    if captions is not None:
        (path / "utt2captions").write_text(captions)
    return path


def test_read(tmp_path):
    clips = DataDir.read(write(tmp_path, captions='b ["light rain"]\nz ["unknown clip"]\n'))
    assert list(clips.wavs) == ["a", "b"]
    assert clips.labels == {"a": ("Bark", "Dog"), "b": ("Rain",)}
    assert clips.captions == {"b": ["light rain"]}


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
        (dict(captions="a a dog barks\n"), "utt2captions:1: expected a JSON list"),
        (dict(captions='a ["ok"]\nb []\n'), "utt2captions:2: expected a JSON list"),
        (dict(captions='a ["ok", 3]\n'), "utt2captions:1: expected a JSON list"),
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
    with pytest.raises(TSXError, match="utt2labels: no such file"):
        DataDir.read(tmp_path)


def test_the_checksum_follows_the_tables(tmp_path):
    first = DataDir.read(write(tmp_path)).checksum()
    assert DataDir.read(write(tmp_path)).checksum() == first
    assert DataDir.read(write(tmp_path, labels="a Bark\nb Rain\n")).checksum() != first

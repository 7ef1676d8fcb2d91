"""Tables and files: what is read, what is refused, and that nothing half-written is left."""

import pytest

from tsx_espnet.errors import TSXError
from tsx_espnet.tables import (
    atomic_write,
    check_id,
    is_done,
    mark_done,
    read_facts,
    read_table,
    write_table,
)


def test_a_table_may_have_tabs_windows_lines_and_spaces_in_paths(tmp_path):
    text = "b /my clips/b 1.wav\r\n\na.1-x_2+3\t/a.wav \n   c   [\"a  b\"]\n"
    (tmp_path / "wav.scp").write_bytes(text.encode())
    assert read_table(tmp_path / "wav.scp") == {
        "b": "/my clips/b 1.wav",
        "a.1-x_2+3": "/a.wav",
        "c": '["a  b"]',
    }


def test_tables_are_written_sorted_and_read_back(tmp_path):
    table = {"b": "x y", "a": "1", "B": "n/a"}
    write_table(tmp_path / "new" / "table", table)
    lines = (tmp_path / "new" / "table").read_text().splitlines()
    assert lines == ["B n/a", "a 1", "b x y"]
    assert read_table(tmp_path / "new" / "table") == table


@pytest.mark.parametrize(
    "data, message",
    [
        (b"a x\nb\n", ":2: expected 'id value', found only 'b'"),
        (b"a x\nb y\na z\n", ":3: id 'a' occurs twice"),
        (b"../a x\n", ":1: id '../a' must start with a letter or digit"),
        (b"a/b x\n", ":1: id 'a/b' must"),
        ("ä x\n".encode(), ":1: id 'ä' must"),
        (b"a..b x\n", ":1: id 'a..b' must"),
        (b"a \xff\n", ": not UTF-8 text"),
    ],
)
def test_a_bad_line_is_named(tmp_path, data, message):
    (tmp_path / "table").write_bytes(data)
    with pytest.raises(TSXError) as error:
        read_table(tmp_path / "table")
    assert str(error.value).startswith(f"{tmp_path}/table{message}")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(TSXError, match="none: no such file"):
        read_table(tmp_path / "none")


@pytest.mark.parametrize("name", ["", ".", "-a", ".hidden", "a b", "a\n", "a\0", "a|", "$(a)"])
def test_ids_that_could_do_harm(name):
    with pytest.raises(TSXError, match="here: id "):
        check_id(name, "here")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.wav"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        with atomic_write(path) as stream:
            stream.write("half")
            stream.flush()
            assert path.read_text() == "before"
            raise KeyboardInterrupt
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.wav"]
    assert path.read_text() == "before"
    (tmp_path / "file").write_text("")
    with pytest.raises(TSXError, match="file/x: cannot be written: "):
        with atomic_write(tmp_path / "file" / "x"):
            pass


def test_done_is_done_with_the_same_facts(tmp_path):
    assert not is_done(tmp_path, fs=8000) and read_facts(tmp_path) is None
    mark_done(tmp_path, fs=8000, snr=(0, 2.5))
    assert is_done(tmp_path, fs=8000, snr=[0, 2.5])
    assert not is_done(tmp_path, fs=8000) and not is_done(tmp_path, fs=16000, snr=[0, 2.5])
    (tmp_path / ".done").write_text('{"fs": 80')
    assert not is_done(tmp_path, fs=8000)

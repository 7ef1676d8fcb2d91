"""What all resumable steps have in common, on a step that writes a number to a file for each item.

What kills, full disks and other processes do to the real steps is in ``test/stages``.
"""

import json

import pytest

from tsx_espnet.cli import Jobs
from tsx_espnet.errors import TSXError
from tsx_espnet.output import Output
from tsx_espnet.tables import atomic_write, read_table, write_table


class Squares(Output):
    """``files/N`` holds N^2; ``table`` lists them."""

    noun = "squares"
    findings = ("sum",)

    def __init__(self, directory, numbers, **facts):
        super().__init__(directory, {"numbers": list(numbers), **facts}, numbers)
        self.made = []

    def write_part(self, part, items, title):
        for number in items:
            with atomic_write(self.directory / "files" / str(number)) as stream:
                stream.write(str(number**2))
        self.made += items
        write_table(part / "table", {f"n{number}": number**2 for number in items})

    def merge(self, parts):
        table = {}
        for part in parts:
            table.update(read_table(part / "table"))
        write_table(self.directory / "table", table)
        return {"sum": sum(map(int, table.values()))}

    def expected_files(self, where, items):
        if read_table(where / "table").keys() != {f"n{number}" for number in items}:
            raise TSXError(f"{where}: expected {len(items)} squares")
        return {self.directory / "files" / str(n): len(str(n**2)) for n in items}

    def summary(self, facts):
        return f"{len(self.items)} squares of sum {facts['sum']}"


class Precious(Squares):
    keep_other = True


def contents(directory):
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


ALL = [".done", *(f"files/{number}" for number in range(5)), "table"]


def test_all_at_once_and_not_again(tmp_path, capsys):
    first, again = (Squares(tmp_path / "out", range(5)) for _ in range(2))
    first.write()
    assert capsys.readouterr().out == f"{tmp_path}/out: 5 squares of sum 30\n"
    assert contents(tmp_path / "out") == ALL and first.made == [0, 1, 2, 3, 4]
    assert json.loads((tmp_path / "out/.done").read_text()) == {"numbers": [*range(5)], "sum": 30}
    again.write()
    assert again.made == []
    assert capsys.readouterr().out == f"{tmp_path}/out: already done (5 squares of sum 30)\n"


@pytest.mark.parametrize("num_jobs", [1, 2, 7])
def test_parts_in_any_order(tmp_path, num_jobs, capsys):
    out = Squares(tmp_path, range(5))
    for job in range(num_jobs, 0, -1):
        with pytest.raises(TSXError, match=rf"parts.{num_jobs}/1: this part .* --job 1 before"):
            out.write(Jobs(num_jobs, merge=True))
        out.write(Jobs(num_jobs, job))
    capsys.readouterr()
    out.write(Jobs(num_jobs, 1))
    assert f"parts.{num_jobs}/1: already done" in capsys.readouterr().out
    out.write(Jobs(num_jobs, merge=True))
    assert contents(tmp_path) == ALL and sorted(out.made) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("harm", ["gone", "longer", "no table", "other table"])
@pytest.mark.parametrize("kind", [Squares, Precious])
def test_damage_is_found_and_mended(tmp_path, harm, kind, capsys):
    kind(tmp_path, range(5)).write()
    if harm == "gone":
        (tmp_path / "files/3").unlink()
    elif harm == "longer":
        (tmp_path / "files/3").write_text("99")
    elif harm == "no table":
        (tmp_path / "table").unlink()
    else:
        write_table(tmp_path / "table", {"n1": 1})
    capsys.readouterr()
    kind(tmp_path, range(5)).write()
    assert f"; {tmp_path} is made again" in capsys.readouterr().out
    assert contents(tmp_path) == ALL and (tmp_path / "files/3").read_text() == "9"


def test_a_damaged_part_is_made_again(tmp_path):
    out = Squares(tmp_path, range(5))
    out.write(Jobs(2, 1))
    (tmp_path / "files/2").unlink()
    out.write(Jobs(2))
    assert sorted(out.made) == [0, 0, 1, 2, 2, 3, 4, 4] and contents(tmp_path) == ALL


def test_nothing_is_marked_done_that_is_not_whole(tmp_path):
    out = Squares(tmp_path, range(5))
    for job in (1, 2):
        out.write(Jobs(2, job))
    (tmp_path / "files/2").unlink()
    with pytest.raises(TSXError, match="files/2: expected 1 bytes, found 0; run it again"):
        out.write(Jobs(2, merge=True))
    assert not (tmp_path / ".done").exists()
    out.write(Jobs(2))
    assert contents(tmp_path) == ALL


def test_other_facts_make_it_again(tmp_path):
    Squares(tmp_path, range(9)).write()
    out = Squares(tmp_path, range(5))
    out.write(Jobs(2, 1))
    assert not (tmp_path / ".done").exists()
    other = Squares(tmp_path, range(5), why="changed")
    other.write(Jobs(2, 2))
    with pytest.raises(TSXError, match="parts.2/1: this part is not finished"):
        other.write(Jobs(2, merge=True))


def test_or_are_refused(tmp_path):
    Precious(tmp_path / "done", range(5), seed=1).write()
    Precious(tmp_path / "begun", range(5), seed=1).write(Jobs(2, 1))
    for name in ("done", "begun"):
        before = contents(tmp_path / name)
        with pytest.raises(TSXError, match=r"holds squares made differently \(seed: 1 there, 2 n"):
            Precious(tmp_path / name, range(5), seed=2).write()
        assert contents(tmp_path / name) == before
    Precious(tmp_path / "begun", range(5), seed=1).write()
    assert contents(tmp_path / "begun") == ALL
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/thesis.txt").touch()
    with pytest.raises(TSXError, match="foreign: is not empty and holds no squares of ours"):
        Precious(tmp_path / "foreign", range(5)).write()


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"numbers": [0, 1, 2, 3, 4]}'])
def test_a_marker_that_says_nothing(tmp_path, text):
    """The last lacks what the merge found."""
    Squares(tmp_path, range(5)).write()
    (tmp_path / ".done").write_text(text)
    out = Squares(tmp_path, range(5))
    out.write()
    assert out.made == [0, 1, 2, 3, 4] and contents(tmp_path) == ALL
    if text != '{"numbers": [0, 1, 2, 3, 4]}':
        (tmp_path / ".done").write_text(text)
        with pytest.raises(TSXError, match=r"\.done: .*; remove .* or choose another name"):
            Precious(tmp_path, range(5)).write()


def test_leftovers_of_killed_writers_are_removed(tmp_path):
    out = Squares(tmp_path, range(5))
    out.write()
    for name in ("table.tmp0123abcd", "files/3.tmp0123abcd", "files/mine.txt", ".done.tmp01234567"):
        (tmp_path / name).touch()
    (tmp_path / "parts.7/1").mkdir(parents=True)
    out.write()
    assert contents(tmp_path) == sorted([*ALL, "files/mine.txt"])
    assert not (tmp_path / "parts.7").exists()


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "files").touch()
    with pytest.raises(TSXError, match=rf"^{tmp_path}/files"):
        Squares(tmp_path, range(5)).write()

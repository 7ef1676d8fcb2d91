"""Reads ``paper.yaml``, which ``docs/paper_yaml.md`` describes. Nothing here knows a paper."""

import dataclasses
import string
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.paper import (
    DRAW,
    Cell,
    Claim,
    Panel,
    Paper,
    Row,
    Table,
    TestSet,
    check_known,
)
from tsx_espnet.tables import PathLike, read_yaml

METRICS = ("SI-SDR", "SI-SDRi", "SNR", "SNRi", "SDR", "SDRi")  # SDR: BSS-eval's; i: improvement
INFER = "infer"  # <experiment>/infer/<test set> holds estimates and scores
CELL = ("system", "method", "best_of", "condition", "set", "scores")


def read_paper(path: PathLike, kind: Optional[str] = None) -> Paper:
    """Read and check ``paper.yaml``.

    Args:
        kind: ``<mixing>_<difficulty>`` in place of the file's, if that has only one.

    Raises:
        TSXError: for a field that is missing, unknown or of another type, with where it is.
    """
    if not Path(path).is_file():
        raise TSXError(f"{path}: no such file; expected a paper.yaml")
    return _Reader(str(path), kind).paper(read_yaml(path))


class _Reader:
    """Parses the file from the top, and knows where it is for the sake of messages."""

    def __init__(self, path: str, kind: Optional[str]) -> None:
        self.path, self.kind = path, kind
        self.systems: Dict[str, Dict[str, Any]] = {}
        self.sets: Dict[str, TestSet] = {}
        self.fields: set = set()

    def paper(self, found: Any) -> Paper:
        top = self.record(
            found, "the file", ("paper", "metric", "systems", "sets", "tables"),
            ("title", "data", "also", "figure", "claims", "notes"),
        )  # fmt: skip
        metrics = (top["metric"], *self.items(top, "also", ""))
        for metric in metrics:
            check_known(metric, METRICS, f"{self.path}: no metric")
        for name, system in self.mapping(top, "systems").items():
            self.systems[name] = self.mapping({name: system}, name)
        for name, one in self.mapping(top, "sets").items():
            self.sets[name] = self.test_set(one, f"sets: {name}")
        kinds = sorted({one.kind for one in self.sets.values()})
        if self.kind and len(kinds) > 1:
            raise TSXError(f"--kind: {self.path} has more than one: {', '.join(kinds)}")
        if self.kind:
            mixing, _, difficulty = self.kind.partition("_")
            self.sets = {
                name: dataclasses.replace(one, mixing=mixing, difficulty=difficulty)
                for name, one in self.sets.items()
            }
        templates = [one.scores for one in self.sets.values()]
        templates += [str(one["scores"]) for one in self.systems.values() if "scores" in one]
        self.fields = {name for text in templates for name in _variables(text)} - {"kind", "draw"}
        for name, system in self.systems.items():
            self.check_fields(system, f"systems: {name}")
        claims = [
            claim
            for number, one in enumerate(self.items(top, "claims", ""), start=1)
            for claim in self.claims(one, f"claims, number {number}")
        ]
        return Paper(
            str(top["paper"]),
            str(top.get("title", f"Tables of {top['paper']}")),
            str(top.get("data", "")),
            metrics,
            self.sets,
            tuple(
                self.table(one, f"tables, number {number}")
                for number, one in enumerate(self.items(top, "tables", ""), start=1)
            ),
            tuple(
                self.panel(one, f"figure, panel {number}")
                for number, one in enumerate(self.items(top, "figure", ""), start=1)
            ),
            tuple(claims),
            tuple(map(str, self.items(top, "notes", ""))),
        )

    def test_set(self, found: Any, where: str) -> TestSet:
        one = self.record(
            found, where, ("name", "mixing", "difficulty", "scores"), ("mixture", "new_classes")
        )
        parts = str(one["scores"]).split("/")
        if len(parts) < 2 or parts[-2] != INFER:
            raise self.fault(where, f"scores: expected .../{INFER}/NAME, found {one['scores']!r}")
        if one.get("mixture") is not None:
            one["mixture"] = self.number(one["mixture"], f"{where}: mixture")
        return TestSet(**one)

    def table(self, found: Any, where: str) -> Table:
        one = self.record(found, where, ("name", "columns", "rows"), ("notes", "by_class"))
        where = f"tables: {one['name']}"
        notes = tuple(map(str, self.items(one, "notes", where)))
        return self.grid(one, str(one["name"]), where, notes, bool(one.get("by_class")))

    def grid(
        self, one: Mapping[str, Any], name: str, where: str, notes: Tuple[str, ...] = (),
        by_class: bool = False,
    ) -> Table:  # fmt: skip
        columns = [self.named(item, where) for item in self.items(one, "columns", where)]
        rows = []
        for item in self.items(one, "rows", where):
            printed = item.pop("printed", None) if isinstance(item, dict) else None
            row_name, row = self.named(item, where)
            here = f"{where}: {row_name}"
            numbers = printed or [None] * len(columns)
            if not isinstance(numbers, list) or len(numbers) != len(columns):
                raise self.fault(
                    here, f"printed: expected {len(columns)} numbers (null for none), "
                    f"found {printed}"
                )  # fmt: skip
            numbers = [None if n is None else self.number(n, f"{here}: printed") for n in numbers]
            cells = [
                self.cell({**column, **row}, f"{here}, {column_name}", number is not None)
                for (column_name, column), number in zip(columns, numbers)
            ]
            rows.append(Row(row_name, tuple(cells), tuple(numbers)))
        return Table(name, tuple(name for name, _ in columns), tuple(rows), notes, by_class)

    def panel(self, found: Any, where: str) -> Panel:
        one = self.record(found, where, ("title",), ("columns", "rows", "classes", "line"))
        title = str(one["title"])
        if "classes" not in one:
            return Panel(title, self.grid(one, title, where))
        line = None
        if one.get("line"):
            found = self.record(one["line"], f"{where}: line", ("at", "text"), ())
            line = self.number(found["at"], f"{where}: line: at"), str(found["text"])
        return Panel(title, None, self.cell(self.named(one["classes"], where)[1], where), line)

    def claims(self, found: Any, where: str) -> Iterator[Claim]:
        one = self.record(found, where, ("above", "below"), ("name", "columns"))
        sides = [self.named(one[side], f"{where}: {side}") for side in ("above", "below")]
        name = one.get("name") or " - ".join(side[0] for side in sides)
        for column, fields in [self.named(c, where) for c in one.get("columns") or [{}]]:
            above, below = (self.cell({**fields, **side}, where) for _, side in sides)
            if above.set != below.set:
                raise self.fault(where, f"sets {above.set!r} and {below.set!r} are not comparable")
            yield Claim(f"{name}, {column}" if column else name, above, below)

    def named(self, found: Any, where: str) -> Tuple[str, Dict[str, Any]]:
        """The name of a row or column, by default its system's or set's, and its other fields."""
        if not isinstance(found, dict):
            raise self.fault(where, f"expected fields such as {{system: NAME}}, found {found!r}")
        fields = dict(found)
        name = fields.pop("name", None)
        self.check_fields(fields, where)
        if "set" in fields:
            check_known(fields["set"], self.sets, f"{self.path}: {where}: no set")
            name = name or self.sets[fields["set"]].name
        if "system" in fields:
            key = fields.pop("system")
            check_known(key, self.systems, f"{self.path}: {where}: no system")
            system = dict(self.systems[key])
            own = system.pop("name", key)
            return str(found.get("name") or own), {**system, **fields}
        return str(name or ""), fields

    def cell(
        self, fields: Mapping[str, Any], where: str, needed: bool = True
    ) -> Optional[Cell]:
        """The cell of ``fields``; None where they leave something open and it is not ``needed``."""
        if "set" not in fields:
            raise self.fault(where, "no set")
        key = fields["set"]
        if "best_of" in fields:
            members = [self.named({"system": name}, where)[1] for name in fields["best_of"]]
            cells = [self.cell({**member, "set": key}, where) for member in members]
            return Cell(key, best_of=tuple(cells))
        scores = str(fields.get("scores") or self.sets[key].scores)
        values = {**fields, "kind": self.sets[key].kind, "draw": DRAW}
        lacking = [name for name in _variables(scores) if name not in values]
        lacking += [name for name in ("method", "condition") if name not in fields]
        if lacking and needed:
            raise self.fault(where, f"no {' and no '.join(lacking)}")
        if lacking:
            return None
        scores = scores.format(**values)
        return Cell(key, str(fields["condition"]), str(fields["method"]), scores)

    def check_fields(self, fields: Mapping[str, Any], where: str) -> None:
        for name in fields:
            check_known(name, ("name", *CELL, *self.fields), f"{self.path}: {where}: unknown field")

    def record(
        self, found: Any, where: str, required: Sequence[str], optional: Sequence[str]
    ) -> Dict[str, Any]:
        if not isinstance(found, dict):
            raise self.fault(where, f"expected fields and their values, found {found!r}")
        for name in found:
            check_known(name, (*required, *optional), f"{self.path}: {where}: unknown field")
        for name in required:
            if found.get(name) is None:
                raise self.fault(where, f"no {name!r}")
        return dict(found)

    def mapping(self, found: Mapping[str, Any], name: str) -> Dict[str, Any]:
        if not isinstance(found[name], dict):
            raise self.fault(name, f"expected names and their fields, found {found[name]!r}")
        return dict(found[name])

    def items(self, found: Mapping[str, Any], name: str, where: str) -> List[Any]:
        """The list ``name``; empty where there is none."""
        one = found.get(name) or []
        if not isinstance(one, list):
            raise self.fault(f"{where}: {name}".strip(": "), f"expected a list, found {one!r}")
        return [dict(item) if isinstance(item, dict) else item for item in one]

    def number(self, found: Any, where: str) -> float:
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise self.fault(where, f"expected a number of dB, found {found!r}")
        return float(found)

    def fault(self, where: str, words: str) -> TSXError:
        return TSXError(f"{self.path}: {where}: {words}")


def _variables(template: str) -> List[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name]

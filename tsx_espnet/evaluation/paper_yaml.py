"""Reads ``paper.yaml``, which ``docs/paper_yaml.md`` describes. Nothing here knows a paper."""

import dataclasses
import string
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from tsx_espnet.checks import Fields, check_given, check_names, shown
from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.answers import INFER, METRICS
from tsx_espnet.evaluation.paper import (
    DRAW,
    OUTPUTS,
    TARGET,
    Cell,
    Claim,
    Panel,
    Paper,
    Row,
    ScoredSet,
    Table,
    check_known,
)
from tsx_espnet.mixing.plan import MAX_SOURCES
from tsx_espnet.tables import PathLike, read_yaml

FIELDS = (
    *("name", "system", "method", "untrained", "best_of", "seeds"),
    *("condition", "output", "set", "scores"),
)
LIMIT = 100.0  # dB
Values = Dict[str, Any]


def read_paper(path: PathLike, kind: Optional[str] = None) -> Paper:
    """Read and check ``paper.yaml``.

    Args:
        kind: ``<mixing>_<difficulty>`` in place of the file's, if that has only one.

    Raises:
        TSXError: for a field that is missing, unknown or of another type, with where it is.
    """
    if not Path(path).is_file():
        raise TSXError(f"{path}: no such file; expected a paper.yaml")
    try:
        return _Reader(read_yaml(path), kind).paper()
    except TSXError as error:
        raise TSXError(f"{path}: {error}") from None


class _Reader:
    """The file, its sets and systems checked; ``paper`` reads the rest, which is made of them."""

    def __init__(self, found: Any, kind: Optional[str]) -> None:
        required = ("paper", "metric", "systems", "sets", "tables")
        optional = ("title", "data", "also", "figure", "claims", "primary", "notes")
        self.top = _record(found, "the file", required, optional)
        sets, systems = (_items(self.top, name, "the file", dict) for name in ("sets", "systems"))
        self.sets = {key: _test_set(one, f"sets: {key}") for key, one in sets.items()}
        kinds = sorted({one.kind for one in self.sets.values()})
        if kind and len(kinds) > 1:
            raise TSXError(f"--kind {kind}: there is more than one here: {', '.join(kinds)}")
        if kind:
            mixing, _, difficulty = kind.partition("_")
            new = {"mixing": mixing, "difficulty": difficulty}
            self.sets = {k: dataclasses.replace(one, **new) for k, one in self.sets.items()}
        paths = [one.scores for one in self.sets.values()]
        paths += [str(one.get("scores", "")) for one in systems.values() if isinstance(one, dict)]
        variables = {name for text in paths for name in _variables(text)} - {"kind", "draw"}
        self.fields = (*FIELDS, *sorted(variables))
        self.systems = {
            key: _record(one, f"systems: {key}", (), self.fields) for key, one in systems.items()
        }

    def paper(self) -> Paper:
        top = self.top
        names = ("also", "figure", "claims", "primary")
        parts = {name: _items(top, name, "the file") for name in names}
        metrics = (top["metric"], *parts["also"])
        for metric in metrics:
            check_known(metric, METRICS, "no metric")
        return Paper(
            reference=str(top["paper"]),
            title=str(top.get("title", f"Tables of {top['paper']}")),
            data=str(top.get("data", "")),
            metrics=metrics,
            sets=self.sets,
            tables=tuple(map(self.table, _items(top, "tables", "the file"))),
            figure=tuple(map(self.panel, parts["figure"])),
            claims=tuple(claim for one in parts["claims"] for claim in self.claims(one, "claims")),
            primary=tuple(c for one in parts["primary"] for c in self.claims(one, "primary")),
            notes=tuple(map(str, _items(top, "notes", "the file"))),
        )

    def table(self, found: Any) -> Table:
        one = _record(found, "tables", ("name", "columns", "rows"), ("notes", "by_class"))
        table = self.grid(one, str(one["name"]))
        notes = tuple(map(str, _items(one, "notes", table.name)))
        return dataclasses.replace(table, notes=notes, by_class=bool(one.get("by_class")))

    def grid(self, one: Values, where: str) -> Table:
        columns = [self.named(item, where) for item in _items(one, "columns", where)]
        rows = []
        for item in _items(one, "rows", where):
            found = dict(_record(item, f"{where}: rows", (), ("printed", *self.fields)))
            printed = found.pop("printed", None) or [None] * len(columns)
            name, row = self.named(found, where)
            here = f"{where}: {name}"
            if not isinstance(printed, list) or len(printed) != len(columns):
                expected = f"expected {len(columns)} numbers (null for none)"
                raise TSXError(f"{here}: printed: {expected}, found {shown(printed)}")
            numbers = [None if n is None else _decibels("printed", n, here) for n in printed]
            cells = [
                self.cell({**column, **row}, f"{here}, {column_name}", number is not None)
                for (column_name, column), number in zip(columns, numbers)
            ]
            rows.append(Row(name, tuple(cells), tuple(numbers)))
        return Table(where, tuple(name for name, _ in columns), tuple(rows))

    def panel(self, found: Any) -> Panel:
        one = _record(found, "figure", ("title",), ("columns", "rows", "classes", "line"))
        where, line = f"figure: {one['title']}", None
        if one.get("line"):
            found = _record(one["line"], f"{where}: line", ("at", "text"), ())
            line = _decibels("at", found["at"], f"{where}: line"), str(found["text"])
        if "classes" in one:
            cell = self.cell(self.named(one["classes"], where)[1], where)
            return Panel(str(one["title"]), None, cell, line)
        return Panel(str(one["title"]), self.grid(one, where), None, line)

    def claims(self, found: Any, which: str) -> Iterator[Claim]:
        one = _record(found, which, ("above", "below"), ("name", "columns"))
        sides = [self.named(one[side], f"{which}: {side}") for side in ("above", "below")]
        name = str(one.get("name") or " - ".join(name for name, _ in sides))
        where = f"{which}: {name}"
        for item in _items(one, "columns", where) or [{}]:
            column, fields = self.named(item, where)
            above, below = (self.cell({**fields, **s}, where) for _, s in sides)
            if above.set != below.set:
                sets = f"{above.set!r} and {below.set!r}"
                raise TSXError(f"{where}: sets {sets} are not of the same mixtures")
            yield Claim(f"{name}, {column}" if column else name, above, below)

    def named(self, found: Any, where: str) -> Tuple[str, Values]:
        """The name of a row or column, by default its system's or set's, and its other fields."""
        own = dict(_record(found, where, (), self.fields))
        fields, name = own, ""
        if "set" in own:
            check_known(own["set"], self.sets, f"{where}: no set")
            name = self.sets[own["set"]].name
        if "system" in own:
            check_known(own["system"], self.systems, f"{where}: no system")
            fields = {"name": own["system"], **self.systems[own.pop("system")], **own}
        return str(fields.pop("name", name)), fields

    def cell(self, fields: Values, where: str, needed: bool = True) -> Optional[Cell]:
        """The cell of ``fields``; None where they leave something open and it is not ``needed``."""
        if "set" not in fields:
            raise TSXError(f"{where}: no set")
        test_set = self.sets[fields["set"]]
        output = fields.get("output", TARGET)
        check_known(output, OUTPUTS, f"{where}: output: no estimate")
        alone = "best_of" not in fields and self.top["metric"].startswith("SI-SDR")
        if "output" in fields and not alone:
            raise TSXError(f"{where}: output: only of a single system, in SI-SDR")
        if "best_of" in fields:
            members = [self.named({"system": name}, where)[1] for name in fields["best_of"]]
            cells = [self.cell({**one, "set": fields["set"]}, where) for one in members]
            seeds = Fields({"seeds": fields.get("seeds", 1)}, where)
            seeds.integer("seeds", 1, 100)
            return Cell(fields["set"], best_of=tuple(cells), **seeds.values)
        if "seeds" in fields:
            raise TSXError(f"{where}: seeds: only with best_of, the best of several runs")
        scores = str(fields.get("scores") or test_set.scores)
        values = {**fields, "kind": test_set.kind, "draw": DRAW}
        lacking = [n for n in ("method", "condition", *_variables(scores)) if n not in values]
        if lacking and needed:
            raise TSXError(f"{where}: no {' and no '.join(lacking)}")
        if lacking:
            return None
        untrained = Fields({"untrained": fields.get("untrained", False)}, where)
        untrained.flag("untrained")
        place = scores.format(**values)
        named = str(fields["condition"]), str(fields["method"]), place
        return Cell(fields["set"], *named, **untrained.values, output=output)


def _test_set(found: Any, where: str) -> ScoredSet:
    optional = ("difficulty", "mixture", "new_classes", "sources")
    one = {"difficulty": "", **_record(found, where, ("name", "mixing", "scores"), optional)}
    if str(one["scores"]).split("/")[-2:-1] != [INFER]:
        raise TSXError(f"{where}: scores: expected .../{INFER}/NAME, found {one['scores']!r}")
    if one.get("mixture") is not None:
        one["mixture"] = _decibels("mixture", one["mixture"], where)
    if one.get("sources") is not None:
        number = one["sources"]
        of = Fields({"sources": [number, number] if isinstance(number, int) else number}, where)
        of.integers("sources", 1, MAX_SOURCES)
        one.update(of.values)
    return ScoredSet(**one)


def _record(found: Any, where: str, required: Sequence[str], optional: Sequence[str]) -> Values:
    check_names(found, (*required, *optional), where, "field")
    check_given({k: v for k, v in found.items() if v is not None}, required, where)
    return found


def _items(found: Values, name: str, where: str, kind: type = list) -> Any:
    one = found.get(name)
    if one is not None and not isinstance(one, kind):
        words = "a list" if kind is list else "names and their fields"
        raise TSXError(f"{where}: {name}: expected {words}, found {shown(one)}")
    return one or kind()


def _decibels(name: str, value: Any, where: str) -> float:
    fields = Fields({name: value}, where)
    fields.number(name, -LIMIT, LIMIT)
    return fields.values[name]


def _variables(template: str) -> List[str]:
    """The names in braces.

    >>> _variables("infer/new_{kind}_K{K}{draw}")
    ['kind', 'K', 'draw']
    """
    try:
        return [name for _, name, _, _ in string.Formatter().parse(template) if name]
    except ValueError as error:
        raise TSXError(f"scores: {template!r}: {error}") from None

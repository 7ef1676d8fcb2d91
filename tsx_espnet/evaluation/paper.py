"""What a paper compares: systems, test sets, tables of printed numbers, and the claims in them."""

import dataclasses
import itertools
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from tsx_espnet.checks import did_you_mean
from tsx_espnet.errors import TSXError

PRIMARY = "Primary contrasts"
OUTPUTS = (TARGET, REST) = ("target", "rest")
DRAW = "{draw}"  # left in a path: one of several draws of the recordings of new classes


@dataclasses.dataclass(frozen=True)
class ScoredSet:
    """A set of mixtures: its name, how it was mixed, and where an experiment has its scores.

    ``difficulty`` is empty for mixtures as shipped, which have none.
    ``mixture`` is the paper's level of the mixtures themselves in dB; ``new_classes`` says that the
    set is made by the stages for new classes; ``sources``, from how many to how many active sources
    the mixtures have that count, of models without queries.
    """

    name: str
    mixing: str
    difficulty: str
    scores: str
    mixture: Optional[float] = None
    new_classes: bool = False
    sources: Optional[Tuple[int, int]] = None

    @property
    def kind(self) -> str:
        """What experiments and sets are named by."""
        return f"{self.mixing}_{self.difficulty}" if self.difficulty else self.mixing


@dataclasses.dataclass(frozen=True)
class Cell:
    """Who is queried by what, on which set.

    Attributes:
        set: a key of ``Paper.sets``.
        condition: what it is queried by, "oracle", or "" of an ensemble.
        method: of ``conf/method_<method>.yaml``; None of an ensemble.
        scores: directory of ``scores.csv`` below the experiment; only ``{draw}`` is left open.
        best_of: the members of an oracle ensemble.
        seeds: of an ensemble, how many runs of each member it has: the best of all of them.
        untrained: it has one run, whatever the seed of those it is compared with.
        output: the estimate that is taken for the target, one of ``OUTPUTS``.
    """

    set: str
    condition: str = ""
    method: Optional[str] = None
    scores: str = ""
    best_of: Tuple["Cell", ...] = ()
    seeds: int = 1
    untrained: bool = False
    output: str = TARGET

    def models(self) -> Tuple["Cell", ...]:
        """The members of an ensemble, or the cell itself."""
        return self.best_of or (self,)


class Row(NamedTuple):
    """A row of a table: a cell, or None, and the paper's number in dB, or None, for each column."""

    name: str
    cells: Tuple[Optional[Cell], ...]
    printed: Tuple[Optional[float], ...]

    @property
    def has_numbers(self) -> bool:
        """Whether the paper prints any."""
        return any(number is not None for number in self.printed)


class Claim(NamedTuple):
    """``above - below``, which the paper has at or above 0 dB; its value where both are printed."""

    name: str
    above: Cell
    below: Cell
    printed: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows and columns as a paper prints them, and the notes under them."""

    name: str
    columns: Tuple[str, ...]
    rows: Tuple[Row, ...]
    notes: Tuple[str, ...] = ()
    by_class: bool = False

    def claims(self) -> Iterator[Claim]:
        """Every pair of printed numbers of one column or one row that are of the same mixtures.

        The greater one comes first.
        """
        for number, column in enumerate(self.columns):
            printed = [(row.name, row.cells[number], row.printed[number]) for row in self.rows]
            yield from _pairs(printed, f"{{}}, {column}" if len(self.columns) > 1 else "{}")
        for row in self.rows:
            yield from _pairs(zip(self.columns, row.cells, row.printed), f"{row.name}: {{}}")


class Panel(NamedTuple):
    """A panel of the figure: groups of bars like a table, or one cell class by class.

    ``line`` is a level in dB and the text beside it.
    """

    title: str
    table: Optional[Table] = None
    cell: Optional[Cell] = None
    line: Optional[Tuple[float, str]] = None


@dataclasses.dataclass(frozen=True)
class Paper:
    """What ``paper.yaml`` says. ``claims`` are those listed by hand, ``primary`` those that were
    chosen before the runs as the ones that a study is about."""

    reference: str
    title: str
    data: str
    metrics: Tuple[str, ...]
    sets: Mapping[str, ScoredSet]
    tables: Tuple[Table, ...]
    figure: Tuple[Panel, ...]
    claims: Tuple[Claim, ...]
    notes: Tuple[str, ...]
    primary: Tuple[Claim, ...] = ()

    def printed(self) -> Dict[Cell, float]:
        """Cell -> number, of all cells of the tables that have one."""
        return {
            cell: number
            for table in self.tables
            for row in table.rows
            for cell, number in zip(row.cells, row.printed)
            if cell is not None and number is not None
        }

    def all_claims(self) -> Dict[str, List[Claim]]:
        """Heading -> claims; primary ones first, then those of the tables. A pair that occurs twice
        is there once."""
        numbers = self.printed()
        known = set()
        found: Dict[str, List[Claim]] = {}
        groups = [(PRIMARY, iter(self.primary))]
        groups += [(table.name, table.claims()) for table in self.tables]
        for name, claims in (*groups, ("In the paper's words", iter(self.claims))):
            for claim in claims:
                pair = frozenset((claim.above, claim.below))
                if pair <= numbers.keys():
                    printed = round(numbers[claim.above] - numbers[claim.below], 6)
                    claim = claim._replace(printed=printed)
                if pair not in known:
                    found.setdefault(name, []).append(claim)
                known.add(pair)
        return found

    def cells(self) -> List[Cell]:
        """Every cell of tables, figure and claims, ensembles by their members."""
        tables = [*self.tables, *(panel.table for panel in self.figure if panel.table)]
        cells = [cell for table in tables for row in table.rows for cell in row.cells if cell]
        cells += [panel.cell for panel in self.figure if panel.cell]
        claims = (*self.primary, *self.claims)
        cells += [cell for claim in claims for cell in (claim.above, claim.below)]
        return list(dict.fromkeys(model for cell in cells for model in cell.models()))

    def methods(self) -> List[str]:
        """The methods of all cells, in the order in which they occur."""
        return list(dict.fromkeys(cell.method for cell in self.cells() if cell.method))

    def runs(
        self,
        size: str = "",
        seeds: Sequence[int] = (0,),
        methods: Sequence[str] = (),
        mixings: Sequence[str] = (),
        difficulties: Sequence[str] = (),
    ) -> List[Tuple[str, ...]]:
        """The experiments that the paper needs: tag, method, mixing, difficulty, seed, new classes.

        A set without a difficulty has "-". Empty ``methods``, ``mixings`` and ``difficulties``
        stand for all that the paper has.

        Raises:
            TSXError: for one that the paper does not have.
        """
        kinds = {s.kind: (s.mixing, s.difficulty) for s in self.sets.values()}
        known = (self.methods(), *map(list, map(dict.fromkeys, zip(*kinds.values()))))
        wanted = (methods, mixings, difficulties)
        for option, names, having in zip(("methods", "mixings", "difficulties"), wanted, known):
            for name in names:
                check_known(name, having, f"--{option}: the paper has none called")
        of = [(cell.method, self.sets[cell.set]) for cell in self.cells()]
        needed = {(method, one.kind) for method, one in of}
        with_new = {(method, one.kind) for method, one in of if one.new_classes}
        untrained = {cell.method for cell in self.cells() if cell.untrained}
        lines = []
        for seed, kind, method in itertools.product(seeds, kinds, methods or known[0]):
            if method in untrained:
                if seed != seeds[0]:
                    continue
                seed = 0
            wants = all(name in (names or (name,)) for name, names in zip(kinds[kind], wanted[1:]))
            if wants and (method, kind) in needed:
                words = [size, method, kind, f"seed{seed}" if seed else ""]
                new = "yes" if (method, kind) in with_new else "no"
                mixed = (word or "-" for word in kinds[kind])
                lines.append(("_".join(filter(None, words)), method, *mixed, str(seed), new))
        return lines


def _pairs(printed: Any, words: str) -> Iterator[Claim]:
    known = [item for item in printed if item[1] is not None and item[2] is not None]
    for one, other in itertools.combinations(known, 2):
        if one[1].set == other[1].set:
            (above, first, _), (below, second, _) = sorted((one, other), key=lambda i: -i[2])
            yield Claim(words.format(f"{above} - {below}"), first, second)


def check_known(name: Any, known: Any, words: str) -> None:
    """Refuse a ``name`` that is not ``known``, with the nearest that is."""
    if not any(name == one for one in known):  # it may be a list
        raise TSXError(f"{words} {name!r}; {did_you_mean(name, [str(one) for one in known])}")

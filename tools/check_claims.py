#!/usr/bin/env python3
"""Check that the pages state no verdict and no number that their RESULTS.md does not hold.

Checked are the sections "What we measured", and wherever else a paragraph links to a RESULTS.md.
The page meant is the one linked there, else the first one linked in the section.

Tables: a row has the name of a row, a column or a claim of that page, and only its numbers. A
claim ("A above B" or "A - B") also states the runs and the verdict. Paragraphs and list items of
the section say in comments what they rest on:

    <!-- claim: NAME = holds -->   the verdict of all claims so called
    <!-- rows: NAME; NAME -->      rows, columns, paragraphs or headings that have its numbers
    <!-- no claim -->              nothing was compared, and there are no decimals

The words holds, open, reversed and tie are verdicts: where they stand, there is a claim, and the
other way round.

NAME may end before any comma of the full name, which goes on with the cells of words behind it
("OCT - HCT, by text" of "OCT - HCT, by text, random, hard"), and "HEADING / NAME" looks below that
heading alone. Numbers of a text may be rounded. Claims without a verdict are open.

Not checked: in which column of its row a number stands, and what words say ("above", "twice").

    python tools/check_claims.py [PAGE ...]
"""

import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[1]
SECTION = "what we measured"
VERDICTS = {"holds": "holds?", "reversed": "reversed", "open": "open", "tie": "tie"}  # as words
OPEN = "open"
MARKER = re.compile(r"<!--\s*(claim:|rows:|no claim)(.*?)-->", re.S)
LINK = re.compile(r"\]\(([^)#\s]*RESULTS\.md)(?:#[^)]*)?\)")
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?!\w|\.\d)")
TOGETHER = re.compile(rf"{NUMBER.pattern} (?:of|to) {NUMBER.pattern}")  # runs, intervals


class Block(NamedTuple):
    """A paragraph, list item, heading ("# ...") or row of a table, and the headings above it."""

    line: int
    headings: Tuple[str, ...]
    text: str
    cells: Tuple[str, ...] = ()
    header: Tuple[str, ...] = ()  # of the table


class Result(NamedTuple):
    """What a RESULTS page says under a name; ``verdict`` of claims only."""

    block: Block
    name: str
    numbers: FrozenSet[str]
    verdict: Optional[str] = None


def read_blocks(path: Path) -> List[Block]:
    """The blocks of a page, without its code and the headers of its tables."""
    blocks: List[Block] = []
    headings: List[str] = []
    header: Tuple[str, ...] = ()
    code = fresh = False  # fresh: the next line of text begins a block
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip().replace("\N{MINUS SIGN}", "-")
        if line.startswith("```"):
            code = not code
        if not line.startswith("|"):
            header = ()
        if code or not line or line.startswith("```"):
            fresh = True
        elif re.match(r"#+ ", line):
            level = line.index(" ")
            headings[level - 1 :] = [""] * (level - 1 - len(headings)) + [line[level:].strip()]
            blocks.append(Block(number, tuple(headings), line))
            fresh = True
        elif line.startswith("|"):
            cells = tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            if not header:
                header = cells
            elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                blocks.append(Block(number, tuple(headings), line, cells, header))
            fresh = True
        elif fresh or re.match(r"([-*]|\d+\.) ", line):
            blocks.append(Block(number, tuple(headings), line))
            fresh = False
        else:
            blocks[-1] = blocks[-1]._replace(text=f"{blocks[-1].text} {line}")
    return blocks


def plain(name: str) -> str:
    """A name as it is compared: "Mixed + EL above Enrl" is "mixed+el - enrl"."""
    name = re.sub(r"<!--.*?-->|[`*\\]", "", name).replace(" above ", " - ")
    return " ".join(re.sub(r"\s*([+=])\s*", r"\1", name).lower().split())


def named(cells: Sequence[str]) -> Tuple[str, Sequence[str]]:
    """The name of a row, of its first cell and the words behind it, and the other cells."""
    count = 1
    for cell in cells[1:]:
        if cell in VERDICTS or not re.match(r"[^\W\d]", cell):
            break
        count += 1
    return plain(", ".join(cells[:count])), cells[count:]


def numbers_in(text: str) -> FrozenSet[str]:
    """Numbers, without "+"; "2 of 3" and "0.1 to 0.2" are one."""
    found = [*TOGETHER.findall(text), *NUMBER.findall(TOGETHER.sub(" ", text))]
    return frozenset(re.sub(r",|\+", "", number) for number in found)


def read_results(path: Path) -> List[Result]:
    """What a RESULTS page says: its rows, its columns, its paragraphs and headings."""
    results = []
    for block in read_blocks(path):
        if not block.cells:
            text = re.sub(r"^([-*]|#+|\d+\.) ", "", block.text)
            results.append(Result(block, plain(text), numbers_in(text)))
            continue
        name, rest = named(block.cells)
        verdict = None
        if block.header[0] == "difference":
            stated = dict(zip(block.header, block.cells)).get("verdict", OPEN)
            verdict = stated if stated in VERDICTS else OPEN
        results.append(Result(block, name, numbers_in(" ".join(rest)), verdict))
        column = ""
        for head, cell in zip(block.header[1:], block.cells[1:]):
            if verdict is None and not re.match(r"(ours|difference) \(dB\)", head):
                column = plain(re.sub(r"(: paper)? \(dB\)$", "", head))  # as page.py writes it
            if column:
                results.append(Result(block, column, numbers_in(cell)))
    return results


def called(results: Sequence[Result], name: str) -> List[Result]:
    """Those with this name, or one that goes on behind a comma (a text: in any way)."""
    heading, last = map(plain, name.rpartition(" / ")[::2])
    return [
        result
        for result in results
        if (not heading or heading in map(plain, result.block.headings))
        and last
        and (
            result.name == last
            or result.name.startswith(last if not result.block.cells else f"{last},")
        )
    ]


def lacking(wanted: FrozenSet[str], numbers: FrozenSet[str], rounded: bool = False) -> List[str]:
    """Those ``wanted`` that are none of ``numbers``, nor, where both are single, two of them.

    ``rounded``: those of a text, which may be rounded, and have no sign where a word says it.
    """

    def known(number: str) -> bool:
        if number in numbers:
            return True
        if " " in number:
            return " to " in number and all(map(known, number.split(" to ")))
        half = Decimal("0.5").scaleb(-len(number.partition(".")[2]))
        values = [Decimal(other) for other in numbers if " " not in other]
        if not number.startswith("-"):
            values = [abs(value) for value in values]
        return rounded and any(abs(value - Decimal(number)) <= half for value in values)

    return sorted(number for number in wanted if not known(number))


def lines(results: Sequence[Result]) -> str:
    """Where they are."""
    found = sorted({result.block.line for result in results})
    return f"line {', '.join(map(str, found))}" if found else "no line: none is named"


def check_row(block: Block, results: Sequence[Result]) -> Iterator[str]:
    """What is wrong with a row of a table."""
    name, rest = named(block.cells)
    found = [result for result in called(results, name) if result.block.cells]
    claims = [result for result in found if result.verdict]
    stated = [cell for cell in rest if cell in VERDICTS]
    numbers = numbers_in(" ".join(rest))
    if not found:
        yield "has nothing of this name"
    elif not claims and stated:
        yield "has no claim of this name"
    elif not claims:
        missing = lacking(numbers, frozenset().union(*(result.numbers for result in found)))
        if missing:
            yield f"lacks {', '.join(missing)} in {lines(found)}"
    else:
        gaps = [(lacking(numbers, claim.numbers), claim) for claim in claims]
        missing, claim = min(gaps, key=lambda gap: (gap[1].verdict not in stated, len(gap[0])))
        runs = {one for one in claim.numbers if " of " in one}
        if [claim.verdict] != stated:
            yield f"line {claim.block.line}: {claim.verdict}, stated is {stated or 'no verdict'}"
        elif missing:
            yield f"line {claim.block.line} lacks {', '.join(missing)}: {claim.block.text}"
        elif runs - numbers:
            yield f"line {claim.block.line}: {', '.join(runs)} runs, which is not said"


def check_text(block: Block, results: Sequence[Result], marked: bool) -> Iterator[str]:
    """What is wrong with a paragraph; ``marked``: it has to say what it rests on."""
    markers = [(kind, " ".join(rest.split())) for kind, rest in MARKER.findall(block.text)]
    text = re.sub(r"`[^`]*`", "", LINK.sub("]", MARKER.sub(" ", block.text)))
    stated = frozenset(one for one in numbers_in(text) if "." in one or " of " in one)
    said = {verdict for verdict, word in VERDICTS.items() if re.search(rf"\b{word}\b", text)}
    used: List[Result] = []
    verdicts = set()
    for kind, rest in markers:
        if kind == "claim:":
            name, _, verdict = (part.strip() for part in rest.rpartition(" = "))
            found = [result for result in called(results, name) if result.verdict]
            if not found:
                yield f"has no claim {name!r}"
            for one in found:
                if one.verdict != verdict:
                    yield f"line {one.block.line}: {name!r} is {one.verdict}, not {verdict!r}"
            verdicts.add(verdict)
            used += found
        elif kind == "rows:":
            for name in rest.split(";"):
                found = called(results, name)
                if not found:
                    yield f"has nothing called {name.strip()!r}"
                used += found
    for verdict in sorted(verdicts ^ said if markers else ()):
        yield f"{verdict!r} is in the {'text' if verdict in said else 'comment'} alone"
    if not markers and (marked or stated or said):
        yield "no comment says what this rests on (claim, rows or no claim)"
        return
    numbers = frozenset().union(*(result.numbers for result in used))
    missing = lacking(stated, numbers, rounded=True)
    if missing:
        yield f"lacks {', '.join(missing)} in {lines(used)}"


def check_page(page: Path, known: Dict[Path, List[Result]]) -> Iterator[str]:
    """A line for each row or sentence of ``page`` that its RESULTS page does not hold."""
    section, first = None, None
    for block in read_blocks(page):
        if block.headings[1:2] != section:
            section, first = block.headings[1:2], None
        own = LINK.search(block.text)
        first = first or own
        marked = SECTION in (heading.lower() for heading in block.headings)
        if block.text.startswith("#") or not (marked or own):
            continue
        words = " ".join(MARKER.sub("", block.text).split())
        where = f"{shown(page)}:{block.line}: {words[:70]!r}: "
        link = own or first
        target = (page.parent / link[1]).resolve() if link else None
        if target is None or not target.is_file():
            yield where + (f"{shown(target)} is missing" if target else "no link to a RESULTS.md")
            continue
        if target not in known:
            known[target] = read_results(target)
        if marked and block.cells:
            problems = check_row(block, known[target])
        else:
            problems = check_text(block, known[target], marked)
        for problem in problems:
            yield f"{where}{shown(target)} {problem}"


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print what is wrong and exit with 1, or exit with 0."""
    pages = [Path(name).resolve() for name in (sys.argv[1:] if argv is None else argv)]
    pages = pages or sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
    known: Dict[Path, List[Result]] = {}
    problems = [problem for page in pages for problem in check_page(page, known)]
    print("\n".join(problems), end="\n" if problems else "")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()

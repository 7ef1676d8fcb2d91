"""Progress of long work: a bar on a terminal, a line now and then in a log file."""

import sys
from typing import Iterable, Iterator, Optional, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(items: Iterable[Item], title: str, total: Optional[int] = None) -> Iterator[Item]:
    """Iterate over ``items``, showing how far it is on standard error."""
    terminal = sys.stderr.isatty()
    yield from tqdm(
        items,
        desc=title,
        total=total,
        file=sys.stderr,
        mininterval=0.2 if terminal else 10.0,
        ascii=not terminal,
        dynamic_ncols=terminal,
    )

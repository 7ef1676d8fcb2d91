"""One piece of work in several processes: which items a job takes, whatever their number."""

import argparse
from typing import List, Sequence, TypeVar

from tsx_espnet.errors import TSXError

Item = TypeVar("Item")


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--num_jobs``, ``--job`` and ``--merge``.

    Without any of them a command does the whole work. With ``--num_jobs N --job J`` it does its
    part only; once all parts are done, ``--num_jobs N --merge`` puts them together.
    """
    group = parser.add_argument_group("several processes")
    group.add_argument("--num_jobs", type=int, default=1, help="processes that share the work")
    group.add_argument("--job", type=int, default=None, help="do only this part, 1 to NUM_JOBS")
    group.add_argument("--merge", action="store_true", help="only put the finished parts together")


def check_job_arguments(args: argparse.Namespace) -> None:
    """Raise ``TSXError`` for a job number outside 1 .. ``num_jobs``."""
    if args.num_jobs < 1:
        raise TSXError(f"--num_jobs must be at least 1, found {args.num_jobs}")
    if args.job is not None and not 1 <= args.job <= args.num_jobs:
        raise TSXError(f"--job must lie in 1 .. {args.num_jobs} (--num_jobs), found {args.job}")
    if args.merge and args.job is not None:
        raise TSXError("--merge and --job exclude each other")


def items_of_job(items: Sequence[Item], job: int, num_jobs: int) -> List[Item]:
    """Every ``num_jobs``-th item, starting with the ``job``-th (1-based).

    >>> items_of_job("abcde", 1, 2), items_of_job("abcde", 2, 2)
    (['a', 'c', 'e'], ['b', 'd'])
    """
    return list(items)[job - 1 :: num_jobs]

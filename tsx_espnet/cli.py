"""Shared by all commands: an option parser with one-line errors, jobs, progress."""

import argparse
import sys
from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, Sequence, TypeVar

from tqdm import tqdm

from tsx_espnet.checks import check_at_least, did_you_mean
from tsx_espnet.errors import TSXError

Item = TypeVar("Item")


def no_option(option: str, known: Sequence[str], listing: str) -> str:
    """The message for an unknown option: the nearest known one, or the option that lists them.

    >>> no_option("--clisp", ["--clips", "--out"], "--help")
    'no option --clisp; did you mean --clips?'
    """
    return f"no option {option}; {did_you_mean(option, known, f'{listing} lists them')}"


class CommandParser(argparse.ArgumentParser):
    """Takes options by their full names only.

    argparse alone would take ``--num_mix`` for ``--num_mixtures``, and answer ``--clisp DIR`` with
    its usage and "required: --clips".
    """

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args: Optional[Sequence[str]] = None, namespace=None):
        """As argparse's, once every word that looks like an option is known to be one."""
        known = list(self._option_string_actions)
        for word in sys.argv[1:] if args is None else args:
            option = word.partition("=")[0]
            if option == "--" or (self._subparsers is not None and not word.startswith("-")):
                break  # the rest is for the subcommand
            if option.startswith("--") and option not in known:
                self.error(no_option(option, known, "--help"))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> None:
        """Raises: TSXError: always; argparse calls this for any mistake on the command line."""
        raise TSXError(message)


class Jobs(NamedTuple):
    """The share of a process: everything, part ``job`` of ``num_jobs``, or the merge.

    >>> Jobs(2).items("abcde", 1), Jobs(2).items("abcde", 2)
    (['a', 'c', 'e'], ['b', 'd'])
    """

    num_jobs: int = 1
    job: Optional[int] = None
    merge: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Jobs":
        """From the options of ``add_job_arguments``.

        Raises:
            TSXError: for a job number outside 1 .. ``num_jobs``.
        """
        check_at_least(1, num_jobs=args.num_jobs)
        if args.job is not None and not 1 <= args.job <= args.num_jobs:
            raise TSXError(f"--job must lie in 1 .. {args.num_jobs} (--num_jobs), found {args.job}")
        if args.merge and args.job is not None:
            raise TSXError("--merge and --job exclude each other")
        return cls(args.num_jobs, args.job, args.merge)

    def numbers(self) -> range:
        """The parts that this process does, from 1."""
        if self.job is not None:
            return range(self.job, self.job + 1)
        return range(1, 1 if self.merge else self.num_jobs + 1)

    def items(self, items: Sequence[Item], number: int) -> List[Item]:
        """Every ``num_jobs``-th item, starting with the ``number``-th."""
        return list(items[number - 1 :: self.num_jobs])


ALL = Jobs()


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--num_jobs``, ``--job`` and ``--merge``.

    Without any of them a command does the whole work. With ``--num_jobs N --job J`` it does its
    part only; once all parts are done, ``--num_jobs N --merge`` puts them together.
    """
    group = parser.add_argument_group("several processes")
    group.add_argument("--num_jobs", type=int, default=1, help="processes that share the work")
    group.add_argument("--job", type=int, default=None, help="do only this part, 1 to NUM_JOBS")
    group.add_argument("--merge", action="store_true", help="only put the finished parts together")


def progress(items: Iterable[Item], title: str, total: Optional[int] = None) -> Iterator[Item]:
    """Iterate over ``items``; a bar on a terminal, a line now and then in a log file."""
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

"""The one error class a user sees, and how a command ends on it."""

import sys
from typing import Callable, Optional, Sequence


class TSXError(Exception):
    """Bad input: the message names the file, id or option, what was expected and what was found."""


def run_command(main: Callable[[Optional[Sequence[str]]], None]) -> None:
    """Run the ``main`` of a command; a user's mistake ends as one line and exit status 1.

    Anything that is neither a ``TSXError`` nor an ``OSError`` (disk full, permission denied, ...)
    is a bug of ours and keeps its traceback.
    """
    try:
        main(None)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        # torch raises the error of another process again, with its traceback for a message
        _, found, message = str(error).rpartition(f"{TSXError.__module__}.{TSXError.__name__}: ")
        if not found and not isinstance(error, (TSXError, OSError)):
            raise
        if isinstance(error, OSError) and error.filename and error.strerror:
            message = f"{error.filename}: {error.strerror}"
        sys.exit(f"error: {message.strip()}")

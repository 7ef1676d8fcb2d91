"""Files of a data directory: read with line numbers in the errors, written whole or not at all."""

import contextlib
import json
import os
import re
from pathlib import Path
from typing import IO, Any, Dict, Iterator, Mapping, Optional, Union

from tsx_espnet.error import TSXError

PathLike = Union[str, Path]
DONE = ".done"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def check_id(name: str, where: str) -> str:
    """Return ``name`` if it can stand in a file name, else raise ``TSXError`` naming ``where``."""
    if not _ID.fullmatch(name) or ".." in name:
        raise TSXError(
            f"{where}: id {name!r} must start with a letter or digit and hold only "
            "letters, digits and _ . + -"
        )
    return name


@contextlib.contextmanager
def atomic_write(path: PathLike, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` and rename it to ``path`` if the block succeeds.

    The temporary name ends like ``path`` (``x.tmp1234.wav``), as some writers go by the suffix.

    Raises:
        TSXError: naming ``path`` if it cannot be written (disk full, no permission).
    """
    path = Path(path)
    temporary = path.with_name(f"{path.stem}.tmp{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise TSXError(f"{path}: cannot be written: {error.strerror or error}") from None
        raise


def read_table(path: PathLike) -> Dict[str, str]:
    """Read ``id value...`` lines (``wav.scp``, ``utt2labels``, ...) into a dict, in file order.

    Raises:
        TSXError: if the file is missing, or a line has no value, a bad id or an id seen before.
    """
    path = Path(path)
    if not path.is_file():
        raise TSXError(f"{path}: no such file")
    table: Dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TSXError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name, *value = line.split(maxsplit=1)  # at spaces or tabs, as Kaldi does
        check_id(name, f"{path}:{number}")
        if not value:
            raise TSXError(f"{path}:{number}: expected 'id value', found only {name!r}")
        if name in table:
            raise TSXError(f"{path}:{number}: id {name!r} occurs twice")
        table[name] = value[0].strip()
    return table


def write_table(path: PathLike, table: Mapping[str, Any]) -> None:
    """Write ``id value`` lines sorted by id, atomically."""
    with atomic_write(path) as stream:
        for name in sorted(table):
            stream.write(f"{name} {table[name]}\n")


def read_yaml(path: PathLike, where: Optional[str] = None) -> Any:
    """What a yaml file holds.

    Raises:
        TSXError: if it is no yaml; it begins with ``where`` (default: the path).
    """
    import yaml

    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise TSXError(f"{where or path}: not a yaml file: {reason}") from None


def mark_done(directory: PathLike, **facts: Any) -> None:
    """Leave the marker that says ``directory`` is complete, with how it was made."""
    with atomic_write(Path(directory) / DONE) as stream:
        json.dump(facts, stream, indent=1, sort_keys=True)


def is_done(directory: PathLike, **facts: Any) -> bool:
    """True if ``directory`` is complete and was made with the same ``facts``."""
    return read_facts(directory) == json.loads(json.dumps(facts))


def read_facts(directory: PathLike) -> Optional[Dict[str, Any]]:
    """How a complete ``directory`` was made; None without a marker that can be read."""
    try:
        return json.loads((Path(directory) / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

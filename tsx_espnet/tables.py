"""Files of a data directory: read with line numbers in the errors, written whole or not at all."""

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import IO, Any, Container, Dict, Iterator, Mapping, Optional, Union

from tsx_espnet.errors import TSXError

PathLike = Union[str, Path]
DONE = ".done"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_TEMPORARY = re.compile(r".+\.tmp[0-9a-f]+(\.[^.]+)?")


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

    Raises:
        TSXError: naming ``path`` if it cannot be written (disk full, no permission), or another
            file that the block could not open.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        reason = error.strerror or error
        if error.filename in (None, *map(str, (temporary, path, *path.parents))):
            raise TSXError(f"{path}: cannot be written: {reason}") from None
        raise TSXError(f"{error.filename}: {reason}") from None


def temporary_name(path: PathLike) -> Path:
    """A name beside ``path`` that no other process takes, even on another machine.

    It ends like ``path`` (``x.tmp0123abcd.wav``), as some writers go by the suffix.
    """
    path = Path(path)
    return path.with_name(f"{path.stem}.tmp{os.urandom(4).hex()}{path.suffix}")


def remove_leftovers(directory: PathLike, keep: Container[str] = (), stem: str = "*") -> None:
    """Remove the temporary files that killed writers left in a directory that is complete.

    Args:
        keep: names of files that only look temporary.
        stem: only those of files of this name (without suffix).
    """
    for path in Path(directory).glob(f"{stem}.tmp*"):
        if _TEMPORARY.fullmatch(path.name) and path.name not in keep:
            path.unlink(missing_ok=True)


def size_of(path: PathLike) -> int:
    """Bytes of a file; -1 if there is none."""
    try:
        return os.stat(path).st_size if os.path.isfile(path) else -1
    except OSError:
        return -1


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: for any fault, too deep nesting included.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_table(path: PathLike) -> Dict[str, str]:
    """Read ``id value...`` lines (``wav.scp``, ``utt2labels``, ...) into a dict, in file order.

    Raises:
        TSXError: if the file is missing, or a line has no value, a bad id or an id seen before.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise TSXError(f"{path}: no such file")
    table: Dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TSXError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if "\0" in line:  # where C would end a path
            raise TSXError(f"{path}:{number}: holds a NUL character")
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
    """The contents of a yaml file.

    Raises:
        TSXError: if it is not yaml; the message begins with ``where`` (default: the path).
    """
    import yaml

    data = Path(path).read_bytes()
    try:
        return yaml.safe_load(data.decode("utf-8"))
    except Exception as error:  # of "!!int ''" PyYAML raises IndexError, of "2020-13-13" ValueError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TSXError(f"{where or path}: not a yaml file: {reason}") from None


def mark_done(directory: PathLike, **facts: Any) -> None:
    """Mark ``directory`` as complete, with the facts of how it was made."""
    with atomic_write(Path(directory) / DONE) as stream:
        json.dump(facts, stream, indent=1, sort_keys=True)


def is_done(directory: PathLike, **facts: Any) -> bool:
    """True if ``directory`` is complete and was made with the same ``facts``."""
    return read_facts(directory) == json.loads(json.dumps(facts))


def read_facts(directory: PathLike, marker: str = DONE) -> Optional[Dict[str, Any]]:
    """How a complete ``directory`` was made; None without a marker that can be read."""
    try:
        return read_marker(Path(directory) / marker, "")
    except TSXError:
        return None


def read_marker(path: Path, remedy: str) -> Dict[str, Any]:
    """The facts in a marker that is there.

    Raises:
        TSXError: with the ``remedy``, if it holds none.
    """
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TSXError(f"{path}: cannot be read ({error}); {remedy}") from None
    if not isinstance(found, dict):
        raise TSXError(f"{path}: expected facts, found {found!r:.80}; {remedy}")
    return found


def digest(data: Union[bytes, Path]) -> str:
    """SHA-256 of some bytes or of a file, in hex.

    Raises:
        TSXError: if the file cannot be read.
    """
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    found = hashlib.sha256()
    try:
        with open(data, "rb") as stream:
            for block in iter(lambda: stream.read(2**20), b""):
                found.update(block)
        return found.hexdigest()
    except OSError as error:
        raise TSXError(f"{data}: cannot be read: {error.strerror or error}") from None

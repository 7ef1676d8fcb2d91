"""How a set of mixtures is made, in facts, and whether a directory holds that set."""

import json
import zlib
from pathlib import Path
from typing import Any, Dict

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import DONE, atomic_write, parse_json

BEGUN = ".begun"


def clip_facts(clips: ClipSet) -> Dict[str, Any]:
    """What tells these clips from others, wherever they lie."""
    formatted = [
        _read(directory / DONE, "format (stage 2) again") for directory in clips.directories
    ]
    return {
        "formatted": formatted[0] if len(formatted) == 1 else formatted,
        "classes": checksum(",".join(clips.classes)),
    }


def checksum(text: str) -> str:
    """Eight hex digits."""
    return f"{zlib.crc32(text.encode('utf-8')):08x}"


def claim(out: Path, facts: Dict[str, Any]) -> None:
    """Leave the facts in a new directory, or see that those found there are the same.

    Several jobs do this at once: what is there is listed first, so that whoever finds audio finds
    its marker too.
    """
    present = [path.name for path in out.iterdir()] if out.is_dir() else []
    for marker in (out / DONE, out / BEGUN):
        if marker.is_file():
            found = _read(marker, f"remove {out} or choose another name")
            differences = _differences(found, json.loads(json.dumps(facts)))
            if differences:
                raise TSXError(
                    f"{out}: holds mixtures made differently ({differences}); "
                    "remove it or choose another name"
                )
            return
    if any(not name.startswith(BEGUN) for name in present):
        raise TSXError(f"{out}: is not empty and holds no mixtures of ours; choose another name")
    with atomic_write(out / BEGUN) as stream:
        json.dump(facts, stream, indent=1, sort_keys=True)


def reopen(out: Path, facts: Dict[str, Any]) -> None:
    """Make a complete set one that was begun."""
    with atomic_write(out / BEGUN) as stream:
        json.dump(facts, stream, indent=1, sort_keys=True)
    (out / DONE).unlink(missing_ok=True)


def _read(marker: Path, remedy: str) -> Dict[str, Any]:
    try:
        found = parse_json(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TSXError(f"{marker}: cannot be read ({error}); {remedy}") from None
    if not isinstance(found, dict):
        raise TSXError(f"{marker}: expected facts, found {found!r:.80}; {remedy}")
    return found


def _differences(found: Dict[str, Any], facts: Dict[str, Any], prefix: str = "") -> str:
    texts = []
    for key in sorted({**found, **facts}):
        old, new = found.get(key), facts.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            texts.append(_differences(old, new, f"{prefix}{key}."))
        elif old != new:
            texts.append(f"{prefix}{key}: {old!r} there, {new!r} now")
    return "; ".join(filter(None, texts))

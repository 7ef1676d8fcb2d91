"""Format a data directory: every clip at one rate, mono, 16 bit, checked, with its energies.

Written to the output directory:

- ``wav.scp`` and ``wav/ID.wav``; ``utt2num_samples``, ``utt2labels``, ``utt2captions``
- ``energies.scp`` and ``energies.ark``: a float32 matrix (F, 3) per clip, the total, harmonic and
  percussive energy of its 10 ms frames (see ``frame_energies`` and ``hpss_energies``)
- ``classes.txt``: every label of the kept clips; ``skipped``: ``id reason`` of the others
- ``.done``: rate, format version, checksum of the data directory's tables, number kept and skipped

A job writes its audio to ``wav/`` and the rest to ``parts.N/J/``; the merge puts parts together.
"""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Optional

from tsx_espnet.clips.check import find_damage
from tsx_espnet.clips.datadir import DataDir
from tsx_espnet.clips.part import format_part
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import (
    DONE,
    PathLike,
    atomic_write,
    is_done,
    mark_done,
    read_facts,
    read_table,
    remove_leftovers,
    write_table,
)

FORMAT_VERSION = 1  # raise it when the contents of the output change


def format_set(
    data: PathLike,
    out: PathLike,
    fs: int,
    num_jobs: int = 1,
    job: Optional[int] = None,
    merge: bool = False,
) -> Dict[str, Any]:
    """Format ``data`` to ``out`` at ``fs`` Hz: all of it, one job's part, or only the merge.

    What is finished is not done again: neither the whole nor a part, as long as ``fs`` and the
    tables of ``data`` stay the same. A finished set of which a file is missing or has another size
    is done again.

    Returns:
        the facts of ``.done``; without ``num_kept`` and ``skipped`` (counts by kind) for a part.

    Raises:
        TSXError: bad ``data``, no clip left, a part missing in the merge, or the disk full.
    """
    out = Path(out)
    if not 1000 <= fs <= 192000:
        raise TSXError(f"sampling rate must lie in 1000 .. 192000 Hz, found {fs}")
    clips = DataDir.read(data)
    clips.refuse_overwriting(out / "wav")
    if out.resolve() == clips.path.resolve():
        raise TSXError(f"{out}: output and data directory are the same")
    facts = {"fs": fs, "format_version": FORMAT_VERSION, "checksum": clips.checksum()}
    stale = read_facts(out) is not None
    done = _finished(out, facts)
    damage = find_damage(out, done) if done else None
    if done and not damage:
        print(f"{out}: already done ({_summary(done)})", flush=True)
        _clean(out)
        return done
    if damage:
        print(f"{damage}; formatting {out} again", flush=True)
    if stale:  # and not just written by another process
        (out / DONE).unlink(missing_ok=True)
    parts = out / f"parts.{num_jobs}"
    if not merge:
        for number in [job] if job is not None else range(1, num_jobs + 1):
            format_part(clips, out, parts / str(number), number, num_jobs, facts)
    if job is not None:
        return facts
    try:
        return _merge(clips, out, parts, num_jobs, facts)
    except TSXError:
        done = _finished(out, facts)  # by another merge, which has removed the parts
        if done and not find_damage(out, done):
            return done
        raise


def _finished(out: Path, facts: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """The contents of ``.done`` if they agree with ``facts``."""
    found = read_facts(out) or {}
    agree = {key: found.get(key) for key in facts} == facts
    return found if agree and isinstance(found.get("skipped"), dict) else None


def _merge(
    clips: DataDir, out: Path, parts: Path, num_jobs: int, facts: Dict[str, Any]
) -> Dict[str, Any]:
    """Put the finished parts together, ``.done`` last, and remove them."""
    for number in range(1, num_jobs + 1):
        if not is_done(parts / str(number), **facts):
            raise TSXError(
                f"{parts / str(number)}: this part is not finished; run "
                f"--num_jobs {num_jobs} --job {number} before --merge"
            )
    lengths, skipped, energies = {}, {}, {}
    with atomic_write(out / "energies.ark", "wb") as ark:
        for number in range(1, num_jobs + 1):
            part = parts / str(number)
            start = ark.tell()
            for name, offset in read_table(part / "offsets").items():
                energies[name] = f"{out / 'energies.ark'}:{start + int(offset)}"
            with open(part / "energies.ark", "rb") as stream:
                shutil.copyfileobj(stream, ark)
            lengths.update(read_table(part / "utt2num_samples"))
            skipped.update(read_table(part / "skipped"))
    write_table(out / "skipped", skipped)
    kinds = Counter(reason.partition(":")[0] for reason in skipped.values())
    done = dict(facts, num_kept=len(lengths), skipped=dict(sorted(kinds.items())))
    if not lengths:
        shutil.rmtree(parts, ignore_errors=True)  # a rerun shall look at the audio again
        raise TSXError(f"{clips.path}: {_summary(done)}, see {out / 'skipped'}")
    write_table(out / "utt2num_samples", lengths)
    write_table(out / "utt2labels", {name: ",".join(clips.labels[name]) for name in lengths})
    captions = {n: json.dumps(clips.captions[n]) for n in lengths if n in clips.captions}
    (out / "utt2captions").unlink(missing_ok=True)
    if captions:
        write_table(out / "utt2captions", captions)
    classes = sorted({label for name in lengths for label in clips.labels[name]})
    with atomic_write(out / "classes.txt") as stream:
        stream.writelines(f"{label}\n" for label in classes)
    write_table(out / "energies.scp", energies)
    write_table(out / "wav.scp", {name: out / "wav" / f"{name}.wav" for name in lengths})
    mark_done(out, **done)
    print(f"{out}: {_summary(done)}" + (f", see {out / 'skipped'}" if skipped else ""), flush=True)
    _clean(out)
    return done


def _summary(done: Dict[str, Any]) -> str:
    """One line such as ``36790 clips kept, 6 skipped (5 silent, 1 unreadable)``."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in done["skipped"].items())
    total = sum(done["skipped"].values())
    kept = f"{done['num_kept']} clips" if done.get("num_kept") else "no clip"
    return f"{kept} kept, {total} skipped" + (f" ({kinds})" if kinds else "")


def _clean(out: Path) -> None:
    """Remove the parts of a complete set, and the temporary files of writers that were killed."""
    for parts in out.glob("parts.*"):
        shutil.rmtree(parts, ignore_errors=True)
    remove_leftovers(out)
    names = read_table(out / "utt2num_samples")
    remove_leftovers(out / "wav", keep={f"{name}.wav" for name in names})

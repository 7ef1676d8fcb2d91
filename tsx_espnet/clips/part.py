"""One job's part of a data directory: audio written, energies and lengths noted."""

from pathlib import Path
from typing import Any, Dict

import numpy as np

from tsx_espnet.clips.datadir import DataDir
from tsx_espnet.clips.hpss import hpss_energies
from tsx_espnet.clips.recording import (
    FULL_SCALE,
    UnusableClip,
    frame_energies,
    read_clip,
    write_wav,
)
from tsx_espnet.jobs import items_of_job
from tsx_espnet.progress import progress
from tsx_espnet.tables import DONE, atomic_write, is_done, mark_done, write_table

FILES = ("energies.ark", "offsets", "utt2num_samples", "skipped")


def format_part(
    clips: DataDir, out: Path, part: Path, job: int, num_jobs: int, facts: Dict[str, Any]
) -> None:
    """Write the audio of every ``num_jobs``-th clip and, below ``part``, what is known about them.

    Args:
        clips: the data directory.
        out: the output directory, for the audio.
        part: directory of this part; left alone if it is done with the same ``facts``.
        job: 1 to ``num_jobs``.
        num_jobs: number of parts.
        facts: how the set is made; ``fs`` among them.
    """
    import kaldiio

    # a process that outlived its set may have left some of it
    if is_done(part, **facts) and all((part / file).is_file() for file in FILES):
        print(f"{part}: already done", flush=True)
        return
    (part / DONE).unlink(missing_ok=True)
    skipped, lengths, offsets = {}, {}, {}
    with atomic_write(part / "energies.ark", "wb") as ark:
        title = f"format {out.name} {job}/{num_jobs}"
        for name in progress(items_of_job(list(clips.wavs), job, num_jobs), title):
            try:
                samples = read_clip(clips.wavs[name], facts["fs"])
            except UnusableClip as reason:
                skipped[name] = reason
                continue
            path = out / "wav" / f"{name}.wav"
            write_wav(path, samples, facts["fs"])
            lengths[name] = len(samples)
            ark.write(f"{name} ".encode())
            offsets[name] = ark.tell()
            kaldiio.matio.write_array(ark, clip_energies(samples, facts["fs"]))
    write_table(part / "offsets", offsets)
    write_table(part / "utt2num_samples", lengths)
    write_table(part / "skipped", skipped)
    mark_done(part, **facts)


def clip_energies(samples: np.ndarray, fs: int) -> np.ndarray:
    """Total, harmonic and percussive energy of each 10 ms frame: (T,) int16 -> (F, 3) float32."""
    harmonic, percussive = hpss_energies(samples.astype(np.float32) / FULL_SCALE, fs)
    total = frame_energies(samples, fs)
    return np.stack([total, harmonic, percussive], axis=1).astype(np.float32)

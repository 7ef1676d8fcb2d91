"""Format a data directory: every clip at one rate, mono, 16 bit, checked, with its energies.

Written to the output directory:

- ``wav.scp`` and ``wav/ID.wav``; ``utt2num_samples``
- ``utt2labels``, ``text``, ``utt2phrases``, ``utt2recording``, of the clips that have some
- ``energies.f32``: float32 (F, 3), the total, harmonic and percussive energy of the 10 ms frames of
  all clips (see ``clip_energies``), in the order of their ids
- ``classes.txt``: every label of the kept clips, if there is one
- ``skipped``: ``id reason`` of the others
- ``.done``: rate, format version, checksum of the data directory's tables, number kept and skipped
"""

import contextlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Collection, Dict, Mapping, Optional, Sequence

import numpy as np
import soxr

from tsx_espnet.audio import AudioError, read_audio, write_audio
from tsx_espnet.cli import ALL, Jobs, progress
from tsx_espnet.clips.clip_tables import read_lengths
from tsx_espnet.clips.datadir import (
    LABELS,
    OLD_TEXT,
    PHRASES,
    RECORDINGS,
    TEXT,
    DataDir,
    text_file,
)
from tsx_espnet.clips.energies import (
    FILE,
    FRAME_BYTES,
    FULL_SCALE,
    clip_energies,
    frame_energies,
    num_frames,
)
from tsx_espnet.conditions import SOUNDING_FLOOR, sounding
from tsx_espnet.errors import TSXError
from tsx_espnet.output import Output
from tsx_espnet.tables import PathLike, atomic_write, read_table, write_table

WAV_HEADER_BYTES = 44  # of 16-bit WAV, before its samples
FORMAT_VERSION = 2  # raise it when the contents of the output change
MIN_SOUNDING = 0.1  # s


class UnusableClip(Exception):
    """Why a clip is left out of the formatted set, as ``kind: details``."""


def format_set(data: PathLike, out: PathLike, fs: int, jobs: Jobs = ALL) -> Dict[str, Any]:
    """Format ``data`` to ``out`` at ``fs`` Hz: all of it, one job's part, or only the merge.

    Returns:
        the facts of ``.done``; without ``num_kept`` and ``skipped`` (counts by kind) for a part.

    Raises:
        TSXError: bad ``data``, no clip left, a part missing in the merge, or the disk full.
    """
    if not 1000 <= fs <= 192000:
        raise TSXError(f"sampling rate must lie in 1000 .. 192000 Hz, found {fs}")
    clips = DataDir.read(data)
    clips.refuse_overwriting(Path(out) / "wav")
    if Path(out).resolve() == clips.path.resolve():
        raise TSXError(f"{out}: output and data directory are the same")
    formatted = FormattedClips(clips, out, fs)
    formatted.write(jobs)
    return formatted.found() or formatted.facts


class FormattedClips(Output):
    """``dump/<fs>/<set>``, made from a data directory."""

    noun = "clips"
    findings = ("num_kept", "skipped")

    def __init__(self, clips: DataDir, out: PathLike, fs: int):
        facts = {"fs": fs, "format_version": FORMAT_VERSION, "checksum": clips.checksum()}
        super().__init__(out, facts, list(clips.wavs))
        self.clips = clips
        self.fs = fs

    def write_part(self, part: Path, items: Sequence[str], title: str) -> None:
        """Audio to the output; energies, lengths and skipped clips to ``part``."""
        skipped, lengths = {}, {}
        with atomic_write(part / FILE, "wb") as stream:
            for name in progress(items, f"format {title}"):
                try:
                    samples = read_clip(self.clips.wavs[name], self.fs)
                except UnusableClip as reason:
                    skipped[name] = reason
                    continue
                write_audio(self.audio_of(name), samples, self.fs, "WAV", "PCM_16")
                lengths[name] = len(samples)
                stream.write(clip_energies(samples, self.fs).astype("<f4").tobytes())
        write_table(part / "utt2num_samples", lengths)
        write_table(part / "skipped", skipped)

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        """The tables, and the energies of all parts sorted by clip."""
        out, clips = self.directory, self.clips
        skipped: Dict[str, str] = {}
        for part in parts:
            skipped.update(read_table(part / "skipped"))
        write_table(out / "skipped", skipped)
        lengths = self.merge_lengths(parts)
        kinds = Counter(reason.partition(":")[0] for reason in skipped.values())
        findings = {"num_kept": len(lengths), "skipped": dict(sorted(kinds.items()))}
        if not lengths:
            shutil.rmtree(parts[0].parent, ignore_errors=True)  # a rerun looks again
            raise TSXError(f"{clips.path}: {self.summary(findings)}")
        write_table(out / "utt2num_samples", lengths)
        classes = sorted({label for name in lengths for label in clips.labels.get(name, ())})
        for file in (LABELS, TEXT, OLD_TEXT, PHRASES, RECORDINGS, "classes.txt"):
            (out / file).unlink(missing_ok=True)
        for file, table in self._tables(lengths).items():
            write_table(out / file, table)
        if classes:
            with atomic_write(out / "classes.txt") as stream:
                stream.writelines(f"{label}\n" for label in classes)
        write_table(out / "wav.scp", {name: self.audio_of(name) for name in lengths})
        return findings

    def audio_of(self, name: str) -> Path:
        """The formatted audio file of a clip."""
        return self.directory / "wav" / f"{name}.wav"

    def _tables(self, names: Collection[str]) -> Dict[str, Dict[str, str]]:
        """The tables about these clips that are not empty, by file."""
        clips = self.clips
        tables = {
            LABELS: {n: ",".join(clips.labels[n]) for n in names if n in clips.labels},
            TEXT: {n: json.dumps(clips.captions[n]) for n in names if clips.captions.get(n)},
            PHRASES: {n: json.dumps(clips.phrases[n]) for n in names if clips.phrases.get(n)},
            RECORDINGS: {n: clips.recordings[n] for n in names if n in clips.recordings},
        }
        return {file: table for file, table in tables.items() if table}

    def merge_lengths(self, parts: Sequence[Path]) -> Dict[str, int]:
        """The lengths of all clips; their energies to the output.

        Each part is sorted, so that one pass over all of them sorts the whole.
        """
        lengths: Dict[str, int] = {}
        with contextlib.ExitStack() as stack:
            sources = {}
            for part in parts:
                own = read_lengths(part)
                source = stack.enter_context(open(part / FILE, "rb"))
                sources.update(dict.fromkeys(own, source))
                lengths.update(own)
            with atomic_write(self.directory / FILE, "wb") as stream:
                for name in sorted(lengths):
                    frames = num_frames(lengths[name], self.fs)
                    stream.write(sources[name].read(FRAME_BYTES * frames))
        return lengths

    def expected_files(self, where: Path, items: Sequence[str]) -> Mapping[Path, Optional[int]]:
        """Audio, energies and, of the whole, tables."""
        lengths = read_lengths(where)
        if {*lengths, *read_table(where / "skipped")} != set(items):
            raise TSXError(f"{where / 'utt2num_samples'}: expected the clips of {self.clips.path}")
        files = self.files_of(where, lengths)
        if where == self.directory:
            tables: Dict[str, Mapping[str, Any]] = {"wav.scp": lengths, **self._tables(lengths)}
            if LABELS in tables:
                files[where / "classes.txt"] = None
            for file, table in tables.items():
                path = text_file(where) if file == TEXT else where / file
                if read_table(path).keys() != table.keys():
                    raise TSXError(f"{path}: expected the clips of {self.clips.path}")
        return files

    def files_of(self, where: Path, lengths: Mapping[str, int]) -> Dict[Path, Optional[int]]:
        """Path -> bytes of the audio and the energies of some clips."""
        audio = {self.audio_of(name): WAV_HEADER_BYTES + 2 * n for name, n in lengths.items()}
        frames = sum(num_frames(n, self.fs) for n in lengths.values())
        return {**audio, where / FILE: FRAME_BYTES * frames}

    def summary(self, facts: Mapping[str, Any]) -> str:
        """One line such as ``36790 clips kept, 6 skipped (5 silent, 1 unreadable), see FILE``."""
        skipped: Dict[str, int] = facts["skipped"]
        words = ", ".join(f"{count} {kind}" for kind, count in skipped.items())
        kept = f"{facts['num_kept']} clips" if facts["num_kept"] else "no clip"
        text = f"{kept} kept, {sum(skipped.values())} skipped"
        return f"{text} ({words}), see {self.directory / 'skipped'}" if words else text


def read_clip(path: PathLike, fs: int) -> np.ndarray:
    """A recording of any rate and number of channels, as mono 16-bit samples at ``fs`` Hz.

    The channels are averaged, the mean is removed, and the level is kept unless that would clip.

    Returns:
        (T,) int16.

    Raises:
        UnusableClip: missing, unreadable, truncated, empty or silent (no 10 ms frame above
            -60 dBFS) file, less than 0.1 s of sound, or samples that are NaN or infinite.
    """
    try:
        audio, rate = read_audio(path, dtype="float64", average=True)
    except AudioError as error:
        raise UnusableClip(f"{error.kind}: {error}") from None
    if len(audio) < MIN_SOUNDING * rate:
        raise UnusableClip(f"too short: {len(audio)} samples at {rate} Hz, {MIN_SOUNDING} s needed")
    audio -= audio.mean()
    if rate != fs:
        audio = soxr.resample(audio, rate, fs, quality="HQ")
    samples = quantise(audio)
    frames = int(sounding(frame_energies(samples, fs), fs).sum())
    if frames == 0:
        raise UnusableClip(f"silent: no 10 ms above {SOUNDING_FLOOR:.0f} dBFS")
    if frames < round(MIN_SOUNDING * 100):
        raise UnusableClip(f"too short: {frames / 100:.2f} s of sound, {MIN_SOUNDING} s needed")
    return samples


def quantise(audio: np.ndarray) -> np.ndarray:
    """Round to 16 bit; a signal whose peak does not fit is scaled down until it does.

    >>> quantise(np.array([0.5, -1.0])), quantise(np.array([1.0, -2.0]))
    (array([ 16384, -32768], dtype=int16), array([ 16384, -32767], dtype=int16))
    """
    scaled = audio * FULL_SCALE
    if np.rint(scaled.max()) >= FULL_SCALE or np.rint(scaled.min()) < -FULL_SCALE:
        scaled *= (FULL_SCALE - 1) / np.abs(scaled).max()
    return np.rint(scaled).astype(np.int16)

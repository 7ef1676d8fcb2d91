"""Mixtures as a corpus ships them: their sources stay where they are, and as they are.

A data directory with ``mixtures.jsonl`` holds the sources of mixtures, not clips to draw mixtures
from. They are neither resampled nor copied, and what would be refused in a clip (silence, a mean,
some samples) is part of a mixture. Written to the output directory:

- ``wav.scp``, the files of the data directory; ``utt2num_samples``; ``utt2labels`` and the like
- ``mixtures.jsonl``: the plans
- ``.done``: with the fact ``as_shipped``

There are no energies over time, so that nothing else can be drawn from these sources.
"""

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from tsx_espnet.audio import AudioFile
from tsx_espnet.cli import ALL, Jobs, progress
from tsx_espnet.clips.clip_tables import AS_SHIPPED, read_lengths
from tsx_espnet.clips.datadir import DataDir
from tsx_espnet.clips.format import FormattedClips
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.mixture_set import PLANS
from tsx_espnet.mixing.plan import read_plans, write_plans
from tsx_espnet.tables import PathLike, digest, write_table

SHIPPED_VERSION = 1  # raise it when the contents of the output change


def is_mixed(data: PathLike) -> bool:
    """Whether a data directory holds the sources of mixtures."""
    return (Path(data) / PLANS).is_file()


def format_shipped(data: PathLike, out: PathLike, fs: int, jobs: Jobs = ALL) -> Dict[str, Any]:
    """Check the mixtures of ``data`` and write their tables to ``out``.

    Returns:
        the facts of ``.done``.

    Raises:
        TSXError: naming the file and the clip, if a source is missing, cut short, not mono, or has
            another rate than ``fs`` Hz; naming the mixture, if a plan does not fit its sources.
    """
    if Path(out).resolve() == Path(data).resolve():
        raise TSXError(f"{out}: output and data directory are the same")
    shipped = ShippedMixtures(DataDir.read(data), out, fs)
    shipped.write(jobs)
    return shipped.found() or shipped.facts


class ShippedMixtures(FormattedClips):
    """``dump/<fs>/<set>`` of a data directory that holds the sources of mixtures."""

    noun = "sources"

    def __init__(self, clips: DataDir, out: PathLike, fs: int):
        super().__init__(clips, out, fs)
        self.plans = read_plans(clips.path / PLANS)
        if not self.plans:
            raise TSXError(f"{clips.path / PLANS}: holds no mixture")
        of_plans = digest("".join(plan.to_json() for plan in self.plans).encode())
        self.facts.update({AS_SHIPPED: SHIPPED_VERSION, "plans": of_plans})

    def write_part(self, part: Path, items: Sequence[str], title: str) -> None:
        """The lengths to ``part``."""
        scp = self.clips.path / "wav.scp"
        lengths = {}
        for name in progress(items, f"check {title}"):
            try:
                lengths[name] = self._length(self.clips.wavs[name])
            except TSXError as error:
                raise TSXError(f"{scp}: {name}: {error}") from None
        write_table(part / "utt2num_samples", lengths)
        write_table(part / "skipped", {})

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        """The tables and the plans."""
        findings = super().merge(parts)
        write_plans(self.directory / PLANS, self.plans)
        return findings

    def merge_lengths(self, parts: Sequence[Path]) -> Dict[str, int]:
        """The lengths of all sources, which the plans must fit."""
        lengths = {name: n for part in parts for name, n in read_lengths(part).items()}
        for plan in self.plans:
            where = f"{self.clips.path / PLANS}: {plan.id}"
            if plan.fs != self.fs:
                raise TSXError(f"{where}: expected {self.fs} Hz, found {plan.fs} Hz")
            for source in plan.sources:
                found, end = lengths.get(source.clip), source.start + source.length
                if found is None:
                    raise TSXError(f"{where}: its source {source.clip!r} is not in wav.scp")
                if found < end:
                    raise TSXError(
                        f"{where}: expected {end} samples or more of {source.clip!r}, found {found}"
                    )
        return lengths

    def audio_of(self, name: str) -> Path:
        """The audio file of a source, where the corpus has it."""
        return self.clips.wavs[name].absolute()

    def files_of(self, where: Path, lengths: Mapping[str, int]) -> Dict[Path, Optional[int]]:
        """The audio of the corpus; of the whole, the plans."""
        files: Dict[Path, Optional[int]] = {self.audio_of(name): None for name in lengths}
        if where == self.directory:
            files[where / PLANS] = None
        return files

    def summary(self, facts: Mapping[str, Any]) -> str:
        return f"{len(self.plans)} mixtures as shipped, {facts['num_kept']} sources"

    def _length(self, path: Path) -> int:
        """Samples of a whole, mono file at the rate."""
        with AudioFile(path) as audio:
            audio.check(None, channels=1)
            if audio.fs != self.fs:
                raise TSXError(
                    f"{path}: expected {self.fs} Hz (--fs), found {audio.fs} Hz; mixtures as "
                    "shipped are not resampled"
                )
            audio.check_length()
            return audio.frames

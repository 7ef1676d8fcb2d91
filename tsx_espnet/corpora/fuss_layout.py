"""Mixtures of any clips, written as FUSS ships its own: sources, mixtures and a list of them."""

import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from tsx_espnet.audio import write_audio
from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import ALL, Jobs, progress
from tsx_espnet.corpora.fuss import LIST
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.mixing.set_writer import drawn_facts
from tsx_espnet.output import Output
from tsx_espnet.tables import PathLike, atomic_write, size_of

LAYOUT_VERSION = 1  # raise it when the same facts give other mixtures
LABEL = "sound"  # of a clip without labels, as of all of FUSS's
HEADER_BYTES = 44  # of 16-bit WAV, before its samples
FULL_SCALE = 32767


def write_as_fuss(
    sampler: Sampler, num_mixtures: int, seed: int, out: PathLike, jobs: Jobs = ALL
) -> None:
    """Draw mixtures 1 .. ``num_mixtures`` of ``seed`` and write them to ``out`` as a set of FUSS.

    ``out`` is ``<root>/ssdata/train``, ``validation`` or ``eval``; its list lies beside it. The
    first source of a mixture is called its background, the others are foregrounds.

    Raises:
        TSXError: if ``out`` holds something else, a part is missing in the merge, or the mixtures
            have a background of noise, which is no source.
    """
    check_at_least(1, num_mixtures=num_mixtures)
    FussMixtures(sampler, num_mixtures, seed, out).write(jobs)


class FussMixtures(Output):
    """A set of mixtures in the layout of FUSS."""

    noun = "mixtures"
    keep_other = True

    def __init__(self, sampler: Sampler, num_mixtures: int, seed: int, out: PathLike):
        if sampler.config.background is not None:
            raise TSXError("background: expected none in FUSS's layout, which has sources alone")
        facts = {
            "layout": "fuss",
            "version": LAYOUT_VERSION,
            **drawn_facts(sampler, num_mixtures, seed),
            "clips": sampler.clips.facts(),
        }
        super().__init__(out, facts, range(num_mixtures))
        self.sampler = sampler
        self.seed = seed

    def write_part(self, part: Path, items: Sequence[int], title: str) -> None:
        """Audio to the output, lines of the list to ``part``."""
        lines = []
        for item in progress(items, f"mix {title}"):
            plan = self._plan(item)
            sizes = self._sizes(plan)
            if any(size_of(path) != size for path, size in sizes.items()):
                self._write_audio(plan, list(sizes))
            root = self.directory.parent
            lines.append("\t".join(path.relative_to(root).as_posix() for path in sizes))
        _write_lines(part / LIST.format(self.directory.name), lines)

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        """The list, in the order of the mixtures."""
        lines: List[Any] = [None] * len(self.items)
        for number, part in enumerate(parts):
            own = (part / LIST.format(self.directory.name)).read_text(encoding="utf-8")
            lines[number :: len(parts)] = own.splitlines()
        _write_lines(self.directory.parent / LIST.format(self.directory.name), lines)
        return {}

    def expected_files(self, where: Path, items: Sequence[int]) -> Mapping[Path, Optional[int]]:
        """The audio; its list."""
        files: Dict[Path, Optional[int]] = {}
        for item in items:
            files.update(self._sizes(self._plan(item)))
        whole = where == self.directory
        folder = self.directory.parent if whole else where
        files[folder / LIST.format(self.directory.name)] = None
        return files

    def summary(self, facts: Mapping[str, Any]) -> str:
        return f"{len(self.items)} mixtures as FUSS ships them"

    def _plan(self, item: int) -> Plan:
        width = len(str(len(self.items)))
        return self.sampler.draw(self.seed, 0, item, f"example{item:0{width}d}")

    def _sizes(self, plan: Plan) -> Dict[Path, int]:
        """The files of a mixture and of its sources, and their bytes."""
        folder = self.directory / f"{plan.id}_sources"
        paths = [self.directory / f"{plan.id}.wav"]
        for number, source in enumerate(plan.sources):
            role = f"foreground{number - 1}" if number else "background0"
            label = re.sub(r"[^\w.+-]", "_", (*source.labels, LABEL)[0])  # it may hold a slash
            paths.append(folder / f"{role}_{label}.wav")
        return dict.fromkeys(paths, HEADER_BYTES + 2 * plan.num_samples)

    def _write_audio(self, plan: Plan, paths: Sequence[Path]) -> None:
        """16-bit sources, and their sum; the whole softer if that would clip."""
        sources = self.sampler.render(plan).components.astype(np.float64)
        peak = max(np.abs(sources).max(), np.abs(sources.sum(axis=0)).max())
        rounding = len(sources) / 2  # of the sum, in 16-bit steps
        scale = min(FULL_SCALE + 1.0, (FULL_SCALE - rounding) / max(peak, 1e-9))
        steps = np.rint(scale * sources).astype(np.int16)
        for path, samples in zip(paths, [steps.sum(axis=0, dtype=np.int16), *steps]):
            write_audio(path, samples, plan.fs, "WAV", "PCM_16")


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    with atomic_write(path) as stream:
        stream.writelines(f"{line}\n" for line in lines)

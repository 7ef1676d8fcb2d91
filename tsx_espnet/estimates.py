"""Estimates for a mixture set: target and other for every mixture and every applicable condition.

Written to the output directory:

- ``<condition>/wav/<id>_target.wav``, ``<id>_other.wav``, as estimated: no clipping, no rescaling
- ``<condition>/spk1.scp``, ``spk2.scp``: target and other
- ``.done``: how they were made
"""

import functools
import shutil
from collections import defaultdict
from pathlib import Path
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np
import torch

from tsx_espnet.audio import HEADER_BYTES, write_audio, write_float_wav
from tsx_espnet.cli import progress
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import ASKED
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment
from tsx_espnet.mixing.mixture_set import ESTIMATES, MIXTURE, DataEntry, MixtureSet
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.output import Output
from tsx_espnet.tables import DONE, PathLike, digest, read_table, write_table

CACHE = 2048  # embeddings


class Estimates(Output):
    """What a model extracts from a whole mixture set.

    Args:
        num_enrollments: K, query by the first K enrollments of each mixture; None: by all.
        audio_format: ``wav`` or ``flac``.

    Raises:
        TSXError: if a mixture cannot be read or has another rate than the model; when written, if
            an estimate does not fit the audio format, or a part is missing in the merge.
    """

    def __init__(
        self,
        experiment: Experiment,
        mixtures: MixtureSet,
        conditions: Sequence[str],
        out: Path,
        num_enrollments: Optional[int] = None,
        batch_size: int = 8,
        audio_format: str = "wav",
    ):
        texts = experiment.vocabulary.text_table
        facts = {
            "model": digest(experiment.model_file),
            "mixtures": digest(mixtures.directory / DONE),
            "audio_format": audio_format,
            "conditions": list(conditions),
            "text_embeddings": None if texts is None else digest(texts.embeddings.tobytes()),
        }
        if num_enrollments is not None:
            facts["num_enrollments"] = num_enrollments
        super().__init__(out, facts, mixtures.ids)
        self.experiment = experiment
        self.mixtures = mixtures
        self.queries = mixtures.queries(conditions, num_enrollments)
        self.fs = int(experiment.config["fs"])
        self.lengths = mixtures.lengths(self.fs)
        self.batch_size = batch_size
        self.suffix = audio_format

    def write_part(self, part: Path, items: Sequence[str], title: str) -> None:
        """The audio; the merge needs nothing else."""
        batches = batches_of_equal_length({n: self.lengths[n] for n in items}, self.batch_size)
        # of a fixed list of enrollments, many mixtures have the same
        embed = functools.lru_cache(maxsize=CACHE)(self.experiment.embed)
        for batch in progress(list(batches), f"extract {title}"):
            length = self.lengths[batch[0]]
            audio = {n: self.mixtures.read(MIXTURE, n, fs=self.fs, length=length) for n in batch}
            found = extract_batch(self.experiment.model, audio, self.queries, embed)
            for condition, name, *estimates in found:
                for row, samples in zip(ESTIMATES, estimates):
                    write_lossless(self._path(condition, name, row), samples, self.fs)

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        for condition, values in self.queries.items():
            for row in ESTIMATES:
                paths = {name: self._path(condition, name, row) for name in values}
                write_table(self.directory / condition / row.file, paths)
        return {}

    def expected_files(self, where: Path, items: Sequence[str]) -> Mapping[Path, Optional[int]]:
        """The size of a FLAC file does not tell its length."""
        files: Dict[Path, Optional[int]] = {}
        wanted = set(items)
        for condition, values in self.queries.items():
            for row in ESTIMATES:
                for name in wanted & values.keys():
                    size = HEADER_BYTES + 4 * self.lengths[name] if self.suffix == "wav" else None
                    files[self._path(condition, name, row)] = size
                table = self.directory / condition / row.file
                if where == self.directory:
                    if read_table(table).keys() != values.keys():
                        raise TSXError(f"{table}: expected {len(values)} estimates")
                    files[table] = None if values else 0
        return files

    def summary(self, facts: Mapping[str, Any]) -> str:
        counts = ", ".join(f"{name} {len(values)}" for name, values in self.queries.items())
        return f"{len(self.items)} mixtures ({counts})"

    def withdraw(self) -> None:
        """Earlier estimates, maybe by more conditions, must not be scored as these."""
        super().withdraw()
        for name in ASKED:
            for row in ESTIMATES:
                (self.directory / name / row.file).unlink(missing_ok=True)

    def clean(self, files: Collection[Path]) -> None:
        super().clean(files)
        for name in set(ASKED) - set(self.queries):
            shutil.rmtree(self.directory / name, ignore_errors=True)  # of an earlier model

    def _path(self, condition: str, mixture: str, row: DataEntry) -> Path:
        return self.directory / condition / "wav" / f"{mixture}_{row.kind}.{self.suffix}"


def batches_of_equal_length(lengths: Dict[str, int], batch_size: int) -> Iterator[List[str]]:
    """Batches of mixtures of one length each, so that nothing is padded."""
    groups = defaultdict(list)
    for name, length in lengths.items():
        groups[length].append(name)
    for _, names in sorted(groups.items()):
        for start in range(0, len(names), batch_size):
            yield names[start : start + batch_size]


def extract_batch(
    model: ESPnetTSXModel,
    audio: Mapping[str, np.ndarray],
    queries: Mapping[str, Mapping[str, str]],
    embed: Callable[[str, str], ConditionEmbedding],
) -> Iterator[Tuple[str, str, np.ndarray, np.ndarray]]:
    """(condition, mixture, target (T,), other (T,)) for all queries that apply in a batch.

    Args:
        audio: mixture -> (T,), T the same for all.
        queries: condition -> mixture -> value, of any mixtures.
        embed: (condition, value) -> its embedding, a batch of one.
    """
    device = next(model.parameters()).device
    names = list(audio)
    waveforms = torch.from_numpy(np.stack(list(audio.values()))).to(device)
    lengths = torch.full((len(names),), waveforms.shape[1], device=device)
    with torch.no_grad():
        encoded = model.encode(waveforms, lengths)
        for condition, values in queries.items():
            rows = [row for row, name in enumerate(names) if name in values]
            if not rows:
                continue
            chosen = torch.tensor(rows, device=device)
            if condition in model.heard:
                embedding = model.hear(encoded, condition).select(chosen)
            else:
                embedding = ConditionEmbedding.cat(
                    [embed(condition, values[names[row]]) for row in rows]
                )
            embedding = model.refine(encoded, embedding, chosen)
            estimates = model.separate(encoded, embedding, chosen)
            for row, (target, other) in zip(rows, estimates[:, :2].cpu().numpy()):
                yield condition, names[row], target, other


def write_lossless(path: PathLike, samples: np.ndarray, fs: int) -> None:
    """Write (T,) samples by the suffix: ``.wav`` as 32-bit float, ``.flac`` with 24 bits.

    Raises:
        TSXError: as ``audio_writer``.
    """
    if str(path).endswith(".wav"):
        write_float_wav(path, samples, fs)
    else:
        write_audio(path, samples, fs, "FLAC", "PCM_24")

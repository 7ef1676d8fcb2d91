"""Estimates for a mixture set: target and other for every target and every applicable condition.

Written to the output directory:

- ``<condition>/wav/<name>_target.wav``, ``<name>_other.wav``, as estimated: no clipping, no
  rescaling; ``<name>`` is that of the target, see ``MixtureSet.targets``
- ``<condition>/spk1.scp``, ``spk2.scp``: target and other; of a model without queries all of its
  outputs, in any order: ``spk1.scp`` to ``spkM.scp``, one name a mixture
- ``.done``: how they were made
"""

import functools
import shutil
from abc import abstractmethod
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
from tsx_espnet.conditions import ASKED, find
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment
from tsx_espnet.extractor.separation import Encoded, target_and_rest
from tsx_espnet.mixing.data_table import ESTIMATES, MIXTURE, SOURCES, DataEntry
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.output import Output
from tsx_espnet.tables import DONE, PathLike, digest, read_table, write_table

CACHE = 2048  # embeddings
ORACLE = "oracle"  # a fact of estimates by a model that heard the sources


class EstimatedSet(Output):
    """The estimates of every target of a mixture set; subclasses say how one is made.

    Args:
        facts: what the estimates depend on, beside the mixtures and conditions.
        fs: in Hz.
        num_outputs: M, of a model without queries.
        num_enrollments: K, query by the first K enrollments of each mixture; None: by all.
        audio_format: ``wav`` or ``flac``.

    Raises:
        TSXError: if a mixture cannot be read or has another rate; when written, if an estimate does
            not fit the audio format, or a part is missing in the merge.
    """

    def __init__(
        self,
        mixtures: MixtureSet,
        out: PathLike,
        facts: Dict[str, Any],
        conditions: Sequence[str],
        fs: int,
        num_outputs: int,
        num_enrollments: Optional[int] = None,
        batch_size: int = 8,
        audio_format: str = "wav",
    ):
        facts = {
            **facts,
            "mixtures": digest(mixtures.directory / DONE),
            "audio_format": audio_format,
            "conditions": list(conditions),
        }
        if num_enrollments is not None:
            facts["num_enrollments"] = num_enrollments
        super().__init__(out, facts, mixtures.ids)
        self.mixtures = mixtures
        self.queries = mixtures.queries(conditions, num_enrollments)
        self.by_mixture: Dict[str, Dict[str, Dict[str, str]]] = {}
        for condition, values in self.queries.items():
            grouped = self.by_mixture[condition] = defaultdict(dict)
            for name, value in values.items():
                grouped[mixtures.mixture_of(name)][name] = value
        self.fs = fs
        self.num_outputs = num_outputs
        self.lengths = mixtures.lengths(self.fs)
        self.batch_size = batch_size
        self.suffix = audio_format

    @abstractmethod
    def extract(
        self, audio: Mapping[str, np.ndarray], sources: Optional[np.ndarray]
    ) -> Iterator[Tuple[str, str, np.ndarray]]:
        """(condition, name, estimates (M, T)) of a batch.

        Args:
            audio: mixture -> (T,), T the same for all.
            sources: (B, S, T), for an oracle.
        """

    def write_part(self, part: Path, items: Sequence[str], title: str) -> None:
        """The audio; the merge needs nothing else."""
        batches = batches_of_equal_length({n: self.lengths[n] for n in items}, self.batch_size)
        for batch in progress(list(batches), f"extract {title}"):
            length = self.lengths[batch[0]]
            audio = {n: self.mixtures.read(MIXTURE, n, fs=self.fs, length=length) for n in batch}
            sources = self._sources(batch, length) if ORACLE in self.facts else None
            for condition, name, estimates in self.extract(audio, sources):
                for row, samples in zip(self._rows(condition), estimates):
                    write_lossless(self._path(condition, name, row), samples, self.fs)

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        for condition, values in self.queries.items():
            for row in self._rows(condition):
                paths = {name: self._path(condition, name, row) for name in values}
                write_table(self.directory / condition / row.file, paths)
        return {}

    def expected_files(self, where: Path, items: Sequence[str]) -> Mapping[Path, Optional[int]]:
        """The size of a FLAC file does not tell its length."""
        files: Dict[Path, Optional[int]] = {}
        sizes = {name: HEADER_BYTES + 4 * length for name, length in self.lengths.items()}
        for condition, values in self.queries.items():
            for row in self._rows(condition):
                for mixture in items:
                    size = sizes[mixture] if self.suffix == "wav" else None
                    for name in self.by_mixture[condition].get(mixture, ()):
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
            for table in output_tables(self.directory / name).values():
                table.unlink(missing_ok=True)

    def clean(self, files: Collection[Path]) -> None:
        super().clean(files)
        for name in set(ASKED) - set(self.queries):
            shutil.rmtree(self.directory / name, ignore_errors=True)  # of an earlier model

    def _sources(self, batch: Sequence[str], length: int) -> np.ndarray:
        """(B, S, T), of fewer sources zeros; target and other, if that is all that the set has."""
        rows = [SOURCES] if (self.mixtures.directory / SOURCES.file).is_file() else ESTIMATES
        sources = [
            np.column_stack(
                [self.mixtures.read(row, name, fs=self.fs, length=length) for row in rows]
            ).T
            for name in batch
        ]
        padded = np.zeros((len(batch), max(map(len, sources)), length), dtype=np.float32)
        for row, found in zip(padded, sources):
            row[: len(found)] = found
        return padded

    def _rows(self, condition: str) -> Tuple[DataEntry, ...]:
        """What is written under a condition, a row for each of the estimates."""
        if find(condition).queried:
            return ESTIMATES
        numbers = range(len(ESTIMATES) + 1, self.num_outputs + 1)
        more = (DataEntry(f"spk{k}.scp", f"speech_ref{k}", "sound", f"output{k}") for k in numbers)
        return (*ESTIMATES, *more)

    def _path(self, condition: str, name: str, row: DataEntry) -> Path:
        return self.directory / condition / "wav" / f"{name}_{row.kind}.{self.suffix}"


class Estimates(EstimatedSet):
    """What a model extracts from a whole mixture set; an oracle model hears the sources of the set.

    Args:
        options: see ``EstimatedSet``.
    """

    def __init__(
        self,
        experiment: Experiment,
        mixtures: MixtureSet,
        conditions: Sequence[str],
        out: PathLike,
        **options,
    ):
        texts = experiment.vocabulary.text_table
        facts = {
            "model": digest(experiment.model_file),
            "text_embeddings": None if texts is None else digest(texts.embeddings.tobytes()),
        }
        if experiment.model.is_oracle:
            facts[ORACLE] = True
        fs, num_outputs = int(experiment.config["fs"]), experiment.model.extractor.num_outputs
        super().__init__(mixtures, out, facts, conditions, fs, num_outputs, **options)
        self.experiment = experiment
        # of a fixed list of enrollments, many mixtures have the same
        self.embed = functools.lru_cache(maxsize=CACHE)(experiment.embed)

    def extract(self, audio, sources):
        return extract_batch(self.experiment.model, audio, self.by_mixture, self.embed, sources)


def output_tables(directory: PathLike) -> Dict[str, Path]:
    """``spk<k>`` -> table of the estimates of each output in a directory, in their order."""
    tables = [path for path in Path(directory).glob("spk*.scp") if path.stem[3:].isdecimal()]
    return {path.stem: path for path in sorted(tables, key=lambda path: int(path.stem[3:]))}


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
    queries: Mapping[str, Mapping[str, Mapping[str, str]]],
    embed: Callable[[str, str], ConditionEmbedding],
    sources: Optional[np.ndarray] = None,
    others: Optional[Tuple[np.ndarray, Optional[np.ndarray]]] = None,
) -> Iterator[Tuple[str, str, np.ndarray]]:
    """(condition, name, estimates (M, T)) for all queries of a batch, each mixture encoded once.

    M = 2, target and other, for a condition that is queried; else the outputs of the model.

    Args:
        audio: mixture -> (T,), T the same for all.
        queries: condition -> mixture -> name of the target -> value, of any mixtures.
        embed: (condition, value) -> its embedding, a batch of one.
        sources: (B, S, T), for a model that hears them.
        others: (B, T) and ``sources`` of other mixtures; what is heard is heard there.
    """
    device = next(model.parameters()).device
    with torch.no_grad():
        encoded = _encode(model, np.stack(list(audio.values())), sources, device)
        elsewhere = encoded if others is None else _encode(model, *others, device)
        for condition, mixtures in queries.items():
            asked = [
                (row, name, value)
                for row, mixture in enumerate(audio)
                for name, value in mixtures.get(mixture, {}).items()
            ]
            if not asked:
                continue
            rows, names, values = zip(*asked)
            chosen = torch.tensor(rows, device=device)
            if condition in model.heard:
                embedding = model.hear(elsewhere, condition).select(chosen)
            else:
                embedding = ConditionEmbedding.cat([embed(condition, value) for value in values])
            embedding = model.refine(encoded, embedding, chosen)
            heard = () if others is None else model.passes(elsewhere, embedding, chosen)[1:]
            outputs = model.separate(encoded, embedding, chosen, [one for _, one in heard])
            if find(condition).queried and outputs.shape[1] > len(ESTIMATES):
                outputs = target_and_rest(outputs)
            for name, estimates in zip(names, outputs.cpu().numpy()):
                yield condition, name, estimates


def _encode(model, waveforms, sources, device) -> Encoded:
    waveforms = torch.from_numpy(waveforms).to(device)
    lengths = torch.full((len(waveforms),), waveforms.shape[1], device=device)
    known = None if sources is None else torch.from_numpy(sources).to(device)
    return model.encode(waveforms, lengths, known)


def write_lossless(path: PathLike, samples: np.ndarray, fs: int) -> None:
    """Write (T,) samples by the suffix: ``.wav`` as 32-bit float, ``.flac`` with 24 bits.

    Raises:
        TSXError: as ``audio_writer``.
    """
    if str(path).endswith(".wav"):
        write_float_wav(path, samples, fs)
    else:
        write_audio(path, samples, fs, "FLAC", "PCM_24")

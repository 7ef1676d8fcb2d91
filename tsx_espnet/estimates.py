"""Estimates for a mixture set: target and other for every mixture and every applicable condition.

Written to the output directory:

- ``<condition>/wav/<id>_target.wav``, ``<id>_other.wav``, as estimated: no clipping, no rescaling
- ``<condition>/spk1.scp``, ``spk2.scp``: target and other
- ``.done``: how they were made; each job leaves ``parts.N/J/.done`` until they are merged
"""

import functools
import hashlib
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
import torch

from tsx_espnet.audio import HEADER_BYTES, write_audio, write_float_wav
from tsx_espnet.conditioned_mixtures import ConditionedMixtures, mixture_length, read_mixture
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import ASKED, NOT_APPLICABLE
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment
from tsx_espnet.jobs import items_of_job
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.progress import progress
from tsx_espnet.tables import (
    DONE,
    is_done,
    mark_done,
    read_table,
    remove_leftovers,
    size_of,
    write_table,
)

CACHE = 2048  # embeddings
SIDES = {"spk1.scp": "target", "spk2.scp": "other"}


def write_estimates(
    experiment: Experiment,
    mixtures: ConditionedMixtures,
    out: Path,
    batch_size: int = 8,
    audio_format: str = "wav",
    num_jobs: int = 1,
    job: Optional[int] = None,
    merge: bool = False,
) -> None:
    """Extract from a whole set, or do one job's part, or only merge the parts.

    Raises:
        TSXError: if a mixture cannot be read or has another rate than the model, an estimate does
            not fit the audio format, or a part is missing in the merge.
    """
    facts = {
        "model": hashlib.sha256(experiment.model_file.read_bytes()).hexdigest(),
        "mixtures": hashlib.sha256((mixtures.directory / DONE).read_bytes()).hexdigest(),
        "audio_format": audio_format,
        "conditions": list(mixtures.values),
        "text_embeddings": _text_digest(experiment),
    }
    if mixtures.num_enrollments is not None:
        facts["num_enrollments"] = mixtures.num_enrollments
    fs = int(experiment.config["fs"])
    if is_done(out, **facts):
        damage = _find_damage(mixtures, out, audio_format, fs)
        if not damage:
            print(f"{out}: already complete")
            return
        print(f"{damage}; extracting {out} again", flush=True)
        _withdraw(out)
    jobs = [] if merge else [job] if job else range(1, num_jobs + 1)
    for number in jobs:
        part = _part(out, number, num_jobs)
        if is_done(part, **facts):
            print(f"{part}: already complete")
            continue
        _withdraw(out)
        _write_part(experiment, mixtures, out, batch_size, audio_format, number, num_jobs)
        mark_done(part, **facts)
    if merge or not job:
        try:
            _merge(mixtures, out, audio_format, num_jobs, facts)
        except (TSXError, OSError):
            if not is_done(out, **facts):  # by another merge, which has removed the parts
                raise


def _text_digest(experiment: Experiment) -> Optional[str]:
    table = experiment.vocabulary.text_table
    return None if table is None else hashlib.sha256(table.embeddings.tobytes()).hexdigest()


def _withdraw(out: Path) -> None:
    """Take back what says that ``out`` is complete, so that no other model's estimates are scored.

    The tables are those of all conditions: the earlier model may have had more of them.
    """
    for path in (out / DONE, *(out / name / table for name in ASKED for table in SIDES)):
        path.unlink(missing_ok=True)


def _find_damage(
    mixtures: ConditionedMixtures, out: Path, audio_format: str, fs: int
) -> Optional[str]:
    """What is missing or changed of complete estimates; None if nothing is.

    What a killed merge left is removed. Of FLAC the size does not tell the length.
    """
    lengths = {name: mixture_length(path, fs) for name, path in mixtures.wavs.items()}
    try:
        for condition in mixtures.values:
            names = mixtures.applicable(condition)
            for table, side in SIDES.items():
                if read_table(out / condition / table).keys() != set(names):
                    return f"{out / condition / table}: expected {len(names)} estimates"
                for name in names:
                    path = _wav(out, condition, name, side, audio_format)
                    found, size = size_of(path), HEADER_BYTES + 4 * lengths[name]
                    if found <= 0 or (audio_format == "wav" and found != size):
                        return f"{path}: expected {size} bytes of WAV, found {max(0, found)} bytes"
    except TSXError as error:
        return str(error)
    _clean(mixtures, out, audio_format)
    return None


def _clean(mixtures: ConditionedMixtures, out: Path, audio_format: str) -> None:
    """Remove what complete estimates have no use for, and what killed jobs left."""
    for parts in out.glob("parts.*"):
        shutil.rmtree(parts, ignore_errors=True)
    for name in set(ASKED) - set(mixtures.values):
        shutil.rmtree(out / name, ignore_errors=True)  # of an earlier model
    remove_leftovers(out)
    for name in mixtures.values:
        remove_leftovers(out / name)
        kept = {f"{one}_{side}.{audio_format}" for one in mixtures.wavs for side in SIDES.values()}
        remove_leftovers(out / name / "wav", keep=kept)


def _part(out: Path, job: int, num_jobs: int) -> Path:
    return out / f"parts.{num_jobs}" / str(job)


def _wav(out: Path, condition: str, mixture: str, side: str, audio_format: str) -> Path:
    return out / condition / "wav" / f"{mixture}_{side}.{audio_format}"


def _write_part(experiment, mixtures, out, batch_size, audio_format, job, num_jobs) -> None:
    fs = int(experiment.config["fs"])
    names = items_of_job(sorted(mixtures.wavs), job, num_jobs)
    lengths = {name: mixture_length(mixtures.wavs[name], fs) for name in names}
    batches = list(batches_of_equal_length(lengths, batch_size))
    # of a fixed list of enrollments, many mixtures have the same
    embed = functools.lru_cache(maxsize=CACHE)(experiment.embed)
    for batch in progress(batches, f"extract {job}/{num_jobs}"):
        for condition, name, *estimates in extract_batch(
            experiment.model, mixtures, batch, embed, lengths[batch[0]]
        ):
            for side, samples in zip(SIDES.values(), estimates):
                _write(_wav(out, condition, name, side, audio_format), samples, fs)


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
    mixtures: ConditionedMixtures,
    names: List[str],
    embed: Callable[[str, str], ConditionEmbedding],
    length: Optional[int] = None,
) -> Iterator[Tuple[str, str, np.ndarray, np.ndarray]]:
    """(condition, mixture, target (T,), other (T,)) for all that is applicable in a batch.

    Args:
        embed: from a condition and its value to the embedding for one mixture.
        length: T that every mixture must have.
    """
    device = next(model.parameters()).device
    audio = np.stack([read_mixture(mixtures.wavs[name], length) for name in names])
    waveforms = torch.from_numpy(audio).to(device)
    lengths = torch.full((len(names),), waveforms.shape[1], device=device)
    with torch.no_grad():
        encoded = model.encode(waveforms, lengths)
        for condition, values in mixtures.values.items():
            rows = [row for row, name in enumerate(names) if values[name] != NOT_APPLICABLE]
            if not rows:
                continue
            embedding = ConditionEmbedding.cat(
                [embed(condition, values[names[row]]) for row in rows]
            )
            chosen = torch.tensor(rows, device=device)
            embedding = model.refine(encoded, embedding, chosen)
            estimates = model.separate(encoded, embedding, chosen)
            for row, target, other in zip(rows, *(part.cpu().numpy() for part in estimates)):
                yield condition, names[row], target, other


def _merge(
    mixtures: ConditionedMixtures,
    out: Path,
    audio_format: str,
    num_jobs: int,
    facts: Dict[str, Any],
) -> None:
    for job in range(1, num_jobs + 1):
        if not is_done(_part(out, job, num_jobs), **facts):
            raise TSXError(f"{out}: part {job} of {num_jobs} is not complete (run stage 6 again)")
    for condition in mixtures.values:
        names = mixtures.applicable(condition)
        for table, side in SIDES.items():
            paths = {name: _wav(out, condition, name, side, audio_format) for name in names}
            write_table(out / condition / table, paths)
    mark_done(out, **facts)
    _clean(mixtures, out, audio_format)
    counts = ", ".join(f"{name} {len(mixtures.applicable(name))}" for name in mixtures.values)
    print(f"{out}: {len(mixtures.wavs)} mixtures ({counts})")


def _write(path: Path, samples: np.ndarray, fs: int) -> None:
    if path.suffix == ".wav":
        write_float_wav(path, samples, fs)
        return
    if np.abs(samples).max() > 1:
        raise TSXError(f"{path}: peak beyond full scale does not fit FLAC; use --audio_format wav")
    write_audio(path, samples, fs, "FLAC", "PCM_24")

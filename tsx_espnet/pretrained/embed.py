"""Stage 4: phrases to a table of vectors, in one process or several."""

import glob
import shutil
from itertools import chain
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence

import numpy as np

from tsx_espnet.errors import TSXError
from tsx_espnet.jobs import items_of_job
from tsx_espnet.pretrained.language_model import BATCH_SIZE, LanguageModel
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.progress import progress
from tsx_espnet.tables import PathLike, remove_leftovers


def embed_phrases(
    phrases: Sequence[str],
    out: PathLike,
    language_model: str,
    pooling: str,
    num_jobs: int = 1,
    job: Optional[int] = None,
    merge: bool = False,
) -> None:
    """Write a ``TextTable`` of ``phrases``; or one job's part of it, or the merge of the parts.

    Jobs share whole batches: what else is in a batch may change the last bit of a vector.

    Raises:
        TSXError: if the language model cannot be loaded, or a part is missing in the merge.
    """
    out = Path(out)
    if _holds(out, phrases, language_model, pooling):
        print(f"{out}: already holds all {len(phrases)} phrases", flush=True)
        _clean(out)
        return
    starts = range(0, len(phrases), BATCH_SIZE)
    batches = [phrases[start : start + BATCH_SIZE] for start in starts]
    if job is None and not merge:
        table = LanguageModel(language_model, pooling).table(phrases, progress=_shown)
    else:
        parts = {
            _part(out, number, num_jobs): list(chain(*items_of_job(batches, number, num_jobs)))
            for number in range(1, min(num_jobs, len(batches)) + 1)
        }
        if merge:
            try:
                table = _merged(parts, phrases, language_model, pooling)
            except TSXError:
                # another merge may have made the table meanwhile, and removed the parts
                if _holds(out, phrases, language_model, pooling):
                    return
                raise
        else:
            path = _part(out, job, num_jobs)
            own = parts.get(path)  # there may be fewer batches than jobs
            if own and not _holds(path, own, language_model, pooling):
                LanguageModel(language_model, pooling).table(own, progress=_shown).write(path)
            return
    table.write(out)
    _clean(out)
    print(f"{out}: {len(table)} phrases, {table.dim} dimensions ({language_model})", flush=True)


def _clean(out: Path) -> None:
    """Remove the parts of a complete table, and what a killed process left of it."""
    stem = glob.escape(out.stem)
    for parts in out.parent.glob(f"{stem}.parts.*"):
        shutil.rmtree(parts, ignore_errors=True)
    remove_leftovers(out.parent, stem=stem)


def _shown(batches):
    return progress(batches, "embedding phrases")


def _holds(path: Path, phrases: Sequence[str], language_model: str, pooling: str) -> bool:
    if not path.is_file():
        return False
    table = TextTable.read(path)
    same_model = (table.language_model, table.pooling) == (language_model, pooling)
    return same_model and set(phrases) <= set(table)


def _part(out: Path, job: int, num_jobs: int) -> Path:
    return out.parent / f"{out.stem}.parts.{num_jobs}" / f"{job}.safetensors"


def _merged(
    parts: Mapping[Path, Sequence[str]], phrases: Sequence[str], language_model: str, pooling: str
) -> TextTable:
    """The vectors of ``phrases`` from the parts, path -> its phrases."""
    vectors: Dict[str, np.ndarray] = {}
    for path, own in parts.items():
        if not _holds(path, own, language_model, pooling):
            raise TSXError(f"{path}: this part is not finished; run its --job first")
        vectors.update(TextTable.read(path))
    return TextTable(phrases, np.stack([vectors[x] for x in phrases]), language_model, pooling)

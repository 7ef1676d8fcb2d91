"""Phrases to a table of vectors, in one process or several."""

import functools
import glob
import json
from itertools import chain
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

import numpy as np

from tsx_espnet.cli import ALL, Jobs, progress
from tsx_espnet.output import Output
from tsx_espnet.pretrained.language_model import BATCH_SIZE, LanguageModel
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.tables import PathLike, digest


def embed_phrases(
    phrases: Sequence[str], out: PathLike, language_model: str, pooling: str, jobs: Jobs = ALL
) -> None:
    """Write a ``TextTable`` of ``phrases``; or one job's part of it, or the merge of the parts.

    Raises:
        TSXError: if the language model cannot be loaded, or a part is missing in the merge.
    """
    EmbeddedPhrases(phrases, Path(out), language_model, pooling).write(jobs)


class EmbeddedPhrases(Output):
    """A table of vectors, which says itself what it holds: it is its own mark.

    Jobs share whole batches: what else is in a batch may change the last bit of a vector.
    """

    def __init__(self, phrases: Sequence[str], path: Path, language_model: str, pooling: str):
        facts = {
            "language_model": language_model,
            "pooling": pooling,
            "phrases": digest(json.dumps(list(phrases)).encode()),
        }
        starts = range(0, len(phrases), BATCH_SIZE)
        batches = [phrases[start : start + BATCH_SIZE] for start in starts]
        super().__init__(path.parent, facts, batches)
        self.phrases = phrases
        self.path = self.place = path
        self.stem, self.prefix = glob.escape(path.stem), f"{path.stem}."

    @functools.cached_property
    def language_model(self) -> LanguageModel:
        return LanguageModel(self.facts["language_model"], self.facts["pooling"])

    def found(self) -> Optional[Dict[str, Any]]:
        """A table of these phrases and maybe more, made by the same language model, will do."""
        if not self.path.is_file():
            return None
        table = TextTable.read(self.path)
        made = {"language_model": table.language_model, "pooling": table.pooling}
        return {**self.facts, **made} if set(self.phrases) <= set(table) else made

    def mark(self, findings: Dict[str, Any]) -> None:
        """The table does."""

    def withdraw(self) -> None:
        """The table is there until another one takes its place."""

    def write_part(self, part: Path, items: Sequence[Sequence[str]], title: str) -> None:
        own = list(chain(*items))
        if own:  # there may be fewer batches than jobs
            shown = functools.partial(progress, title=f"embed {title}")
            self.language_model.table(own, progress=shown).write(part / self.path.name)

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        vectors: Dict[str, np.ndarray] = {}
        for part in parts[: len(self.items)]:
            vectors.update(TextTable.read(part / self.path.name))
        made = (self.facts["language_model"], self.facts["pooling"])
        TextTable(self.phrases, np.stack([vectors[x] for x in self.phrases]), *made).write(
            self.path
        )
        return {}

    def expected_files(self, where: Path, items: Sequence) -> Mapping[Path, Optional[int]]:
        return {where / self.path.name: None} if items else {}

    def summary(self, facts: Mapping[str, Any]) -> str:
        return f"{len(self.phrases)} phrases ({facts['language_model']})"

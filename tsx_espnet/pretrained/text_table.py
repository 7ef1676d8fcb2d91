"""Vectors of phrases, computed once, in one process or several, and kept in a file."""

import functools
import glob
import json
from itertools import chain
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tsx_espnet.checks import did_you_mean
from tsx_espnet.cli import progress
from tsx_espnet.errors import TSXError
from tsx_espnet.output import Output
from tsx_espnet.pretrained.language_model import (
    BATCH_SIZE,
    LanguageModel,
    digest_of_directory,
)
from tsx_espnet.tables import PathLike, atomic_write, digest, parse_json


class TextTable(Mapping):
    """Phrase -> vector of a frozen language model.

    Args:
        phrases: P phrases.
        embeddings: (P, E) float32.
        language_model, pooling: what they were made with.
        digest: of the language model's files, if it was a local directory.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        embeddings: np.ndarray,
        language_model: str,
        pooling: str,
        digest: Optional[str] = None,
    ):
        if embeddings.ndim != 2 or len(embeddings) != len(phrases):
            raise ValueError(f"expected ({len(phrases)}, E) embeddings, found {embeddings.shape}")
        self.embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
        self.language_model = language_model
        self.pooling = pooling
        self.digest = digest
        self._index = {phrase: row for row, phrase in enumerate(phrases)}
        for row, phrase in enumerate(phrases):
            if self._index[phrase] != row:
                raise ValueError(f"phrase {phrase!r} occurs twice")

    @property
    def dim(self) -> int:
        """Size E of the vectors."""
        return self.embeddings.shape[1]

    def __getitem__(self, phrase: str) -> np.ndarray:
        row = self._index.get(phrase)
        if row is None:
            hint = did_you_mean(phrase, self._index)
            raise TSXError(f"no text embedding of {phrase!r} (run embed_text again); {hint}")
        return self.embeddings[row]

    def __contains__(self, phrase: object) -> bool:
        return phrase in self._index

    def __iter__(self):
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def write(self, path: PathLike) -> None:
        """Write the table as safetensors."""
        metadata = {
            "phrases": json.dumps(list(self._index)),
            "language_model": self.language_model,
            "pooling": self.pooling,
        }
        if self.digest is not None:
            metadata["digest"] = self.digest
        data = _in_order(save({"embeddings": self.embeddings}, metadata))
        with atomic_write(path, "wb") as stream:
            stream.write(data)

    @classmethod
    def read(cls, path: PathLike) -> "TextTable":
        """Read what ``write`` wrote.

        Raises:
            TSXError: if the file is missing or is not such a table.
        """
        if not Path(path).is_file():
            raise TSXError(f"{path}: no such file; embed_text makes it")
        try:
            with safe_open(path, framework="np") as stream:
                metadata = stream.metadata() or {}
                return cls(
                    parse_json(metadata["phrases"]),
                    stream.get_tensor("embeddings"),
                    metadata["language_model"],
                    metadata["pooling"],
                    metadata.get("digest"),
                )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            found = f"not a table of text embeddings ({error!r:.200})"
            raise TSXError(f"{path}: {found}; remove it and run embed_text again") from None


class EmbeddedPhrases(Output):
    """A ``TextTable`` of ``phrases``, which is its own mark, as it says what it holds.

    Jobs share whole batches: what else is in a batch may change the last bit of a vector.

    Raises:
        TSXError: when written, if the language model cannot be loaded.
    """

    def __init__(self, phrases: Sequence[str], path: PathLike, language_model: str, pooling: str):
        path = Path(path)
        facts = {
            "language_model": language_model,
            "pooling": pooling,
            "phrases": digest(json.dumps(list(phrases)).encode()),
            "digest": digest_of_directory(language_model),
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
        """Facts of the table there; one with further phrases will do."""
        if not self.path.is_file():
            return None
        table = TextTable.read(self.path)
        made = {"language_model": table.language_model, "pooling": table.pooling}
        if table.digest is not None:  # tables of before have none
            made["digest"] = table.digest
        return {**self.facts, **made} if set(self.phrases) <= set(table) else made

    def mark(self, findings: Dict[str, Any]) -> None:
        """The table itself is the mark."""

    def withdraw(self) -> None:
        """The table stays until another one replaces it."""

    def write_part(self, part: Path, items: Sequence[Sequence[str]], title: str) -> None:
        own = list(chain(*items))
        if own:  # there may be fewer batches than jobs
            shown = functools.partial(progress, title=f"embed {title}")
            self._write(part, own, self.language_model.embed(own, shown))

    def merge(self, parts: Sequence[Path]) -> Dict[str, Any]:
        vectors: Dict[str, np.ndarray] = {}
        for part in parts[: len(self.items)]:
            vectors.update(TextTable.read(part / self.path.name))
        self._write(self.directory, self.phrases, np.stack([vectors[x] for x in self.phrases]))
        return {}

    def expected_files(self, where: Path, items: Sequence) -> Mapping[Path, Optional[int]]:
        return {where / self.path.name: None} if items else {}

    def summary(self, facts: Mapping[str, Any]) -> str:
        return f"{len(self.phrases)} phrases ({facts['language_model']})"

    def _write(self, directory: Path, phrases: Sequence[str], vectors: np.ndarray) -> None:
        made = (self.facts[name] for name in ("language_model", "pooling", "digest"))
        TextTable(phrases, vectors, *made).write(directory / self.path.name)


def _in_order(data: bytes) -> bytes:
    """The same safetensors with a sorted header, whose order is random otherwise."""
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]

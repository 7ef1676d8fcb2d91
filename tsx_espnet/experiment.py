"""Experiment directories: what training leaves there, saved and loaded."""

import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import torch
import yaml

from tsx_espnet.build import build_model
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import find
from tsx_espnet.errors import TSXError
from tsx_espnet.layers.tcn import TemporalConvNet, rename_espnets
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.pretrained.store import PRETRAINED, Networks, keep
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.tables import PathLike, atomic_write, read_yaml
from tsx_espnet.vocabulary import Vocabulary, find_tokenizer, takes_of

CONFIG = "config.yaml"
TEXT_TABLE = "text_embeddings.safetensors"
CHECKPOINT = "checkpoint.pth"
PREVIOUS = "checkpoint.previous.pth"  # of the epoch before
PREEMPTED = "preempted.pth"  # from within an epoch
# options of a target sound extractor that may not change when a run is resumed
SETUP = (
    *("encoder", "encoder_conf", "extractor", "extractor_conf", "decoder", "decoder_conf"),
    *("conditions", "conditioner_conf", "embedding_dim", "consistency"),
    *("objective", "objective_conf", "criterions", "mixture_criterions", "later"),
    *("refiner", "refiner_conf", "refiner_lr_scale"),
    *("mixing_conf", "stream_confs", "train_plans", "remix"),
)
MODEL_FILES = ("valid.loss.ave.pth", "valid.loss.best.pth", "latest.pth")


class Experiment(NamedTuple):
    """A trained model and what belongs to it."""

    config: Dict[str, Any]
    vocabulary: Vocabulary
    model: ESPnetTSXModel
    model_file: Path

    def embed(self, condition: str, value: str) -> ConditionEmbedding:
        """The embedding of a value, for one mixture; several enrollments are its positions.

        Raises:
            TSXError: as ``Vocabulary.encode``.
        """
        device = next(self.model.parameters()).device
        parts = []
        for one in find(condition).split(value):
            array = torch.from_numpy(self.vocabulary.encode(condition, one))[None].to(device)
            size = torch.tensor([array.shape[1]], device=device)
            parts.append(self.model.conditioners[condition](array, size))
        return ConditionEmbedding.cat(parts, dim=1)


def load_experiment(
    directory: PathLike, model_file: Optional[str] = None, device: str = "cpu"
) -> Experiment:
    """The model of an experiment directory, ready to extract.

    Args:
        model_file: name of the weights in the directory; by default the first there is of
            ``valid.loss.ave.pth``, ``valid.loss.best.pth`` and ``latest.pth``.

    Raises:
        TSXError: if a file is missing or damaged, the weights do not fit the configuration, or
            there is no such device.
    """
    directory = Path(directory)
    config = read_config(directory)
    weights = find_model_file(directory, model_file)
    # as it lies here, wherever it was trained
    kept = {name: str(directory / PRETRAINED / name) for name in config.get("pretrained") or {}}
    try:
        takes = takes_of(config["conditions"])
        table = None
        if "vector" in takes.values() and (directory / TEXT_TABLE).is_file():
            table = TextTable.read(directory / TEXT_TABLE)
        vocabulary = Vocabulary(
            classes=config.get("class_list") or (),
            text_table=table,
            fs=int(config["fs"]),
            takes=takes,
            tokenize=find_tokenizer(config, Networks(kept, {})),
        )
        model = build_model({**config, "pretrained": kept}, vocabulary, training=False)
    except KeyError as error:
        raise TSXError(f"{directory / CONFIG}: option {error} is missing") from None
    except TSXError as error:
        raise TSXError(f"{directory / CONFIG}: {error}") from None
    load_weights(model, weights)
    try:
        model = model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch raises either
        raise TSXError(f"device {device}: {_first_line(error)}") from None
    return Experiment(config, vocabulary, model.eval(), weights)


def save_experiment(experiment: Experiment, directory: PathLike) -> Experiment:
    """Write what ``load_experiment`` needs into a new directory.

    Raises:
        TSXError: if an experiment is there already, or the disk is full.
    """
    directory = Path(directory)
    if (directory / CONFIG).exists():
        raise TSXError(f"{directory}: holds an experiment already; choose another directory")
    weights = directory / MODEL_FILES[0]
    with atomic_write(weights, "wb") as stream:
        torch.save(experiment.model.state_dict(), stream)
    if experiment.vocabulary.text_table is not None:
        experiment.vocabulary.text_table.write(directory / TEXT_TABLE)
    for name in experiment.config.get("pretrained") or {}:
        keep(experiment.model_file.parent / PRETRAINED / name, directory / PRETRAINED / name)
    with atomic_write(directory / CONFIG) as stream:
        yaml.safe_dump(experiment.config, stream, sort_keys=False)
    return experiment._replace(model_file=weights)


def read_config(directory: Path) -> Dict[str, Any]:
    """``config.yaml`` of an experiment of ours."""
    path = directory / CONFIG
    if not path.is_file():
        raise TSXError(f"{path}: no such file; expected the directory of a trained experiment")
    config = read_yaml(path)
    if not isinstance(config, dict) or "conditions" not in config or not config.get("fs"):
        raise TSXError(f"{path}: not the configuration of a target sound extractor")
    return config


def check_same_setup(
    directory: PathLike, config: Mapping[str, Any], names: Sequence[str]
) -> None:
    """Refuse to resume a run that was begun with other values of the options ``names``.

    ESPnet would overwrite ``config.yaml``, and train nothing if all epochs are done.

    Raises:
        TSXError: naming the option, its old and its new value.
    """
    directory = Path(directory)
    begun = begun_config(directory)
    for name in names:
        if name in begun and name in config:
            old, new = (json.dumps(options[name], sort_keys=True) for options in (begun, config))
            _check_same(directory, name, old, new)


def begun_config(directory: PathLike) -> Dict[str, Any]:
    """The configuration of a run that can be resumed; empty if there is none."""
    directory = Path(directory)
    if not (_is_begun(directory) and (directory / CONFIG).is_file()):
        return {}
    try:
        begun = yaml.safe_load((directory / CONFIG).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):  # killed while it was written
        return {}
    return begun if isinstance(begun, dict) else {}


def check_same_networks(directory: PathLike, digests: Mapping[str, str]) -> None:
    """Refuse to resume a run that was begun with other pretrained networks.

    Raises:
        TSXError: naming the network, its old and its new digest.
    """
    begun = begun_config(directory).get("pretrained_digest") or {}
    for name, old in begun.items():
        new = digests.get(name, "none")
        _check_same(Path(directory), f"the pretrained network {name} of SHA-256", old, new)


def check_same_texts(directory: PathLike, texts: TextTable) -> None:
    """Refuse to resume a run that was begun with texts of another language model.

    Raises:
        TSXError: naming both models and their pooling, or their digests.
    """
    directory = Path(directory)
    if not (_is_begun(directory) and (directory / TEXT_TABLE).is_file()):
        return
    tables = (TextTable.read(directory / TEXT_TABLE), texts)
    old, new = (f"{table.language_model} (pooling {table.pooling})" for table in tables)
    _check_same(directory, "text embeddings of", old, new)
    old, new = (f"{table.language_model} of SHA-256 {table.digest}" for table in tables)
    if all(table.digest for table in tables):
        _check_same(directory, "text embeddings of", old, new)


def _check_same(directory: Path, what: str, old: str, new: str) -> None:
    if old != new:
        raise TSXError(
            f"{directory}: this run was begun with {what} {old}, now it is {new}; "
            "choose another --output_dir (--tag of a recipe), or remove this one"
        )


def _is_begun(directory: Path) -> bool:
    return any((directory / name).is_file() for name in (CHECKPOINT, PREEMPTED))


def find_model_file(directory: Path, name: Optional[str] = None) -> Path:
    """The weights to use."""
    names = MODEL_FILES if name is None else (name,)
    for candidate in names:
        if (directory / candidate).is_file():
            return directory / candidate
    present = sorted(path.name for path in directory.glob("*.pth"))
    if name is None and len(present) == 1:  # a packed experiment
        return directory / present[0]
    raise TSXError(
        f"{directory}: expected weights named {' or '.join(names)}, "
        f"found {', '.join(present) or 'none'} (training makes them)"
    )


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Load a state dict into a model; weights that only training needs are skipped.

    Raises:
        TSXError: if the file is damaged, or with the first names or sizes that do not fit.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from KeyError to UnpicklingError here
        raise TSXError(f"{path}: not a file of weights: {_first_line(error)}") from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise TSXError(f"{path}: expected tensors by name, as in the weights of one epoch")
    state = {name: value for name, value in state.items() if not name.startswith("objective.")}
    for prefix, module in model.named_modules():
        if isinstance(module, TemporalConvNet):  # older experiments have ESPnet's names
            rename_espnets(state, f"{prefix}.")
    wrong = differences(model.state_dict(), state)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise TSXError(f"{path} does not fit {CONFIG}: {'; '.join(wrong[:3])}{more}")
    model.load_state_dict(state)


def differences(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> List[str]:
    """What is wrong with the names and shapes of weights, one phrase each."""
    wrong = [f"{name} is missing" for name in expected if name not in found]
    wrong += [f"{name} is unknown" for name in found if name not in expected]
    wrong += [
        f"{name} has shape {tuple(found[name].shape)}, expected {tuple(value.shape)}"
        for name, value in expected.items()
        if name in found and found[name].shape != value.shape
    ]
    return wrong


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__

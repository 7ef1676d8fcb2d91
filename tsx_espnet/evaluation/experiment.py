"""How an experiment was set up: its configuration and its data, as pairs of name and value."""

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from tsx_espnet.errors import TSXError
from tsx_espnet.evaluation.history import History
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.tables import PathLike, read_facts, read_table, read_yaml

CONFIG = "config.yaml"
Pairs = List[Tuple[str, str]]
# parts of a config.yaml that are a name with a `_conf` beside it
_PARTS = (
    *("objective", "extractor", "refiner", "encoder", "decoder", "consistency"),
    *("optim", "scheduler"),
)
_MIXING = (
    *("strategy", "class_level", "duration", "num_sources", "clip_duration", "placement"),
    *("snr", "min_overlap", "onset_gap", "background", "new_classes", "target", "seed"),
)


def read_config(exp: PathLike) -> Dict[str, Any]:
    """``config.yaml`` of an experiment, as ESPnet leaves it there.

    Raises:
        TSXError: if it is missing ("run stage 5") or not a mapping in YAML.
    """
    path = Path(exp) / CONFIG
    if not path.is_file():
        raise TSXError(f"{path}: no such file; run stage 5 (train)")
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise TSXError(f"{path}: expected options and their values")
    return config


def describe_config(config: Mapping[str, Any], tag: str, history: History) -> Pairs:
    """What defines the experiment, of what ``config`` and the log tell."""
    pairs = [("tag", tag)]
    for part in _PARTS:
        if config.get(part):
            options = words(config.get(f"{part}_conf") or {})
            pairs.append((part, f"{words(config[part])}" + (f" ({options})" if options else "")))
    if config.get("conditions"):
        conditions = config["conditions"].items()
        pairs.append(("conditions", ", ".join(_condition(*pair) for pair in conditions)))
    if config.get("version"):
        pairs.append(("trained with", f"ESPnet {config['version']}"))
    if history.parameters:
        pairs.append(("parameters", history.parameters))
    if history.epochs or config.get("max_epoch"):
        pairs.append(("epochs", f"{history.epochs or '?'} of {config.get('max_epoch', '?')}"))
    per_epoch = config.get("mixtures_per_epoch") or config.get("num_mixtures")
    if not per_epoch and config.get("num_iters_per_epoch") and config.get("batch_size"):
        per_epoch = config["num_iters_per_epoch"] * config["batch_size"]
    for name, value in (
        ("mixtures per epoch", per_epoch),
        ("batch size", config.get("batch_size")),
        ("seed", config.get("seed")),
    ):
        if value is not None:
            pairs.append((name, str(value)))
    return pairs


def describe_data(config: Mapping[str, Any], mixtures: MixtureSet) -> Pairs:
    """The sets with their sizes, and how the test mixtures were made; measured where it can be."""
    pairs: Pairs = []
    for name, option, kind in (
        ("training", "train_clips", "clips, mixed on the fly"),
        ("validation", "valid_mixtures", "mixtures"),
    ):
        count = _count(config.get(option))
        if count:
            pairs.append((name, f"{count} {kind}"))
    plans = mixtures.plans.values()
    sources = [source for plan in plans for source in plan.sources]
    clips, labels = {s.clip for s in sources}, {s.labels[0] for s in sources}
    sizes = f"{len(plans)} mixtures of {len(clips)} clips, {len(labels)} classes"
    pairs.append(("test", sizes))
    first = mixtures.plans[mixtures.ids[0]]
    seconds = first.num_samples / first.fs
    pairs.append(("test audio", f"{first.fs} Hz, {seconds:g} s (first mixture)"))
    for name, values, unit in (
        ("test level difference", [abs(plan.snr) for plan in plans], " dB"),
        ("test overlap", [100 * plan.overlap for plan in plans], " %"),
    ):
        low, mean, high = np.min(values), np.mean(values), np.max(values)
        pairs.append((name, f"{low:.1f} to {high:.1f}{unit}, mean {mean:.1f}{unit}"))
    facts = _mixing_facts(mixtures.directory)
    asked = {key: facts[key] for key in _MIXING if facts.get(key) is not None}
    if asked:
        pairs.append(("test mixing", words(asked)))
    return pairs


def words(value: Any) -> str:
    """A value of a config file on one line.

    >>> words({"depth": 4, "norm": "gLN", "snr": [0, 2.5]})
    'depth 4, norm gLN, snr 0 to 2.5'
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {words(item)}" for name, item in value.items())
    if _is_range(value):
        return f"{value[0]} to {value[1]}"
    if isinstance(value, (list, tuple)):
        return " ".join(words(item) for item in value)
    return str(value)


def _condition(name: str, conf: Any) -> str:
    """Its name, and what it is made with other than its conditioner."""
    options = {option: value for option, value in (conf or {}).items() if option != "conditioner"}
    return f"{name} ({words(options)})" if options else name


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) == 2
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    )


def _count(directory: Any) -> int:
    """How many ids a data directory has; 0 if it is not (or no longer) there."""
    path = Path(str(directory)) / "wav.scp"
    return len(read_table(path)) if directory and path.is_file() else 0


def _mixing_facts(directory: Path) -> Dict[str, Any]:
    """The facts of stage 3's marker, the mixing config among them."""
    found = read_facts(directory) or {}
    facts = {**found, **found.get("config", {})}
    if facts.get("placement") == "uniform":
        facts.pop("min_overlap", None)  # it has no say there
    return facts

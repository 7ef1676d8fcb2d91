"""Where results come from: configuration, data, the log of the training, versions, machine."""

import datetime
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.tables import PathLike, read_facts, read_table, read_yaml

CONFIG = "config.yaml"
PACKAGES = ("espnet", "torch", "numpy", "tsx_espnet")
Pairs = List[Tuple[str, str]]
Curve = Dict[int, float]  # epoch (from 1) -> value
# parts of a config.yaml that are a name with a `_conf` beside it
_PARTS = (
    *("objective", "extractor", "refiner", "encoder", "decoder", "consistency"),
    *("optim", "scheduler"),
)
_MIXING = (
    *("strategy", "class_level", "duration", "num_sources", "clip_duration", "placement"),
    *("snr", "min_overlap", "onset_gap", "background", "new_classes", "target", "seed"),
)
_EPOCH = re.compile(r"\b(\d+)epoch results: (.*)")
_PART = re.compile(r"\[(\w+)\] ")
# a number up to a comma or the end: "time=3 minutes and 2.1 seconds" is none
_VALUE = re.compile(r"(\w+)=(-?\d[\d.]*(?:e[-+]?\d+)?)(?=,|\s*$)")
_PARAMETERS = re.compile(r"Total Number of model parameters: (.+)")


class History:
    """The learning curves found in ``<exp>/train.log`` and its rotated predecessors.

    Attributes:
        curves: (part, name) -> epoch -> value, e.g. ``curves["valid", "loss"][3]``. Where an epoch
            was run twice (killed, then resumed) the later run counts.
        parameters: the model's size as ESPnet words it ("1.07 M"), or None.
    """

    def __init__(self, directory: PathLike) -> None:
        self.curves: Dict[Tuple[str, str], Curve] = {}
        self.parameters: Optional[str] = None
        for path in log_files(directory):
            with open(path, encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    self._read(line)

    @property
    def epochs(self) -> int:
        """The last epoch that was finished, 0 if none."""
        return max((max(curve) for curve in self.curves.values()), default=0)

    def curve(self, part: str, name: str) -> Curve:
        """The curve ``name`` of "train" or "valid", in order of the epochs; empty if not logged."""
        return dict(sorted(self.curves.get((part, name), {}).items()))

    def _read(self, line: str) -> None:
        size = _PARAMETERS.search(line)
        if size:
            self.parameters = size.group(1).strip()
        results = _EPOCH.search(line)
        if not results:
            return
        words = _PART.split(results.group(2))  # "", "train", "k=v, ...", "valid", "k=v, ..."
        for part, values in zip(words[1::2], words[2::2]):
            for name, value in _VALUE.findall(values):
                self.curves.setdefault((part, name), {})[int(results.group(1))] = float(value)


def log_files(directory: PathLike) -> List[Path]:
    """``train.log`` and what launching again has renamed (``train.1.log``, ...), oldest first."""
    rotated = [path for path in Path(directory).glob("train.*.log") if path.stem[6:].isdigit()]
    rotated.sort(key=lambda path: -int(path.stem[6:]))
    newest = Path(directory) / "train.log"
    return rotated + ([newest] if newest.is_file() else [])


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
    mixing = {key: facts[key] for key in _MIXING if facts.get(key) is not None}
    if mixing:
        pairs.append(("test mixing", words(mixing)))
    return pairs


def common_setup(directories: Iterable[Path]) -> Pairs:
    """The configuration, as far as it is the same in all experiments that have one."""
    described = [
        dict(describe_config(read_config(path), path.name, History(path)))
        for path in directories
        if (path / CONFIG).is_file()
    ]
    return [
        (name, value)
        for name, value in (described[0].items() if described else ())
        if all(other.get(name) == value for other in described)
    ]


def describe_environment(repository: Path) -> Dict[str, str]:
    """Name -> value: date, versions, git commit of ``repository``, CPU and GPU, where known."""
    facts: Dict[str, Optional[str]] = {
        "date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        facts[package] = package_version(package)
    facts["git commit"] = git_commit(repository)
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["CPU"] = cpu_name()
    facts["GPU"] = gpu_name()
    return {name: value for name, value in facts.items() if value}


def package_version(package: str) -> Optional[str]:
    """The installed version; None if it runs from a source tree that was never installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_commit(directory: Path) -> Optional[str]:
    """Short hash of the commit checked out around ``directory``; None outside of git.

    "+ changes" where tracked files differ from it: the hash alone would not give these results.
    """
    commit = _git(directory, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    changes = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{commit} + changes" if changes else commit


def cpu_name() -> Optional[str]:
    """The CPU as Linux names it, else what Python knows of it."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or None


def gpu_name() -> str:
    """The GPUs PyTorch can use here."""
    try:
        import torch
    except ImportError:
        return "unknown (no PyTorch)"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(names) or "none"


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


def _git(directory: Path, *arguments: str) -> Optional[str]:
    try:
        result = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None

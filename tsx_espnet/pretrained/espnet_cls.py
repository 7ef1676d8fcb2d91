"""Classifiers that ESPnet's own task ``cls`` trained, such as BEATs."""

from pathlib import Path
from typing import Any, Dict, Mapping, Sequence

import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.parts import quiet_imports
from tsx_espnet.pretrained.base import find_files
from tsx_espnet.pretrained.classifier import WindowClassifier
from tsx_espnet.pretrained.loading import load_state
from tsx_espnet.tables import read_yaml

UNKNOWN = "<unk>"  # the last token of a task, which is no class
FS = 16000  # of BEATs, and of ESPnet's frontends if they do not say
NETWORK = ("frontend", "normalize", "preencoder", "encoder", "decoder")


class ESPnetClassifier(WindowClassifier):
    """A model of ESPnet's classification task, without what only its training needs.

    Of a model that was trained to choose one class, the logits are log odds: their sigmoid is the
    probability that the model gives.

    Args:
        directory: with ``config.yaml`` and one ``.pth`` of the experiment, and the ``.npz`` of its
            statistics if it was trained with ``global_mvn``.
        window, hop, level: see ``WindowClassifier``.

    Raises:
        TSXError: if a file is missing or damaged, or they do not fit together.
    """

    files = ("pretrained.json", "config.yaml", "*.pth", "*.npz")

    def __init__(
        self, directory: Path, window: float = 10.24, hop: float = 10.24, level: float = 1.0
    ):
        path = directory / "config.yaml"
        if not path.is_file():
            raise TSXError(f"{path}: no such file; expected that of ESPnet's task cls")
        config = read_yaml(path)
        tokens = config.get("token_list") if isinstance(config, dict) else None
        if not isinstance(tokens, list) or len(tokens) < 2 or tokens[-1] != UNKNOWN:
            raise TSXError(f"{path}: expected a token_list of classes and {UNKNOWN}, as cls has it")
        conf = config.get("frontend_conf") or {}
        super().__init__(window, hop, _rate(conf.get("fs", FS), path), level)
        self.labels = tuple(map(str, tokens[:-1]))
        self.one_class = (config.get("model_conf") or {}).get(
            "classification_type", "multi-class"
        ) == "multi-class"
        weights = find_files(directory, ("*.pth",))
        if len(weights) != 1:
            found = ", ".join(one.name for one in weights) or "none"
            raise TSXError(f"{directory}: expected one .pth of the experiment, found {found}")
        try:
            self.model = torch.nn.ModuleDict(_build(config, directory))
            self.model.load_state_dict(load_state(weights[0]))
        except (TypeError, ValueError, KeyError, AssertionError, ImportError, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise TSXError(f"{path}: not a model of ESPnet's task cls: {reason:.200}") from None
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise TSXError(f"{weights[0]}: does not fit config.yaml: {reason}") from None

    def layers(self) -> Sequence[torch.nn.Module]:
        """The blocks of the encoder, and the decoder."""
        modules = self.model["encoder"].named_modules()
        lists = [m for name, m in modules if name.split(".")[-1] in ("encoders", "layers")]
        return [*(lists[0] if lists else ()), self.model["decoder"]]

    def classify(self, clips: torch.Tensor) -> torch.Tensor:
        lengths = torch.full((len(clips),), clips.shape[1], device=clips.device)
        x = clips
        for name in ("frontend", "normalize", "preencoder"):
            if name in self.model:
                x, lengths = self.model[name](x, lengths)
        x, lengths, _ = self.model["encoder"](x, lengths)
        logits = self.model["decoder"](x, lengths)
        return log_odds(logits) if self.one_class else logits


def log_odds(logits: torch.Tensor) -> torch.Tensor:
    """What has the sigmoid that is the softmax of ``logits``: (..., J) -> (..., J).

    >>> log_odds(torch.tensor([0.5, 0.5, 0.5])).sigmoid()
    tensor([0.3333, 0.3333, 0.3333])
    """
    log_p = logits.log_softmax(dim=-1)
    return log_p - torch.log(-torch.expm1(log_p.clamp(max=-1e-6)))


def _build(config: Mapping[str, Any], directory: Path) -> Dict[str, torch.nn.Module]:
    """The parts of the network, by the names that ESPnet's weights have."""
    with quiet_imports():
        from espnet2.tasks import cls
    confs = {name: dict(config.get(f"{name}_conf") or {}) for name in NETWORK}
    confs["encoder"].pop("beats_ckpt_path", None)  # the experiment has the weights
    if "stats_file" in confs["normalize"]:
        stats = directory / Path(confs["normalize"]["stats_file"]).name
        confs["normalize"]["stats_file"] = str(stats)
    parts: Dict[str, torch.nn.Module] = {}
    size = config.get("input_size")
    for name in NETWORK:
        chosen = config.get(name)
        if chosen is None or (name == "frontend" and size is not None):
            continue
        options, given = confs[name], ()
        if name == "encoder":
            options["input_size"] = size
        if name == "decoder":
            given = (len(config["token_list"]) - 1,)
            options["encoder_output_size"] = size
        part = getattr(cls, f"{name}_choices").get_class(chosen)(*given, **options)
        size = size if name == "normalize" else part.output_size()
        parts[name] = part
    return parts


def _rate(found: Any, path: Path) -> int:
    """A sampling rate as ESPnet reads it, such as 16000 or 16k."""
    import humanfriendly

    try:
        return int(humanfriendly.parse_size(str(found)))
    except humanfriendly.InvalidSize:
        raise TSXError(f"{path}: frontend_conf: fs: expected Hz, found {found!r}") from None

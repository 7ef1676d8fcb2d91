"""The ideal binary mask, scored like a system: how well masks of a model's STFT can separate.

It hears the sources and is an oracle. Reference: Wang, "On ideal binary mask as the computational
goal of auditory scene analysis", 2005.
"""

from pathlib import Path
from typing import Any, Dict, Mapping

import numpy as np
import torch
import yaml
from torch.nn import functional

from tsx_espnet.conditions import UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.estimates import ORACLE, EstimatedSet
from tsx_espnet.experiment import CONFIG
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.extractor.separation import Pass
from tsx_espnet.mixing.data_table import ESTIMATES, SOURCES
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.parts import make
from tsx_espnet.tables import PathLike, atomic_write, read_yaml

STFT = "stft"
PARTS = ("encoder", "decoder")


class LoudestSource(AbsTSXExtractor):
    """Gives each coefficient of the mixture to the source that is the loudest there.

    What is no source, such as a background, may be louder than all of them. Ties go to the first.

    Shape:
        features of the mixture, those of M sources beside them, (B, F, N + M N) -> (B, M, F, N)
    """

    def __init__(self, num_outputs: int):
        super().__init__()
        self.num_outputs = num_outputs

    def extract(self, feature, lengths, condition, prepared=None):
        mixture, *sources = feature.unflatten(-1, (self.num_outputs + 1, -1)).unbind(dim=-2)
        rest = mixture - sum(sources)
        magnitudes = torch.stack([one.abs() for one in (*sources, rest)], dim=1)
        masks = functional.one_hot(magnitudes.argmax(dim=1), self.num_outputs + 1).movedim(-1, 1)
        return mixture.unsqueeze(1) * masks[:, :-1]


class IdealMask(EstimatedSet):
    """What the ideal binary mask makes of a mixture set; as many outputs as there are sources.

    Args:
        stft: ``encoder_conf`` and ``decoder_conf``, of ESPnet's ``stft``.
        options: see ``EstimatedSet``.

    Raises:
        TSXError: as ``EstimatedSet``.
    """

    def __init__(self, mixtures: MixtureSet, out: PathLike, stft: Dict[str, Any], **options):
        plans, number = mixtures.plans, len(ESTIMATES)
        if (mixtures.directory / SOURCES.file).is_file():
            number = max(number, *(len(plan.partition) for plan in plans.values()))
        facts = {ORACLE: True, "ideal_mask": stft}
        fs = plans[mixtures.ids[0]].fs
        super().__init__(mixtures, out, facts, (UNCONDITIONAL,), fs, number, **options)
        encoder, decoder = (make(part, STFT, stft[f"{part}_conf"]) for part in PARTS)
        self.separation = Pass(encoder, LoudestSource(number), decoder, {})

    def extract(self, audio: Mapping[str, np.ndarray], sources: np.ndarray):
        waveforms = torch.from_numpy(np.stack(list(audio.values())))
        lengths = torch.full((len(waveforms),), waveforms.shape[1])
        missing = self.num_outputs - sources.shape[1]
        known = functional.pad(torch.from_numpy(sources), (0, 0, 0, missing))
        with torch.no_grad():
            # as a second pass that sees the sources for the estimates of the first
            encoded = self.separation.encode(waveforms, lengths)
            outputs, _ = self.separation.again(encoded, known, None)
        for name, estimates in zip(audio, outputs.numpy()):
            yield UNCONDITIONAL, name, estimates


def stft_of(*configs: PathLike) -> Dict[str, Any]:
    """``encoder_conf`` and ``decoder_conf`` of a model, from yaml files of its training, in which a
    later one overrides those before.

    Raises:
        TSXError: if it has another encoder or decoder than ``stft``.
    """
    found: Dict[str, Any] = {}
    for path in configs:
        options = read_yaml(path)
        if not isinstance(options, dict):
            raise TSXError(f"{path}: expected options and their values")
        found.update(options)
    for part in PARTS:
        if found.get(part) != STFT:
            names = ", ".join(map(str, configs))
            raise TSXError(f"{names}: expected {part}: {STFT}, found {found.get(part)!r}")
    return {f"{part}_conf": found.get(f"{part}_conf") or {} for part in PARTS}


def write_config(exp: PathLike, stft: Dict[str, Any]) -> None:
    """``config.yaml`` of what is no experiment, for its report."""
    config = {**dict.fromkeys(PARTS, STFT), **stft, "extractor": "ideal binary mask"}
    with atomic_write(Path(exp) / CONFIG) as stream:
        yaml.safe_dump(config, stream, sort_keys=False)

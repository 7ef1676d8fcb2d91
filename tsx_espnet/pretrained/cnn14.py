"""CNN14, a classifier of AudioSet's 527 classes."""

import csv
from pathlib import Path
from typing import Sequence, Tuple

import torch
from torch.nn import functional

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.base import find_files
from tsx_espnet.pretrained.classifier import WindowClassifier
from tsx_espnet.pretrained.features import log_mel
from tsx_espnet.pretrained.loading import load_state


class Cnn14(WindowClassifier):
    """CNN14 of PANNs, from a published checkpoint: 32, 16 or 8 kHz, which the file tells.

    Args:
        directory: with one checkpoint (``.pth``, or its state dict as ``.safetensors``) and
            AudioSet's ``class_labels_indices.csv``.
        window, hop, level: see ``WindowClassifier``.

    Raises:
        TSXError: if a file is missing or damaged, or the checkpoint is of another network.

    Reference: Kong et al., "PANNs: Large-scale pretrained audio neural networks for audio pattern
    recognition", IEEE/ACM TASLP 2020.
    """

    files = ("pretrained.json", "*.pth", "*.safetensors", "class_labels_indices.csv")
    RATES = {1024: 32000, 512: 16000, 256: 8000}  # of the DFTs of the published networks
    POOLED = (2, 2, 2, 2, 2, 1)  # frames by each block
    CHANNELS = (1, 64, 128, 256, 512, 1024, 2048)

    def __init__(
        self, directory: Path, window: float = 0.96, hop: float = 0.48, level: float = 1.0
    ):
        paths = find_files(directory, ("*.pth", "*.safetensors"))
        if len(paths) != 1:
            found = ", ".join(path.name for path in paths) or "none"
            raise TSXError(f"{directory}: expected one file of weights, found {found}")
        state = load_state(paths[0])
        filters = state.get("logmel_extractor.melW")
        n_fft = 2 * (len(filters) - 1) if filters is not None and filters.dim() == 2 else 0
        if n_fft not in self.RATES or "fc_audioset.weight" not in state:
            raise TSXError(f"{paths[0]}: expected the weights of CNN14 of PANNs")
        super().__init__(window, hop, self.RATES[n_fft], level)
        self.step = self.fs // 100
        self.register_buffer("filters", filters)
        self.bn0 = torch.nn.BatchNorm2d(filters.shape[1])
        for number, sizes in enumerate(zip(self.CHANNELS, self.CHANNELS[1:]), start=1):
            self.add_module(f"conv_block{number}", _ConvBlock(*sizes))
        self.fc1 = torch.nn.Linear(2048, 2048)
        self.fc_audioset = torch.nn.Linear(2048, len(state["fc_audioset.weight"]))
        own = {n: tensor for n, tensor in state.items() if "_extractor." not in n}
        try:
            self.load_state_dict({**own, "filters": filters})
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise TSXError(f"{paths[0]}: expected CNN14 of PANNs: {reason}") from None
        self.labels = read_labels(directory / "class_labels_indices.csv")
        if len(self.labels) != len(self.fc_audioset.bias):
            raise TSXError(
                f"{directory}: expected {len(self.fc_audioset.bias)} labels in "
                f"class_labels_indices.csv, found {len(self.labels)}"
            )

    def layers(self) -> Sequence[torch.nn.Module]:
        blocks = [getattr(self, f"conv_block{number}") for number in range(1, 7)]
        return [self.bn0, *blocks, self.fc1, self.fc_audioset]

    def classify(self, clips: torch.Tensor) -> torch.Tensor:
        shortest = 31 * self.step  # 32 frames, one after the last block
        clips = functional.pad(clips, (0, max(0, shortest - clips.shape[1])))
        x = log_mel(clips, self.filters, self.step).unsqueeze(1)  # (C, 1, F, K)
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        for number, pooled in enumerate(self.POOLED, start=1):
            x = functional.avg_pool2d(getattr(self, f"conv_block{number}")(x), pooled)
        x = x.mean(dim=3)  # over frequency
        x = x.amax(dim=2) + x.mean(dim=2)
        return self.fc_audioset(torch.relu(self.fc1(x)))


class _ConvBlock(torch.nn.Module):
    """Two convolutions with batch norms and ReLUs: (C, N, F, K) -> (C, M, F, K)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outputs)
        self.bn2 = torch.nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


def read_labels(path: Path) -> Tuple[str, ...]:
    """The names of AudioSet's classes: a csv of ``index,mid,display_name``, in order.

    Raises:
        TSXError: if it is missing or is something else.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        if [int(row["index"]) for row in rows] != list(range(len(rows))):
            raise ValueError("its index does not count from 0")
        return tuple(row["display_name"] for row in rows)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TSXError(f"{path}: expected columns index, mid, display_name: {reason}") from None

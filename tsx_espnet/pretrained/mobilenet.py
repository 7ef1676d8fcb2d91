"""A small classifier of sounds that one trains oneself, on formatted clips."""

import json
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import torch
from torch import nn
from torch.nn import functional

from tsx_espnet.errors import TSXError
from tsx_espnet.pretrained.base import without_autocast
from tsx_espnet.pretrained.classifier import AbsClassifier
from tsx_espnet.pretrained.loading import load_state
from tsx_espnet.tables import PathLike, atomic_write

ABOUT, LABELS, WEIGHTS = "pretrained.json", "labels.txt", "weights.safetensors"
CHANNELS = (16, 32, 48, 64, 64, 96, 96, 128, 128, 128, 192)
NUM_MELS = 64
FLOOR = 1e-6  # least power of a mel band; white noise of unit RMS has 1 in each bin


class MobileNet(AbsClassifier):
    """Depthwise-separable convolutions over a log mel spectrogram, a frame of logits every 40 ms.

    Fully convolutional: a strided convolution and ten depthwise-separable ones over time and
    frequency, then a dilated one over time. A frame depends on the ``context`` around its middle.
    The network hears levels, so sounds have to come at the level of training: the mixture that
    they belong to at unit RMS.

    Args:
        labels: of the classes.
        fs: in Hz.
        channels: of the first convolution and of each depthwise-separable one.

    Raises:
        ValueError: if there are not eleven numbers of channels.

    Reference: Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision
    applications", 2017; as a classifier of sounds with 10 ms frames and 64 mel bands by Hershey et
    al., "CNN architectures for large-scale audio classification", ICASSP 2017.
    """

    # of the separable convolutions, over time and frequency
    STRIDES = ((2, 2), (1, 1), (1, 2), (1, 1), (1, 2), (1, 1), (1, 2), (1, 1), (1, 1), (1, 1))
    DILATION = 3

    def __init__(self, labels: Sequence[str], fs: int, channels: Sequence[int] = CHANNELS):
        super().__init__()
        if len(channels) != 1 + len(self.STRIDES) or min(channels) < 1:
            raise ValueError(f"channels: expected {1 + len(self.STRIDES)}, found {channels}")
        self.labels, self.fs, self.channels = tuple(labels), fs, tuple(channels)
        self.hop = hop_of(fs)
        self.step = self.hop // 4
        window = round(0.025 * fs)
        self.n_fft = 1 << (2 * window - 1).bit_length()  # twice the window: no mel band is empty
        hann = torch.hann_window(window)
        self.register_buffer("window", hann / hann.square().sum().sqrt(), persistent=False)
        filters = mel_filters(self.n_fft, fs)
        self.register_buffer("filters", filters, persistent=False)
        self.norm = nn.BatchNorm1d(NUM_MELS)
        first, last = channels[0], channels[-1]
        self.first = nn.Sequential(
            nn.Conv2d(1, first, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
        )
        self.separable = nn.ModuleList(
            _separable(*sizes) for sizes in zip(channels, channels[1:], self.STRIDES)
        )
        self.over_time = nn.Sequential(
            nn.Conv1d(last, last, 3, dilation=self.DILATION, padding=self.DILATION, bias=False),
            nn.BatchNorm1d(last),
            nn.ReLU(),
        )
        self.output = nn.Linear(last, len(self.labels))

    @property
    def context(self) -> int:
        """Samples that a frame depends on."""
        rate, frames = 1, 1
        for stride in (2, *(over_time for over_time, _ in self.STRIDES)):
            frames += 2 * rate
            rate *= stride
        frames += 2 * rate * self.DILATION
        return (frames - 1) * self.step + len(self.window)

    def layers(self) -> Sequence[nn.Module]:
        return [self.norm, self.first, *self.separable, self.over_time, self.output]

    @without_autocast
    def forward(self, waveform: torch.Tensor, fs: Optional[int] = None) -> torch.Tensor:
        x = self.norm(self.log_mel(self.heard(waveform, fs)))
        x = self.first(x.transpose(1, 2).unsqueeze(1))  # (B, C, F, K)
        for layer in self.separable:
            x = layer(x)
        x = self.over_time(x.mean(dim=3))
        return self.output(x.transpose(1, 2))

    def log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """Log mel spectrogram of 25 ms windows around the middle of every 10 ms, silence beyond.

        Shape: (B, T) -> (B, K, 4 F), F = ceil(T / hop)
        """
        window = len(self.window)
        num_samples = waveform.shape[1]
        left = (window - self.step) // 2
        total = -(-num_samples // self.hop) * self.hop + window - self.step
        padded = functional.pad(waveform, (left, total - left - num_samples))
        frames = padded.unfold(1, window, self.step) * self.window
        spectrum = torch.fft.rfft(frames, n=self.n_fft)
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self.filters + FLOOR).log10().transpose(1, 2)


class SavedMobileNet(MobileNet):
    """A ``MobileNet`` from the directory that ``save`` wrote.

    Args:
        directory: of the network.
        fs, channels: as of a ``MobileNet``.

    Raises:
        TSXError: if a file is missing or damaged, or they do not fit together.
    """

    files = (ABOUT, LABELS, WEIGHTS)

    def __init__(self, directory: Path, fs: int, channels: Sequence[int] = CHANNELS):
        super().__init__(_read_labels(directory / LABELS), fs, channels)
        try:
            self.load_state_dict(load_state(directory / WEIGHTS))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise TSXError(f"{directory / WEIGHTS}: expected a MobileNet: {reason}") from None


def save(network: MobileNet, directory: PathLike) -> None:
    """Write a network into a directory from which ``--pretrained`` takes it; its description last.

    Raises:
        TSXError: if a file cannot be written.
    """
    from safetensors.torch import save as to_bytes

    directory = Path(directory)
    state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_write(directory / WEIGHTS, "wb") as stream:
        stream.write(to_bytes(state))
    with atomic_write(directory / LABELS) as stream:
        stream.writelines(f"{label}\n" for label in network.labels)
    about = {"kind": "mobilenet", "fs": network.fs, "channels": list(network.channels)}
    with atomic_write(directory / ABOUT) as stream:
        stream.write(json.dumps(about) + "\n")


def hop_of(fs: int) -> int:
    """Samples between frames of logits, 40 ms at ``fs`` Hz in whole frames of 10 ms."""
    return 4 * round(fs / 100)


def mel_filters(n_fft: int, fs: int) -> torch.Tensor:
    """64 triangular mel filters from 60 Hz to fs / 2: (n_fft / 2 + 1, K)."""
    from torchaudio.functional import melscale_fbanks

    return melscale_fbanks(n_fft // 2 + 1, 60.0, fs / 2, NUM_MELS, fs)


def _separable(inputs: int, outputs: int, stride: Tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _read_labels(path: Path) -> List[str]:
    try:
        labels = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TSXError(f"{path}: expected a label a line: {reason}") from None
    if not labels or not all(labels) or len(set(labels)) < len(labels):
        raise TSXError(f"{path}: expected different labels, one a line")
    return labels

"""Classifiers of sounds: which can be heard in each frame of a waveform."""

from abc import abstractmethod
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import torch
from torch.nn import functional

from tsx_espnet.pretrained.base import AbsPretrained, without_autocast
from tsx_espnet.pretrained.features import kaldi_fbank, kaldi_filters
from tsx_espnet.pretrained.loading import load_extractor, load_transformers


class AbsClassifier(AbsPretrained):
    """Logits of J classes in every frame of a waveform.

    Attributes:
        labels: of the classes, J.
        hop: between frames, in samples at ``fs``.
    """

    labels: Tuple[str, ...]
    hop: int

    @abstractmethod
    def forward(self, waveform: torch.Tensor, fs: Optional[int] = None) -> torch.Tensor:
        """Logits of waveforms: (B, T) -> (B, F, J), F = ceil(T' / hop), T' samples at ``self.fs``.

        Args:
            fs: of the waveforms in Hz; by default that of the network.
        """


class WindowClassifier(AbsClassifier):
    """A classifier of whole clips, applied to a window around the middle of every frame.

    Windows that would reach beyond an end are moved inwards, so nothing is padded; a waveform
    shorter than a window is one.

    Args:
        window, hop: in seconds.
        level: factor of the waveforms. Models let classifiers hear mixtures at unit RMS, which is
            louder than the recordings that most were trained on.

    Raises:
        ValueError: if they are not above 0.
    """

    def __init__(self, window: float, hop: float, fs: int, level: float = 1.0):
        super().__init__()
        if not level > 0:
            raise ValueError(f"level: expected a factor above 0, found {level}")
        self.level = level
        for name, seconds in (("window", window), ("hop", hop)):
            if not round(seconds * fs) >= 1:
                raise ValueError(f"{name}: expected seconds, at least 1 / {fs}, found {seconds}")
        self.fs = fs
        self.window = round(window * fs)
        self.hop = round(hop * fs)

    @abstractmethod
    def classify(self, clips: torch.Tensor) -> torch.Tensor:
        """Logits of clips: (C, T) -> (C, J), any T >= 1."""

    @without_autocast
    def forward(self, waveform: torch.Tensor, fs: Optional[int] = None) -> torch.Tensor:
        waveform = self.level * self.heard(waveform, fs)
        num_samples = waveform.shape[1]
        window = min(self.window, num_samples)
        num_frames = -(-num_samples // self.hop)
        middle = torch.arange(num_frames, device=waveform.device) * self.hop + self.hop // 2
        start = (middle - window // 2).clamp(0, num_samples - window)
        samples = start.unsqueeze(1) + torch.arange(window, device=waveform.device)
        logits = self.classify(waveform[:, samples].flatten(0, 1))
        return logits.unflatten(0, (-1, num_frames))


class AudioSpectrogramTransformer(WindowClassifier):
    """AST, as transformers have it (``ASTForAudioClassification``).

    Its filter bank is computed here, as transformers' feature extractor has no gradient.

    Args:
        directory: as ``save_pretrained`` of the model and of ``ASTFeatureExtractor`` write it.
        window, hop, level: see ``WindowClassifier``.

    Raises:
        TSXError: if it cannot be loaded.

    Reference: Gong, Chung and Glass, "AST: Audio spectrogram transformer", Interspeech 2021.
    """

    files = ("*.json", "*.safetensors")

    def __init__(
        self, directory: Path, window: float = 10.24, hop: float = 10.24, level: float = 1.0
    ):
        extractor = load_extractor("ASTFeatureExtractor", directory)
        super().__init__(window, hop, extractor.sampling_rate, level)
        self.frame, self.step = self.fs // 40, self.fs // 100  # 25 and 10 ms
        filters = kaldi_filters(self.frame, extractor.num_mel_bins, self.fs)
        self.register_buffer("filters", filters)
        self.num_frames = extractor.max_length
        self.mean, self.scale = 0.0, 1.0
        if extractor.do_normalize:
            self.mean, self.scale = extractor.mean, 2 * extractor.std
        self.model = load_transformers("ASTForAudioClassification", directory)
        names: Dict[int, str] = self.model.config.id2label
        self.labels = tuple(names[number] for number in range(len(names)))

    def layers(self) -> Sequence[torch.nn.Module]:
        trunk: List[torch.nn.Module] = list(self.model.audio_spectrogram_transformer.children())
        blocks = [b for part in trunk for b in _blocks(part)]
        return [*blocks, self.model.classifier]

    def classify(self, clips: torch.Tensor) -> torch.Tensor:
        clips = functional.pad(clips, (0, max(0, self.frame - clips.shape[1])))
        x = kaldi_fbank(clips, self.filters, self.frame, self.step)[:, : self.num_frames]
        x = functional.pad(x, (0, 0, 0, self.num_frames - x.shape[1]))
        return self.model(input_values=(x - self.mean) / self.scale).logits


def _blocks(part: torch.nn.Module) -> List[torch.nn.Module]:
    """A part of a transformer, or the blocks of which it is a list, in any version."""
    if isinstance(part, torch.nn.ModuleList):
        return list(part)
    inner = [child for child in part.children() if isinstance(child, torch.nn.ModuleList)]
    return list(inner[0]) if len(inner) == 1 else [part]

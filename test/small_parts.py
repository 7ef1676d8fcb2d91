"""Parts for tests: conditioners of every kind, a classifier, an extractor of three outputs."""

import json

import torch
from pretrained_networks import randomise

from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding, real_positions
from tsx_espnet.extractor.abs_extractor import AbsTSXExtractor
from tsx_espnet.layers.fusion import make_fusion
from tsx_espnet.parts import OURS
from tsx_espnet.pretrained.base import without_autocast
from tsx_espnet.pretrained.classifier import AbsClassifier

HOP = 40  # samples of a frame


class Envelopes(AbsConditioner):
    """The level of each signal that it hears, frame by frame, mapped to D numbers.

    Shape:
        value (B, S, T), lengths (B,) -> embedding (B, ceil(T / 40), D)
    """

    gives = "timed"

    def __init__(self, output_dim, hears=("mixture",), number=1):
        super().__init__()
        self.hears = tuple(hears)
        self.linear = torch.nn.Linear(number, output_dim)
        self.values = []  # what it heard

    def forward(self, value, lengths):
        self.values.append(value)
        padded = torch.nn.functional.pad(value, (0, -value.shape[2] % HOP))
        levels = padded.unflatten(2, (-1, HOP)).square().mean(dim=3)
        embedding = self.linear(levels.transpose(1, 2))
        mask = torch.ones(embedding.shape[:2], dtype=torch.bool, device=value.device)
        return ConditionEmbedding(embedding, mask, timed=True)


class Loudness(Envelopes):
    """The same over the whole mixture: one vector."""

    gives = "vector"

    def forward(self, value, lengths):
        timed = super().forward(value, lengths)
        return ConditionEmbedding(timed.embedding.mean(dim=1, keepdim=True), timed.mask[:, :1])


class Words(AbsConditioner):
    """A trained vector for each token; ``pretrained`` is for its tokenizer alone."""

    takes = "tokens"
    gives = "tokens"

    def __init__(self, output_dim, number=32, pretrained=None):
        super().__init__()
        self.table = torch.nn.Embedding(number, output_dim)

    def forward(self, value, lengths):
        return ConditionEmbedding(self.table(value), real_positions(value.shape[1], lengths))


class Numbers(AbsConditioner):
    """A trained number for each value, in all D places."""

    takes = "index"

    def __init__(self, output_dim, number=8):
        super().__init__()
        self.size = output_dim
        self.numbers = torch.nn.Parameter(torch.linspace(-1.0, 1.0, number))

    def forward(self, value, lengths):
        embedding = self.numbers[value.clamp(min=0)].unsqueeze(-1).expand(-1, -1, self.size)
        return ConditionEmbedding(embedding, value >= 0)


class Meanings(AbsConditioner):
    """The vectors of a phrase, mapped to D."""

    takes = "vector"

    def __init__(self, output_dim, input_dim=6):
        super().__init__()
        self.linear = torch.nn.Linear(input_dim, output_dim)

    def forward(self, value, lengths):
        return ConditionEmbedding(self.linear(value), real_positions(value.shape[1], lengths))


class Levels(AbsConditioner):
    """The level of a recording, mapped to D."""

    takes = "samples"

    def __init__(self, output_dim):
        super().__init__()
        self.linear = torch.nn.Linear(1, output_dim)

    def forward(self, value, lengths):
        level = value.square().sum(dim=1) / lengths.clamp(min=1)
        return ConditionEmbedding(self.linear(level[:, None, None]), (lengths > 0).unsqueeze(1))


class ThreeOutputs(AbsTSXExtractor):
    """Masks for three outputs or another number, from a convolution and a fusion."""

    accepts = ("vector", "timed", "tokens")

    def __init__(self, input_dim, condition_dim, channels=8, fusion="film", num_outputs=3):
        super().__init__()
        self.num_outputs = num_outputs
        self.first = torch.nn.Conv1d(input_dim, channels, 3, padding=1)
        self.fusion = make_fusion(fusion, condition_dim, channels)
        self.last = torch.nn.Conv1d(channels, num_outputs * input_dim, 1)
        self.accepts = self.fusion.accepts

    def extract(self, feature, lengths, condition, prepared=None):
        x = torch.tanh(self.first(feature.abs().transpose(1, 2)))
        masks = torch.sigmoid(self.last(torch.tanh(self.fusion(x, condition))))
        return feature.unsqueeze(1) * masks.unflatten(1, (self.num_outputs, -1)).transpose(2, 3)


class Ears(AbsClassifier):
    """A classifier of three classes with all that training could change.

    A frame of 10 ms at 8 kHz depends on its own samples alone.
    """

    files = ("pretrained.json",)
    labels = ("Bark", "Rain", "Meow")
    fs = 8000
    hop = 80

    def __init__(self, directory, seed=0):
        super().__init__()
        self.first = torch.nn.Linear(self.hop, 6)
        self.norm = torch.nn.BatchNorm1d(6)
        self.dropout = torch.nn.Dropout(0.5)
        self.second = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.BatchNorm1d(6))
        self.last = torch.nn.Linear(6, 3)
        randomise(self, seed)
        with torch.no_grad():
            self.last.weight.mul_(10)  # it makes up its mind

    def layers(self):
        return [self.first, self.norm, self.second, self.last]

    @without_autocast
    def forward(self, waveform, fs=None):
        waveform = self.heard(waveform, fs)
        padded = torch.nn.functional.pad(waveform, (0, -waveform.shape[1] % self.hop))
        frames = padded.unflatten(1, (-1, self.hop))
        x = self.dropout(self.norm(torch.tanh(self.first(frames.flatten(0, 1)))))
        return self.last(torch.tanh(self.second(x))).unflatten(0, frames.shape[:2])


def write_ears(directory, seed=0):
    """The directory of such a classifier."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "pretrained.json").write_text(json.dumps({"kind": "ears", "seed": seed}))
    return directory


PARTS = {
    "conditioner": (Envelopes, Loudness, Words, Numbers, Meanings, Levels),
    "extractor": (ThreeOutputs,),
    "pretrained": (Ears,),
}


def register(monkeypatch):
    """Put them into the tables of the package until the end of a test."""
    for kind, parts in PARTS.items():
        for part in parts:
            path = f"{part.__module__}:{part.__name__}"
            monkeypatch.setitem(OURS[kind], part.__name__.lower(), path)

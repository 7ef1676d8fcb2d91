"""Conditions that are heard by a sound classifier."""

from typing import Optional, Sequence

import torch

from tsx_espnet.checks import one_of
from tsx_espnet.conditioner.embedding import AbsConditioner, ConditionEmbedding, real_positions
from tsx_espnet.errors import TSXError
from tsx_espnet.layers.basic import global_layer_norm
from tsx_espnet.layers.probability import TrainableSigmoid, mean_probability, soft_or
from tsx_espnet.pretrained.classifier import AbsClassifier
from tsx_espnet.pretrained.frozen import Frozen

SIGNALS = ("mixture", "estimates", "sources")
COMBINATIONS = ("all", "soft_or")
ACTIVATIONS = {
    "sigmoid": torch.nn.Sigmoid,
    "trainable": TrainableSigmoid,
    "none": torch.nn.Identity,
}


class ClassifierConditioner(AbsConditioner):
    """What a pretrained classifier hears in the mixture, in estimates, or in the sources.

    Its logits over time are combined, go through a sigmoid, are mapped to D channels, and are
    normalised over channels and time.

    Args:
        output_dim: D.
        pretrained: the classifier, of J classes.
        hears: of ``mixture``, ``estimates`` (of the pass before) and ``sources`` (an oracle).
        combine: the logits of several signals: ``all`` side by side (mixture, estimates, sources),
            or ``soft_or``, those of "at least one of them"; what is silent, such as a source that
            a mixture does not have, does not count.
        activation: ``sigmoid``, ``trainable`` (with three numbers), or ``none``: raw logits.
        average: one vector, of the mean probabilities over time, in place of one a frame.
        num_trainable: the last layers of the classifier that are trained further, in a copy that
            belongs to this conditioner.
        num_outputs: M of the model, the number of estimates; there may be fewer sources.
        fs: sampling rate of the model in Hz; by default that of the classifier.

    Shape:
        value (B, S, T), lengths (B,) samples -> embedding (B, F, D), or (B, 1, D) of ``average``

    Raises:
        ValueError: if an option is wrong, or the pretrained network is no classifier.

    Reference: Tzinis et al., "Improving universal sound separation using sound classification",
    ICASSP 2020, sections 2.2 and 3.2.
    """

    hears = ("mixture",)
    gives = "timed"

    def __init__(
        self,
        output_dim: int,
        pretrained: Frozen,
        hears: Sequence[str] = ("mixture",),
        combine: str = "all",
        activation: str = "sigmoid",
        average: bool = False,
        num_trainable: int = 0,
        num_outputs: int = 2,
        fs: Optional[int] = None,
    ):
        super().__init__()
        self.classifier = check_classifier(pretrained).with_trainable(num_trainable)
        if isinstance(hears, str) or not hears or not set(hears) <= set(SIGNALS):
            raise ValueError(f"hears: expected some of {list(SIGNALS)}, found {hears}")
        self.hears = tuple(signal for signal in SIGNALS if signal in hears)
        self.combine = one_of("combine", combine, COMBINATIONS)
        self.average = average
        self.gives = "vector" if average else "timed"
        self.fs = fs
        self.sizes = tuple(1 if signal == "mixture" else num_outputs for signal in self.hears)
        self.activation = ACTIVATIONS[one_of("activation", activation, ACTIVATIONS)]()
        number = sum(self.sizes) if combine == "all" else 1
        channels = number * len(self.classifier.network.labels)
        self.linear = torch.nn.Conv1d(channels, output_dim, 1)
        self.norm = global_layer_norm(output_dim)

    def forward(self, value: torch.Tensor, lengths: torch.Tensor) -> ConditionEmbedding:
        value = self._padded(value)
        logits = classify(self.classifier, value, self.fs)
        real = real_frames(lengths, value.shape[2], logits.shape[2])
        heard = dict(zip(self.hears, logits.split(self.sizes, dim=1)))
        if self.combine == "soft_or":
            logits = soft_or(logits, value.any(dim=2)).unsqueeze(1)
        if self.average:
            logits, real = mean_probability(logits, real), real[:, :1]
        x = self.activation(logits.transpose(2, 3).flatten(1, 2))
        embedding = self.norm(self.linear(x)).transpose(1, 2)
        return ConditionEmbedding(embedding, real, not self.average, heard)

    def _padded(self, value: torch.Tensor) -> torch.Tensor:
        """With silence for sources that are fewer than the outputs; they come last."""
        missing = sum(self.sizes) - value.shape[1]
        if missing < 0:
            raise TSXError(
                f"expected mixtures of at most {self.sizes[-1]} sources, one for each output of "
                f"the model, found {self.sizes[-1] - missing}"
            )
        return torch.nn.functional.pad(value, (0, 0, 0, missing))


def check_classifier(pretrained: Frozen) -> Frozen:
    """The network that an option ``pretrained`` names.

    Raises:
        ValueError: if it is no classifier.
    """
    if not isinstance(pretrained.network, AbsClassifier):
        found = type(pretrained.network).__name__
        raise ValueError(f"pretrained: expected a classifier of sounds, found {found}")
    return pretrained


def classify(classifier: Frozen, waveforms: torch.Tensor, fs: Optional[int]) -> torch.Tensor:
    """Logits of several signals of each mixture, at one gain: (B, S, T) -> (B, S, F, J)."""
    logits = classifier.network(waveforms.flatten(0, 1), fs)
    return logits.unflatten(0, waveforms.shape[:2])


def real_frames(lengths: torch.Tensor, num_samples: int, num_frames: int) -> torch.Tensor:
    """(B, num_frames) bool: the frames that begin within the ``lengths`` (B,) samples.

    >>> real_frames(torch.tensor([400, 399, 300]), 400, 4)
    tensor([[ True,  True,  True,  True],
            [ True,  True,  True,  True],
            [ True,  True,  True, False]])
    """
    return real_positions(num_frames, -(-lengths * num_frames // num_samples))

"""Separation for users: load a model once, separate all sounds of many recordings."""

import functools
from typing import Callable, Iterable, Iterator, List, Optional, Tuple

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d

from tsx_espnet.conditions import ANY, UNCONDITIONAL
from tsx_espnet.conditions.condition import unknown_value
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment, load_experiment
from tsx_espnet.layers.basic import SILENCE
from tsx_espnet.pretrained.classifier import AbsClassifier
from tsx_espnet.pretrained.store import PRETRAINED, load, read_about
from tsx_espnet.recordings.contents import Contents, Sound
from tsx_espnet.recordings.segments import (
    Progress,
    RecordingInSegments,
    check_mixture,
    in_blocks,
    lengths,
)
from tsx_espnet.recordings.tracks import Tracks, in_order_of, weights_to_mono
from tsx_espnet.tables import PathLike

MOMENT = 0.05  # seconds, over which the power of an output is compared with that of the others


class SoundSeparator:
    """Separates all sounds of a recording, with a loaded ``experiment``.

    >>> separate = SoundSeparator.load("exp/tdcn")  # doctest: +SKIP
    >>> outputs, sounds = separate(mixture, 44100)  # doctest: +SKIP
    >>> [sound.labels for sound in sounds if sound.active]  # doctest: +SKIP
    [('Bark', 'Dog'), ('Rain',)]

    Args:
        experiment: of a model that is not queried.
        classifier: gives the labels; without one there are none.
        threshold: the probability from which on a sound counts as heard.

    Raises:
        TSXError: for an oracle model, which hears the sources, one that has to be queried, or a
            threshold outside of 0 to 1.
    """

    def __init__(
        self,
        experiment: Experiment,
        classifier: Optional[AbsClassifier] = None,
        threshold: float = 0.5,
    ):
        where = experiment.model_file.parent
        if experiment.model.is_oracle:
            raise TSXError(f"{where}: an oracle: it hears the sources, which a recording lacks")
        if UNCONDITIONAL not in experiment.config["conditions"]:
            asked = ", ".join(experiment.config["conditions"])
            raise TSXError(
                f"{where}: expected a model that separates without a query, found one queried by "
                f"{asked}; TargetSoundExtractor and tsx-extract are for those"
            )
        if not 0 <= threshold <= 1:
            raise TSXError(f"threshold: expected a probability, found {threshold}")
        self.experiment = experiment
        self.model = experiment.model
        self.fs = int(experiment.config["fs"])
        self.classifier = classifier
        self.threshold = threshold

    @classmethod
    def load(
        cls,
        experiment: PathLike,
        model_file: Optional[str] = None,
        device: str = "cpu",
        classifier: Optional[PathLike] = None,
        threshold: float = 0.5,
    ) -> "SoundSeparator":
        """From an experiment directory; the first three options as in ``load_experiment``.

        Args:
            classifier: directory of a pretrained classifier; by default the model's own, before
                it was fine-tuned.

        Raises:
            TSXError: as ``load_experiment`` and the constructor, or if the directory holds no
                classifier.
        """
        loaded = load_experiment(experiment, model_file, device)
        network = own_classifier(loaded) if classifier is None else load_classifier(classifier)
        return cls(loaded, network and network.to(device), threshold)

    @property
    def num_outputs(self) -> int:
        """M."""
        return max(2, self.model.extractor.num_outputs)

    @property
    def labels(self) -> Tuple[str, ...]:
        """What the classifier knows."""
        return () if self.classifier is None else tuple(self.classifier.labels)

    def check_labels(self, labels: Iterable[str]) -> None:
        """Raise ``TSXError`` for a label that the classifier does not know, naming the nearest."""
        for label in labels:
            if self.classifier is None:
                where = self.experiment.model_file.parent
                raise TSXError(f"{where}: has no classifier, which label {label!r} asks for")
            if label not in self.labels:
                raise TSXError(unknown_value("label", label, self.labels))

    def __call__(
        self,
        mixture: np.ndarray,
        fs: int,
        progress: Progress = lambda segments: segments,
    ) -> Tuple[np.ndarray, List[Sound]]:
        """The outputs of the model for a recording, and what each of them holds.

        The recording is resampled to the model's rate and back. If it is longer than 20 s, it is
        cut into overlapping segments, in which a sound keeps its output, as it does in all
        channels. The outputs add up to the mixture: what the model leaves over, as that above half
        its rate, is shared out in proportion to the power of the outputs at the moment.

        Args:
            mixture: (T,) or (T, channels), any level.
            fs: sampling rate in Hz.
            progress: wraps the list of segments while they are worked on.

        Returns:
            outputs: float32 (M, T) or (M, T, channels)
            sounds: M

        Raises:
            TSXError: for a mixture that is empty or holds NaN or infinity.
        """
        mixture = check_mixture(mixture, fs)
        columns = mixture.reshape(len(mixture), -1)
        recording, contents = self._recording(fs, columns.shape[1])
        outputs = recording.push(columns, last=True, progress=progress)
        return np.stack(outputs).reshape(-1, *mixture.shape), contents.sounds()

    def stream(self, blocks: Iterable[np.ndarray], fs: float) -> "Separation":
        """The same for a recording that arrives in blocks, from a file or a microphone.

        >>> blocks = soundfile.blocks("long.wav", blocksize=65536)  # doctest: +SKIP
        >>> separation = separate.stream(blocks, 44100)  # doctest: +SKIP
        >>> for outputs in separation:  # doctest: +SKIP
        ...     write(outputs)  # (M, n) or (M, n, channels)
        >>> separation.sounds  # doctest: +SKIP

        Args:
            blocks: of shape (n,) or (n, channels) each, of any lengths n.
            fs: sampling rate in Hz.
        """
        return Separation(blocks, fs, self._recording)

    def _recording(self, fs: float, channels: int) -> Tuple[RecordingInSegments, Contents]:
        contents = Contents(self.num_outputs, self.fs, self.classifier, self.threshold)
        segments = _Segments(self.experiment, contents)
        number = self.num_outputs
        signals = number * channels + number
        split = functools.partial(complete, number)
        return RecordingInSegments(segments, split, self.fs, fs, channels, signals), contents


class _Segments:
    """Separates one segment of a recording after the other."""

    def __init__(self, experiment: Experiment, contents: Contents):
        self.model, self.fs = experiment.model, int(experiment.config["fs"])
        self.device = next(self.model.parameters()).device
        heard = UNCONDITIONAL in self.model.heard
        with torch.no_grad():
            self.condition = UNCONDITIONAL if heard else experiment.embed(UNCONDITIONAL, ANY)
        segment, fade = lengths(self.fs)
        self.tracks, self.contents = Tracks(self.fs, fade), contents
        self.start, self.hop = 0, segment - fade

    @torch.no_grad()
    def __call__(self, part: np.ndarray) -> np.ndarray:
        """The next segment: (T, C) -> (T, M C + M), the outputs, and the share of each."""
        mixture = torch.from_numpy(part.T.copy()).to(self.device)
        mono = weights_to_mono(mixture)
        channels = [self._separate(channel) for channel in mixture]
        if len(channels) > 1:
            anchor = self._separate(mono @ mixture)
            channels = [in_order_of(anchor, outputs, self.fs) for outputs in channels]
        outputs = self.tracks.place(torch.stack(channels, dim=1))
        self.contents.add(self.start / self.fs, outputs, mixture, mono)
        self.start += self.hop
        signals = torch.cat([outputs.flatten(0, 1), shares(outputs, self.fs)])
        return signals.T.cpu().numpy()

    def _separate(self, signal: torch.Tensor) -> torch.Tensor:
        return self.model.extract(signal.unsqueeze(0), self.condition)[0]


def shares(outputs: torch.Tensor, fs: int) -> torch.Tensor:
    """The part of each output in the power of all, over 50 ms: (M, C, T) -> (M, T)."""
    power = outputs.square().mean(dim=1).double().cpu().numpy()
    power = uniform_filter1d(power, max(1, round(MOMENT * fs)), mode="nearest")
    power = torch.from_numpy(power.clip(min=0) + SILENCE**2)
    return (power / power.sum(dim=0)).to(outputs)


def complete(number: int, mixture: np.ndarray, signals: np.ndarray) -> Tuple[np.ndarray, ...]:
    """Outputs that add up to the mixture, each with its share of what they leave over.

    Shape:
        mixture (T, C), signals (T, M C + M) -> M times (T, C)

    Reference: Wisdom et al., "Differentiable consistency constraints for improved deep speech
    enhancement", ICASSP 2019, section 3.2, with weights that vary over time.
    """
    outputs = signals[:, :-number].reshape(len(signals), number, mixture.shape[1])
    share = signals[:, -number:].clip(0, 1)  # resampled, so they may add up to something else
    share = share + (1 - share.sum(axis=1, keepdims=True)) / number
    left = mixture - outputs.sum(axis=1)
    return tuple((outputs + share[:, :, None] * left[:, None]).swapaxes(0, 1))


class Separation:
    """A recording being separated block by block: iterate over it once.

    Memory does not grow with the length of the recording; a sound comes out about 20 s after it
    went in. Joined, the outputs are those of the call with the whole recording.

    Shape:
        (M, n) or (M, n, channels) each

    Raises:
        TSXError: when iterated over, as the call does.
    """

    def __init__(
        self,
        blocks: Iterable[np.ndarray],
        fs: float,
        start: Callable[[float, int], Tuple[RecordingInSegments, Contents]],
    ):
        self._blocks, self._fs, self._start = blocks, fs, start
        self._contents: Optional[Contents] = None

    def __iter__(self) -> Iterator[np.ndarray]:
        def begin(channels: int) -> RecordingInSegments:
            recording, self._contents = self._start(self._fs, channels)
            return recording

        return map(np.stack, in_blocks(self._blocks, self._fs, begin))

    @property
    def sounds(self) -> List[Sound]:
        """What each output holds, as far as the recording was separated."""
        return [] if self._contents is None else self._contents.sounds()


def load_classifier(directory: PathLike) -> AbsClassifier:
    """The pretrained classifier in a directory.

    Raises:
        TSXError: if it holds none, or one that cannot be loaded.
    """
    kind, _ = read_about(directory)
    if not issubclass(kind, AbsClassifier):
        raise TSXError(f"{directory}: expected a classifier of sounds, found a {kind.__name__}")
    return load(directory).requires_grad_(False).eval()


def own_classifier(experiment: Experiment) -> Optional[AbsClassifier]:
    """The classifier that a model hears with, as it was trained; None if it has none."""
    for name in experiment.config.get("pretrained") or {}:
        directory = experiment.model_file.parent / PRETRAINED / name
        if issubclass(read_about(directory)[0], AbsClassifier):
            return load_classifier(directory)
    return None

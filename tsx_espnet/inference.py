"""Extraction for users: load a model once, extract from many recordings."""

from typing import Callable, Iterable, Iterator, List, Optional, Tuple

import numpy as np
import soxr
import torch

from tsx_espnet.audio import check_samples
from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import ANY, ENROLLMENT, NOT_APPLICABLE, UNCONDITIONAL
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment, load_experiment, save_experiment
from tsx_espnet.few_shot.classes import Recordings, embed_recordings
from tsx_espnet.few_shot.options import AdaptationOptions
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.pretrained.language_model import LanguageModel
from tsx_espnet.tables import PathLike
from tsx_espnet.vocabulary import Vocabulary

SEGMENT = 20.0  # seconds
CROSSFADE = 1.0  # seconds
Progress = Callable[[List[int]], Iterable[int]]


class TargetSoundExtractor:
    """Extracts the sound a condition asks for, of a loaded ``experiment``.

    >>> tsx = TargetSoundExtractor.load("exp/oct")  # doctest: +SKIP
    >>> target, rest = tsx(mixture, 44100, text="a dog barking")  # doctest: +SKIP
    >>> tsx.add_class("my_dog", ["dog1.wav", "dog2.wav"])  # doctest: +SKIP
    >>> target, rest = tsx(mixture, 44100, class_label="my_dog")  # doctest: +SKIP
    """

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self.fs = int(experiment.config["fs"])
        self._language_model: Optional[LanguageModel] = None

    @classmethod
    def load(
        cls, experiment: PathLike, model_file: Optional[str] = None, device: str = "cpu"
    ) -> "TargetSoundExtractor":
        """From an experiment directory; options as in ``load_experiment``."""
        return cls(load_experiment(experiment, model_file, device))

    def save(self, directory: PathLike) -> None:
        """Write the model, with the classes that were added, where ``load`` finds it.

        Raises:
            TSXError: if ``directory`` holds an experiment already.
        """
        save_experiment(self.experiment, directory)

    @property
    def model(self) -> ESPnetTSXModel:
        return self.experiment.model

    @property
    def vocabulary(self) -> Vocabulary:
        return self.experiment.vocabulary

    @property
    def conditions(self) -> Tuple[str, ...]:
        """What the model can be asked by."""
        return tuple(self.experiment.config["conditions"])

    def __call__(
        self,
        mixture: np.ndarray,
        fs: int,
        *,
        text: Optional[str] = None,
        class_label: Optional[str] = None,
        enrollment: Optional[Recordings] = None,
        energy: Optional[str] = None,
        harmonicity: Optional[str] = None,
        order: Optional[str] = None,
        unconditional: bool = False,
        progress: Progress = lambda segments: segments,
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Target and rest of a recording, by exactly one condition.

        The recording is resampled to the model's rate and back. What the model cannot hear, above
        half its rate, is in the rest. Channels are processed apart. Recordings longer than 20 s
        are cut into overlapping segments, each extracted by itself; ``order`` and ``energy`` then
        mean first and louder within a segment.

        Args:
            mixture: (T,) or (T, channels), any level.
            fs: sampling rate in Hz.
            text: what it sounds like, in words.
            class_label: one of the labels the model was trained on, or one that was added.
            enrollment: the path of a recording of such a sound, or several, whose embeddings are
                averaged; any rate, any number of channels.
            energy: ``low`` or ``high``.
            harmonicity: ``percussive`` or ``harmonic``.
            order: ``first`` or ``second``.
            unconditional: ask for nothing (a model trained with PIT): two sounds, in any order, not
                the same one in every channel and every segment of a long recording.
            progress: wraps the list of segments while they are worked on.

        Returns:
            target, rest: float32 with the shape of ``mixture``; target + rest = mixture

        Raises:
            TSXError: for no or several conditions, an unknown value, an enrollment that cannot be
                read, or a mixture that is empty or holds NaN or infinity.
        """
        asked = {
            "text": text,
            "class": class_label,
            ENROLLMENT: enrollment,
            "energy": energy,
            "harmonicity": harmonicity,
            "order": order,
            UNCONDITIONAL: ANY if unconditional else None,
        }
        condition = self.embed({name: value for name, value in asked.items() if value is not None})
        mixture = check_samples(mixture, fs)
        columns = mixture.reshape(len(mixture), -1)
        recording = self._recording(fs, columns.shape[1], condition)
        target, rest = recording.push(columns, last=True, progress=progress)
        return target.reshape(mixture.shape), rest.reshape(mixture.shape)

    def stream(
        self, blocks: Iterable[np.ndarray], fs: float, **condition
    ) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        """Target and rest of a recording that arrives in blocks, from a file or a microphone.

        Joined, they are what the call with the whole recording returns. Memory does not grow with
        the length of the recording; a sound comes out about 20 s after it went in.

        >>> blocks = soundfile.blocks("long.wav", blocksize=65536)  # doctest: +SKIP
        >>> for target, rest in tsx.stream(blocks, 44100, text="rain"):  # doctest: +SKIP
        ...     file.write(target)

        Args:
            blocks: of shape (n,) or (n, channels) each, of any lengths n.
            fs: sampling rate in Hz.
            condition: exactly one, as in the call.

        Returns:
            an iterator over (target, rest), float32; their lengths add up to that of the blocks

        Raises:
            TSXError: as the call does; for what is wrong with a block, once it is reached.
        """
        asked = {
            "class" if name == "class_label" else name: ANY if name == UNCONDITIONAL else value
            for name, value in condition.items()
            if value is not None and value is not False
        }
        return self._stream(blocks, fs, self.embed(asked))

    def _stream(self, blocks, fs, condition) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        recording, shape, gathered = None, (), []
        for block in blocks:
            block = np.asarray(block)
            if block.ndim and not len(block):
                continue
            block = check_samples(block, fs)
            if recording is None:
                shape = block.shape[1:]
                recording = self._recording(fs, block[0].size, condition)
            if block.shape[1:] != shape:
                wanted = f"(n, {shape[0]})" if shape else "(n,)"
                raise TSXError(f"mixture: expected blocks of shape {wanted}, found {block.shape}")
            gathered.append(block.reshape(len(block), -1))
            if sum(map(len, gathered)) >= fs:  # a second at a time, however small the blocks
                target, rest = recording.push(np.concatenate(gathered))
                gathered = []
                if len(target):
                    yield target.reshape(-1, *shape), rest.reshape(-1, *shape)
        if recording is None:
            check_samples(np.zeros(0), fs)  # raises
        target, rest = recording.push(np.concatenate(gathered or [target[:0]]), last=True)
        yield target.reshape(-1, *shape), rest.reshape(-1, *shape)

    def add_class(
        self,
        label: str,
        recordings: Recordings,
        adapt: bool = False,
        *,
        clips: Optional[PathLike] = None,
        init: str = "average",
        num_mixtures: int = AdaptationOptions.num_mixtures,
        num_epochs: int = AdaptationOptions.num_epochs,
        lr: float = AdaptationOptions.lr,
        batch_size: int = AdaptationOptions.batch_size,
        seed: int = 0,
    ) -> List[float]:
        """Learn a new class from a few recordings; then ``class_label=label`` asks for it.

        All that the model could do before stays as it is, to the last bit. If anything fails,
        there is no new class.

        Args:
            label: a name without spaces and commas.
            recordings: the path of a recording of the sound alone, or of several.
            adapt: train the vector of the new class, on mixtures of the recordings with training
                clips.
            clips: those clips, formatted (``python -m tsx_espnet.bin.format``); by default the ones
                that the model was trained on, if they are where they were.
            init: ``average`` of the embeddings of the recordings, which the model must be able to
                take as enrollments, or ``random``, which is of use only with ``adapt``.
            num_mixtures, num_epochs, lr, batch_size: of the adaptation.
            seed: of the mixtures, their order and a random start.

        Returns:
            the mean loss of each epoch of the adaptation; nothing without

        Raises:
            TSXError: if the model is not asked by classes or knows the label, a recording cannot be
                used, or there are no clips to mix with.
        """
        from tsx_espnet.few_shot.learn import learn_classes

        adaptation = AdaptationOptions(None, clips, num_mixtures, num_epochs, lr, batch_size)
        self.experiment, losses = learn_classes(
            self.experiment, {label: recordings}, init, adaptation if adapt else None, seed
        )
        return losses

    def embed(self, asked) -> ConditionEmbedding:
        """The embedding of ``{condition: value}``, one entry."""
        if len(asked) != 1:
            found = ", ".join(asked) or "none"
            raise TSXError(f"expected exactly one of {', '.join(self.conditions)}, found {found}")
        ((name, value),) = asked.items()
        if name not in self.conditions:
            raise TSXError(
                f"this model cannot be asked by {name}; it knows {', '.join(self.conditions)}"
            )
        if name == ENROLLMENT:
            return embed_recordings(self.experiment, value)
        table = self.vocabulary.text_table
        if name == "text" and (table is None or value not in table):
            array = self._embed_phrase(value)
        elif value == NOT_APPLICABLE:
            raise TSXError(f"{name}: expected something to ask for, found {value!r}")
        else:
            array = self.vocabulary.encode(name, value)
        value_tensor = torch.from_numpy(array)[None].to(self._device)
        lengths = torch.tensor([len(array)], device=self._device)
        with torch.no_grad():
            return self.model.conditioners[name](value_tensor, lengths)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _embed_phrase(self, phrase: str) -> np.ndarray:
        table = self.vocabulary.text_table
        if not phrase.strip():
            raise TSXError("text: expected a phrase, found an empty one")
        if table is None:
            raise TSXError("this experiment has no text_embeddings.safetensors, so no text model")
        if self._language_model is None:
            self._language_model = LanguageModel(table.language_model, table.pooling)
        return self._language_model.embed([phrase.strip()])

    def _recording(self, fs: float, channels: int, condition: ConditionEmbedding) -> "_Recording":
        def extract(part: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                mixture = torch.from_numpy(part)[None].to(self._device)
                return self.model.extract(mixture, condition)[0][0].cpu().numpy()

        return _Recording(extract, self.fs, fs, channels)


class _Recording:
    """One recording on its way through a model: resampled, and cut into segments.

    Neighbouring segments of 20 s share one second, over which one is faded into the next.

    Args:
        extract: (n,) -> (n,), for any n up to 20 s at the model's rate.
        model_fs: the model's rate in Hz.
        fs: the recording's.
    """

    def __init__(
        self, extract: Callable[[np.ndarray], np.ndarray], model_fs: int, fs: float, channels: int
    ):
        self.extract = extract
        self.segment, self.fade = int(SEGMENT * model_fs), int(CROSSFADE * model_fs)
        self.resample = fs != model_fs
        if self.resample:
            self.down = soxr.ResampleStream(fs, model_fs, channels, dtype="float32")
            self.up = soxr.ResampleStream(model_fs, fs, channels, dtype="float32")
        nothing = np.zeros((0, channels), dtype=np.float32)
        self.mixture = self.target = nothing  # at fs, not given back yet
        self.heard = nothing  # at the model's rate, not extracted yet
        self.tail: Optional[np.ndarray] = None  # to be faded into the next segment

    def push(
        self, block: np.ndarray, last: bool = False, progress: Progress = lambda starts: starts
    ) -> Tuple[np.ndarray, np.ndarray]:
        """As much of target and rest as is ready: (n, channels) -> (m, channels) each."""
        self.mixture = np.concatenate([self.mixture, block])
        heard = self.down.resample_chunk(block, last) if self.resample else block
        target = self._segments(heard, last, progress)
        if self.resample:
            target = self.up.resample_chunk(target, last)
        target = np.concatenate([self.target, target])
        ready = len(self.mixture) if last else min(len(self.mixture), len(target))
        mixture, self.mixture = self.mixture[:ready], self.mixture[ready:]
        self.target = target[ready:]
        target = np.pad(target[:ready], ((0, max(0, ready - len(target))), (0, 0)))
        return target, mixture - target

    def _segments(self, heard: np.ndarray, last: bool, progress: Progress) -> np.ndarray:
        heard = np.concatenate([self.heard, heard])
        if last and not len(heard):  # shorter than one sample at the model's rate
            return heard
        # a segment that is not the last one has a successor, which needs more than the fade
        end = max(1, len(heard) - self.fade) if last else max(0, len(heard) - self.segment)
        hop = self.segment - self.fade
        starts = list(range(0, end, hop))
        self.heard = heard[len(starts) * hop :]
        targets = [heard[:0]]
        for start in progress(starts) if starts else ():
            part = heard[start : start + self.segment]
            target = np.stack([self.extract(channel) for channel in part.T], axis=1) + 0.0
            if self.tail is not None:
                rise = np.linspace(0, 1, self.fade, dtype=np.float32)[:, None]
                target[: self.fade] = self.tail * (1 - rise) + target[: self.fade] * rise
            self.tail = target[hop:]
            targets.append(target if last and start == starts[-1] else target[:hop])
        return np.concatenate(targets)

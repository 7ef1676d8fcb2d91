"""Extraction for users: load a model once, extract from many recordings."""

import dataclasses
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

import numpy as np
import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditions import by_keyword, find
from tsx_espnet.conditions.enrollment import Recordings
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment, load_experiment, save_experiment
from tsx_espnet.few_shot.mixtures import AdaptationOptions
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.pretrained.language_model import LanguageModel
from tsx_espnet.segments import Progress, RecordingInSegments
from tsx_espnet.tables import PathLike
from tsx_espnet.vocabulary import Vocabulary


class TargetSoundExtractor:
    """Extracts the sound that a condition describes, with a loaded ``experiment``.

    >>> tsx = TargetSoundExtractor.load("exp/oct")  # doctest: +SKIP
    >>> target, rest = tsx(mixture, 44100, text="a dog barking")  # doctest: +SKIP
    >>> tsx.add_class("my_dog", ["dog1.wav", "dog2.wav"])  # doctest: +SKIP
    >>> target, rest = tsx(mixture, 44100, class_label="my_dog")  # doctest: +SKIP
    """

    def __init__(self, experiment: Experiment):
        vocabulary = dataclasses.replace(experiment.vocabulary, embed_phrase=self._embed_phrase)
        self.experiment = experiment._replace(vocabulary=vocabulary)
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
        """What the model can be queried by."""
        return tuple(self.experiment.config["conditions"])

    def __call__(
        self,
        mixture: np.ndarray,
        fs: int,
        *,
        progress: Progress = lambda segments: segments,
        **condition: Any,
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Target and rest of a recording, by exactly one condition.

        The recording is resampled to the model's rate and back. What the model cannot hear, above
        half its rate, is in the rest. Channels are processed apart. Recordings longer than 20 s
        are cut into overlapping segments, each extracted by itself; ``order`` and ``energy`` then
        mean first and louder within a segment.

        Args:
            mixture: (T,) or (T, channels), any level.
            fs: sampling rate in Hz.
            progress: wraps the list of segments while they are worked on.
            condition: one of these, or of the conditions that plugins register:

                - ``text``: what it sounds like, in words
                - ``class_label``: a label the model was trained on, or one that was added
                - ``enrollment``: the path of a recording of such a sound, or several, whose
                  embeddings are averaged; any rate, any number of channels
                - ``energy``: ``low`` or ``high``
                - ``harmonicity``: ``percussive`` or ``harmonic``
                - ``order``: ``first`` or ``second``
                - ``unconditional=True``: no query (a model trained with PIT); two sounds, in any
                  order, not the same one in every channel and every segment of a long recording

        Returns:
            target, rest: float32 with the shape of ``mixture``; target + rest = mixture

        Raises:
            TSXError: for no or several conditions, an unknown condition or value, an enrollment
                that cannot be read, or a mixture that is empty or holds NaN or infinity.
        """
        embedding = self.embed_keywords(condition)
        mixture = check_mixture(mixture, fs)
        columns = mixture.reshape(len(mixture), -1)
        recording = self._recording(fs, columns.shape[1], embedding)
        target, rest = recording.push(columns, last=True, progress=progress)
        return target.reshape(mixture.shape), rest.reshape(mixture.shape)

    def stream(
        self, blocks: Iterable[np.ndarray], fs: float, **condition: Any
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
        return self._stream(blocks, fs, self.embed_keywords(condition))

    def _stream(self, blocks, fs, embedding) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
        recording, shape, gathered = None, (), []
        for block in blocks:
            block = np.asarray(block)
            if block.ndim and not len(block):
                continue
            block = check_mixture(block, fs)
            if recording is None:
                shape = block.shape[1:]
                recording = self._recording(fs, block[0].size, embedding)
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
            check_mixture(np.zeros(0), fs)  # raises
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
        """Learn a new class from a few recordings; then ``class_label=label`` queries it.

        All that the model could do before stays as it is, to the last bit. If anything fails, the
        class is not added.

        Args:
            label: a name without spaces and commas.
            recordings: the path of a recording of the sound alone, or of several.
            adapt: train the vector of the new class, on mixtures of the recordings with training
                clips.
            clips: those clips, formatted (``python -m tsx_espnet.bin.format``); by default those
                that the model was trained on, if they are still there.
            init: ``average`` of the embeddings of the recordings (for models that take
                enrollments), or ``random``, which makes sense only with ``adapt``.
            num_mixtures, num_epochs, lr, batch_size: of the adaptation.
            seed: of the mixtures, their order and a random start.

        Returns:
            the mean loss of each epoch of the adaptation; nothing without

        Raises:
            TSXError: if the model is not queried by classes or knows the label, a recording cannot
                be used, or there are no clips to mix with.
        """
        from tsx_espnet.few_shot.learn import learn_classes

        adaptation = AdaptationOptions(None, clips, num_mixtures, num_epochs, lr, batch_size)
        self.experiment, losses = learn_classes(
            self.experiment, {label: recordings}, init, adaptation if adapt else None, seed
        )
        return losses

    def embed_keywords(self, keywords: Mapping[str, Any]) -> Union[ConditionEmbedding, str]:
        """The embedding of the keywords of a call, of which None and False are ignored."""
        asked = {by_keyword(keyword).name: value for keyword, value in keywords.items()}
        return self.embed({n: v for n, v in asked.items() if v is not None and v is not False})

    def embed(self, asked: Mapping[str, Any]) -> Union[ConditionEmbedding, str]:
        """The embedding of ``{condition: value}``, one entry; the name of one that is heard.

        Raises:
            TSXError: for no or several conditions, one that the model does not know, or a value
                that it cannot have.
        """
        if len(asked) != 1:
            found = ", ".join(asked) or "none"
            raise TSXError(f"expected exactly one of {', '.join(self.conditions)}, found {found}")
        ((name, value),) = asked.items()
        if name not in self.conditions:
            raise TSXError(
                f"this model cannot be queried by {name}; it knows {', '.join(self.conditions)}"
            )
        if name in self.model.heard:
            return name
        with torch.no_grad():
            return self.experiment.embed(name, find(name).query(value))

    def _embed_phrase(self, phrase: str) -> np.ndarray:
        table = self.vocabulary.text_table
        if table is None:
            raise TSXError("this experiment has no text_embeddings.safetensors, so no text model")
        if self._language_model is None:
            self._language_model = LanguageModel(
                table.language_model, table.pooling, table.digest
            )
        return self._language_model.embed([phrase.strip()])

    def _recording(
        self, fs: float, channels: int, condition: Union[ConditionEmbedding, str]
    ) -> RecordingInSegments:
        device = next(self.model.parameters()).device

        def extract(part: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                mixture = torch.from_numpy(part)[None].to(device)
                return self.model.extract(mixture, condition)[0, 0].cpu().numpy()

        return RecordingInSegments(extract, self.fs, fs, channels)


def check_mixture(mixture: np.ndarray, fs: float) -> np.ndarray:
    """The mixture as float32 (T,) or (T, channels).

    Raises:
        TSXError: saying what is wrong with it.
    """
    mixture = np.asarray(mixture)
    if mixture.dtype.kind != "f" or mixture.ndim not in (1, 2) or mixture.size == 0:
        raise TSXError(
            "mixture: expected floating point samples of shape (T,) or (T, channels), "
            f"found {mixture.dtype} {mixture.shape}"
        )
    with np.errstate(over="ignore"):
        mixture = mixture.astype(np.float32)
    if not np.isfinite(mixture).all():
        raise TSXError("mixture: found NaN or infinite samples")
    if not 0 < fs < np.inf:
        raise TSXError(f"fs: expected a sampling rate in Hz, found {fs}")
    return mixture

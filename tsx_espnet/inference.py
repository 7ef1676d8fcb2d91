"""Extraction for users: load a model once, extract from many recordings."""

import dataclasses
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

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
from tsx_espnet.recordings.segments import Progress, TargetInSegments, check_mixture, in_blocks
from tsx_espnet.tables import PathLike
from tsx_espnet.vocabulary import Vocabulary

Queries = Sequence[Mapping[str, Any]]  # of one keyword each, as in {"text": "rain"}
Embedded = Union[ConditionEmbedding, str]  # a condition that is heard has its name only


class CompoundQuery(NamedTuple):
    """What is wanted of a recording and what is not: embeddings, each a batch of one."""

    wanted: Tuple[Embedded, ...]
    unwanted: Tuple[Embedded, ...] = ()

    @property
    def negative(self) -> bool:
        """Whether everything is wanted but what is not."""
        return not self.wanted

    def extract(self, model: ESPnetTSXModel, mixture: torch.Tensor) -> torch.Tensor:
        """The target, or the rest of a negative query: (T,) -> (T,).

        What is unwanted is removed, one sound after the other. Then what is wanted is extracted,
        one sound after the other, from what remains, and added.
        """
        for condition in () if self.negative else self.unwanted:
            mixture = mixture - model.extract(mixture[None], condition)[0, 0]
        total = torch.zeros_like(mixture)
        for condition in self.wanted or self.unwanted:
            sound = model.extract(mixture[None], condition)[0, 0]
            total, mixture = total + sound, mixture - sound
        return total


class TargetSoundExtractor:
    """Extracts the sound that a condition describes, with a loaded ``experiment``.

    >>> tsx = TargetSoundExtractor.load("exp/oct")  # doctest: +SKIP
    >>> target, rest = tsx(mixture, 44100, text="a dog barking")  # doctest: +SKIP
    >>> target, rest = tsx(mixture, 44100, text="a dog", but=[{"text": "rain"}])  # doctest: +SKIP
    >>> tsx.add_class("my_dog", ["dog1.wav", "dog2.wav"])  # doctest: +SKIP
    >>> target, rest = tsx(mixture, 44100, class_label="my_dog")  # doctest: +SKIP
    """

    def __init__(self, experiment: Experiment):
        if experiment.model.is_oracle:
            where = experiment.model_file.parent
            raise TSXError(f"{where}: an oracle: it hears the sources, which a recording lacks")
        vocabulary = dataclasses.replace(experiment.vocabulary, embed_phrase=self._embed_phrase)
        self.experiment = experiment._replace(vocabulary=vocabulary)
        self.fs = int(experiment.config["fs"])
        self._language_model: Optional[LanguageModel] = None

    @classmethod
    def load(
        cls, experiment: PathLike, model_file: Optional[str] = None, device: str = "cpu"
    ) -> "TargetSoundExtractor":
        """From an experiment directory; options as in ``load_experiment``.

        Raises:
            TSXError: as ``load_experiment``, and for an oracle model, which hears the sources.
        """
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
        also: Queries = (),
        but: Queries = (),
        progress: Progress = lambda segments: segments,
        **condition: Any,
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Target and rest of a recording, by one condition, or by several.

        The recording is resampled to the model's rate and back. What the model cannot hear, above
        half its rate, is in the rest (in the target, if ``but`` is all there is). Channels are
        processed apart. Recordings longer than 20 s are cut into overlapping segments, each
        extracted by itself; ``order`` and ``energy`` then mean first and louder within a segment.

        Args:
            mixture: (T,) or (T, channels), any level.
            fs: sampling rate in Hz.
            also: further queries, ``[{"text": "rain"}, ...]``, whose sounds join the target.
            but: queries of sounds that are removed first, one after the other, and so are in the
                rest; with nothing else to query by, the target is all but these.
            progress: wraps the list of segments while they are worked on.
            condition: one of these, or of the conditions that plugins register; optional with
                ``also`` or ``but``:

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
            TSXError: for no or several conditions where one is expected, an unknown condition or
                value, an enrollment that cannot be read, or a mixture that is empty or holds NaN
                or infinity.
        """
        query = self._query(condition, also, but)
        mixture = check_mixture(mixture, fs)
        columns = mixture.reshape(len(mixture), -1)
        recording = self._recording(fs, columns.shape[1], query)
        target, rest = recording.push(columns, last=True, progress=progress)
        return target.reshape(mixture.shape), rest.reshape(mixture.shape)

    def stream(
        self,
        blocks: Iterable[np.ndarray],
        fs: float,
        *,
        also: Queries = (),
        but: Queries = (),
        **condition: Any,
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
            also, but, condition: as in the call.

        Returns:
            an iterator over (target, rest), float32; their lengths add up to that of the blocks

        Raises:
            TSXError: as the call does; for what is wrong with a block, once it is reached.
        """
        query = self._query(condition, also, but)
        return in_blocks(blocks, fs, lambda channels: self._recording(fs, channels, query))

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

    def embed(self, asked: Mapping[str, Any]) -> Embedded:
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

    def _query(self, condition: Mapping[str, Any], also: Queries, but: Queries) -> CompoundQuery:
        for option, queries in (("also", also), ("but", but)):
            listed = isinstance(queries, (list, tuple))
            if not listed or not all(isinstance(query, Mapping) for query in queries):
                raise TSXError(f'{option}: expected [{{"text": "rain"}}, ...], found {queries!r}')
        first = [condition] if _by_name(condition) or not (also or but) else []
        wanted, unwanted = ([*map(_by_name, queries)] for queries in ((*first, *also), but))
        for name in {name for asked in (*wanted, *unwanted) for name in asked}:
            if (also or but) and not find(name).queried:
                raise TSXError(f"{name} names no sound, so also and but cannot go with it")
        return CompoundQuery(tuple(map(self.embed, wanted)), tuple(map(self.embed, unwanted)))

    def _recording(self, fs: float, channels: int, query: CompoundQuery) -> TargetInSegments:
        device = next(self.model.parameters()).device

        def extract(part: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return query.extract(self.model, torch.from_numpy(part).to(device)).cpu().numpy()

        return TargetInSegments(extract, self.fs, fs, channels, query.negative)


def _by_name(keywords: Mapping[str, Any]) -> Dict[str, Any]:
    """Condition -> value of the keywords of a query; None and False are none."""
    asked = {by_keyword(keyword).name: value for keyword, value in keywords.items()}
    return {n: value for n, value in asked.items() if value is not None and value is not False}

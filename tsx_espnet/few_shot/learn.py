"""New classes from a few examples, end to end: initial vectors, adaptation, a new experiment."""

import contextlib
import io
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions.enrollment import Recordings, recording_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import (
    CONFIG,
    Experiment,
    find_model_file,
    load_experiment,
    read_config,
    save_experiment,
)
from tsx_espnet.few_shot.classes import adapt, add_classes, check_new_labels, start_embeddings
from tsx_espnet.few_shot.mixtures import (
    AdaptationOptions,
    DrawnMixtures,
    FixedMixtures,
    training_clips,
)
from tsx_espnet.output import Output
from tsx_espnet.tables import PathLike, atomic_write, digest, read_facts, read_table, write_table

LOSSES = "adaptation.json"
# label -> recordings, or a directory of formatted clips
Examples = Union[PathLike, Mapping[str, Recordings]]


def learn_classes(
    experiment: Experiment,
    examples: Examples,
    init: str = "average",
    adaptation: Optional[AdaptationOptions] = None,
    seed: int = 0,
) -> Tuple[Experiment, List[float]]:
    """A copy of a model that knows the classes of ``examples`` too.

    Args:
        examples: label -> recordings, or a directory of formatted clips, every label a new class.
        init: their initial vectors, ``average`` (Eq. 8) or ``random``.
        adaptation: None: keep the initial vectors.
        seed: of random vectors, the mixtures and their order.

    Returns:
        the new experiment, and the mean loss of each epoch of the adaptation

    Raises:
        TSXError: if the model is not queried by classes or knows a label, or a file cannot be used.
    """
    fs = int(experiment.config["fs"])
    recordings = examples_by_label(examples, fs)
    check_new_labels(experiment, list(recordings))
    grown = add_classes(experiment, start_embeddings(experiment, recordings, init, seed))
    if adaptation is None:
        return grown, []
    labels, mixtures = list(recordings), adaptation.mixtures
    with contextlib.ExitStack() as stack:
        if mixtures is not None:
            mixtures = FixedMixtures(mixtures, labels, fs)
        else:
            mixtures = DrawnMixtures(
                experiment.config,
                experiment.vocabulary.classes,
                labels,
                adaptation.clips or training_clips(experiment.config),
                stack.enter_context(formatted_examples(examples, fs)),
                adaptation.num_mixtures,
                seed,
            )
        options = (adaptation.num_epochs, adaptation.lr, adaptation.batch_size)
        return grown, adapt(grown, mixtures, *options, seed)


class GrownExperiment(Output):
    """An experiment that knows more classes than the one it is made from.

    Besides what ``load_experiment`` needs, ``adaptation.json`` holds the mean loss of each epoch.

    Args:
        exp: the experiment it is made from.
        adaptation: None: keep the initial vectors.
    """

    noun = "classes"
    keep_other = True

    def __init__(
        self,
        exp: PathLike,
        out: PathLike,
        examples: Examples,
        init: str = "average",
        adaptation: Optional[AdaptationOptions] = None,
        seed: int = 0,
        model_file: Optional[str] = None,
    ):
        recordings = examples_by_label(examples, int(read_config(Path(exp))["fs"]))
        facts: Dict[str, Any] = {
            "model": digest(find_model_file(Path(exp), model_file)),
            "examples": {
                label: [digest(Path(path)) for path in own] for label, own in recordings.items()
            },
            "init": init,
            "seed": seed,
            "adaptation": None,
        }
        if adaptation is not None:
            facts["adaptation"] = options = asdict(adaptation)
            if adaptation.mixtures is not None:
                del options["clips"], options["num_mixtures"]
                options["mixtures"] = read_facts(adaptation.mixtures)
            elif adaptation.clips is not None:
                options["clips"] = ClipSet(adaptation.clips).facts()
        super().__init__(out, facts)
        self.labels = list(recordings)
        self.source = (exp, model_file)
        self.how = (examples, init, adaptation, seed)

    def learn(self, device: str = "cpu") -> None:
        """Make it, unless it is there; nothing is written before the adaptation has ended.

        Raises:
            TSXError: as ``learn_classes``, or if there is something else.
        """
        if self.is_done():
            return
        self.claim(begin=False)
        experiment = load_experiment(*self.source, device)
        grown, losses = learn_classes(experiment, *self.how)
        self.claim()
        (self.directory / CONFIG).unlink(missing_ok=True)  # of this work, interrupted
        if self.facts["adaptation"] is not None:
            with atomic_write(self.directory / LOSSES) as stream:
                json.dump({"classes": self.labels, "loss": losses}, stream, indent=1)
        save_experiment(grown, self.directory)
        self.finish()

    def expected_files(self, where: Path, items: Sequence) -> Mapping[Path, Optional[int]]:
        return {where / CONFIG: None}

    def occupied(self, present: Sequence[str]) -> Optional[str]:
        if CONFIG in present:
            return "holds an experiment already; choose another directory"
        return None

    def summary(self, facts: Mapping[str, Any]) -> str:
        return f"{len(self.labels)} new classes ({', '.join(self.labels)})"


def examples_by_label(examples: Examples, fs: int) -> Dict[str, Tuple[str, ...]]:
    """The paths of the examples of each class.

    Args:
        examples: of formatted clips, every label is a class, and its clips, sorted by id, are its
            examples.
        fs: the model's rate in Hz.

    Raises:
        TSXError: if there is none of a class, or formatted clips have another rate.
    """
    if isinstance(examples, Mapping):
        found = {label: recording_paths(own) for label, own in examples.items()}
        for label, paths in found.items():
            if not paths:
                raise TSXError(f"class {label!r}: expected at least one recording, found none")
        return found
    clips = ClipSet(examples)
    if clips.fs != fs:
        raise TSXError(f"{clips}: expected {fs} Hz as the model, found {clips.fs} Hz")
    return {
        label: tuple(clips.path(clips.ids[int(number)]) for number in clips.clips_of(label))
        for label in clips.classes
    }


@contextlib.contextmanager
def formatted_examples(examples: Examples, fs: int) -> Iterator[Path]:
    """A directory of formatted clips; if made from recordings, removed after the block.

    Args:
        examples: recordings of any rate, with any number of channels.
        fs: rate of the clips in Hz.

    Raises:
        TSXError: naming the first recording that cannot be used, and why.
    """
    if not isinstance(examples, Mapping):
        yield Path(examples)
        return
    from tsx_espnet.clips.format import format_set

    wavs, labels = {}, {}
    for label, paths in examples_by_label(examples, fs).items():
        for path in paths:
            name = f"example{len(wavs) + 1:05d}"
            wavs[name], labels[name] = os.path.abspath(path), label
    with tempfile.TemporaryDirectory(prefix="tsx_espnet.") as directory:
        data, clips = Path(directory) / "data", Path(directory) / "clips"
        write_table(data / "wav.scp", wavs)
        write_table(data / "utt2labels", labels)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                format_set(data, clips, fs)
            except TSXError:
                if not (clips / "skipped").is_file():
                    raise
        for name, reason in read_table(clips / "skipped").items():
            raise TSXError(f"class {labels[name]!r}: this recording cannot be used: {reason}")
        yield clips

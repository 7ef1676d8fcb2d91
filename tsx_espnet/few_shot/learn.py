"""New classes from a few examples, start to end: start vectors, adaptation, a new experiment."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import (
    CONFIG,
    Experiment,
    find_model_file,
    load_experiment,
    read_config,
    save_experiment,
)
from tsx_espnet.few_shot.adaptation import adapt
from tsx_espnet.few_shot.classes import add_classes, check_new_labels, start_embeddings
from tsx_espnet.few_shot.examples import Examples, examples_by_label, formatted_examples
from tsx_espnet.few_shot.mixtures import (
    AdaptationMixture,
    DrawnMixtures,
    FixedMixtures,
    training_clips,
)
from tsx_espnet.few_shot.options import AdaptationOptions
from tsx_espnet.mixing.facts import clip_facts
from tsx_espnet.tables import (
    PathLike,
    atomic_write,
    is_done,
    mark_done,
    read_facts,
    remove_leftovers,
)

LOSSES = "adaptation.json"


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
        init: the start of their vectors, ``average`` (Eq. 8) or ``random``.
        adaptation: None: the start is all.
        seed: of what is drawn: a random start, mixtures, their order.

    Returns:
        the new experiment, and the mean loss of each epoch of the adaptation

    Raises:
        TSXError: if the model is not asked by classes or knows a label, or a file cannot be used.
    """
    fs = int(experiment.config["fs"])
    recordings = examples_by_label(examples, fs)
    check_new_labels(experiment, list(recordings))
    grown = add_classes(experiment, start_embeddings(experiment, recordings, init, seed))
    if adaptation is None:
        return grown, []

    def adapted_to(mixtures: Sequence[AdaptationMixture]) -> Tuple[Experiment, List[float]]:
        options = (adaptation.num_epochs, adaptation.lr, adaptation.batch_size, seed)
        return grown, adapt(grown, mixtures, *options)

    labels = list(recordings)
    if adaptation.mixtures is not None:
        return adapted_to(FixedMixtures(adaptation.mixtures, labels, fs))
    clips = adaptation.clips
    if clips is None:
        clips = training_clips(experiment.config)
    with formatted_examples(examples, fs) as formatted:
        drawn = DrawnMixtures(
            experiment.config,
            experiment.vocabulary.classes,
            labels,
            clips,
            formatted,
            adaptation.num_mixtures,
            seed,
        )
        return adapted_to(drawn)


def write_grown_experiment(
    exp: PathLike,
    out: PathLike,
    examples: Examples,
    init: str = "average",
    adaptation: Optional[AdaptationOptions] = None,
    seed: int = 0,
    model_file: Optional[str] = None,
    device: str = "cpu",
) -> None:
    """``learn_classes`` from one experiment directory to another.

    Besides what ``load_experiment`` needs, ``adaptation.json`` (the mean loss of each epoch) and
    ``.done`` (how it was made) are written; what is there already is not made again, and what was
    interrupted is.

    Raises:
        TSXError: as ``learn_classes``, or if ``out`` holds something else.
    """
    out = Path(out)
    weights = find_model_file(Path(exp), model_file)
    recordings = examples_by_label(examples, int(read_config(Path(exp))["fs"]))
    facts = _facts(weights, recordings, init, adaptation, seed)
    if is_done(out, **facts) and (out / CONFIG).is_file():
        print(f"{out}: already done ({len(recordings)} new classes)", flush=True)
        return
    _check_free(out, facts)
    experiment = load_experiment(exp, model_file, device)
    grown, losses = learn_classes(experiment, examples, init, adaptation, seed)
    if adaptation is not None:
        with atomic_write(out / LOSSES) as stream:
            json.dump({"classes": list(recordings), "loss": losses}, stream, indent=1)
    mark_done(out, **facts)  # first, so that an experiment without it is somebody else's
    save_experiment(grown, out)  # its last file is the configuration
    remove_leftovers(out)
    print(f"{out}: {len(recordings)} new classes ({', '.join(recordings)})", flush=True)


def _facts(
    weights: Path,
    recordings: Dict[str, Tuple[str, ...]],
    init: str,
    adaptation: Optional[AdaptationOptions],
    seed: int,
) -> Dict[str, Any]:
    """What tells this work from other work, wherever the files lie."""
    facts: Dict[str, Any] = {
        "model": _digest(weights),
        "examples": {label: [_digest(path) for path in own] for label, own in recordings.items()},
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
            options["clips"] = clip_facts(ClipSet(adaptation.clips))
    return json.loads(json.dumps(facts))


def _digest(path: PathLike) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise TSXError(f"{path}: cannot be read: {error.strerror or error}") from None


def _check_free(out: Path, facts: Dict[str, Any]) -> None:
    """Before the work, not after it: nothing else is there."""
    found = read_facts(out)
    if found == facts:  # of this work, interrupted
        return
    if found is not None:
        other = [name for name in sorted({**found, **facts}) if found.get(name) != facts.get(name)]
        raise TSXError(
            f"{out}: holds classes that were added differently ({', '.join(other)}); remove it or "
            "choose another directory"
        )
    if (out / CONFIG).exists():
        raise TSXError(f"{out}: holds an experiment already; choose another directory")

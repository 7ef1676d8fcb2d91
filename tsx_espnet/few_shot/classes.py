"""Classes that a trained model did not know, from a few recordings of each.

A new class is a row more of the embedding matrix, ``W' = [W, e]`` (Eq. 9), and ``e`` the mean of
the embeddings of its K recordings, ``e = 1/K Σ g(a_k)`` (Eq. 8), or a random start. Adaptation (see
``adaptation.py``) then trains these rows and nothing else, so all that the model could do before
stays as it was, to the last bit.

Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound extraction",
Interspeech 2021, section 3.
"""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Dict, Mapping, Sequence

import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding
from tsx_espnet.conditioner.onehot import OneHotConditioner
from tsx_espnet.conditions import ENROLLMENT, NOT_APPLICABLE, find
from tsx_espnet.conditions.enrollment import Recordings, recording_paths
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment
from tsx_espnet.tables import digest

STARTS = ("average", "random")


def embed_recordings(experiment: Experiment, recordings: Recordings) -> ConditionEmbedding:
    """The condition of one mixture that is queried by K recordings, or by one.

    Shape: embedding (1, K, D); ``vector()`` is their mean, Eq. 8

    Args:
        recordings: a path or several; any rate, any number of channels.

    Raises:
        TSXError: if the model takes no enrollments, or a recording cannot be read.
    """
    if ENROLLMENT not in experiment.model.conditioners:
        known = ", ".join(experiment.model.conditioners)
        raise TSXError(f"expected a model that takes enrollments, found one that knows {known}")
    with torch.no_grad():
        return experiment.embed(ENROLLMENT, find(ENROLLMENT).query(recordings))


def average_embedding(experiment: Experiment, recordings: Recordings) -> torch.Tensor:
    """Eq. 8: the mean of the embeddings of K recordings, (D,).

    Raises:
        TSXError: as ``embed_recordings``.
    """
    return embed_recordings(experiment, recordings).vector()[0]


def random_embedding(experiment: Experiment, generator: torch.Generator) -> torch.Tensor:
    """A start as those the known classes had before training, standard normal: (D,).

    Raises:
        TSXError: if the model is not queried by classes.
    """
    size = class_conditioner(experiment).matrix().shape[1]
    return torch.randn(size, generator=generator)


def start_embeddings(
    experiment: Experiment, recordings: Mapping[str, Recordings], init: str, seed: int = 0
) -> Dict[str, torch.Tensor]:
    """A row (D,) for each new class.

    Args:
        recordings: label -> its K recordings.
        init: ``average`` of their embeddings, or ``random``: standard normal.
        seed: of the random ones. Other recordings get other ones too, so that
            training on several draws of them does not start from the same vectors; so do classes
            added one after the other.

    Raises:
        TSXError: as ``average_embedding`` and ``random_embedding``.
    """
    if init not in STARTS:
        raise TSXError(f"init: expected {' or '.join(STARTS)}, found {init!r}")
    if init == "average":
        return {label: average_embedding(experiment, own) for label, own in recordings.items()}
    drawn_with = {
        "seed": seed,
        "known": len(experiment.vocabulary.classes),
        "examples": [
            [digest(Path(path)) for path in recording_paths(own)] for own in recordings.values()
        ],
    }
    number = int(digest(json.dumps(drawn_with).encode())[:15], 16)
    generator = torch.Generator().manual_seed(number)
    return {label: random_embedding(experiment, generator) for label in recordings}


def class_conditioner(experiment: Experiment) -> OneHotConditioner:
    """What holds the vectors of the classes.

    Raises:
        TSXError: if the model is not queried by classes.
    """
    conditioner = dict(experiment.model.conditioners.items()).get("class")
    if not isinstance(conditioner, OneHotConditioner):
        raise TSXError("expected a model with the condition class (conditioner onehot)")
    return conditioner


def check_new_labels(experiment: Experiment, labels: Sequence[str]) -> None:
    """Raise ``TSXError`` for a label that the model knows already, or that no table could hold."""
    for label in labels:
        if label in experiment.vocabulary.classes:
            raise TSXError(f"the model knows the class {label!r} already")
        if label.split() != [label] or "," in label or label == NOT_APPLICABLE:
            raise TSXError(f"class {label!r}: expected a name without spaces and commas")


def add_classes(experiment: Experiment, vectors: Mapping[str, torch.Tensor]) -> Experiment:
    """Eq. 9: a copy of a model that knows more classes.

    Args:
        vectors: label -> its row (D,).

    Raises:
        TSXError: if the model is not queried by classes, knows a label already, or a vector has
            another size.
    """
    conditioner = class_conditioner(experiment)
    matrix, known = conditioner.matrix(), experiment.vocabulary.classes
    if len(matrix) != len(known):
        raise TSXError(f"expected a vector for each of {len(known)} classes, found {len(matrix)}")
    check_new_labels(experiment, list(vectors))
    for label, vector in vectors.items():
        if vector.shape != matrix.shape[1:]:
            raise TSXError(
                f"class {label!r}: expected a vector of shape {tuple(matrix.shape[1:])}, "
                f"found {tuple(vector.shape)}"
            )
    if not vectors:
        return experiment
    rows = torch.stack([vector.to(matrix) for vector in vectors.values()])
    model = copy.deepcopy(experiment.model)
    model.conditioners["class"] = conditioner.extended(rows).train(model.training)
    classes = (*known, *vectors)
    config = copy.deepcopy(experiment.config)
    config["class_list"] = list(classes)
    config["conditions"]["class"] = {
        **(config["conditions"]["class"] or {}),
        "num_new": model.conditioners["class"].new.num_embeddings,
    }
    vocabulary = dataclasses.replace(experiment.vocabulary, classes=classes)
    return experiment._replace(config=config, vocabulary=vocabulary, model=model)

"""Classes that a trained model did not know, from a few recordings of each.

A new class is a row more of the embedding matrix, ``W' = [W, e]`` (Eq. 9), and ``e`` the mean of
the embeddings of its K recordings, ``e = 1/K Σ g(a_k)`` (Eq. 8). Adaptation then trains these rows
and nothing else, so all that the model could do before stays as it was, to the last bit.

Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound extraction",
Interspeech 2021, section 3.
"""

import copy
import json
from typing import List, Mapping, Optional, Sequence

import torch

from tsx_espnet.conditioner.onehot import OneHotConditioner
from tsx_espnet.error import TSXError
from tsx_espnet.experiment import Experiment
from tsx_espnet.files import PathLike
from tsx_espnet.model import ESPnetTSXModel
from tsx_espnet.vocabulary import Vocabulary


def average_embedding(experiment: Experiment, recordings: Sequence[PathLike]) -> torch.Tensor:
    """Eq. 8: the mean of the embeddings of K recordings, (D,).

    Raises:
        TSXError: if the model takes no enrollments, or a recording cannot be read.
    """
    if "enrollment" not in experiment.model.conditioners:
        known = ", ".join(experiment.model.conditioners)
        raise TSXError(f"expected a model that takes enrollments, found one that knows {known}")
    if not recordings:
        raise TSXError("expected at least one recording of the new class, found none")
    with torch.no_grad():
        condition = experiment.embed("enrollment", json.dumps([str(path) for path in recordings]))
    return condition.vector()[0]


def add_classes(
    experiment: Experiment, vectors: Mapping[str, Optional[torch.Tensor]]
) -> Experiment:
    """Eq. 9: a copy of a model that knows more classes.

    Args:
        vectors: label -> its row (D,), or None to draw one as those of the others were at first.

    Raises:
        TSXError: if the model is not asked by classes, knows a label already, or a vector has
            another size.
    """
    conditioner = dict(experiment.model.conditioners.items()).get("class")
    if not isinstance(conditioner, OneHotConditioner):
        raise TSXError("expected a model with the condition class (conditioner onehot)")
    matrix, known = conditioner.matrix(), experiment.vocabulary.classes
    if len(matrix) != len(known):
        raise TSXError(f"expected a vector for each of {len(known)} classes, found {len(matrix)}")
    for label, vector in vectors.items():
        if label in known:
            raise TSXError(f"the model knows the class {label!r} already")
        if not label or any(character in " \t\n," for character in label):
            raise TSXError(f"class {label!r}: expected a name without spaces and commas")
        if vector is not None and vector.shape != matrix.shape[1:]:
            raise TSXError(
                f"class {label!r}: expected a vector of shape {tuple(matrix.shape[1:])}, "
                f"found {tuple(vector.shape)}"
            )
    if not vectors:
        return experiment
    rows = [torch.randn_like(matrix[0]) if row is None else row for row in vectors.values()]
    model = copy.deepcopy(experiment.model)
    model.conditioners["class"] = conditioner.extended(torch.stack(rows)).train(model.training)
    classes = (*known, *vectors)
    config = copy.deepcopy(experiment.config)
    config["class_list"] = list(classes)
    config["conditions"]["class"] = {
        **(config["conditions"]["class"] or {}),
        "num_new": model.conditioners["class"].new.num_embeddings,
    }
    vocabulary = Vocabulary(classes, experiment.vocabulary.text_table, experiment.vocabulary.fs)
    return experiment._replace(config=config, vocabulary=vocabulary, model=model)


def known_parts(model: ESPnetTSXModel) -> List[str]:
    """The names of all that a new class leaves alone, as ESPnet's ``--freeze_param`` takes them."""
    names = [name for name, _ in model.named_children() if name != "conditioners"]
    names += [f"conditioners.{name}" for name in model.conditioners if name != "class"]
    return [*names, "conditioners.class.table"]


def freeze_known(model: ESPnetTSXModel) -> None:
    """Leave the rows of the new classes alone to be trained.

    The others get no gradient: no optimizer touches them, with weight decay or without.

    Raises:
        TSXError: if there are no new classes.
    """
    if getattr(model.conditioners["class"], "new", None) is None:
        raise TSXError("expected a model with new classes, found none")
    for name in known_parts(model):
        model.get_submodule(name).requires_grad_(False)

"""New classes of a trained model: a vector of each, from a few recordings, and its adaptation.

A new class is one more row of the embedding matrix, ``W' = [W, e]`` (Eq. 9), and ``e`` the mean of
the embeddings of its K recordings, ``e = 1/K Σ g(a_k)`` (Eq. 8), or a random start. Adaptation
trains these rows on mixtures whose target is always of a new class. All other parameters are frozen
and the model stays in evaluation mode, so what it could do before stays as it was, to the last bit.

Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound extraction",
Interspeech 2021, section 3; 10 epochs and the learning rate are those of section 5.2.
"""

import copy
import dataclasses
import json
import math
from pathlib import Path
from typing import Dict, List, Mapping, Sequence

import numpy as np
import torch

from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import progress
from tsx_espnet.conditioner.onehot import OneHotConditioner
from tsx_espnet.conditions import ENROLLMENT, NOT_APPLICABLE, find
from tsx_espnet.conditions.enrollment import Recordings, recording_paths
from tsx_espnet.criterion.distance import Distance, build_criterions
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment
from tsx_espnet.few_shot.mixtures import AdaptationMixture, AdaptationOptions
from tsx_espnet.tables import digest

STARTS = ("average", "random")
MAX_GRADIENT = 5.0  # norm
SNR = ({"name": "snr"},)  # Eq. 6


def average_embedding(experiment: Experiment, recordings: Recordings) -> torch.Tensor:
    """Eq. 8: the mean of the embeddings of K recordings, (D,).

    Args:
        recordings: a path or several; any rate, any number of channels.

    Raises:
        TSXError: if the model takes no enrollments, or a recording cannot be read.
    """
    if ENROLLMENT not in experiment.model.conditioners:
        known = ", ".join(experiment.model.conditioners)
        raise TSXError(f"expected a model that takes enrollments, found one that knows {known}")
    with torch.no_grad():
        return experiment.embed(ENROLLMENT, find(ENROLLMENT).query(recordings)).vector()[0]


def start_embeddings(
    experiment: Experiment, recordings: Mapping[str, Recordings], init: str, seed: int = 0
) -> Dict[str, torch.Tensor]:
    """A row (D,) for each new class.

    Args:
        recordings: label -> its K recordings.
        init: ``average`` of their embeddings, or ``random``: standard normal, as the known classes
            started.
        seed: of the random ones, which differ between recordings too, so that draws of examples
            do not start from the same vectors, and between classes added one after the other.

    Raises:
        TSXError: as ``average_embedding``, or if the model is not queried by classes.
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
    size = class_conditioner(experiment).matrix().shape[1]
    return {label: torch.randn(size, generator=generator) for label in recordings}


def class_conditioner(experiment: Experiment) -> OneHotConditioner:
    """The conditioner that holds the vectors of the classes.

    Raises:
        TSXError: if the model is not queried by classes.
    """
    conditioner = dict(experiment.model.conditioners.items()).get("class")
    if not isinstance(conditioner, OneHotConditioner):
        raise TSXError("expected a model with the condition class (conditioner onehot)")
    return conditioner


def check_new_labels(experiment: Experiment, labels: Sequence[str]) -> None:
    """Raise ``TSXError`` for a label that the model knows already, or that is none."""
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


def adapt(
    experiment: Experiment,
    mixtures: Sequence[AdaptationMixture],
    num_epochs: int = AdaptationOptions.num_epochs,
    lr: float = AdaptationOptions.lr,
    batch_size: int = AdaptationOptions.batch_size,
    seed: int = 0,
) -> List[float]:
    """Train the rows of the new classes, in place, to extract them from ``mixtures``.

    Adam, on the distance between target and estimate of a query by class: the model's own
    ``criterions``, or the SNR loss (Eq. 6). Rows of classes that are no target
    do not change.

    Args:
        experiment: what ``add_classes`` returned; its model is changed.
        mixtures: all of one length; read one batch at a time, anew in each epoch.
        num_epochs: how often all of them are seen, each time in another order.
        lr: the learning rate.
        batch_size: mixtures a step.
        seed: of the orders.

    Returns:
        the mean loss over the mixtures of each epoch, during training

    Raises:
        TSXError: if there is no new class or no mixture, a target is of another class, the lengths
            differ, or the loss is not finite.
    """
    new = class_conditioner(experiment).new
    if new is None:
        raise TSXError("expected a model with new classes, found none")
    labels = experiment.vocabulary.classes[-new.num_embeddings :]
    check_at_least(1, num_epochs=num_epochs, batch_size=batch_size)
    if not 0 < lr < math.inf:
        raise TSXError(f"lr: expected a positive number, found {lr}")
    if len(mixtures) == 0:
        raise TSXError("expected mixtures to adapt with, found none")
    model = experiment.model.eval()
    rows = new.weight
    for parameter in model.parameters():
        parameter.requires_grad_(parameter is rows)
    distance = build_criterions(experiment.config.get("criterions") or SNR)
    optimizer = torch.optim.Adam([rows], lr=lr)
    losses = []
    for epoch in range(1, num_epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(mixtures))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        total = 0.0
        for batch in progress(batches, f"adapt, epoch {epoch}/{num_epochs}"):
            chosen = [mixtures[int(index)] for index in batch]
            _check_batch(chosen, labels)
            loss = _loss(experiment, distance, chosen)
            if not torch.isfinite(loss):
                raise TSXError(f"adaptation: the loss is {loss.item()} in epoch {epoch}")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([rows], MAX_GRADIENT)
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(mixtures))
        print(f"adapt, epoch {epoch}/{num_epochs}: mean loss {losses[-1]:.3f}", flush=True)
    rows.requires_grad_(False)
    return losses


def _loss(
    experiment: Experiment, distance: Distance, chosen: Sequence[AdaptationMixture]
) -> torch.Tensor:
    """The mean over a batch."""
    model = experiment.model
    device = next(model.parameters()).device
    mixture = torch.from_numpy(np.stack([one.mixture for one in chosen])).to(device)
    target = torch.from_numpy(np.stack([one.target for one in chosen])).to(device)
    value = np.stack([experiment.vocabulary.encode("class", one.label) for one in chosen])
    lengths = torch.full((len(chosen),), mixture.shape[1], device=device)
    with torch.no_grad():  # does not know the condition
        encoded = model.encode(mixture, lengths)
    ones = torch.ones(len(chosen), device=device)
    condition = model.conditioners["class"](torch.from_numpy(value).to(device), ones)
    estimate = model.separate(encoded, model.refine(encoded, condition))[:, 0]
    return distance(target, estimate, mixture).mean()


def _check_batch(chosen: Sequence[AdaptationMixture], labels: Sequence[str]) -> None:
    for one in chosen:
        if one.label not in labels:
            raise TSXError(
                f"adaptation mixture: expected a target of a new class ({', '.join(labels)}), "
                f"found {one.label!r}"
            )
    sizes = sorted({len(waveform) for one in chosen for waveform in one[:2]})
    if len(sizes) > 1:
        raise TSXError(f"adaptation mixtures: expected one length, found {sizes} samples")

"""Adaptation of new classes: their rows of the embedding matrix, and nothing else, are trained.

The mixtures hold a few recordings of the new classes among training clips, and the target is always
one of the new classes. All other parameters are frozen and the model stays in evaluation mode, so
what it could do before stays as it was, to the last bit.

Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound extraction",
Interspeech 2021, section 3; 10 epochs and the learning rate are those of section 5.2.
"""

import math
from typing import List, Sequence, Tuple

import numpy as np
import torch

from tsx_espnet.build import build_criterions
from tsx_espnet.checks import check_at_least
from tsx_espnet.cli import progress
from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import Experiment
from tsx_espnet.few_shot.classes import class_conditioner
from tsx_espnet.few_shot.mixtures import AdaptationMixture, AdaptationOptions

MAX_GRADIENT = 5.0  # norm
SNR = ({"name": "snr"},)  # Eq. 6


def new_labels(experiment: Experiment) -> Tuple[str, ...]:
    """The classes that were added to a model after its training.

    Raises:
        TSXError: if there are none.
    """
    rows = class_conditioner(experiment).new
    if rows is None:
        raise TSXError("expected a model with new classes, found none")
    return experiment.vocabulary.classes[-rows.num_embeddings :]


def adapt(
    experiment: Experiment,
    mixtures: Sequence[AdaptationMixture],
    num_epochs: int = AdaptationOptions.num_epochs,
    lr: float = AdaptationOptions.lr,
    batch_size: int = AdaptationOptions.batch_size,
    seed: int = 0,
) -> List[float]:
    """Train the rows of the new classes, in place, to extract them from ``mixtures``.

    Adam, on the distance between target and estimate through the class path: the model's own
    ``criterions``, or the SNR loss (Eq. 6). Of classes that are no target, the rows stay as they
    are.

    Args:
        experiment: what ``add_classes`` returned; its model is changed.
        mixtures: all of one length; read one batch at a time, anew in each epoch.
        num_epochs: how often all of them are seen, each time in another order.
        lr: the learning rate.
        batch_size: mixtures a step.
        seed: of the orders.

    Returns:
        the mean loss over the mixtures of each epoch, while it is trained.

    Raises:
        TSXError: if there is no new class or no mixture, a target is of another class, the lengths
            differ, or the loss is no number.
    """
    labels = new_labels(experiment)
    check_at_least(1, num_epochs=num_epochs, batch_size=batch_size)
    if not 0 < lr < math.inf:
        raise TSXError(f"lr: expected a positive number, found {lr}")
    if len(mixtures) == 0:
        raise TSXError("expected mixtures to adapt with, found none")
    model = experiment.model.eval()
    rows = class_conditioner(experiment).new.weight
    for parameter in model.parameters():
        parameter.requires_grad_(parameter is rows)
    criterions = build_criterions(experiment.config.get("criterions") or SNR)
    optimizer = torch.optim.Adam([rows], lr=lr)
    losses = []
    for epoch in range(1, num_epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(mixtures))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        total = 0.0
        for batch in progress(batches, f"adapt, epoch {epoch}/{num_epochs}"):
            chosen = [mixtures[int(index)] for index in batch]
            _check_batch(chosen, labels)
            loss = _loss(experiment, criterions, chosen)
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


def _loss(experiment: Experiment, criterions, chosen: Sequence[AdaptationMixture]) -> torch.Tensor:
    """The mean over a batch."""
    model = experiment.model
    device = next(model.parameters()).device
    mixture, target = (
        torch.from_numpy(np.stack(waveforms)).to(device)
        for waveforms in (
            [one.mixture for one in chosen],
            [one.target for one in chosen],
        )
    )
    value = np.stack([experiment.vocabulary.encode("class", one.label) for one in chosen])
    lengths = torch.full((len(chosen),), mixture.shape[1], device=device)
    with torch.no_grad():  # does not know the condition
        encoded = model.encode(mixture, lengths)
    ones = torch.ones(len(chosen), device=device)
    condition = model.conditioners["class"](torch.from_numpy(value).to(device), ones)
    estimate, _ = model.separate(encoded, model.refine(encoded, condition))
    return sum(weight * criterion(target, estimate) for weight, criterion in criterions).mean()


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

"""The batches of an epoch: bad ones are skipped, and the run may stop between any two."""

import itertools
import logging
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

import torch

from tsx_espnet.distributed import any_of, world_size
from tsx_espnet.errors import TSXError
from tsx_espnet.training.preemption import PREEMPTION, kept_from_workers

Batch = Tuple[List[str], Dict[str, torch.Tensor]]
MAX_BAD = 10  # in a row


class Batches:
    """Iterates over batches ``(ids, arrays)``.

    A batch with a NaN or an infinity is logged with the ids of its mixtures, and left out; of
    several processes all leave out theirs, and all stop at the same batch.

    Args:
        batches: a ``DataLoader``, or any iterable.
        stop: called between two batches if the run is to stop; it raises.
        position: number of batches to skip at the start, and from then on of those done.
        begin: called once the iterator exists, whose making draws from torch's generator.
        every: stop only after a multiple of so many used batches (accumulated gradients).
        device: of the tensors by which the processes communicate.

    Raises:
        TSXError: while iterating, if ten batches in a row, or all of them, are left out.
    """

    def __init__(
        self,
        batches: Iterable[Batch],
        stop: Callable[[], Any],
        position: int = 0,
        begin: Optional[Callable[[], Any]] = None,
        every: int = 1,
        device: str = "cpu",
    ):
        self._batches = batches
        self._stop = stop
        self.position = position
        self._begin = begin
        self._every = every
        self._device = device
        self._num_batches = len(batches) if hasattr(batches, "__len__") else 0
        self._iterator: Optional[Iterator[Batch]] = None

    def __len__(self) -> int:
        return self._num_batches

    def close(self) -> None:
        """End the workers of the loader properly; Python would end them by a signal."""
        shutdown = getattr(self._iterator, "_shutdown_workers", None)
        if shutdown is not None:
            shutdown()

    def __iter__(self) -> Iterator[Batch]:
        with kept_from_workers(self._batches):
            iterator = self._after(self.position)
        if self._begin is not None:
            self._begin()
        used, bad, bad_in_a_row = 0, 0, 0
        stopping = False
        while True:
            if world_size() == 1:  # else the processes agree, one batch later
                stopping = bool(PREEMPTION.requested)
            if stopping and used % self._every == 0:
                self._stop()
            batch = next(iterator, None)
            wrong = [] if batch is None else not_finite(*batch)
            ended, skip, stopping = any_of(
                (batch is None, bool(wrong), bool(PREEMPTION.requested)), self._device
            )
            if ended:
                if stopping:
                    self._stop()
                if bad and bad == self.position:
                    raise TSXError(f"all {bad} batches have audio that is not finite (see the log)")
                return
            self.position += 1
            if not skip:
                bad_in_a_row = 0
                used += 1
                yield batch
                continue
            bad, bad_in_a_row = bad + 1, bad_in_a_row + 1
            if wrong:  # else another process logs it
                logging.error(
                    f"batch {self.position} is left out ({bad} in this epoch so far): not finite: "
                    + "; ".join(wrong)
                )
            if bad_in_a_row == MAX_BAD:
                more = f": {'; '.join(wrong)}" if wrong else " (of another process)"
                raise TSXError(f"{MAX_BAD} batches in a row have audio that is not finite{more}")

    def _after(self, position: int) -> Iterator[Batch]:
        sampler = getattr(self._batches, "batch_sampler", None)
        if position and isinstance(sampler, list):  # skipped without loading them
            del sampler[:position]
            position = 0
        self._iterator = iter(self._batches)
        return itertools.islice(self._iterator, position, None)


def not_finite(ids: List[str], arrays: Dict[str, torch.Tensor]) -> List[str]:
    """Which mixtures of a batch have a NaN or an infinity, and in which arrays.

    The rows of an array belong to the mixtures, or to their queries if there is an array
    ``queries`` (Q, 3), which begins with the row of a mixture; others are named without a mixture.

    >>> not_finite(["a", "b"], {"speech_mix": torch.tensor([[0.0, 1.0], [float("nan"), 0.0]])})
    ['speech_mix of b']
    """
    owners = {len(ids): range(len(ids))}
    if "queries" in arrays:  # each mixture has one at least, so as many are one each, in order
        owners[len(arrays["queries"])] = arrays["queries"][:, 0].tolist()
    wrong = []
    for name, array in arrays.items():
        if isinstance(array, torch.Tensor) and array.is_floating_point():
            rows = array.unsqueeze(-1).flatten(1)
            finite = torch.isfinite(rows.sum(dim=1, dtype=torch.float64))
            if not finite.all():
                owner = owners.get(len(array))
                bad = (~finite).nonzero(as_tuple=True)[0].tolist() if owner else []
                found = dict.fromkeys(ids[owner[row]] for row in bad)  # once each
                wrong.append(f"{name} of {', '.join(found)}" if found else name)
    return wrong

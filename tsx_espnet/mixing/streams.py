"""Several kinds of training mixtures in fixed shares of each batch."""

import dataclasses
from typing import Optional, Sequence, Tuple

import numpy as np

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.render import Draws, Rendered


class Streams:
    """Mixtures of several streams, in the order of their indices: the first places of each batch
    belong to the first stream, and so on.

    The stream of a mixture follows from its index alone, so that it is the same for any number of
    processes. Each stream is drawn with a seed of its own, the first one with the given seed.

    Args:
        streams: (draws, share) of each; the shares add up to 1.
        batch_size: of the batches, over all processes together.

    Raises:
        TSXError: if a share is no whole number of mixtures of a batch, the shares do not add up to
            1, or the sampling rates differ.
    """

    def __init__(self, streams: Sequence[Tuple[Draws, float]], batch_size: int):
        self.streams = [draws for draws, _ in streams]
        self.batch_size = batch_size
        self.numbers = [_whole(share, batch_size) for _, share in streams]
        if sum(self.numbers) != batch_size:
            listed = ", ".join(f"{share:g}" for _, share in streams)
            raise TSXError(f"shares of streams: expected a sum of 1, found {listed}")
        rates = [draws.fs for draws in self.streams]
        if len(set(rates)) > 1:
            listed = ", ".join(f"{fs} Hz" for fs in rates)
            raise TSXError(f"streams: expected one sampling rate, found {listed}")
        self._ends = np.cumsum(self.numbers)

    @property
    def fs(self) -> int:
        """Sampling rate in Hz."""
        return self.streams[0].fs

    def stream_of(self, index: int) -> int:
        """The number of the stream that mixture ``index`` of an epoch belongs to."""
        return int(np.searchsorted(self._ends, index % self.batch_size, side="right"))

    def draw(self, seed: int, epoch: int, index: int, name: Optional[str] = None) -> Plan:
        """The plan of mixture ``index`` of an epoch, see ``Draws``."""
        stream = self.stream_of(index)
        batch, place = divmod(index, self.batch_size)
        first = sum(self.numbers[:stream])
        position = batch * self.numbers[stream] + place - first
        plan = self.streams[stream].draw(_seed(seed, stream), epoch, position, name)
        if name is None:
            plan = plan.renamed(f"stream{stream + 1}-{plan.id}")
        return dataclasses.replace(plan, seed=seed, epoch=epoch, index=index)

    def render(self, plan: Plan) -> Rendered:
        """Render a plan that was drawn here, with the number of its stream, counted from 0."""
        stream = self.stream_of(plan.index)
        return dataclasses.replace(self.streams[stream].render(plan), stream=stream)


def _seed(seed: int, stream: int) -> int:
    """The seed of a stream; equal ones would draw alike from similar clips."""
    if stream == 0:
        return seed
    return int(np.random.SeedSequence([seed, stream]).generate_state(1)[0])


def _whole(share: float, batch_size: int) -> int:
    number = round(share * batch_size)
    if number < 1 or abs(number - share * batch_size) > 1e-6:
        raise TSXError(
            f"share {share:g} of batch size {batch_size}: expected a whole number of mixtures, "
            f"found {share * batch_size:g}"
        )
    return number

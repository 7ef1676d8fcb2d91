"""Training mixtures on the fly as an ESPnet iterator factory."""

from typing import Callable, Optional

from espnet2.iterators.abs_iter_factory import AbsIterFactory
from torch.utils.data import DataLoader, Dataset

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.render import Draws
from tsx_espnet.training.examples import Example, values_of


class EpochMixtures(Dataset):
    """The mixtures of an epoch: item ``index`` is drawn from (seed, epoch, index).

    Items are (id, arrays), see ``tsx_espnet.training.examples``.
    """

    def __init__(
        self, draws: Draws, preprocess: Callable, seed: int, epoch: int, all_sources: bool = False
    ):
        self.draws = draws
        self.preprocess = preprocess
        self.seed = seed
        self.epoch = epoch
        self.all_sources = all_sources

    def __getitem__(self, index: int) -> Example:
        plan = self.draws.draw(self.seed, self.epoch, index)
        values = values_of(self.draws.render(plan), self.all_sources)
        return plan.id, self.preprocess(plan.id, values)


class MixtureIterFactory(AbsIterFactory):
    """Batches of freshly drawn mixtures, the same for any number of workers and after a resume.

    Args:
        draws: a ``Sampler``, or other plans.
        preprocess: ``(id, values) -> arrays``.
        collate: ``examples -> (ids, batch)``.
        num_mixtures: mixtures per epoch; the last batch may be smaller, or larger if the remainder
            would not give every rank a mixture.
        batch_size: mixtures per batch, over all ranks together.
        rank, world_size: every rank takes its share of each batch.
        num_iters_per_epoch: end an epoch after this many batches.
        num_workers, pin_memory: of the ``DataLoader``.
        all_sources: of every mixture, see ``values_of``.
    """

    def __init__(
        self,
        draws: Draws,
        preprocess: Callable,
        collate: Callable,
        num_mixtures: int,
        batch_size: int,
        seed: int = 0,
        num_workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_iters_per_epoch: Optional[int] = None,
        pin_memory: bool = False,
        all_sources: bool = False,
    ):
        self.draws = draws
        self.preprocess = preprocess
        self.collate = collate
        self.seed = seed
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.all_sources = all_sources
        if not world_size <= min(batch_size, num_mixtures):
            raise TSXError(
                f"expected at least one mixture per batch for each of {world_size} processes, "
                f"found --batch_size {batch_size}, --mixtures_per_epoch {num_mixtures}"
            )
        ends = list(range(batch_size, num_mixtures, batch_size)) + [num_mixtures]
        if len(ends) > 1 and ends[-1] - ends[-2] < world_size:
            del ends[-2]
        starts = [0] + ends[:-1]
        self.batches = [
            list(range(start + rank, end, world_size)) for start, end in zip(starts, ends)
        ][:num_iters_per_epoch]

    def build_iter(self, epoch: int, shuffle: Optional[bool] = None) -> DataLoader:
        return DataLoader(
            EpochMixtures(self.draws, self.preprocess, self.seed, epoch, self.all_sources),
            batch_sampler=list(self.batches),  # a copy: a resumed run cuts off its head
            collate_fn=self.collate,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
        )

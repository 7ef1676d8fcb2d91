"""Training mixtures on the fly as an ESPnet iterator factory."""

import argparse
from typing import Any, Callable, Dict, Optional

from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import IteratorOptions
from espnet2.train.distributed_utils import DistributedOption
from torch.utils.data import DataLoader, Dataset

from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.render import Draws, Rendered
from tsx_espnet.training.examples import Example, values_of

Values = Callable[[Rendered], Dict[str, Any]]


class EpochMixtures(Dataset):
    """The mixtures of an epoch: item ``index`` is drawn from (seed, epoch, index).

    Items are (id, arrays), see ``tsx_espnet.training.examples``.
    """

    def __init__(
        self,
        draws: Draws,
        preprocess: Callable,
        seed: int,
        epoch: int,
        values: Values = values_of,
    ):
        self.draws = draws
        self.preprocess = preprocess
        self.seed = seed
        self.epoch = epoch
        self.values = values

    def __getitem__(self, index: int) -> Example:
        plan = self.draws.draw(self.seed, self.epoch, index)
        return plan.id, self.preprocess(plan.id, self.values(self.draws.render(plan)))


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
        values: what the preprocessing gets of a mixture.
        fixed: the mixtures of every epoch are the same.
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
        values: Values = values_of,
        fixed: bool = False,
    ):
        self.draws = draws
        self.preprocess = preprocess
        self.collate = collate
        self.seed = seed
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.values = values
        self.fixed = fixed
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

    @classmethod
    def of_task(
        cls,
        draws: Draws,
        args: argparse.Namespace,
        options: IteratorOptions,
        distributed_option: DistributedOption,
        num_mixtures: int,
        **more: Any,
    ) -> "MixtureIterFactory":
        """The batches of a task of ESPnet, for this process.

        Args:
            args, options, distributed_option: as ``build_iter_factory`` of a task has them.
            num_mixtures: of an epoch.
        """
        world_size = distributed_option.dist_world_size if options.distributed else None
        if options.train and args.drop_last_iter:
            num_mixtures -= num_mixtures % options.batch_size
        given = {
            "seed": args.seed,
            "rank": (distributed_option.dist_rank or 0) if world_size else 0,
            "world_size": world_size or 1,
            "num_workers": args.num_workers,
            "num_iters_per_epoch": options.num_iters_per_epoch,
            "pin_memory": args.ngpu > 0,
        }
        return cls(
            draws,
            options.preprocess_fn,
            options.collate_fn,
            num_mixtures,
            options.batch_size,
            **{**given, **more},
        )

    def build_iter(self, epoch: int, shuffle: Optional[bool] = None) -> DataLoader:
        epoch = 0 if self.fixed else epoch
        return DataLoader(
            EpochMixtures(self.draws, self.preprocess, self.seed, epoch, self.values),
            batch_sampler=list(self.batches),  # a copy: a resumed run cuts off its head
            collate_fn=self.collate,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
        )

"""Training mixtures on the fly, as one of ESPnet's iterator factories."""

from typing import Callable, Dict, List, Optional, Tuple

import numpy as np
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from torch.utils.data import DataLoader, Dataset

from tsx_espnet.clips.clip_set import ClipSet
from tsx_espnet.conditions import ENROLLMENT
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.mixture_set import MIXTURE, OTHER, TARGET
from tsx_espnet.mixing.plan import Plan
from tsx_espnet.mixing.render import mix, render_enrollments, render_sources
from tsx_espnet.mixing.sampler import Sampler

Example = Tuple[str, Dict[str, np.ndarray]]


def example(
    plan: Plan,
    clips: ClipSet,
    noise: Optional[ClipSet] = None,
    examples: Optional[ClipSet] = None,
) -> Dict[str, object]:
    """Waveforms (float32, (T,)) and condition values of a plan, under their batch names.

    Of several enrollments, training takes the first: ``enrollment``, (L,) of its own length.
    """
    sources = render_sources(plan, clips, noise)
    other, mixture = mix(sources, plan.target)
    enrollments = render_enrollments(plan, examples or clips)
    return {
        MIXTURE.name: mixture,
        TARGET.name: sources[plan.target],
        OTHER.name: other,
        **plan.conditions,
        **({ENROLLMENT: enrollments[0]} if enrollments else {}),
    }


class EpochMixtures(Dataset):
    """The mixtures of one epoch: item ``index`` is drawn from (seed, epoch, index)."""

    def __init__(self, sampler: Sampler, preprocess: Callable, seed: int, epoch: int):
        self.sampler = sampler
        self.preprocess = preprocess
        self.seed = seed
        self.epoch = epoch

    def __getitem__(self, index: int) -> Example:
        plan = self.sampler.draw(self.seed, self.epoch, index)
        sampler = self.sampler
        values = example(plan, sampler.clips, sampler.noise, sampler.examples)
        return plan.id, self.preprocess(plan.id, values)


class MixtureIterFactory(AbsIterFactory):
    """Batches of freshly drawn mixtures, the same for any number of workers and after a resume.

    Args:
        sampler: draws the plans; holds the clips.
        preprocess: ``(id, values) -> arrays``.
        collate: ``examples -> (ids, batch)``.
        num_mixtures: mixtures an epoch; the last batch may be smaller, or larger if what is left
            would not give every rank a mixture.
        batch_size: mixtures a batch, over all ranks together.
        seed: of the draws.
        num_workers: processes that draw and render.
        rank, world_size: every rank takes its share of each batch.
        num_iters_per_epoch: stop an epoch after so many batches.
        pin_memory: as in ``torch.utils.data.DataLoader``.
    """

    def __init__(
        self,
        sampler: Sampler,
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
    ):
        self.sampler = sampler
        self.preprocess = preprocess
        self.collate = collate
        self.seed = seed
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        if not world_size <= min(batch_size, num_mixtures):
            raise TSXError(
                f"expected at least a mixture a batch for each of {world_size} processes, found "
                f"--batch_size {batch_size}, --mixtures_per_epoch {num_mixtures}"
            )
        ends = list(range(batch_size, num_mixtures, batch_size)) + [num_mixtures]
        if len(ends) > 1 and ends[-1] - ends[-2] < world_size:
            del ends[-2]
        starts = [0] + ends[:-1]
        self.batches: List[List[int]] = [
            list(range(start + rank, end, world_size)) for start, end in zip(starts, ends)
        ][:num_iters_per_epoch]

    def build_iter(self, epoch: int, shuffle: Optional[bool] = None) -> DataLoader:
        return DataLoader(
            EpochMixtures(self.sampler, self.preprocess, self.seed, epoch),
            batch_sampler=list(self.batches),  # ours: a training that goes on cuts off its head
            collate_fn=self.collate,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
        )

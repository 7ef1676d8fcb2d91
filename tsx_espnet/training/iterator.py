"""Examples of a batch, and training mixtures on the fly as an ESPnet iterator factory."""

from typing import Callable, Dict, Optional, Sequence, Union

import numpy as np
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.train.preprocessor import AbsPreprocessor
from torch.utils.data import DataLoader, Dataset

from tsx_espnet.conditions import ENROLLMENT, NOT_APPLICABLE
from tsx_espnet.errors import TSXError
from tsx_espnet.mixing.mixture_set import MIXTURE, OTHER, TARGET
from tsx_espnet.mixing.sampler import Sampler
from tsx_espnet.vocabulary import Vocabulary


class TSXPreprocessor(AbsPreprocessor):
    """Encodes the conditions of an example; those that are not given are "not applicable".

    Arrays, such as an enrollment loaded as ``sound``, are left alone.

    Args:
        train: for ESPnet; nothing here is random.
        conditions: names of the model's conditions.
    """

    def __init__(self, train: bool, conditions: Sequence[str], vocabulary: Vocabulary):
        super().__init__(train)
        self.conditions = conditions
        self.vocabulary = vocabulary

    def __call__(
        self, uid: str, data: Dict[str, Union[str, np.ndarray]]
    ) -> Dict[str, np.ndarray]:
        encoded = {name: value for name, value in data.items() if not isinstance(value, str)}
        for name in self.conditions:
            value = data.get(name, NOT_APPLICABLE)
            if isinstance(value, str):
                encoded[name] = self.vocabulary.encode(name, value)
        return encoded


class EpochMixtures(Dataset):
    """The mixtures of an epoch: item ``index`` is drawn from (seed, epoch, index).

    Items are (id, arrays): waveforms (float32, (T,)) and condition values by their batch names. Of
    several enrollments, training takes the first one.
    """

    def __init__(self, sampler: Sampler, preprocess: Callable, seed: int, epoch: int):
        self.sampler = sampler
        self.preprocess = preprocess
        self.seed = seed
        self.epoch = epoch

    def __getitem__(self, index: int):
        plan = self.sampler.draw(self.seed, self.epoch, index)
        rendered = self.sampler.render(plan)
        enrollments = rendered.enrollments.get(plan.target)
        values = {
            MIXTURE.name: rendered.mixture,
            TARGET.name: rendered.components[plan.target],
            OTHER.name: rendered.other,
            **plan.conditions,
            **({ENROLLMENT: enrollments[0]} if enrollments else {}),
        }
        return plan.id, self.preprocess(plan.id, values)


class MixtureIterFactory(AbsIterFactory):
    """Batches of freshly drawn mixtures, the same for any number of workers and after a resume.

    Args:
        preprocess: ``(id, values) -> arrays``.
        collate: ``examples -> (ids, batch)``.
        num_mixtures: mixtures per epoch; the last batch may be smaller, or larger if the remainder
            would not give every rank a mixture.
        batch_size: mixtures per batch, over all ranks together.
        rank, world_size: every rank takes its share of each batch.
        num_iters_per_epoch: end an epoch after this many batches.
        num_workers, pin_memory: of the ``DataLoader``.
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
            EpochMixtures(self.sampler, self.preprocess, self.seed, epoch),
            batch_sampler=list(self.batches),  # a copy: a resumed run cuts off its head
            collate_fn=self.collate,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
        )

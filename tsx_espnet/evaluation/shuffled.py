"""A control for models that hear: what they make of what belongs to another mixture."""

from collections import defaultdict
from typing import Dict, List, Sequence

import numpy as np

from tsx_espnet.errors import TSXError
from tsx_espnet.estimates import Estimates, extract_batch
from tsx_espnet.evaluation.scores import SHUFFLED
from tsx_espnet.experiment import Experiment
from tsx_espnet.mixing.data_table import MIXTURE
from tsx_espnet.mixing.mixture_set import MixtureSet
from tsx_espnet.tables import PathLike


class ShuffledEstimates(Estimates):
    """The estimates of a model whose passes hear, for each mixture, the next one of its length.

    The next one is separated too, so that later passes hear its estimates.

    Args:
        options: see ``EstimatedSet``.

    Raises:
        TSXError: if the model hears nothing, or a mixture is the only one of its length.
    """

    def __init__(
        self,
        experiment: Experiment,
        mixtures: MixtureSet,
        conditions: Sequence[str],
        out: PathLike,
        **options,
    ):
        model = experiment.model
        if not any(one.heard for one in (model, *model.later)):
            where = experiment.model_file.parent
            raise TSXError(f"{where}: --shuffle_heard is for models that hear; this one does not")
        super().__init__(experiment, mixtures, conditions, out, **options)
        self.facts[SHUFFLED] = True
        self.others = next_of_equal_length(self.lengths)

    def extract(self, audio, sources):
        length = len(next(iter(audio.values())))
        others = [self.others[name] for name in audio]
        heard = [self.mixtures.read(MIXTURE, n, fs=self.fs, length=length) for n in others]
        theirs = None if sources is None else self._sources(others, length)
        return extract_batch(
            self.experiment.model,
            audio,
            self.by_mixture,
            self.embed,
            sources,
            (np.stack(heard), theirs),
        )


def next_of_equal_length(lengths: Dict[str, int]) -> Dict[str, str]:
    """Each mixture -> another one of as many samples; after the last comes the first.

    >>> next_of_equal_length({"a": 9, "b": 9, "c": 5, "d": 9, "e": 5})
    {'a': 'b', 'b': 'd', 'd': 'a', 'c': 'e', 'e': 'c'}

    Raises:
        TSXError: naming a mixture that is the only one of its length.
    """
    groups: Dict[int, List[str]] = defaultdict(list)
    for name, length in lengths.items():
        groups[length].append(name)
    for length, names in groups.items():
        if len(names) == 1:
            raise TSXError(
                f"mixture {names[0]!r}: expected others of {length} samples to hear in its place, "
                "found none"
            )
    return {
        name: following
        for names in groups.values()
        for name, following in zip(names, names[1:] + names[:1])
    }

"""How new classes are adapted."""

from dataclasses import dataclass
from typing import Optional

from tsx_espnet.tables import PathLike


@dataclass(frozen=True)
class AdaptationOptions:
    """Which mixtures, and how they are used; the defaults are the paper's, where it says.

    Args:
        mixtures: a fixed set of mixtures, or None: they are drawn.
        clips: formatted training clips to draw them from, with the examples of the new classes;
            None: those that the model was trained on.
        num_mixtures: how many are drawn.
        num_epochs: how often all of them are seen.
        lr: the learning rate, of Adam.
        batch_size: mixtures a step.

    Reference: Delcroix et al., "Few-shot learning of new sound classes for target sound
    extraction", Interspeech 2021, sections 5.1 and 5.2.
    """

    mixtures: Optional[PathLike] = None
    clips: Optional[PathLike] = None
    num_mixtures: int = 1000
    num_epochs: int = 10
    lr: float = 1e-3
    batch_size: int = 8

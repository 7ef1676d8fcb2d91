"""From the strings of a mixture set to the arrays of a batch."""

from typing import Dict, Sequence, Union

import numpy as np
from espnet2.train.preprocessor import AbsPreprocessor

from tsx_espnet.conditions import NOT_APPLICABLE
from tsx_espnet.vocabulary import Vocabulary


class TSXPreprocessor(AbsPreprocessor):
    """Encodes the conditions; a condition a set says nothing about is "not applicable".

    What is an array already, as an enrollment that was loaded as ``sound``, is left alone.

    Args:
        train: as ESPnet wants it; nothing here is random.
        conditions: names of the model's conditions.
        vocabulary: their values.
    """

    def __init__(self, train: bool, conditions: Sequence[str], vocabulary: Vocabulary):
        super().__init__(train)
        self.conditions = tuple(conditions)
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

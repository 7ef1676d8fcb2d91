"""The examples of a batch: mixtures with what they are queried by, as arrays.

Without queries beyond those of its target, an example has the target, the rest, and one value for
each condition. Otherwise it has all components of its mixture and, for each query, which of them is
wanted and one value for each condition. ESPnet wants an array for every name, so that values of
different lengths travel one after the other, beside their sizes, until ``Collate`` pads them.
"""

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Tuple, Union

import numpy as np
import torch
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.preprocessor import AbsPreprocessor

from tsx_espnet.conditions import ENROLLMENT, NOT_APPLICABLE
from tsx_espnet.mixing import query
from tsx_espnet.mixing.data_table import MIXTURE, OTHER, QUERIES, SOURCES, TARGET
from tsx_espnet.mixing.render import Rendered
from tsx_espnet.vocabulary import Vocabulary

WEIGHT = "query_weight"
SIZES = "_sizes"  # of the values of a condition, one for each query

Value = Union[str, np.ndarray]
Example = Tuple[str, Dict[str, np.ndarray]]


class Wanted(NamedTuple):
    """What of a mixture is wanted, and the value of each condition that says so.

    Args:
        component, part, weight: as of a ``Query``.
        values: condition -> value, or its array.
    """

    component: int
    part: int
    weight: float
    values: Dict[str, Value]


def wanted_by(queries: Iterable[query.Query]) -> List[Wanted]:
    """Queries for the same together, unless they are by the same condition."""
    found: List[Wanted] = []
    for one in queries:
        what = (one.component, one.part, one.weight)
        same = (row for row in found if row[:3] == what and one.condition not in row.values)
        row = next(same, None)
        if row is None:
            row = Wanted(*what, {})
            found.append(row)
        row.values[one.condition] = one.value
    return found


def values_of(rendered: Rendered, all_sources: bool = False) -> Dict[str, Any]:
    """What ``TSXPreprocessor`` makes an example of; of several enrollments, the first counts.

    Args:
        all_sources: give all components of the mixture, even if the target alone is queried.
    """
    plan = rendered.plan
    enrollments = {number: several[0] for number, several in rendered.enrollments.items()}
    values: Dict[str, Any] = {MIXTURE.name: rendered.mixture}
    further = plan.queries or enrollments.keys() - {plan.target}
    if not (further or all_sources):
        values[TARGET.name] = rendered.components[plan.target]
        values[OTHER.name] = rendered.other
        values.update(plan.conditions)
        if plan.target in enrollments:
            values[ENROLLMENT] = enrollments[plan.target]
        return values
    wanted = wanted_by(plan.all_queries())
    for number, samples in enrollments.items():
        row = next((one for one in wanted if one[:3] == (number, 0, 1)), None)
        if row is None:
            row = Wanted(number, 0, 1.0, {})
            wanted.append(row)
        row.values[ENROLLMENT] = samples
    wanted = wanted or [Wanted(plan.target, 0, 1.0, {})]  # as every mixture of a batch has a query
    return {**values, SOURCES.name: rendered.components.T, QUERIES.name: wanted}


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

    def __call__(self, uid: str, data: Mapping[str, Any]) -> Dict[str, np.ndarray]:
        """The arrays of an example.

        Args:
            data: values by name, ``sources`` (T, C) and ``queries`` (JSON, or what is ``Wanted``)
                among them if the mixture has further queries.
        """
        if QUERIES.name in data:
            return self._queried(uid, data)
        encoded = {name: value for name, value in data.items() if not isinstance(value, str)}
        for name in self.conditions:
            value = data.get(name, NOT_APPLICABLE)
            if isinstance(value, str):
                encoded[name] = self.vocabulary.encode(name, value)
        return encoded

    def _queried(self, uid: str, data: Mapping[str, Any]) -> Dict[str, np.ndarray]:
        wanted = data[QUERIES.name]
        if isinstance(wanted, str):
            wanted = wanted_by(query.from_json(wanted, uid, QUERIES.file))
            wanted = wanted or [Wanted(0, 0, 1.0, {})]
        wanted = sorted(wanted, key=lambda one: one[:3])  # the same from a table and from a plan
        sources = data[SOURCES.name]
        encoded = {
            MIXTURE.name: data[MIXTURE.name],
            SOURCES.name: sources.reshape(len(sources), -1),  # ESPnet reads one channel as (T,)
            QUERIES.name: np.array([(one.component, one.part) for one in wanted]),
            WEIGHT: np.array([one.weight for one in wanted], dtype=np.float32),
        }
        for name in self.conditions:
            arrays = [self._array(name, one.values.get(name, NOT_APPLICABLE)) for one in wanted]
            encoded[name] = np.concatenate(arrays)
            encoded[name + SIZES] = np.array([len(array) for array in arrays])
        return encoded

    def _array(self, name: str, value: Value) -> np.ndarray:
        return self.vocabulary.encode(name, value) if isinstance(value, str) else value


class Collate:
    """Examples to a batch ``(ids, arrays)``; zeros pad what is shorter than the longest.

    Shape:
        without queries: speech_mix, speech_ref1, speech_ref2 (B, T); a condition (B, L, ...)

        with queries in any example: speech_mix (B, T); sources (B, T, C); queries (Q, 3) int64,
        the row of the mixture, component and part of each; query_weight (Q,); a condition
        (Q, L, ...)

        and ``*_lengths`` of each sequence, (B,) or (Q,)
    """

    def __init__(self) -> None:
        self._pad = CommonCollateFn(float_pad_value=0.0, int_pad_value=0)

    def __call__(self, examples: Sequence[Example]) -> Tuple[List[str], Dict[str, torch.Tensor]]:
        queried = next((arrays for _, arrays in examples if QUERIES.name in arrays), None)
        if queried is None:
            return self._pad(examples)
        names = [name[: -len(SIZES)] for name in queried if name.endswith(SIZES)]
        examples = [(uid, _with_query(arrays, names)) for uid, arrays in examples]
        num_sources = max(arrays[SOURCES.name].shape[1] for _, arrays in examples)
        sounds, conditions, queries = [], [], []
        for row, (uid, arrays) in enumerate(examples):
            sources = arrays[SOURCES.name]
            more = num_sources - sources.shape[1]
            sources = np.pad(sources, ((0, 0), (0, more)))
            sounds.append((uid, {MIXTURE.name: arrays[MIXTURE.name], SOURCES.name: sources}))
            wanted = arrays[QUERIES.name]
            queries.append(np.insert(wanted, 0, row, axis=1))
            conditions += [(uid, values) for values in _split(arrays, names)]
        ids, batch = self._pad(sounds)
        batch[QUERIES.name] = torch.from_numpy(np.concatenate(queries))
        weights = [arrays[WEIGHT] for _, arrays in examples]
        batch[WEIGHT] = torch.from_numpy(np.concatenate(weights))
        return ids, {**batch, **self._pad(conditions)[1]}


def _with_query(arrays: Dict[str, np.ndarray], conditions: Sequence[str]) -> Dict[str, np.ndarray]:
    """An example without queries, as one with a query for the first of two components."""
    if QUERIES.name in arrays:
        return arrays
    mixture, target = arrays[MIXTURE.name], arrays[TARGET.name]
    other = arrays.get(OTHER.name)
    values = {name: arrays[name] for name in conditions}
    return {
        MIXTURE.name: mixture,
        SOURCES.name: np.stack([target, mixture - target if other is None else other], axis=1),
        QUERIES.name: np.zeros((1, 2), dtype=np.int64),
        WEIGHT: np.ones(1, dtype=np.float32),
        **values,
        **{name + SIZES: np.array([len(value)]) for name, value in values.items()},
    }


def _split(
    arrays: Mapping[str, np.ndarray], conditions: Sequence[str]
) -> List[Dict[str, np.ndarray]]:
    """The values of the conditions for each query of an example."""
    parts = [np.split(arrays[name], np.cumsum(arrays[name + SIZES])[:-1]) for name in conditions]
    if not parts:
        return [{} for _ in arrays[QUERIES.name]]
    return [dict(zip(conditions, own)) for own in zip(*parts)]

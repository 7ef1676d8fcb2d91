"""Target and other of queries, by hand."""

import pytest
import torch

from tsx_espnet.errors import TSXError
from tsx_espnet.objective.references import Queries, References

# two mixtures of three and of two components; the background is what they do not add up to
SOURCES = torch.tensor(
    [[[1.0, 2.0], [10.0, 20.0], [3.0, 0.0]], [[4.0, 4.0], [0.0, 7.0], [0.0] * 2]]
)
MIXTURE = SOURCES.sum(dim=1) + 0.5


def queries(*rows):
    """(mixture, component, part, weight) of each."""
    table = torch.tensor([row[:3] for row in rows])
    return Queries.of(table, torch.tensor([row[3] for row in rows]))


def test_target_and_other():
    found = References.of_queries(
        SOURCES, MIXTURE, queries((0, 1, 0, 1.0), (1, 0, 0, 1.0), (0, 2, 0, 1.0))
    )
    assert found.sources[:, 0].tolist() == [[10.0, 20.0], [4.0, 4.0], [3.0, 0.0]]
    assert found.sources[:, 1].tolist() == [[4.5, 2.5], [0.5, 7.5], [11.5, 22.5]]
    assert found.mixture.tolist() == [[14.5, 22.5], [4.5, 11.5], [14.5, 22.5]]
    assert found.active.all() and found.queries.mixture.tolist() == [0, 1, 0]


def test_a_negative_query_exchanges_them_and_a_part_has_no_reference():
    asked = queries((0, 1, 0, 1.0), (0, 1, 0, -1.0), (0, 1, 2, 1.0), (0, 1, 1, -1.0))
    found = References.of_queries(SOURCES, MIXTURE, asked)
    assert torch.equal(found.sources[1], found.sources[0].flip(0))
    assert not found.sources[2:].any()
    assert found.active.tolist() == [[True] * 2, [True] * 2, [False] * 2, [False] * 2]


def test_a_component_that_a_mixture_lacks_is_silent():
    found = References.of_queries(SOURCES, MIXTURE, queries((1, 2, 0, 1.0)))
    assert found.active.tolist() == [[False, True]]


def test_without_queries_all_sources_count_once_and_the_rest_of_the_outputs_is_silence():
    asked = queries((0, 1, 0, 1.0), (1, 0, 0, 1.0), (0, 2, 0, 1.0))
    found = References.of_queries(SOURCES, MIXTURE, asked).unqueried(SOURCES, 4)
    assert found.sources.shape == (3, 4, 2)
    assert torch.equal(found.sources[:2, :3], SOURCES)
    assert found.active.tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [False] * 4,
    ]
    drawn = References.of(SOURCES, MIXTURE).unqueried(SOURCES, 3)
    assert torch.equal(drawn.sources, SOURCES)


def test_more_sources_than_outputs_are_refused():
    with pytest.raises(TSXError, match="at most 2 sources, one for each output .*, found 3"):
        References.of(SOURCES, MIXTURE).unqueried(SOURCES, 2)

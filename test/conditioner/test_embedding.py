import math
from fractions import Fraction

import pytest
import torch

from tsx_espnet.conditioner.embedding import ConditionEmbedding

EMBEDDING = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[5.0, 5.0], [9.0, 9.0]], [[7.0, 7.0]] * 2])
MASK = torch.tensor([[True, True], [True, False], [False, False]])


def test_the_vector_is_the_mean_of_what_is_real():
    condition = ConditionEmbedding(EMBEDDING, MASK)
    expected = torch.tensor([[2.0, 4.0], [5.0, 5.0], [0.0, 0.0]])
    torch.testing.assert_close(condition.vector(), expected)


def test_what_is_masked_gets_no_gradient():
    embedding = EMBEDDING.clone().requires_grad_()
    ConditionEmbedding(embedding, MASK).vector().sum().backward()
    expected = torch.tensor([[[0.5] * 2, [0.5] * 2], [[1.0] * 2, [0.0] * 2], [[0.0] * 2] * 2])
    torch.testing.assert_close(embedding.grad, expected)


def test_a_row_without_anything_real_is_not_applicable():
    assert ConditionEmbedding(EMBEDDING, MASK).applicable.tolist() == [True, True, False]


def test_select():
    chosen = ConditionEmbedding(EMBEDDING, MASK).select(torch.tensor([2, 0, 0]))
    assert chosen.applicable.tolist() == [False, True, True]
    torch.testing.assert_close(chosen.embedding, EMBEDDING[[2, 0, 0]])


def test_conditions_of_several_mixtures_are_padded_to_the_longest():
    one = ConditionEmbedding(torch.tensor([[[2.0, 4.0]]]), torch.tensor([[True]]))
    both = ConditionEmbedding.cat([one, ConditionEmbedding(EMBEDDING, MASK)])
    assert both.mask.int().tolist() == [[1, 0], [1, 1], [1, 0], [0, 0]]
    expected = torch.tensor([[2.0, 4.0], [2.0, 4.0], [5.0, 5.0], [0.0, 0.0]])
    torch.testing.assert_close(both.vector(), expected)


def test_several_of_a_mixture_are_averaged():
    """SoundBeam, Eq. 8; what is not applicable does not count."""
    parts = [
        ConditionEmbedding(torch.full((2, 1, 2), value), torch.tensor([[True], [real]]))
        for value, real in ((1.0, True), (4.0, False), (7.0, True))
    ]
    joined = ConditionEmbedding.cat(parts, dim=1)
    assert joined.embedding.shape == (2, 3, 2)
    assert joined.vector().tolist() == [[4.0, 4.0], [4.0, 4.0]]
    assert ConditionEmbedding.cat(parts[1:2], dim=1).applicable.tolist() == [True, False]
    weights = ConditionEmbedding.cat(parts[:2], dim=1).vector()
    assert weights.tolist() == [[2.5, 2.5], [1.0, 1.0]]


def test_null_is_applicable_and_zero():
    """"No condition" can be queried by; "not applicable" cannot."""
    null = ConditionEmbedding.null(torch.ones(3, 100, dtype=torch.double), dim=4)
    assert null.embedding.shape == (3, 1, 4) and null.embedding.dtype == torch.double
    assert null.applicable.all()
    assert torch.equal(null.vector(), torch.zeros(3, 4, dtype=torch.double))


@pytest.mark.parametrize(
    "embedding, mask", [((2, 4), (2,)), ((2, 1, 4), (2, 2)), ((2, 1, 4), (2, 1, 4))]
)
def test_shapes_that_do_not_fit_are_refused(embedding, mask):
    with pytest.raises(ValueError, match=r"expected embedding \(B, L, D\) and mask \(B, L\)"):
        ConditionEmbedding(torch.zeros(embedding), torch.zeros(mask).bool())


def frames(length, size=2):
    values = torch.arange(float(size * length)).reshape(size, length, 1)
    return ConditionEmbedding(values, torch.ones(size, length).bool(), timed=True)


@pytest.mark.parametrize(
    "length, num_frames, expected",
    [
        (3, 3, [0, 1, 2]),
        (3, 7, [0, 0, 0, 1, 1, 2, 2]),
        (7, 3, [0, 2, 4]),
        (1, 4, [0, 0, 0, 0]),
        (5, 1, [0]),
    ],
)
def test_frames_are_repeated_by_a_table(length, num_frames, expected):
    found = frames(length).at(num_frames)
    assert found.shape == (2, num_frames, 1)
    assert found[0, :, 0].tolist() == expected
    assert found[1, :, 0].tolist() == [length + position for position in expected]


@pytest.mark.parametrize("length, num_frames", [(301, 1201), (75, 188), (1201, 301)])
def test_frame_w_is_that_of_position_floor_w_l_over_w(length, num_frames):
    expected = [math.floor(Fraction(frame * length, num_frames)) for frame in range(num_frames)]
    assert frames(length).at(num_frames)[0, :, 0].tolist() == expected


def test_frames_that_are_not_real_are_zero():
    condition = frames(4)
    condition.mask[0, 1] = condition.mask[1] = False
    assert condition.at(4)[..., 0].tolist() == [[0, 0, 2, 3], [0] * 4]
    assert condition.applicable.tolist() == [True, False]


def test_frames_stay_frames():
    condition = frames(4)
    assert condition.select(torch.tensor([1])).timed and condition.padded(4).timed
    assert ConditionEmbedding.cat([condition, condition]).timed
    assert ConditionEmbedding.cat([condition, frames(4, 1)]).mask.shape == (3, 4)


@pytest.mark.parametrize(
    "misuse, message",
    [
        (lambda: frames(4).vector(), "for the whole mixture, found one of frames"),
        (lambda: frames(4).padded(5), "expected 5 frames, found 4"),
        (lambda: ConditionEmbedding.cat([frames(4), frames(5)]), "expected 5 frames, found 4"),
        (lambda: ConditionEmbedding.cat([frames(4), frames(4)], dim=1), "joined only for several"),
        (
            lambda: ConditionEmbedding.cat([frames(1), ConditionEmbedding.null(MASK, 1)]),
            "joined only for several",
        ),
    ],
)
def test_what_would_move_frames_in_time_is_refused(misuse, message):
    with pytest.raises(ValueError, match=message):
        misuse()

import pytest
import torch

from tsx_espnet.conditioner.onehot import OneHotConditioner


def test_a_one_hot_vector_times_a_matrix():
    conditioner = OneHotConditioner(output_dim=4, num_values=3)
    matrix = conditioner.table.weight
    values = torch.tensor([2, 0, 1, 2])
    onehot = torch.nn.functional.one_hot(values, 3).to(matrix.dtype)
    embedding = conditioner(values.unsqueeze(1), torch.ones(4)).embedding
    torch.testing.assert_close(embedding[:, 0], onehot @ matrix)


def test_not_applicable_teaches_no_value():
    conditioner = OneHotConditioner(output_dim=4, num_values=3)
    condition = conditioner(torch.tensor([[-1], [1]]), torch.ones(2))
    condition.vector().sum().backward()
    assert conditioner.table.weight.grad.abs().sum(dim=1).tolist() == [0.0, 4.0, 0.0]


def test_a_value_beyond_the_table_is_no_other_value():
    with pytest.raises(IndexError):
        OneHotConditioner(4, 3)(torch.tensor([[3]]), torch.ones(1))


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="num_values: expected at least 1, found 0"):
        OneHotConditioner(output_dim=4, num_values=0)


def test_rows_that_are_added_are_a_parameter_of_their_own():
    conditioner = OneHotConditioner(output_dim=4, num_values=3)
    rows = torch.randn(2, 4)
    grown = conditioner.extended(rows[:1]).extended(rows[1:])
    assert torch.equal(grown.matrix(), torch.cat([conditioner.table.weight, rows]))
    sizes = {name: tuple(value.shape) for name, value in grown.named_parameters()}
    assert sizes == {"table.weight": (3, 4), "new.weight": (2, 4)}
    values = torch.tensor([[4], [0], [3], [-1]])
    condition = grown(values, torch.ones(4))
    torch.testing.assert_close(condition.embedding[0, 0], rows[1])
    condition.vector().sum().backward()
    assert grown.new.weight.grad.tolist() == [[1.0] * 4] * 2
    assert grown.table.weight.grad[:, 0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("num_new", [-1, 3, 4])
def test_a_table_of_new_rows_alone_is_refused(num_new):
    with pytest.raises(ValueError, match=f"num_new: expected 0 to 2, found {num_new}"):
        OneHotConditioner(4, 3, num_new)

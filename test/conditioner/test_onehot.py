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
    with pytest.raises(ValueError, match="needs at least one value, found 0"):
        OneHotConditioner(output_dim=4, num_values=0)

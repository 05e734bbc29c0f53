import torch

from voxloom.models.conditioning import Concatenation, CrossAttention, sincos_positions


def test_every_place_has_an_encoding_of_its_own():
    places = sincos_positions(16, 24, 32)
    assert places.shape == (16 * 24, 32)
    distance = torch.cdist(places, places) + torch.eye(len(places)) * 9
    assert distance.min() > 0.1
    assert places.abs().max() <= 1


def test_positions_run_row_by_row():
    places = sincos_positions(3, 5, 8).view(3, 5, 8)
    rows, columns = places[..., :4], places[..., 4:]
    assert torch.equal(rows, rows[:, :1].expand_as(rows))
    assert torch.equal(columns, columns[:1].expand_as(columns))
    torch.testing.assert_close(places[2, 3, 0], torch.tensor(2.0).sin())
    torch.testing.assert_close(places[2, 3, 4], torch.tensor(3.0).sin())


def test_tokens_run_row_by_row_too():
    conditioner = CrossAttention(1, 8, positions=False)
    condition = torch.arange(6.0).view(1, 1, 2, 3)
    _, context = conditioner(condition, condition)
    expected = conditioner.projection(torch.arange(6.0).view(1, 6, 1))
    torch.testing.assert_close(context, expected)


def test_concatenation_keeps_the_order_z_then_condition():
    z, condition = torch.zeros(1, 2, 4, 4), torch.ones(1, 3, 4, 4)
    both, context = Concatenation(3)(z, condition)
    assert context is None
    assert both[0, :, 0, 0].tolist() == [0, 0, 1, 1, 1]

import pytest
import torch
from torch import nn

from voxloom.errors import CheckpointError
from voxloom.training.resume import load_tensors, position_of, tensors_of


def test_tensors_go_back_to_where_they_came_from():
    one, other = nn.Linear(2, 3), nn.Linear(2, 3)
    load_tensors("net", other, tensors_of(one))
    assert torch.equal(one.weight, other.weight)
    assert not any(tensor.requires_grad for tensor in tensors_of(one).values())


@pytest.mark.parametrize(
    "state", [None, {}, nn.Linear(2, 4).state_dict(), {**nn.Linear(2, 3).state_dict(), "more": 0}]
)
def test_another_architecture_is_refused_and_changes_nothing(state):
    net = nn.Linear(2, 3)
    before = net.weight.clone()
    with pytest.raises(CheckpointError, match=r"net is of another architecture: \d of 2 tensors"):
        load_tensors("net", net, state)
    assert torch.equal(net.weight, before)


def test_within_an_epoch_nothing_may_have_changed():
    state = {"step": 7, "loader": {"step": 14}, "batches_per_epoch": 10, "accumulate": 2}
    assert position_of(state, 10, 2) == (7, 14)
    for length, group in ((5, 2), (10, 1)):
        with pytest.raises(CheckpointError, match=r"within epoch 1.*Resume with the same batch_size"):
            position_of(state, length, group)


def test_an_epoch_may_be_of_another_length_than_those_before(tmp_path, go, rows):
    go("regression", tmp_path / "run", TRAIN__max_epochs=2)
    more = go("regression", tmp_path / "run", resume="auto", TRAIN__max_epochs=4, TRAIN__batch_size=4)
    found = [(row["step"], row["epoch"]) for row in rows(more) if row["split"] == "validation"]
    assert found == [(4, 0), (8, 1), (6, 2), (8, 3)]

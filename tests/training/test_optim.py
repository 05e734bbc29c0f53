from itertools import pairwise

import pytest
import torch
from torch import nn

from voxloom.training.optim import Average, LearningRate


def test_warmup_then_cosine():
    rate = LearningRate(schedule="cosine", warmup_steps=4, final_fraction=0.1)
    factors = [rate.factor(step, total_steps=24, epoch=0) for step in range(25)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[14] == pytest.approx(0.55)
    assert factors[24] == pytest.approx(0.1)
    assert all(a >= b for a, b in pairwise(factors[4:]))


def test_multistep_divides_by_ten_at_each_milestone():
    rate = LearningRate(schedule="multistep", milestones=(2, 4))
    assert [rate.factor(9, total_steps=99, epoch=e) for e in (0, 2, 4)] == pytest.approx([1.0, 0.1, 0.01])


def test_the_average_follows_slowly_and_is_exchanged_only_within_the_block():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, decay=0.5)
    nn.init.ones_(model.weight)
    average.update()  # the first decay is 1/10
    with average.applied():
        assert model.weight.item() == pytest.approx(0.9)
    assert model.weight.item() == 1.0


def test_the_average_survives_a_round_trip():
    model = nn.Linear(2, 2)
    average = Average(model, decay=0.9)
    with torch.no_grad():
        model.weight.add_(1)
    average.update()
    other = Average(nn.Linear(2, 2), decay=0.9)
    other.load_state_dict(average.state_dict())
    assert other.updates == 1
    for a, b in zip(average.mean, other.mean, strict=True):
        assert torch.equal(a, b)

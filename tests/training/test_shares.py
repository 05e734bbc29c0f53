"""A step is the mean over the samples that teach something, however they are spread."""

import pytest
import torch

from voxloom.loading import Batch
from voxloom.models import SegmenterConfig
from voxloom.training import Clock, SegmentationLoss, SegmentationObjective, SegmentationPatches, shares
from voxloom.training.shares import parts_of

SIZE = (4, 8, 8)


@pytest.fixture(params=[False, True], ids=["any", "exclusive"])
def objective(request):
    network = SegmenterConfig(channels=(4, 8), num_res_units=1, out_channels=2 + request.param)
    patches = SegmentationPatches(inputs=("raw",), target="labels", classes=("mito", "er"))
    return SegmentationObjective(network, SegmentationLoss(exclusive=request.param), patches, seed=0)


def batch_of(objective, known):
    """Patches that are known wholly, or not at all."""
    number = len(known)
    bits = torch.tensor(known).view(-1, 1, 1, 1, 1).expand(-1, 1, *SIZE).byte() * 3
    generator = torch.Generator().manual_seed(sum(known) + 8 * number)
    raw, labels = (
        torch.randint(0, most, (number, 1, *SIZE), generator=generator).byte() for most in (255, 4)
    )
    fields = {"raw": raw, "labels": labels & bits, "labels_known": bits}
    return objective.prepare(Batch(fields, ["a"] * number, [0] * number), 0, training=False)


def losses(objective, batch):
    (phase,) = objective.phases
    return phase(batch, Clock(0, 0, 0), {})[0].detach()


def test_batches_of_a_step_count_by_what_is_known(objective):
    batches = [batch_of(objective, known) for known in ([1, 1, 0], [0], [1, 0])]
    parts = parts_of(batches, objective, world=1)
    step = sum(part.share * losses(objective, batch) for part, batch in zip(parts, batches, strict=True))
    alone = [losses(objective, batch.take(n)) for batch, n in ((batches[0], 2), (batches[2], 1))]
    torch.testing.assert_close(step, (2 * alone[0] + alone[1]) / 3)
    assert [float(part.weight) for part in parts] == [2, 0, 1]


def test_ranks_count_by_what_is_known(objective, monkeypatch):
    ranks = [[batch_of(objective, [1, 1, 1])], [batch_of(objective, [1, 0, 0])]]
    monkeypatch.setattr(shares, "total_over_ranks", lambda _: torch.tensor(4.0))
    parts = [parts_of(batches, objective, world=2)[0] for batches in ranks]
    means = [losses(objective, batches[0]) for batches in ranks]
    averaged = sum(part.share * mean for part, mean in zip(parts, means, strict=True)) / 2
    torch.testing.assert_close(averaged, (3 * means[0] + means[1]) / 4)


def test_a_step_in_which_nothing_is_known_costs_nothing(objective):
    batch = batch_of(objective, [0, 0])
    (part,) = parts_of([batch], objective, world=1)
    assert float(part.share * losses(objective, batch)) == 0

"""What the segmentation objective makes of labels that are known in part."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from voxloom.errors import DataError
from voxloom.loading import Batch
from voxloom.models import SegmenterConfig
from voxloom.training import Clock, SegmentationLoss, SegmentationObjective, SegmentationPatches
from voxloom.training.partial_labels import marginal_cross_entropy
from voxloom.transforms import PatchValues, ValueAugment

CLASSES = ("mito", "er")
SIZE = (4, 8, 8)


def objective(*, inputs=("raw",), values=None, in_channels=1, **settings):
    loss = SegmentationLoss(**settings)
    network = SegmenterConfig(
        channels=(4, 8), num_res_units=1, in_channels=in_channels, out_channels=2 + loss.exclusive
    )
    patches = SegmentationPatches(
        inputs=inputs, target="labels", classes=CLASSES, values=values or PatchValues()
    )
    return SegmentationObjective(network, loss, patches, seed=0)


def drawn(most, seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, most, (2, 1, *(shape or SIZE)), generator=generator, dtype=torch.uint8)


@pytest.fixture
def batch():
    """One sample whose classes are all known, and one of which nothing is."""
    known = torch.stack([torch.full((1, *SIZE), 3), torch.zeros(1, *SIZE)]).byte()
    fields = {"raw": drawn(255, 1), "labels": drawn(4, 2) & known, "labels_known": known}
    return Batch(fields, ["a", "b"], [0, 1])


def loss_of(made, batch):
    (phase,) = made.phases
    return phase(made.prepare(batch, 0, training=False), Clock(0, 0, 0), {})[0]


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_is_unknown_counts_for_nothing(batch, exclusive):
    made = objective(exclusive=exclusive)
    alone = batch.take(1)
    torch.testing.assert_close(loss_of(made, batch), loss_of(made, alone))
    zeros = torch.zeros_like(batch["labels"])
    nothing = replace(batch, fields={**batch.fields, "labels_known": zeros, "labels": zeros})
    assert float(loss_of(made, nothing).detach()) == 0


def test_a_loss_without_any_term_is_refused():
    with pytest.raises(ValidationError, match="both 0"):
        SegmentationLoss(cross_entropy_weight=0, dice_weight=0)


def test_a_class_that_is_unknown_gets_no_gradient(batch):
    known = torch.full_like(batch["labels"], 1)  # mito alone
    made = objective()
    given = replace(batch, fields={**batch.fields, "labels": batch["labels"] & 1, "labels_known": known})
    loss_of(made, given).backward()
    weight = made.models["segmenter"].head[1].weight.grad
    assert float(weight[0].abs().sum()) > 0
    assert float(weight[1].abs().sum()) == 0


def test_class_weights_tell_how_much_a_class_counts(batch):
    mito, er = (objective(class_weights={name: 0.0}) for name in ("er", "mito"))
    both = objective(class_weights={"er": 3.0})
    expected = (loss_of(mito, batch) + 3 * loss_of(er, batch)) / 4
    torch.testing.assert_close(loss_of(both, batch), expected)


def test_positive_weights_tell_how_much_a_voxel_of_a_class_counts(batch):
    made = objective(positive_weights={"er": 4.0}, dice_weight=0)
    balanced = SegmentationObjective(
        made.models["segmenter"].config,
        made.settings.model_copy(update={"positive_weights": "balanced"}),
        made.patches.model_copy(update={"balance": {"er": 4.0}}),
        seed=0,
    )
    assert torch.equal(loss_of(made, batch), loss_of(balanced, batch))
    one = batch.take(1)
    with torch.no_grad():
        prepared = made.prepare(one, 0, training=False)
        logits = made.models["segmenter"](prepared["image"])
        positive, _ = made.labels(prepared)
        expected = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, positive.float(), pos_weight=torch.tensor([1.0, 4.0]).view(2, 1, 1, 1)
        )
    torch.testing.assert_close(loss_of(made, one).detach(), expected)


def test_classes_that_exclude_each_other_match_cross_entropy_where_all_is_known():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 5, generator=generator)
    number = torch.randint(0, 3, (2, 5, 5), generator=generator)
    positive = torch.stack([number == k for k in (1, 2)], 1)
    ours = marginal_cross_entropy(logits, positive, torch.ones_like(positive), torch.ones(2))
    torch.testing.assert_close(ours.mean(), torch.nn.functional.cross_entropy(logits, number))
    weighted = marginal_cross_entropy(logits, positive, torch.ones_like(positive), torch.tensor([2.0, 5.0]))
    for i in range(2):
        expected = torch.nn.functional.cross_entropy(
            logits[i : i + 1], number[i : i + 1], weight=torch.tensor([1.0, 2.0, 5.0])
        )
        torch.testing.assert_close(weighted[i], expected)


def test_of_classes_that_exclude_each_other_one_positive_tells_all():
    """er is not annotated, but where mito is, er is not; where mito is not, er may be."""
    made = objective(exclusive=True)
    labels = torch.tensor([1, 0], dtype=torch.uint8).reshape(1, 1, 1, 1, 2)
    positive, known = made.labels(
        Batch({"labels": labels, "labels_known": torch.ones_like(labels)}, ["a"], [0])
    )
    assert positive.flatten(2).int().tolist() == [[[1, 0], [0, 0]]]
    assert known.flatten(2).int().tolist() == [[[1, 1], [1, 0]]]


def test_a_validation_is_a_ratio_of_sums_over_all_patches(batch):
    made = objective()
    full = replace(batch, fields={**batch.fields, "labels_known": torch.full_like(batch["labels"], 3)})
    full = replace(full, fields={**full.fields, "labels": drawn(4, 5)})
    prepared = made.prepare(full, 0, training=False)
    for phase in made.phases:
        phase.eval()
    with torch.no_grad():
        values = made.validate(prepared, 0)
        predicted = made.decided(made.models["segmenter"](prepared["image"])).numpy()
    told = made.concluded({name: float(value.mean()) for name, value in values.items()})
    positive, _ = (x.numpy() for x in made.labels(prepared))
    for k, name in enumerate(CLASSES):
        p, t = predicted[:, k], positive[:, k]
        assert told[f"dice/{name}"] == pytest.approx(2 * (p & t).sum() / (p.sum() + t.sum()))
        assert told[f"iou/{name}"] == pytest.approx((p & t).sum() / (p | t).sum())
    assert told["dice"] == pytest.approx(np.mean([told["dice/mito"], told["dice/er"]]))
    assert set(told) == {
        "loss", "cross_entropy", "dice_loss", "dice", "iou", "dice/mito", "dice/er", "iou/mito", "iou/er",
    }  # fmt: skip


def test_patches_of_which_nothing_is_known_do_not_flatter_the_loss(batch):
    made = objective()
    prepared = made.prepare(batch, 0, training=False)
    with torch.no_grad():
        values = made.validate(prepared, 0)
        alone = made.validate(made.prepare(batch.take(1), 0, training=False), 0)
    told = made.concluded({name: float(value.mean()) for name, value in values.items()})
    assert told["loss"] == pytest.approx(float(alone["loss"]))


def test_a_validation_where_nothing_is_known_says_so(batch):
    made = objective()
    nothing = {name: torch.zeros_like(batch["labels"]) for name in ("labels", "labels_known")}
    empty = made.prepare(replace(batch, fields={**batch.fields, **nothing}), 0, training=False)
    with torch.no_grad():
        values = made.validate(empty, 0)
    with pytest.raises(DataError, match="no class of mito, er is known in any validation patch"):
        made.concluded({name: float(value.mean()) for name, value in values.items()})


def test_a_class_that_is_nowhere_has_no_score():
    means = {"loss": 1.0, "informed": 1.0}
    means |= {f"{what}/mito": 4.0 for what in ("both", "predicted", "present")}
    means |= {f"{what}/er": 0.0 for what in ("both", "predicted", "present")}
    told = objective().concluded(means)
    assert told["dice"] == told["dice/mito"] == 1
    assert "dice/er" not in told


def test_several_inputs_stand_side_by_side_and_a_smaller_target_is_the_middle(batch):
    made = objective(inputs=("raw", "other"), in_channels=2)
    fields = {
        "raw": batch["raw"], "other": drawn(255, 4),
        "labels": drawn(4, 6, 2, 4, 4), "labels_known": torch.full((2, 1, 2, 4, 4), 3, dtype=torch.uint8),
    }  # fmt: skip
    prepared = made.prepare(Batch(fields, ["a", "b"], [0, 1]), 0, training=False)
    assert prepared["image"].shape == (2, 2, *SIZE)
    assert torch.equal(prepared["image"][:, 1:], fields["other"] * (1 / 255))
    assert float(made.phases[0](prepared, Clock(0, 0, 0), {})[0].detach()) > 0
    assert made.preview(prepared, 0)[0][0][1].shape == (4, 4)


def test_values_change_in_training_alone_by_seed_epoch_and_index(batch):
    made = objective(values=PatchValues(augment=ValueAugment(probability=1)))
    plain, first, again, later, other = (
        made.prepare(b, seed, training=training)["image"]
        for b, seed, training in (
            (batch, 0, False), (batch, 0, True), (batch, 0, True), (replace(batch, epoch=1), 0, True),
            (batch, 1, True),
        )
    )  # fmt: skip
    assert torch.equal(first, again)
    assert not torch.equal(plain, first)
    assert not torch.equal(first, later)
    assert not torch.equal(first, other)


def test_bits_stay_integers(batch):
    prepared = objective().prepare(batch, 0, training=True)
    assert prepared["labels"].dtype == prepared["labels_known"].dtype == torch.uint8
    assert prepared["image"].dtype == torch.float32


def test_the_preview_shows_the_section_with_most_labels(batch):
    made = objective()
    labels = torch.zeros_like(batch["labels"])
    labels[:, :, 3, 2:5, 2:5] = 1
    known = torch.full_like(labels, 3)
    known[:, :, :, :, 6:] = 0
    given = replace(batch, fields={**batch.fields, "labels": labels, "labels_known": known})
    with torch.no_grad():
        row = made.preview(made.prepare(given, 0, training=False), 0)[0]
    assert [title for title, _ in row] == ["image", "labels", "prediction"]
    np.testing.assert_allclose(row[0][1], batch["raw"][0, 0, 3] / 255, rtol=1e-6)
    coloured = np.ptp(row[1][1].astype(int), axis=-1) > 0
    assert coloured[2:5, 2:5].all()
    assert coloured.sum() == 9
    assert made.picture(row).ndim == 3


def test_it_learns_from_labels_known_in_part():
    """Each class is annotated in half of the samples alone, and is learnt for all of them."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randint(0, 255, (4, 1, *SIZE), generator=generator, dtype=torch.uint8)
    truth = (raw > 150).byte() | (raw < 60).byte() * 2
    known = torch.tensor([1, 1, 2, 2], dtype=torch.uint8).reshape(4, 1, 1, 1, 1).expand_as(truth).contiguous()
    batch = Batch({"raw": raw, "labels": truth & known, "labels_known": known}, list("abcd"), [0, 1, 2, 3])
    made = objective()
    optimizer = torch.optim.Adam(made.models["segmenter"].parameters(), 2e-2)
    for _ in range(50):
        optimizer.zero_grad()
        loss_of(made, batch).backward()
        optimizer.step()
    with torch.no_grad():
        logits = made.models["segmenter"](made.prepare(batch, 0, training=False)["image"])
    right = made.decided(logits) == torch.cat([truth == 1, truth == 2], 1)
    assert float(right.float().mean()) > 0.8

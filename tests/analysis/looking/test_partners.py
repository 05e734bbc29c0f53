import numpy as np
import pytest

from voxloom.analysis.looking.partners import correspondence, shape_of_labels
from voxloom.errors import SchemaError


def scenes(number, seed=0):
    """Discs on a noisy ground, and what they are: smooth enough to survive being made small."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    masks = []
    for _ in range(number):
        discs = [(y - a) ** 2 + (x - b) ** 2 < r**2 for a, b, r in rng.uniform(4, 44, (5, 3)) * (1, 1, 0.2)]
        masks.append(np.any(discs, axis=0))
    images = [(mask * 50 + rng.normal(100, 20, mask.shape)).astype("float32") for mask in masks]
    return images, [mask.astype("float32") for mask in masks]


def keys(number):
    return [f"k{i:02}" for i in range(number)]


@pytest.mark.parametrize("number", [8, 20, 40])
def test_partners_match_and_shuffled_ones_do_not(number):
    images, masks = scenes(number)
    found = correspondence(("image", "mask"), keys(number), (images, masks))
    assert found.is_matched
    assert found.auc > 0.9
    assert found.odd == ()
    order = np.roll(np.arange(number), 1)
    shuffled = correspondence(("image", "mask"), keys(number), (images, [masks[i] for i in order]))
    assert not shuffled.is_matched
    assert 0.3 < shuffled.auc < 0.7
    assert "match no better than shuffled ones" in shuffled.text


def test_shuffles_give_alarms_as_often_as_p_says():
    images, masks = scenes(12)
    rng = np.random.default_rng(1)
    alarms = [
        correspondence(("a", "b"), keys(12), (images, [masks[i] for i in rng.permutation(12)])).is_matched
        for _ in range(10)
    ]
    assert sum(alarms) <= 1


def test_contrast_brightness_and_size_do_not_matter():
    images, masks = scenes(12)
    other = [np.kron(200 - 3 * image, np.ones((2, 3), "float32")) for image in images]
    assert correspondence(("a", "b"), keys(12), (masks, other)).auc > 0.9


def test_a_few_exchanged_partners_are_named():
    images, masks = scenes(30)
    masks[5], masks[12], masks[20] = masks[12], masks[20], masks[5]
    found = correspondence(("image", "mask"), keys(30), (images, masks))
    assert found.odd
    assert set(found.odd) <= {"k05 = k20", "k12 = k05", "k20 = k12"}
    assert found.moved == 3


def test_images_alike_to_all_say_nothing_of_the_partner():
    rng = np.random.default_rng(0)
    flat = [np.full((32, 32), i, "float32") for i in range(12)]
    noise = [rng.normal(size=(32, 32)).astype("float32") for _ in range(12)]
    assert not correspondence(("a", "b"), keys(12), (flat, noise)).is_matched


def test_too_few_or_unequal_sides_are_refused():
    images, masks = scenes(3)
    with pytest.raises(SchemaError, match="at least 3 pairs"):
        correspondence(("a", "b"), keys(2), (images[:2], masks[:2]))
    with pytest.raises(SchemaError, match="planes"):
        correspondence(("a", "b"), keys(3), (images, masks[:2]))


def test_labels_without_background_have_the_shape_of_their_borders():
    ids = np.ones((4, 4), int)
    ids[:, 2:] = 2
    assert shape_of_labels(ids).sum() == 4


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_some_exchanged_partners_are_no_match(share):
    images, masks = scenes(40)
    some = np.random.default_rng(0).permutation(40)[: int(share * 40)]
    order = np.arange(40)
    order[some] = np.roll(some, 1)
    found = correspondence(("image", "mask"), keys(40), (images, [masks[i] for i in order]))
    assert found.outcome == "partly"
    assert found.moved >= share * 40 - 2
    assert "only in part" in found.text
    assert len(found.odd) >= 3


def test_another_order_is_named():
    images, masks = scenes(24)
    told = {
        name: correspondence(("a", "b"), keys(24), (images, [masks[i] for i in order])).order
        for name, order in {
            "right": np.arange(24),
            "next": np.roll(np.arange(24), 1),
            "turned": np.arange(24)[::-1],
            "mixed": np.random.default_rng(0).permutation(24),
        }.items()
    }
    assert told == {"right": "", "next": "off by 1", "turned": "in reverse order", "mixed": ""}


def test_slices_off_by_one_do_not_match():
    """Neighbouring slices are so alike that the wrong partner beats nearly all others."""
    y, x = np.mgrid[:48, :48]
    stack = [np.hypot(y - 24, x - 24) + i * np.sin(x / 5) for i in range(30)]
    stack = [((plane < 12 + i / 3) * 50 + i * (x > y)).astype("float32") for i, plane in enumerate(stack)]
    assert correspondence(("a", "b"), keys(30), (stack, stack)).is_matched
    found = correspondence(("a", "b"), keys(30), (stack, stack[1:] + stack[:1]))
    assert (found.outcome, found.order) == ("partly", "off by 1")

import io

import numpy as np
import pytest
from PIL import Image

from voxloom.analysis.looking.labels import check_classes, check_masks
from voxloom.analysis.looking.seen import Seen
from voxloom.sample import Field


def found(arrays, *categories):
    field = Field(name="mask", kind="mask", axes="yx", categories=categories)
    return {
        each.name: each
        for each in check_masks(field, [Seen.of(f"k{i}", a, field) for i, a in enumerate(arrays)])
    }


def disc(value=1, dtype="uint8"):
    y, x = np.mgrid[:64, :64]
    return (((y - 32) ** 2 + (x - 32) ** 2 < 300) * value).astype(dtype)


def test_ordinary_masks_give_no_alarm():
    assert found([disc(), disc(255)]) == {}
    assert found([disc()], "none", "cell") == {}
    assert found([np.arange(64 * 64, dtype="uint16").reshape(64, 64)]) == {}  # instances


def test_ids_without_a_class():
    odd = found([disc(), disc(7)], "none", "cell")["unknown ids"]
    assert (odd.keys, odd.number) == (("k1",), 1)


def test_empty_masks_and_classes_that_never_occur():
    told = found([disc(), disc(0)], "none", "cell", "nerve")
    assert told["empty masks"].keys == ("k1",)
    assert "nerve" in told["empty classes"].what


def test_a_smoothed_mask():
    smooth = np.asarray(Image.fromarray(disc(255)).resize((50, 50), Image.Resampling.BICUBIC))
    assert "interpolated mask" in found([smooth])
    assert "interpolated mask" in found([disc(1, "float32") * 0.5])
    assert "interpolated mask" not in found([disc(1, "float32")])


def regions(ids):
    """Blobs on a ground, of these ids, one a region."""
    y, x = np.mgrid[:96, :96]
    mask = np.zeros((96, 96), np.uint8)
    for i, (a, b) in enumerate([(20, 20), (24, 60), (60, 30), (70, 70)]):
        mask[np.hypot(y - a, x - b) < 12 + i] = ids[i % len(ids)]
    return mask


def as_jpeg(mask, quality):
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(mask, side):
    return np.asarray(Image.fromarray(mask).resize((side, side), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(
    "changed",
    [
        lambda: as_jpeg(regions([255]), 90),
        lambda: as_jpeg(regions([255]), 75),
        lambda: resized(regions([255]), 48),
        lambda: resized(regions([255]), 144),
        lambda: resized(regions([4]), 144),
        lambda: resized(regions([1, 2, 3, 4]), 144),
        lambda: resized(regions([255]), 144).astype("uint16") * 257,
    ],
    ids=["jpeg 90", "jpeg 75", "halved", "enlarged", "one class 4", "classes", "16 bit"],
)
def test_each_way_of_smoothing_is_seen(changed):
    assert "interpolated mask" in found([changed()])


def test_regions_that_touch_or_lie_within_each_other_are_not_smoothed():
    rings = np.hypot(*(np.mgrid[:64, :64] - 32)) // 3
    thin = np.kron(np.eye(8), np.ones((8, 8), int)).astype("uint8") * 2
    thin[:, 1:][thin[:, 1:] != thin[:, :-1]] = 1
    for mask in (regions([1, 2, 3, 4]), rings.astype("uint8"), thin):
        assert "interpolated mask" not in found([mask])


def test_rare_classes():
    mask = disc()
    mask[32, 32] = 2
    assert "2 0." in found([mask])["pixel imbalance"].what


def test_classes():
    assert check_classes("label", {"a": 100, "b": 90}, ["a", "b"]) == []
    told = check_classes("label", {"a": 100, "b": 5, "-1": 2}, ["a", "b", "c"])
    assert [each.name for each in told] == ["empty classes", "unknown ids", "imbalance"]
    assert told[2].numbers["ratio"] == 50


def test_numbers_that_are_no_classes():
    assert found([disc(-1, "int16")])["negative ids"].severity == "warning"
    colours = Field(name="mask", kind="mask", axes="yxc")
    (told,) = check_masks(colours, [Seen.of("a", np.stack([disc(255)] * 3, axis=-1), colours)])
    assert (told.name, told.what) == ("colours in masks", "1 mask with 3 channels")
    gap = disc() + disc(6) * (np.arange(64) > 32).astype("uint8")
    assert found([gap])["gaps in ids"].what.startswith("ids 1, 7")

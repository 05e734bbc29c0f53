import numpy as np
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


def test_rare_classes():
    mask = disc()
    mask[32, 32] = 2
    assert "2 0." in found([mask])["pixel imbalance"].what


def test_classes():
    assert check_classes("label", {"a": 100, "b": 90}, ["a", "b"]) == []
    told = check_classes("label", {"a": 100, "b": 5, "-1": 2}, ["a", "b", "c"])
    assert [each.name for each in told] == ["empty classes", "unknown ids", "imbalance"]
    assert told[2].numbers["ratio"] == 50

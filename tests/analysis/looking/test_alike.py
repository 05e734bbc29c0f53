import time

import numpy as np
import pytest
from PIL import Image

from voxloom.analysis.looking.alike import Fingerprint, candidates, compared, fingerprint


def textures(number, side=64, seed=0):
    """Smooth random planes, unlike each other."""
    rng = np.random.default_rng(seed)
    small = rng.normal(size=(number, 9, 9)).astype("float32")
    return [
        np.asarray(Image.fromarray(each).resize((side, side), Image.Resampling.BICUBIC)) for each in small
    ]


def prints(planes):
    return [fingerprint(plane) for plane in planes]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p * 3 + 7,
        lambda p: p + np.random.default_rng(1).normal(0, 0.03, p.shape).astype("float32"),
        lambda p: np.asarray(Image.fromarray(p).resize((96, 96), Image.Resampling.BICUBIC)),
        lambda p: np.clip(p, -1.5, 1.5),
        lambda p: np.round(p * 30) / 30,
    ],
    ids=["brighter", "noise", "resized", "clipped", "8 bit"],
)
def test_a_changed_copy_is_found(change):
    planes = textures(60)
    copied = change(planes[17]).astype("float32")
    assert [17, 60] in candidates(prints([*planes, copied])).tolist()
    assert compared(planes[17], copied).is_near


def test_different_images_are_not_alike():
    planes = textures(80)
    pairs = candidates(prints(planes))
    assert not any(compared(planes[i], planes[j]).is_near for i, j in pairs)


def test_a_flat_image_has_no_print():
    assert fingerprint(np.full((20, 20), 5, "float32")) is None
    assert fingerprint(np.zeros((3, 300), "float32")) is None


def test_other_proportions_are_no_copy():
    plane = textures(1)[0]
    stretched = np.asarray(Image.fromarray(plane).resize((128, 64)))
    assert len(candidates(prints([plane, stretched]))) == 0


def test_only_pairs_across_parts_where_parts_are_given():
    planes = textures(20)
    both = prints([*planes, planes[3], planes[5]])
    parts = [0] * 20 + [0, 1]
    assert candidates(both, parts).tolist() == [[5, 21]]
    assert sorted(candidates(both).tolist()) == [[3, 20], [5, 21]]


def test_a_crowd_of_copies_hides_none_of_the_other_part():
    planes = textures(3)
    crowd = prints([planes[0]] * 50 + planes[1:])
    found = candidates([*crowd, *prints([planes[0]])], [0] * 52 + [1])
    assert len(found)
    assert set(found[:, 1].tolist()) == {52}


def test_nothing_to_compare():
    assert candidates([]).shape == (0, 2)
    assert candidates(prints(textures(1))).shape == (0, 2)


def test_the_work_does_not_grow_with_the_square():
    """Random prints: what is measured is the search, not the making of prints."""
    rng = np.random.default_rng(0)

    def seconds(number):
        bits = rng.integers(0, 256, (number, 16), dtype=np.uint8)
        bits[1::1000] = bits[0::1000][: len(bits[1::1000])]  # some copies
        thumb = bits.repeat(16, axis=1)
        made = [Fingerprint(b.tobytes(), t.tobytes(), 1.0) for b, t in zip(bits, thumb, strict=True)]
        begun = time.process_time()
        assert len(candidates(made)) == len(bits[1::1000])
        return time.process_time() - begun

    few, many = seconds(1000), seconds(8000)
    assert many < 24 * max(few, 0.01)  # 64 times as many pairs

import tracemalloc

import numpy as np
import pytest

from voxloom.analysis.looking.drawing import coloured, named_ids, over, pictures_of
from voxloom.label_colours import colour_of_label
from voxloom.sample import Field, Sample, Schema

IMAGE, MASK = (
    Field(name="image", axes="yxc"),
    Field(name="mask", kind="mask", axes="yx", categories=("no", "cell")),
)


def sample(fields, **arrays):
    return Sample("a", Schema(fields), arrays)


def test_a_mask_lies_over_the_image_of_its_size():
    grey, ids = np.full((4, 4, 1), 100, np.uint8), np.zeros((4, 4), np.uint8)
    ids[0, 0] = 1
    drawn = pictures_of(sample([MASK, IMAGE], image=grey, mask=ids), ["mask", "image"])
    assert [(title, labels) for title, _, labels in drawn] == [("image", False), ("mask", True)]
    assert drawn[1][1][1, 1].tolist() == [100, 100, 100]
    assert drawn[1][1][0, 0].tolist() == [round((100 + c) / 2) for c in colour_of_label(1)]


def test_a_mask_of_another_size_stands_alone():
    grey, ids = np.full((8, 8, 1), 100, np.uint8), np.eye(4, dtype=np.uint8)
    drawn = pictures_of(sample([IMAGE, MASK], image=grey, mask=ids), ["image", "mask"])
    assert np.array_equal(drawn[1][1], coloured(ids))


def test_latents_show_their_channels_and_colours_are_one_picture():
    latent = Field(name="z", kind="latent", axes="cyx")
    drawn = pictures_of(sample([latent], z=np.random.default_rng(0).normal(size=(6, 4, 4))), ["z"])
    assert [title for title, _, _ in drawn] == ["z 0", "z 1", "z 2", "z 3"]
    photo = pictures_of(sample([IMAGE], image=np.zeros((4, 4, 3), np.uint8)), ["image"])
    assert len(photo) == 1


def test_small_numbers_in_8_bits_are_not_black():
    labels = np.array([[0, 1], [2, 3]], np.uint8)[..., None]
    ((_, picture, _),) = pictures_of(sample([IMAGE], image=labels), ["image"])
    assert picture.max() == 255


def test_one_window_for_several_pictures():
    halves = sample([IMAGE], image=np.full((2, 2, 1), 0.5, np.float32))
    ((_, picture, _),) = pictures_of(halves, ["image"], {"image": (0.0, 1.0)})
    assert picture[0, 0, 0] == 128


def test_ids_are_named_by_their_classes_or_by_themselves():
    named = named_ids(Schema([IMAGE, MASK]), {"mask": [0, 1, 7]})
    assert named == [("cell", colour_of_label(1)), ("7", colour_of_label(7))]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64"])
def test_each_id_has_its_colour_whatever_the_type(dtype):
    ids = np.array([[0, 1, 200]]).astype(dtype)
    assert [tuple(c) for c in coloured(ids)[0].tolist()] == [colour_of_label(i) for i in (0, 1, 200)]
    assert len({colour_of_label(i) for i in range(200)}) == 200
    assert over(np.zeros((1, 3, 3), np.uint8), ids).any()


def test_a_large_plane_is_drawn_small_and_without_gigabytes():
    side = 4096
    large = (np.indices((side, side)).sum(0) * 7).astype(np.uint16)
    ids = np.zeros((side, side), np.uint8)
    ids[: side // 2] = 1
    made = sample([IMAGE, MASK], image=large[..., None], mask=ids)
    tracemalloc.start()
    image, mask = (picture for _, picture, _ in pictures_of(made, ["image", "mask"]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * large.nbytes  # 0.6 GB and growing with the plane where the whole plane was drawn
    assert image.shape == mask.shape == (1365, 1365, 3)
    assert image[0, 0, 0] == 0
    assert image[-1, -1, 0] == 255
    assert (mask[0, 600] != image[0, 600]).any()
    assert (mask[-1] == image[-1]).all()

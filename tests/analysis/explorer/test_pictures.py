"""Pictures are never black: full range, odd values, colours, and words where there is no image."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from voxloom.analysis.explorer.gallery import Gallery
from voxloom.analysis.explorer.images import Images
from voxloom.analysis.explorer.matching import matched
from voxloom.analysis.explorer.pictures import coloured, drawn, fitted, message, shown
from voxloom.analysis.explorer.recent import Recent
from voxloom.analysis.latents.points import Points
from voxloom.errors import ConfigError, MissingDataError
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.sources import open_source


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


RAMP = np.linspace(0, 1, 64 * 48).reshape(64, 48)


@pytest.mark.parametrize(
    "image",
    [
        RAMP.astype("float32") * 1e-4,
        RAMP.astype("float32") * 1e30 - 5e29,
        (RAMP * 4095).astype("uint16"),
        -1000 - RAMP,
        np.where(RAMP > 0.5, np.nan, RAMP),
        np.where(RAMP > 0.9, np.inf, RAMP),
        (RAMP * 5 - 2).astype("int8"),
        np.stack([RAMP, RAMP / 2, RAMP * 0], -1) * 1e-3,
    ],
    ids=["float", "huge", "uint16", "negative", "nan", "inf", "int8", "colours"],
)
def test_the_whole_range_is_shown(image):
    picture = opened(shown(image, 64))
    assert picture.shape == (64, 48, 3)
    assert picture.max() == 255
    assert picture.min() == 0
    assert len(np.unique(picture)) > 3


@pytest.mark.parametrize("value", [0, 5, -7.5, 1e-20, 65535])
def test_a_constant_image_is_drawn_and_never_fails(value):
    assert np.unique(opened(shown(np.full((9, 9), value), 27))).tolist() == [0]


def test_all_nan_is_drawn_and_colours_of_8_bits_are_left_as_they_are():
    assert opened(shown(np.full((4, 4), np.nan), 16)).shape == (16, 16, 3)
    rgb = np.random.default_rng(0).integers(40, 90, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(opened(shown(rgb, 30)), rgb)


def test_small_images_are_enlarged_by_whole_pixels_and_large_ones_averaged():
    dots = np.zeros((2, 3, 3), np.uint8)
    dots[0, 0] = 255
    large = fitted(dots, 100)
    assert large.shape == (66, 99, 3)
    assert large[:33, :33].min() == 255
    assert large[:, 33:].max() == 0
    board = (np.indices((512, 512)).sum(0) % 2 * 254).astype(np.uint8)[..., None].repeat(3, -1)
    assert set(np.unique(fitted(board, 64))) == {127}
    assert fitted(np.zeros((1, 5000, 3), np.uint8), 96).shape == (1, 96, 3)


def test_words_grow_with_the_picture_and_leave_folders_out():
    with_folder, without = (message(f"{each}x.tif: no such file.", 96) for each in ("/data/a/b c/", "b c/"))
    assert with_folder == without
    heights = [np.ptp(np.flatnonzero((opened(message("gone", size))[2:-2, 2:-2, 0] < 200).any(1)))
               for size in (96, 512)]  # fmt: skip
    assert heights[1] > 2 * heights[0]


def test_a_failure_becomes_a_picture_with_its_reason():
    picture = drawn(Path("/nowhere/at/all.tif").read_bytes, 96)
    assert "nowhere" in picture.problem
    assert opened(picture.png).shape == (96, 96, 3)
    for size in (16, 96, 512):
        words = opened(message("the file " + "x" * 400 + " é 漢字 is gone " * 40, size))
        assert words.shape == (size, size, 3)
        assert words.mean() > 180  # a light ground with dark letters


def test_a_map_of_deviations_has_its_colours_and_no_nan():
    colours = coloured(np.array([[0, 1, 2, np.nan, 9]]), 2.0)
    assert colours.dtype == np.uint8
    assert colours[0, 0].tolist() == colours[0, 3].tolist()
    assert colours[0, 2].tolist() == colours[0, 4].tolist()
    assert coloured(np.zeros((2, 2)), 0.0).shape == (2, 2, 3)


def test_what_was_used_last_is_kept_up_to_its_bytes():
    recent = Recent(10, len)
    for name in "abc":
        recent.put(name, name * 4)
    assert [recent.find(name) is None for name in "abc"] == [True, False, False]
    recent.put("b", "bb")
    recent.put("d", "dddd")
    assert [recent.find(name) is None for name in "bcd"] == [False, False, False]
    recent.put("large", "x" * 100)
    assert recent.find("large") is not None
    assert recent.find("b") is None


class Volumes(Source):
    """Images of many kinds, one a field."""

    def __init__(self, **arrays):
        self.arrays = arrays
        axes = {2: "yx", 3: "cyx", 4: "czyx", 5: "vczyx"}
        self._schema = Schema([Field(name=name, axes=axes[a.ndim]) for name, a in arrays.items()])

    schema = property(lambda self: self._schema)
    keys = property(lambda self: ["a/1"])

    def read(self, index):
        return Sample("a/1", self.schema, self.arrays)


def points_of(**groups):
    return Points.of_arrays({name: np.zeros((len(keys), 2)) for name, keys in groups.items()}, groups)


@pytest.mark.parametrize(
    ("array", "shape", "note"),
    [
        (np.ones((1, 4, 5)), (4, 5), ""),
        (np.ones((3, 4, 5)), (4, 5, 3), ""),
        (np.ones((2, 4, 5)), (4, 5), "channel 1 of 2"),
        (np.ones((1, 7, 4, 5)), (4, 5), "slice 4 of 7"),
        (np.ones((2, 4, 7, 4, 5)), (4, 5), "slice 4 of 7, channel 1 of 4"),
        (np.ones((4, 5)), (4, 5), ""),
    ],
)
def test_a_slice_and_the_channels_that_can_be_shown_are(array, shape, note):
    images = Images(points_of(a=["a/1"]), {"a": Volumes(image=array)})
    found = images.read(0)
    assert (found.array.shape, found.note, found.shape) == (shape, note, array.shape)


def test_an_image_without_pixels_is_told():
    gallery = Gallery(Images(points_of(a=["a/1"]), {"a": Volumes(image=np.ones((1, 0, 5)))}))
    assert "expected an image" in gallery.image(0, 64).problem


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, scale in (("one", 1e-3), ("two", 1.0), ("wide", 1.0)):
        shape = (30, 40) if name == "wide" else (30, 30)
        tifffile.imwrite(tmp_path / f"{name}.tif", (rng.random(shape) * scale).astype("float32"))
    (tmp_path / "bad.tif").write_bytes(b"II*\0nothing")
    return tmp_path


@pytest.fixture
def gallery(folder):
    points = points_of(a=["two", "one", "bad"], b=["wide", "lost"], c=["one"])
    source = open_source(folder)
    return Gallery(Images(points, {"a": source, "b": source}))


def test_points_find_their_images_by_key(gallery, folder):
    assert gallery.images.file(1) == folder / "one.tif"
    facts = gallery.facts(1, {"age": "3"})
    assert (facts.key, facts.group, facts.attributes) == ("one", "a", {"age": "3"})
    assert (facts.shape, facts.dtype, facts.file) == ((30, 30, 1), "float32", str(folder / "one.tif"))
    assert 0 <= facts.window[0] < facts.window[1] < 1e-3
    assert opened(gallery.image(1, 90).png).shape == (90, 90, 3)
    with pytest.raises(ConfigError, match="16 to 2048"):
        gallery.image(1, 10**6)


@pytest.mark.parametrize(
    ("row", "words"), [(2, "bad.tif"), (4, "no image has the key lost"), (5, "no images are known")]
)
def test_a_missing_or_damaged_image_says_why(gallery, row, words):
    picture = gallery.image(row, 64)
    assert words in picture.problem
    assert words in gallery.facts(row, {}).problem
    assert gallery.facts(row, {}).window is None
    assert opened(picture.png).shape == (64, 64, 3)
    assert words in gallery.panel(0, row, 64).problem
    with pytest.raises((MissingDataError, OSError)):
        gallery.images.read(row)


def test_the_type_of_pixels_is_that_of_the_file(tmp_path):
    tifffile.imwrite(tmp_path / "grey.tif", np.arange(256, dtype="uint8").reshape(16, 16))
    gallery = Gallery(Images(points_of(a=["grey"]), {"a": open_source(tmp_path)}))
    assert gallery.facts(0, {}).dtype == "uint8"


def test_an_image_that_comes_back_is_shown_and_one_that_was_read_is_kept(gallery, folder):
    (folder / "two.tif").rename(folder / "away")
    assert "two" in gallery.image(0, 64).problem
    (folder / "away").rename(folder / "two.tif")
    first = gallery.image(0, 64)
    assert first.problem == ""
    (folder / "two.tif").unlink()
    assert gallery.image(0, 64) == first


def test_two_images_have_a_difference_where_their_sizes_agree(gallery):
    panel = opened(gallery.panel(0, 1, 60).png)
    assert panel.shape[1] >= 3 * 60
    both = opened(gallery.panel(0, 3, 60).png)
    assert gallery.panel(0, 3, 60).problem == ""
    assert both.shape[1] < panel.shape[1]
    same = opened(gallery.panel(0, 0, 60).png)
    strip = opened(gallery.strip(0, 1, 60).png)
    assert strip.shape[:2] == (60, 3 * 60 + 2 * 3)
    assert gallery.strip(0, 3, 60).problem == ""
    pair = gallery.pair(0, 1)
    difference = gallery.pixels(1).array - gallery.pixels(0).array
    assert pair.limit == pytest.approx(np.percentile(np.abs(difference), 99.5))
    assert gallery.pair(0, 3).limit is None
    assert gallery.pair(0, 2) is None
    tints = [np.count_nonzero(np.ptp(each[24:84].astype(int), axis=-1) > 30) for each in (same, panel)]
    assert tints[0] == 0 < tints[1]


@pytest.mark.parametrize(
    ("wanted", "found", "places"),
    [
        (["a.tif", "b.tif"], ["b.png", "a.png"], {"a.tif": 1, "b.tif": 0}),
        (["v1.05", "v1.06"], ["v1.06.tif", "v1.05.tif"], {"v1.05": 1, "v1.06": 0}),
        (["x/a", "x/b"], ["y/b", "y/a"], {"x/a": 1, "x/b": 0}),
        (["x/a", "z/a", "x/b"], ["a", "b"], {"x/b": 1}),
        (["a"], ["x/a", "y/a"], {}),
        (["a", "b"], ["a", "b.png"], {"a": 0}),
        ([], [], {}),
    ],
)
def test_keys_are_compared_without_suffix_and_folders_where_none_is_there(wanted, found, places):
    assert matched(wanted, found) == places

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from voxloom.compat.dataset_conversion import (
    ResizeAndConvert,
    check_input_type,
    get_number_of_channels,
    image_to_binary,
)
from voxloom.compat.dataset_conversion.distribution import rank_of
from voxloom.compat.dataset_conversion.readers import custom_sort
from voxloom.errors import ConfigError, DataError, SchemaError


@pytest.mark.parametrize("arguments", [{"size": (4, 6)}, {"shape": [4, 6]}])
def test_sizes_are_height_and_width(arguments):
    made = ResizeAndConvert(mode="L", **arguments)
    assert pickle.loads(pickle.dumps(made))(Image.new("RGB", (9, 9))).size == (6, 4)
    assert repr(made) == "ResizeAndConvert((4, 6), 'L')"
    assert (made.size, made.shape) == ((4, 6), (4, 6))


def test_palettes_take_the_nearest_pixel():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 2, (9, 9), np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    small = np.array(ResizeAndConvert((4, 6), "RGB")(image))
    assert {tuple(colour) for colour in small.reshape(-1, 3).tolist()} <= {
        tuple(colour) for colour in np.array(image.convert("RGB")).reshape(-1, 3).tolist()
    }


def test_nearest_on_request():
    mask = Image.fromarray(np.array([[0, 200]], np.uint8))
    assert set(np.array(ResizeAndConvert((5, 7), "L", interpolation="nearest")(mask)).ravel().tolist()) == {
        0,
        200,
    }
    with pytest.raises(ConfigError, match="interpolation 'closest'"):
        ResizeAndConvert((5, 7), "L", interpolation="closest")


@pytest.mark.parametrize("size", [None, 5, (1,), "ab", (0, 2)])
def test_a_size_that_is_none(size):
    with pytest.raises(ConfigError):
        ResizeAndConvert(size, "RGB")


def test_channels():
    assert [get_number_of_channels(mode) for mode in ("1", "LA", "HSV", "CMYK")] == [1, 2, 3, 4]
    with pytest.raises(ConfigError, match="mode 'rgb' is not supported"):
        get_number_of_channels("rgb")


def opened(image, format):
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue(), Image.open(file)


def test_an_untouched_file_is_handed_on():
    data, image = opened(Image.new("RGB", (9, 7), "red"), "JPEG")
    assert image_to_binary(image) == data


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK"])
def test_what_was_changed_loses_nothing(mode):
    image = (
        Image.new("L", (9, 7), 77).convert("I").convert(mode) if mode == "I;16" else Image.new(mode, (9, 7))
    )
    again = Image.open(io.BytesIO(image_to_binary(image)))
    assert again.mode == mode
    assert np.array_equal(again, image)


def test_a_mode_that_no_file_has():
    with pytest.raises(SchemaError, match="HSV"):
        image_to_binary(Image.new("HSV", (3, 3)))


def test_input_of_either_type(folder):
    assert check_input_type(data := [1, 2], None) is data
    dataset = check_input_type(folder, np.array)
    image, label = dataset[-1]
    assert (image.shape, label, dataset.classes) == ((24, 30, 3), 1, ["cat", "dog"])


def test_numbers_of_files():
    with pytest.raises(DataError, match="expected a name such as"):
        custom_sort(".DS_Store")


def test_who_am_i(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert rank_of(None, None).world == 1
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert (rank_of(None, None).index, rank_of(0, 2).world) == (1, 2)

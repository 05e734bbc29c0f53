import io

import numpy as np
import pytest
from PIL import Image

from voxloom.errors import DataError, SchemaError
from voxloom.formats.encoding import as_pil, as_value, cell_array, encode, text_array
from voxloom.sample import Field


@pytest.mark.parametrize("encoding", ["npy", "blosc", "fixed"])
@pytest.mark.parametrize(
    ("axes", "shape", "size", "mode"),
    [
        ("yxc", (3, 4, 1), (4, 3), "L"),
        ("cyx", (1, 3, 4), (4, 3), "L"),
        ("cyx", (3, 5, 4), (4, 5), "RGB"),
        ("yxc", (5, 4, 4), (4, 5), "RGBA"),
        ("yx", (5, 4), (4, 5), "L"),
    ],
)
def test_any_array_of_an_image_is_one_for_pillow(encoding, axes, shape, size, mode):
    array = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    cell = array if encoding == "fixed" else encode(array, encoding)
    image = as_value(cell, Field(name="image", axes=axes), "pil", name="a")
    assert (image.size, image.mode) == (size, mode)
    channels_last = np.moveaxis(array, 0, -1) if axes == "cyx" else array
    np.testing.assert_array_equal(np.asarray(image), channels_last.squeeze())


def test_an_array_of_one_channel_opens_without_its_axes():
    assert as_pil(encode(np.zeros((3, 4, 1), np.uint8), "npy")).mode == "L"


def test_a_value_in_each_form():
    buffer, field = io.BytesIO(), Field(name="image", axes="cyx", dtype="uint8")
    Image.new("RGB", (45, 37)).save(buffer, "png")
    file = buffer.getvalue()
    assert as_value(memoryview(file), field, "bytes") == file
    assert as_value(file, field, "array").shape == (3, 37, 45)
    assert tuple(as_value(file, field, "tensor").shape) == (3, 37, 45)
    assert as_value(file, field, "pil").format == "PNG"
    number, label = np.array(7), Field(name="label", kind="class", axes="", dtype="int64")
    number.flags.writeable = False
    assert as_value(number, label, "tensor").item() == 7
    assert as_value(number, label, "bytes") == number.tobytes()
    text = Field(name="note", kind="text", axes="")
    assert as_value(np.array("ü"), text, "bytes") == "ü".encode()
    assert as_value(b"abc", text, "array") == "abc"


@pytest.mark.parametrize(
    ("cell", "field", "as_", "message"),
    [
        (np.array(1), Field(name="n", kind="class", axes=""), "pil", "a: field 'n' is of the kind class"),
        (b"abc", Field(name="n", kind="text", axes=""), "pil", "a: field 'n' is of the kind text"),
        (b"abc", Field(name="n", kind="text", axes=""), "tensor", "a: field 'n' is text"),
        (np.zeros((2, 2)), Field(name="n", axes="yx"), "pil", "a: float64 .* no image that Pillow knows"),
        (np.zeros((2, 2, 2, 1)), Field(name="n", axes="zyxc"), "pil", "a: float64 .* no image"),
        (np.zeros((2, 2)), Field(name="n", axes="yx"), "numpy", "as_='numpy': expected 'bytes'"),
    ],
)
def test_forms_that_a_field_has_not(cell, field, as_, message):
    with pytest.raises(SchemaError, match=message):
        as_value(cell, field, as_, name="a")


def test_text_that_numpy_would_change():
    assert text_array("a\0b").item() == "a\0b"
    with pytest.raises(DataError, match="a: text that ends in the character NUL"):
        text_array("abc\0", name="a")
    with pytest.raises(DataError, match="a: text that ends"):
        cell_array(b"abc\0", Field(name="note", kind="text", axes=""), name="a")
    with pytest.raises(DataError, match=r"a: text that is no Unicode \('\\udcff' at character 1\)"):
        encode(np.array("a\udcff"), "text", name="a")

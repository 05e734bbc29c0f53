import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import DataError, MissingDataError, UnreadableImageError
from voxloom.sources import ReadPolicy, list_images, read_image, stem_of, write_image


def by_tifffile(path, array):
    tifffile.imwrite(path, array)


def by_pillow(path, array):
    Image.fromarray(array).save(path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_the_kept_types_stay_as_they_are(tmp_path, image, dtype, byteorder):
    expected = image.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", expected, byteorder=byteorder)
    got = read_image(tmp_path / "a.tif")
    assert got.dtype == np.dtype(dtype)
    assert got.dtype.isnative
    assert got.flags.writeable
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, expected[np.newaxis])


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "int64", "float16", "float64"])
def test_other_types_become_float32(tmp_path, glyph, dtype):
    expected = (glyph // 2).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", expected)
    got = read_image(tmp_path / "a.tif")
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got[0], expected)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.tif", by_tifffile),
        ("a.TIFF", by_tifffile),
        ("a.tif", by_pillow),
        ("a.png", by_pillow),
        ("a.PNG", by_pillow),
    ],
)
def test_the_orientation_in_the_file_is_that_of_the_array(tmp_path, glyph, name, write):
    write(tmp_path / name, glyph)
    np.testing.assert_array_equal(read_image(tmp_path / name), glyph[np.newaxis])


def test_an_orientation_tag_is_not_applied(tmp_path, glyph):
    tifffile.imwrite(tmp_path / "a.tif", glyph, extratags=[(274, "H", 1, 6, False)])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], glyph)


def test_16_bit_png(tmp_path, glyph):
    expected = glyph.astype(np.uint16) * 300
    by_pillow(tmp_path / "a.png", expected)
    got = read_image(tmp_path / "a.png")
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got[0], expected)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_one_bit_pixels_are_0_and_1(tmp_path, glyph, name):
    Image.fromarray(glyph > 0).save(tmp_path / name)
    got = read_image(tmp_path / name)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got[0], glyph > 0)


@pytest.mark.parametrize("name", ["kïwi 01.tif", "  two  spaces .png", "日本語.tif", "a.b.c.TIF"])
def test_names_with_spaces_and_other_alphabets(tmp_path, glyph, name):
    by_pillow(tmp_path / name, glyph)
    assert read_image(str(tmp_path / name)).shape == (1, 14, 10)
    assert list_images(tmp_path) == [tmp_path / name]


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingDataError, match=r"gone\.tif: no such file"):
        read_image(tmp_path / "gone.tif")


def test_a_nan_pixel_is_refused_with_its_place(tmp_path, image):
    image[3, 4] = np.nan
    write_image(tmp_path / "bad.tif", image)
    with pytest.raises(DataError, match=r"bad\.tif: 1 of 140 pixels .* row 3, column 4.*nonfinite='zero'"):
        read_image(tmp_path / "bad.tif")


def test_nonfinite_pixels_can_be_read_as_zero(tmp_path, image):
    image[0, :3] = np.nan, np.inf, -np.inf
    write_image(tmp_path / "bad.tif", image)
    got = read_image(tmp_path / "bad.tif", ReadPolicy(nonfinite="zero"))
    assert got[0, 0, :3].tolist() == [0, 0, 0]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got[0, 1:], image[1:])


def test_float64_beyond_float32_counts_as_infinite(tmp_path):
    tifffile.imwrite(tmp_path / "big.tif", np.array([[1.0, 1e300]]))
    with pytest.raises(DataError, match=r"big\.tif: 1 of 2"):
        read_image(tmp_path / "big.tif")


def test_a_blank_image_is_kept_or_refused(tmp_path):
    write_image(tmp_path / "blank.tif", np.zeros((4, 4)))
    assert not read_image(tmp_path / "blank.tif").any()
    with pytest.raises(DataError, match=r"blank\.tif: all pixels are 0.*blank='keep'"):
        read_image(tmp_path / "blank.tif", ReadPolicy(blank="error"))


def test_complex_pixels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "z.tif", np.ones((4, 4), np.complex64))
    with pytest.raises(DataError, match=r"z\.tif: pixels of type complex64"):
        read_image(tmp_path / "z.tif")


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from(["uint8", "uint16", "float32"]))
def test_any_size_is_read_back(tmp_path_factory, height, width, dtype):
    path = tmp_path_factory.mktemp("any") / "a.tif"
    expected = np.arange(height * width).reshape(height, width).astype(dtype)
    tifffile.imwrite(path, expected)
    np.testing.assert_array_equal(read_image(path), expected[np.newaxis])


def test_images_are_listed_by_stem_and_others_left_out(tmp_path, glyph):
    for name in ("b.png", "a 2.TIFF", "A.tif", "a10.tiff"):
        (tmp_path / name).touch()
    for name in (".hidden.tif", "notes.txt", "._a.tif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.tif").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["A.tif", "a 2.TIFF", "a10.tiff", "b.png"]


def test_an_empty_folder_and_what_is_there_instead(tmp_path):
    with pytest.raises(MissingDataError, match=r"no image in this folder.*found nothing"):
        list_images(tmp_path)
    for name in ("a.dcm", "b.dcm", ".DS_Store"):
        (tmp_path / name).touch()
    (tmp_path / "edente").mkdir()
    with pytest.raises(MissingDataError, match=r"2 \.dcm.*1 hidden file|1 hidden file.*2 \.dcm") as caught:
        list_images(tmp_path)
    assert "1 subfolder" in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)


def test_a_missing_folder_names_those_beside_it(tmp_path):
    (tmp_path / "edente").mkdir()
    with pytest.raises(MissingDataError, match=r"no such folder. Folders beside it: edente"):
        list_images(tmp_path / "edentee")
    with pytest.raises(MissingDataError, match=r"no such folder, and no .*x either"):
        list_images(tmp_path / "x" / "y")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(MissingDataError, match="not a folder"):
        list_images(tmp_path / "a.tif")


@pytest.mark.parametrize("other", ["a.tiff", "a.TIF", "a.png"])
def test_two_images_of_one_stem_are_refused(tmp_path, other):
    (tmp_path / "a.tif").touch()
    (tmp_path / other).touch()
    with pytest.raises(DataError, match=r"'a\.tif' and|and 'a\.tif'"):
        list_images(tmp_path)


def test_stems_are_composed():
    assert stem_of("cafe\u0301.tif") == "caf\u00e9"


def test_a_damaged_file_raises_whatever_the_suffix_says(tmp_path, glyph):
    (tmp_path / "a.tif").write_bytes(imagecodecs.png_encode(glyph))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], glyph)
    (tmp_path / "b.tif").write_bytes(b"\xff\xd8\xff\xe0 a JPEG")
    with pytest.raises(UnreadableImageError, match=r"b\.tif: neither TIFF nor PNG"):
        read_image(tmp_path / "b.tif")

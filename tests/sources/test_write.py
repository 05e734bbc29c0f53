import numpy as np
import pytest
import tifffile
from PIL import Image

from voxloom.errors import ConfigError, SaveError, SchemaError
from voxloom.sources import read_image, write_image, write_png


@pytest.mark.parametrize("compression", ["none", "zlib"])
@pytest.mark.parametrize("shape", ["yx", "cyx"])
def test_a_tiff_is_read_back_by_us_and_by_others(tmp_path, image, compression, shape):
    path = tmp_path / "new folder" / "ä b.tif"
    write_image(path, image if shape == "yx" else image[np.newaxis], compression=compression)
    np.testing.assert_array_equal(read_image(path)[0], image)
    np.testing.assert_array_equal(tifffile.imread(path), image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)
    assert [p.name for p in path.parent.iterdir()] == ["ä b.tif"]


def test_other_types_are_written_as_float32(tmp_path, glyph):
    write_image(tmp_path / "a.tif", glyph[:, ::-1])
    assert tifffile.imread(tmp_path / "a.tif").dtype == np.float32
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], glyph[:, ::-1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_is_read_back_by_us_and_by_others(tmp_path, glyph, dtype):
    write_png(tmp_path / "a.png", glyph.astype(dtype)[np.newaxis])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0], glyph)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), glyph)


def test_a_colour_png(tmp_path, glyph):
    rgb = np.stack([glyph, glyph // 2, glyph // 3])
    write_png(tmp_path / "a.png", rgb)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), np.moveaxis(rgb, 0, -1))


@pytest.mark.parametrize("shape", [(2, 3, 4), (3,), (1, 1, 3, 4), (0, 4)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(SchemaError, match=r"a\.tif: "):
        write_image(tmp_path / "a.tif", np.zeros(shape))


def test_other_endings_and_types_are_refused(tmp_path, image):
    with pytest.raises(ConfigError, match=r"ends in \.tif or \.tiff"):
        write_image(tmp_path / "a.png", image)
    with pytest.raises(ConfigError, match=r"ends in \.png"):
        write_png(tmp_path / "a.tif", image.astype(np.uint8))
    with pytest.raises(SchemaError, match="uint8 or uint16, not float32"):
        write_png(tmp_path / "a.png", image)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, image, monkeypatch):
    path = tmp_path / "a.tif"
    write_image(path, image)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(SaveError, match=r"a\.tif: No space left"):
        write_image(path, image * 2)
    np.testing.assert_array_equal(read_image(path)[0], image)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]

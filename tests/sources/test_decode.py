import io

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import DataError, UnreadableImageError
from voxloom.sources import ReadPolicy, read_image

LUMA = ReadPolicy(color="luma")


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def png(image, **options):
    file = io.BytesIO()
    image.save(file, "png", **options)
    return file.getvalue()


RAMP = np.random.default_rng(0).integers(1, 60000, (48, 40)).astype(np.uint16)
VARIANTS = {
    "plain": {},
    "strips": {"rowsperstrip": 8},
    "deflate": {"compression": "zlib", "rowsperstrip": 8, "predictor": True},
    "lzw": {"compression": "lzw"},
    "zstd": {"compression": "zstd"},
    "packbits": {"compression": "packbits"},
    "tiles": {"tile": (16, 16), "compression": "deflate"},
    "bigtiff": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "imagej": {"imagej": True},
    "jpeg2000": {"compression": "jpeg2000"},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_variants_of_tiff(tmp_path, options):
    (tmp_path / "a.tif").write_bytes(tiff(RAMP, **options))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], RAMP)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_of_another_writer(tmp_path, glyph, compression):
    Image.fromarray(glyph).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], glyph)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UnreadableImageError, match=rf"{name}: an empty file \(0 bytes\)"):
        read_image(tmp_path / name)


FILES = {
    **{name: tiff(RAMP, **options) for name, options in VARIANTS.items()},
    "jpeg": tiff((RAMP >> 8).astype(np.uint8), compression="jpeg"),
    "png": png(Image.fromarray(RAMP)),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_a_truncated_file_is_never_half_an_image(tmp_path, data):
    path = tmp_path / "cut.tif"
    for share in (0.01, 0.05, 0.3, 0.5, 0.9, 0.98):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(UnreadableImageError, match=r"cut\.tif: ") as caught:
            read_image(path)
        assert isinstance(caught.value, OSError)


@settings(deadline=None)
@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4))
def test_a_damaged_file_gives_an_image_or_a_data_error(tmp_path_factory, name, changes):
    data = bytearray(FILES[name])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.mktemp("damaged") / "a.tif"
    path.write_bytes(data)
    try:
        image = read_image(path, ReadPolicy(color="luma", pages="first"))
    except DataError as error:
        message = str(error)
    else:
        message = f"{path}: {image.shape}"
        assert image.ndim == 3
    assert str(path) in message


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path):
    data = bytearray(FILES["png"])
    data[16:24] = b"\x7f\xff\xff\xff" * 2
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnreadableImageError, match="claims to hold 2147483647 x 2147483647"):
        read_image(tmp_path / "a.png")


def colors():
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    return np.dstack([grey, grey[::-1], grey // 2])


def expected_luma(rgb):
    return np.rint(rgb @ np.array([0.299, 0.587, 0.114])).astype(rgb.dtype)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colour_png(tmp_path, mode):
    path = tmp_path / "a.png"
    path.write_bytes(png(Image.fromarray(colors()).convert(mode)))
    with pytest.raises(DataError, match=rf"a\.png: {len(mode)} channels .*expected one.*color='luma'"):
        read_image(path)
    got = read_image(path, LUMA)[0]
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got.astype(int), expected_luma(colors()), atol=1 if mode == "LA" else 0)


@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_tiff(tmp_path, scale, planar):
    rgb = colors().astype(np.uint16) * scale if scale > 1 else colors()
    stored = np.moveaxis(rgb, -1, 0) if planar == "separate" else rgb
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    with pytest.raises(DataError, match=r"a\.tif: 3 channels \(RGB\)"):
        read_image(tmp_path / "a.tif")
    got = read_image(tmp_path / "a.tif", LUMA)[0]
    assert got.dtype == rgb.dtype
    np.testing.assert_array_equal(got, expected_luma(rgb))


def test_channels_that_are_no_colours_are_refused_whatever_the_policy(tmp_path):
    stored = np.zeros((6, 8, 5), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=r"a\.tif: a page with axes YXS .*each channel as a file"):
        read_image(tmp_path / "a.tif", LUMA)


def test_a_palette_of_greys_is_one_channel(tmp_path):
    grey = Image.fromarray(colors()[..., 0])
    (tmp_path / "a.png").write_bytes(png(grey.convert("P")))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0], colors()[..., 0])
    grey.convert("P").save(tmp_path / "b.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif")[0], colors()[..., 0])


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_palette_of_colours_is_colour(tmp_path, name):
    few = Image.fromarray(colors()).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    few.save(tmp_path / name)
    with pytest.raises(DataError, match="channels"):
        read_image(tmp_path / name)
    expected = expected_luma(np.asarray(few.convert("RGB")))
    np.testing.assert_array_equal(read_image(tmp_path / name, LUMA)[0], expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
def test_white_stored_as_zero_is_turned_round(tmp_path, glyph, dtype):
    stored = (glyph > 0) if dtype == np.bool_ else glyph.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    highest = 1 if dtype == np.bool_ else np.iinfo(dtype).max
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], highest - stored.astype(int))


@pytest.mark.parametrize("imagej", [False, True])
@pytest.mark.parametrize(("pages", "index"), [("first", 0), ("middle", 2)])
def test_several_pages(tmp_path, imagej, pages, index):
    stack = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=imagej)
    with pytest.raises(DataError, match=r"stack\.tif: 5 pages, expected one.*pages='first'"):
        read_image(tmp_path / "stack.tif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "stack.tif", ReadPolicy(pages=pages))[0], stack[index]
    )


def test_a_thumbnail_is_no_page(tmp_path, glyph):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(glyph)
        writer.write(glyph[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], glyph)
